"""The data of a debug page: the report, its pictures, and the groups' exemplars.

Groups of the target's own layer are left out, since they are the target itself.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from neurflow.circuit import Circuit
from neurflow.circuit.interactions import weights_are_shares
from neurflow.debugging.result import AuditReport, DebugReport, PictureReport
from neurflow.pages.model_name import model_name

EXEMPLARS = 6
"""crops shown for a group"""


class _Data(BaseModel):
    model_config = ConfigDict(
        extra="forbid", allow_inf_nan=False, json_schema_serialization_defaults_required=True
    )


class ExemplarData(_Data):
    """A group of the circuit: its name and its first crops."""

    id: str
    layer: str
    label: str | None
    neurons: int
    pictures: list[str]
    """data URIs of its first crops"""


class ShownPicture(_Data):
    """A picture with the report on it."""

    picture: str
    """data URI"""
    size: tuple[int, int]
    """width and height of the network's input, in which boxes are measured"""
    report: PictureReport


class DebugPageData(_Data):
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
    return DebugPageData(
        target=circuit.target.name,
        model=model_name(circuit.model.reference),
        shares=weights_are_shares(circuit.config),
        groups=_groups(circuit),
        pictures=[shown_picture(circuit, picture) for picture in report.pictures],
        report=report.model_copy(update={"pictures": ()}),
        audit=None,
    )


def audit_payload(circuit: Circuit, report: AuditReport) -> DebugPageData:
    """Return the data of an audit's page."""
    return DebugPageData(
        target=circuit.target.name,
        model=model_name(circuit.model.reference),
        shares=weights_are_shares(circuit.config),
        groups=_groups(circuit),
        pictures=[],
        report=None,
        audit=report,
    )


def shown_picture(circuit: Circuit, picture: PictureReport) -> ShownPicture:
    """Return a picture with its report, without the groups of the target's layer."""
    _, height, width = circuit.model.input_size
    own = {group.id for group in circuit.layers[-1].groups}
    below = tuple(group for group in picture.groups if group.id not in own)
    return ShownPicture(
        picture=_uri(picture.picture),
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
            pictures=list(
                _pictures(circuit.thumbnails.get(crop) for crop in group.crops[:EXEMPLARS])
            ),
        )
        for layer in circuit.layers[:-1]
        for group in layer.groups
    }


def _pictures(found: Iterable[bytes | None]) -> Iterable[str]:
    return (_uri(data) for data in found if data is not None)


def _uri(data: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"
