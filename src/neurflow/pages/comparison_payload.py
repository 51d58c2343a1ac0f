"""The data of a comparison page: the comparison, and the groups of both circuits."""

from __future__ import annotations

from typing import Literal

from neurflow.circuit import Circuit, GroupEdge
from neurflow.circuit.interactions import weights_are_shares
from neurflow.comparison.result import Comparison
from neurflow.pages.model_name import model_name
from neurflow.pages.page_data import PageModel, data_uri

SHOWN = 8
"""crops shown for a group"""
INPUTS = 5
"""strongest edges listed for a group that only one circuit has"""


class InputData(PageModel):
    """An input of a group without a counterpart."""

    lower: str
    weight: float


class ComparedGroup(PageModel):
    """A group of one of the circuits."""

    label: str | None
    caption: str | None
    doubt: str | None
    """why the label should not be believed, if it failed its validation"""
    neurons: list[int]
    pictures: list[int]
    """pictures of its first crops: positions in ``ComparisonPageData.pictures``"""
    inputs: list[InputData]
    """strongest first"""


class ComparedSide(PageModel):
    """One of the circuits."""

    name: str
    """a short name that distinguishes it from the other circuit"""
    model: str
    crops: int
    groups: dict[str, ComparedGroup]


class ComparisonPageData(PageModel):
    """Everything the page of two circuits shows."""

    kind: Literal["comparison"] = "comparison"
    a: ComparedSide
    b: ComparedSide
    comparison: Comparison
    shares: bool
    """whether the weights of both circuits are shares, which are shown in per cent"""
    pictures: list[str]
    """data URIs"""


def comparison_payload(
    a: Circuit, b: Circuit, comparison: Comparison, names: tuple[str, str]
) -> ComparisonPageData:
    """Return the page's data; ``names`` are used if the circuits have the same target and network."""
    places: dict[bytes, int] = {}
    first, second = _names(a, b, names)
    return ComparisonPageData(
        a=_side(a, first, places),
        b=_side(b, second, places),
        comparison=comparison,
        shares=weights_are_shares(a.config) and weights_are_shares(b.config),
        pictures=[data_uri(data) for data in places],
    )


def _names(a: Circuit, b: Circuit, given: tuple[str, str]) -> tuple[str, str]:
    """Return the targets if they differ, else the models if they differ, else the names given."""
    if a.target.name != b.target.name:
        return a.target.name, b.target.name
    models = model_name(a.model.reference), model_name(b.model.reference)
    if models[0] != models[1]:
        return models
    return given


def _side(circuit: Circuit, name: str, places: dict[bytes, int]) -> ComparedSide:
    def place(data: bytes) -> int:
        return places.setdefault(data, len(places))

    return ComparedSide(
        name=name,
        model=model_name(circuit.model.reference),
        crops=circuit.crop_count,
        groups={
            group.id: ComparedGroup(
                label=group.label,
                caption=group.caption,
                doubt=group.evidence.doubt
                if group.evidence and group.evidence.validation
                else None,
                neurons=list(group.neurons),
                pictures=[
                    place(circuit.thumbnails[crop])
                    for crop in group.crops
                    if crop in circuit.thumbnails
                ][:SHOWN],
                inputs=[_input(edge) for edge in circuit.inputs(group.id)[:INPUTS]],
            )
            for layer in circuit.layers
            for group in layer.groups
        },
    )


def _input(edge: GroupEdge) -> InputData:
    return InputData(lower=edge.lower, weight=edge.weight)
