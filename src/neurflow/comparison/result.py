"""The result of a comparison of two circuits, as frozen data.

::

    Comparison
    ├── a, b: Side                       the two circuits
    └── layers: LayerComparison          input side first
        ├── pairs: GroupPair             a group of A and its counterpart in B
        ├── only_a, only_b: Unmatched    groups without a counterpart
        └── edges: EdgePair              W(G, H) between counterparts, in A and in B
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from neurflow.refs import Frozen, GroupId, ModelInfo, Target
from neurflow.stats import Interval, Share

Basis = Literal["neurons", "crops"]


class Side(Frozen):
    """One of the two circuits."""

    model: ModelInfo
    target: Target
    images: Annotated[int, Field(ge=0)]
    only: tuple[str, ...]
    """layers that the other circuit does not have, input side first"""


class NeuronOverlap(Frozen):
    """The neurons of two groups."""

    common: tuple[int, ...]
    only_a: tuple[int, ...]
    only_b: tuple[int, ...]


class GroupPair(Frozen):
    """A group of A and the group of B that it is matched with."""

    a: GroupId
    b: GroupId
    matched_by: Literal["neurons", "crops", "target"]
    """``target``: both are the groups of their circuits' targets"""
    similarity: Share
    """by neurons or by crops, according to ``Comparison.by``"""
    chance: Interval | None
    """largest similarity of the group of A to random groups of B: mean, 5th and 95th percentile; None
    if B has a single group in the layer"""
    by_neurons: Share | None
    """None if the neurons of the two networks do not correspond"""
    by_crops: Share | None
    """None if there is no picture in common"""
    neurons: NeuronOverlap | None

    @property
    def above_chance(self) -> bool | None:
        """Whether the similarity is above the 95th percentile of chance; None if that is unknown."""
        return None if self.chance is None else self.similarity > self.chance.high


class Unmatched(Frozen):
    """A group without a counterpart."""

    id: GroupId
    nearest: GroupId
    """most similar group of the other circuit, which is below the threshold or has another match"""
    similarity: Share
    """to the nearest group"""
    chance: Interval | None


class EdgePair(Frozen):
    """W(G, H) between matched groups, in both circuits."""

    upper: tuple[GroupId, GroupId]
    """ids in A and in B"""
    lower: tuple[GroupId, GroupId]
    weight_a: float | None
    """None if there is no such edge in A"""
    weight_b: float | None
    """None if there is no such edge in B"""
    change: float
    """weight in B minus weight in A, where a missing edge has weight 0"""


class LayerComparison(Frozen):
    """One layer that both circuits have."""

    name: str
    groups: tuple[int, int]
    """number in A and in B"""
    shared: Share
    """matched groups as a share of the groups of both circuits"""
    pairs: tuple[GroupPair, ...]
    """most similar first"""
    only_a: tuple[Unmatched, ...]
    only_b: tuple[Unmatched, ...]
    similarity: Share | None
    """mean over the pairs; None if there are none"""
    edges: tuple[EdgePair, ...]
    """edges from matched groups of the layer below to those of this one, largest change first"""
    correlation: float | None
    """Spearman's correlation of the weights of ``edges`` in A and in B; None for fewer than three"""
    carried: tuple[Share | None, Share | None]
    """share of the absolute weight into this layer that runs between matched groups, in A and in B;
    None if there is no layer below to compare"""


class Comparison(Frozen):
    """The result of ``neurflow.compare``."""

    a: Side
    b: Side
    by: Basis
    reason: str
    """why this basis was used"""
    threshold: Share
    draws: int
    seed: int
    images: Annotated[int, Field(ge=0)]
    """number of pictures in common"""
    layers: tuple[LayerComparison, ...]
    """layers that both circuits have, input side first"""
    notes: tuple[str, ...] = ()

    @property
    def counterparts(self) -> dict[GroupId, GroupId]:
        """Id of each matched group of A → id in B."""
        return {pair.a: pair.b for layer in self.layers for pair in layer.pairs}

    def __repr__(self) -> str:
        """Return a one-line summary."""
        only_a = sum(len(layer.only_a) for layer in self.layers)
        only_b = sum(len(layer.only_b) for layer in self.layers)
        return (
            f"<Comparison of {self.a.target.name!r} and {self.b.target.name!r} by {self.by}: "
            f"{len(self.layers)} layers, {len(self.counterparts)} groups shared, {only_a} only in A, "
            f"{only_b} only in B>"
        )

    __str__ = __repr__
