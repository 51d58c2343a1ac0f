"""What two circuits share and what only one of them has, as frozen data.

::

    Comparison
    ├── a, b: Side                       whose circuits
    └── layers: LayerComparison          input side first
        ├── pairs: GroupPair             a group of A and its counterpart in B
        ├── only_a, only_b: Unmatched    groups without one
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
    """``target``: each is all that there is of its circuit's target"""
    similarity: Share
    """by what the comparison goes by"""
    chance: Interval | None
    """best similarity of the group of A to any group of B when B's pairs are dealt at random: mean, 5th
    and 95th percentile; None where B has one group in the layer, so that there is nothing to deal"""
    by_neurons: Share | None
    """None where neurons of the two networks do not correspond"""
    by_crops: Share | None
    """None without a picture in common"""
    neurons: NeuronOverlap | None

    @property
    def above_chance(self) -> bool | None:
        """Whether the similarity is above the 95th percentile of chance; None where that is unknown."""
        return None if self.chance is None else self.similarity > self.chance.high


class Unmatched(Frozen):
    """A group without a counterpart."""

    id: GroupId
    nearest: GroupId
    """group of the other circuit that is most like it, matched with another or under the threshold"""
    similarity: Share
    """to the nearest"""
    chance: Interval | None


class EdgePair(Frozen):
    """W(G, H) between groups that both circuits have."""

    upper: tuple[GroupId, GroupId]
    """ids in A and in B"""
    lower: tuple[GroupId, GroupId]
    weight_a: float | None
    """None: no edge, so the edge is new in B"""
    weight_b: float | None
    """None: the edge is gone"""
    change: float
    """weight in B minus weight in A; a missing edge counts as 0, which is its weight"""


class LayerComparison(Frozen):
    """One layer that both circuits have."""

    name: str
    groups: tuple[int, int]
    """number in A and in B"""
    shared: Share
    """share of the groups of both circuits that are matched"""
    pairs: tuple[GroupPair, ...]
    """most alike first"""
    only_a: tuple[Unmatched, ...]
    only_b: tuple[Unmatched, ...]
    similarity: Share | None
    """mean over the pairs; None without any"""
    edges: tuple[EdgePair, ...]
    """from matched groups of the layer below into matched groups of this one, largest change first"""
    correlation: float | None
    """Spearman's, of the weights of ``edges`` in A and in B; None for fewer than three"""
    carried: tuple[Share | None, Share | None]
    """share of the absolute weight into this layer that runs between matched groups, in A and in B;
    None without edges to compare"""


class Comparison(Frozen):
    """What two circuits share and what only one of them has."""

    a: Side
    b: Side
    by: Basis
    reason: str
    """why it goes by that"""
    threshold: Share
    draws: int
    seed: int
    images: Annotated[int, Field(ge=0)]
    """pictures in common"""
    layers: tuple[LayerComparison, ...]
    """that both have, input side first"""
    notes: tuple[str, ...] = ()

    @property
    def counterparts(self) -> dict[GroupId, GroupId]:
        """Id of each matched group of A → id in B."""
        return {pair.a: pair.b for layer in self.layers for pair in layer.pairs}

    def __repr__(self) -> str:
        """One line: thousands of figures say nothing."""
        only_a = sum(len(layer.only_a) for layer in self.layers)
        only_b = sum(len(layer.only_b) for layer in self.layers)
        return (
            f"<Comparison of {self.a.target.name!r} and {self.b.target.name!r} by {self.by}: "
            f"{len(self.layers)} layers, {len(self.counterparts)} groups shared, {only_a} only in A, "
            f"{only_b} only in B>"
        )

    __str__ = __repr__
