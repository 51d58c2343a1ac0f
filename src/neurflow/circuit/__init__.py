"""The result: its types, its files, its views and edits."""

from neurflow.circuit.attachments import (
    LabelStore,
    change_edits,
    read_edits,
    save_robustness,
)
from neurflow.circuit.circuit import Circuit, load_circuit, save_circuit
from neurflow.circuit.storage import load_edits
from neurflow.circuit.types import (
    Calibration,
    CircuitLayer,
    GroupEdge,
    GroupTree,
    Histogram,
    Neuron,
    NeuronGroup,
    RuleName,
    SemanticGroup,
)

__all__ = [
    "Calibration",
    "Circuit",
    "CircuitLayer",
    "GroupEdge",
    "GroupTree",
    "Histogram",
    "LabelStore",
    "Neuron",
    "NeuronGroup",
    "RuleName",
    "SemanticGroup",
    "change_edits",
    "load_circuit",
    "load_edits",
    "read_edits",
    "save_circuit",
    "save_robustness",
]
