"""neurflow: see how a trained image classifier works inside, by circuits of neuron groups."""

from neurflow.circuit import Circuit
from neurflow.config import Config
from neurflow.discover import discover
from neurflow.errors import NeurFlowError
from neurflow.images import Images, load_images
from neurflow.model import Model, load_model
from neurflow.storage import load_circuit, save_circuit

__version__ = "0.1.0"

__all__ = [
    "Circuit",
    "Config",
    "Images",
    "Model",
    "NeurFlowError",
    "discover",
    "load_circuit",
    "load_images",
    "load_model",
    "save_circuit",
]
