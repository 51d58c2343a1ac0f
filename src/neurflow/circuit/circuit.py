"""The ``Circuit`` of the public interface: data, with methods to save, cut, export and show it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from neurflow.circuit import storage
from neurflow.circuit.cuts import recut
from neurflow.circuit.types import CircuitData
from neurflow.runtime import display

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd


class Circuit(CircuitData):
    """The concept circuit of one target, with the neuron circuit that it is built on.

    A circuit is made by ``neurflow.discover`` or read by ``neurflow.load_circuit``::

        circuit = neurflow.load_circuit("runs/bee")
        circuit.target.name                                  # "bee"
        group = circuit.group("inception5a/3")               # a NeuronGroup
        [edge.lower for edge in circuit.inputs(group.id)]    # the groups that drive it
    """

    def cut(self, groups: Mapping[str, int]) -> Circuit:
        """Return the circuit with other cuts of its layers' trees; see ``circuit.cuts.recut``.

        Args:
            groups: layer → number of groups.

        Raises:
            LayerError: the circuit has no such layer.
            RequestError: a layer cannot be cut into this number of groups.
            ResultError: an earlier version made the circuit, without trees.

        Example::

            finer = circuit.cut({"layer4.1": 9})
        """
        return recut(self, groups)

    def save(self, path: str | Path) -> None:
        """Write the circuit into folder ``path``; see ``neurflow.save_circuit``."""
        save_circuit(self, path)

    # networkx and pandas are slow to import, and many programs need neither.

    def to_networkx(self) -> nx.DiGraph:
        """Return the concept circuit as a graph; see ``neurflow.circuit.tables.to_networkx``."""
        from neurflow.circuit.tables import to_networkx

        return to_networkx(self)

    def to_graphml(self, path: str | Path) -> None:
        """Write the concept circuit as GraphML; see ``neurflow.circuit.tables.to_graphml``."""
        from neurflow.circuit.tables import to_graphml

        to_graphml(self, path)

    def to_frames(self) -> dict[str, pd.DataFrame]:
        """Return the circuit as pandas tables; see ``neurflow.circuit.tables.to_frames``."""
        from neurflow.circuit.tables import to_frames

        return to_frames(self)

    def _repr_html_(self) -> str | None:
        """Return HTML for notebooks (Jupyter, VS Code, marimo); None if no display is registered."""
        return display.html(self)


def load_circuit(path: str | Path) -> Circuit:
    """Read the circuit in folder ``path``; safe for folders from others.

    Raises:
        ResultError: there is no result, or one that is damaged, foreign, hostile, or of another
            schema version.

    Example::

        circuit = neurflow.load_circuit("runs/bee")
        circuit.group("layer4.1/3").members
    """
    return storage.load(path, Circuit)


def save_circuit(circuit: CircuitData, path: str | Path) -> None:
    """Write a circuit into folder ``path``, creating it if needed; replaces an earlier result.

    Raises:
        ResultError: the circuit is inconsistent, so loading would refuse it.
        WorkError: the folder cannot be written.
    """
    storage.save(circuit, path)
