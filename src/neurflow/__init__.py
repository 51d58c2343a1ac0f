"""neurflow explains trained image classifiers by circuits of neuron groups.

Names are loaded when they are first used, so that importing the package (and asking the command line
for help) costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from neurflow.runtime import display

if TYPE_CHECKING:
    from neurflow import attribution, planted
    from neurflow.circuit import Circuit, load_circuit, save_circuit
    from neurflow.circuit.reload import reload_model
    from neurflow.comparison import Comparison, compare
    from neurflow.config import Config
    from neurflow.debugging.audit import audit
    from neurflow.debugging.explain import debug
    from neurflow.errors import NeurFlowError
    from neurflow.evaluation.evaluate import evaluate
    from neurflow.evaluation.result import Evaluation
    from neurflow.evaluation.settings import Settings
    from neurflow.labels.labelling import label
    from neurflow.method.discover import discover
    from neurflow.model import Model, load_model
    from neurflow.pictures.images import Images, load_images

__version__ = "0.1.0"

__all__ = [
    "Circuit",
    "Comparison",
    "Config",
    "Evaluation",
    "Images",
    "Model",
    "NeurFlowError",
    "Settings",
    "attribution",
    "audit",
    "compare",
    "debug",
    "discover",
    "evaluate",
    "label",
    "load_circuit",
    "load_images",
    "load_model",
    "planted",
    "reload_model",
    "save_circuit",
    "sweep",
]

_HOMES = {
    "Circuit": "circuit",
    "Comparison": "comparison",
    "Config": "config",
    "Evaluation": "evaluation.result",
    "Images": "pictures.images",
    "Model": "model",
    "NeurFlowError": "errors",
    "Settings": "evaluation.settings",
    "audit": "debugging.audit",
    "compare": "comparison",
    "debug": "debugging.explain",
    "discover": "method.discover",
    "evaluate": "evaluation.evaluate",
    "label": "labels.labelling",
    "load_circuit": "circuit",
    "load_images": "pictures.images",
    "load_model": "model",
    "reload_model": "circuit.reload",
    "save_circuit": "circuit",
    "sweep": "sweeping.sweeps",
}


def __getattr__(name: str) -> Any:
    if name in ("attribution", "planted"):
        return import_module(f"neurflow.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'neurflow' has no attribute {name!r}")
    return getattr(import_module(f"neurflow.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def _circuit_page(circuit: Circuit) -> str:
    from neurflow.pages.notebook import framed

    return framed(circuit)


display.register("Circuit", _circuit_page)
