"""Models: loading, the graph of the network, its layers, and the segments between them."""

from neurflow.model.loading import load_model
from neurflow.model.model import Model
from neurflow.model.network.layers import Layer, LayerInfo
from neurflow.model.network.protocols import Network, Segment
from neurflow.model.preprocessing import Preprocessing
from neurflow.model.source import Loaded, Request, model_reference

__all__ = [
    "Layer",
    "LayerInfo",
    "Loaded",
    "Model",
    "Network",
    "Preprocessing",
    "Request",
    "Segment",
    "load_model",
    "model_reference",
]
