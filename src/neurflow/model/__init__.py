"""The network: loading it, its one graph, its layers, and the segments between them."""

from neurflow.model.loading import load_model
from neurflow.model.model import Model
from neurflow.model.network.layers import Layer, LayerInfo
from neurflow.model.network.protocols import Network, Segment
from neurflow.model.preprocessing import Preprocessing

__all__ = ["Layer", "LayerInfo", "Model", "Network", "Preprocessing", "Segment", "load_model"]
