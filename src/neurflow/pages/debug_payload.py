"""The data of a debug page: the report, its pictures, and the groups' exemplars.

Groups of the target's own layer are left out, since they are the target itself.
"""

from __future__ import annotations

from typing import Literal

from neurflow.circuit import Circuit
from neurflow.circuit.interactions import weights_are_shares
from neurflow.debugging.result import AuditReport, DebugReport, PictureReport
from neurflow.pages.model_name import model_name
from neurflow.pages.page_data import PageModel, data_uri

EXEMPLARS = 6
"""crops shown for a group"""


class ExemplarData(PageModel):
    """A group of the circuit: its name and its first crops."""

    id: str
    layer: str
    label: str | None
    neurons: int
    pictures: list[str]
    """data URIs of its first crops"""


class ShownPicture(PageModel):
    """A picture with the report on it."""

    picture: str
    """data URI"""
    size: tuple[int, int]
    """width and height of the network's input, in which boxes are measured"""
    report: PictureReport


class DebugPageData(PageModel):
    """Everything a debug page shows."""

    kind: Literal["debug"] = "debug"
    target: str
    model: str
    shares: bool
    """whether weights are shares, which are shown in per cent"""
    groups: dict[str, ExemplarData]
    pictures: list[ShownPicture]
    report: DebugReport | None
    """without its pictures"""
    audit: AuditReport | None


def debug_payload(circuit: Circuit, report: DebugReport) -> DebugPageData:
    """Return the data of a report's page."""
    pictures = [shown_picture(circuit, picture) for picture in report.pictures]
    return _page_data(circuit, pictures, report=report.model_copy(update={"pictures": ()}))


def audit_payload(circuit: Circuit, report: AuditReport) -> DebugPageData:
    """Return the data of an audit's page."""
    return _page_data(circuit, [], audit=report)


def _page_data(
    circuit: Circuit,
    pictures: list[ShownPicture],
    *,
    report: DebugReport | None = None,
    audit: AuditReport | None = None,
) -> DebugPageData:
    return DebugPageData(
        target=circuit.target.name,
        model=model_name(circuit.model.reference),
        shares=weights_are_shares(circuit.config),
        groups=_groups(circuit),
        pictures=pictures,
        report=report,
        audit=audit,
    )


def shown_picture(circuit: Circuit, picture: PictureReport) -> ShownPicture:
    """Return a picture with its report, without the groups of the target's layer."""
    _, height, width = circuit.model.input_size
    own = {group.id for group in circuit.layers[-1].groups}
    below = tuple(group for group in picture.groups if group.id not in own)
    return ShownPicture(
        picture=data_uri(picture.picture),
        size=(width, height),
        report=picture.model_copy(update={"groups": below}),
    )


def _groups(circuit: Circuit) -> dict[str, ExemplarData]:
    return {
        group.id: ExemplarData(
            id=group.id,
            layer=layer.name,
            label=group.label,
            neurons=len(group.neurons),
            pictures=[
                data_uri(circuit.thumbnails[crop])
                for crop in group.crops[:EXEMPLARS]
                if crop in circuit.thumbnails
            ],
        )
        for layer in circuit.layers[:-1]
        for group in layer.groups
    }
