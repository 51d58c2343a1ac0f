"""The network: loading it, its one graph, its layers, and the segments between them."""

from neurflow.model.layers import Layer, LayerInfo
from neurflow.model.loading import load_model
from neurflow.model.model import Model
from neurflow.model.preprocessing import Preprocessing
from neurflow.model.segment import Segment

__all__ = ["Layer", "LayerInfo", "Model", "Preprocessing", "Segment", "load_model"]
