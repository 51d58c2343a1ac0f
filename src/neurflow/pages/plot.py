"""Plots for slides: a picture with the groups that fire on it, and the effect of masking.

Needs matplotlib: ``pip install 'neurflow[plot]'``.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from neurflow.circuit import Circuit
from neurflow.debugging.result import DebugReport, GroupReading, PictureReport, WhatIf
from neurflow.errors import WorkError
from neurflow.refs import Target
from neurflow.runtime.extras import require
from neurflow.runtime.files import replacing

GROUPS = 4
"""groups shown"""
EXEMPLARS = 4
CLASSES = 3
"""best classes shown of an answer"""
HOTTEST = 3.0
"""heat that is drawn with full opacity, in units of the map's mean"""
FOR, AGAINST = "#0f6e84", "#b3400f"


def write_plot(circuit: Circuit, report: DebugReport, path: str | Path) -> Path:
    """Draw the first picture of a report, in the format of the file's suffix (PNG without one).

    Raises:
        RequestError: matplotlib is not installed.
        WorkError: the file cannot be written.
    """
    require("plot")
    import matplotlib
    from matplotlib.figure import Figure

    path = Path(path)
    picture = report.pictures[0]
    size = circuit.model.input_size
    shown = [g for g in picture.firing if g.heat][:GROUPS]
    columns = 1 + len(shown) + (report.what_if is not None)
    with matplotlib.rc_context({"font.family": "sans-serif", "font.size": 9}):
        figure = Figure(figsize=(2.6 * columns, 3.8), layout="constrained")
        panels = figure.subplots(2, columns, squeeze=False, height_ratios=[3, 1])
        for panel in panels.ravel():
            panel.set_axis_off()
        image = np.asarray(Image.open(io.BytesIO(picture.picture)).resize((size[2], size[1])))
        _answer(panels[0, 0], image, picture)
        for column, reading in enumerate(shown, start=1):
            _group(panels[0, column], image, reading)
            _exemplars(panels[1, column], circuit, reading.id)
        if report.what_if:
            _what_if(panels[0, -1], report.what_if, circuit.target)
        with replacing(path) as handle:
            try:
                figure.savefig(handle, format=path.suffix[1:] or None, dpi=200)
            except ValueError as error:  # the suffix is not a format
                raise WorkError(f"{path} cannot be written: {error}.") from None
    return path


def _answer(panel: Any, image: np.ndarray, picture: PictureReport) -> None:
    panel.imshow(image)
    best = picture.top[0]
    truth = f"labelled {picture.label}\n" if picture.label else ""
    panel.set_title(f"{truth}says {best.name}, {best.formatted}", loc="left")


def _group(panel: Any, image: np.ndarray, reading: GroupReading) -> None:
    height, width = image.shape[:2]
    panel.imshow(image)
    heat = np.clip(np.array(reading.heat) / HOTTEST, 0, 1)
    colours = np.zeros((*heat.shape, 4))
    colours[..., :3], colours[..., 3] = (1, 0.35, 0), heat**1.5 * 0.8
    panel.imshow(colours, extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="bilinear")
    left, top, right, bottom = reading.crops[0].box
    corners = ([left, right, right, left, left], [top, top, bottom, bottom, top])
    for colour, line in (("black", 3.0), ("white", 1.5)):
        panel.plot(*corners, color=colour, linewidth=line)
    panel.set_xlim(-0.5, width - 0.5)
    panel.set_ylim(height - 0.5, -0.5)
    panel.set_title(f"{reading.id}  ({reading.path_weight:+.2f})", loc="left")


def _exemplars(panel: Any, circuit: Circuit, id: str) -> None:
    """Draw the group's crops side by side."""
    found = [circuit.thumbnails.get(crop) for crop in circuit.group(id).crops[:EXEMPLARS]]
    parts = [
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((64, 64)))
        for data in found
        if data is not None
    ]
    if parts:
        gap = np.full((64, 4, 3), 255, dtype=np.uint8)
        panel.imshow(np.concatenate([x for part in parts for x in (part, gap)][:-1], axis=1))


def _what_if(panel: Any, found: WhatIf, target: Target) -> None:
    """Draw the logits of the target and of the best classes, before and after masking."""
    effect = found.effects[0]
    panel.set_axis_on()
    shown = [*effect.before[:CLASSES], *effect.after[:CLASSES]]
    shown += [p for p in effect.before if p.index in (target.neuron, target.minus)]
    names = {p.index: p.name for p in shown}
    place = {index: len(names) - 1 - number for number, index in enumerate(names)}
    for answers, shift, colour, label in (
        (effect.before, 0.2, FOR, "before"),
        (effect.after, -0.2, AGAINST, "after"),
    ):
        known = [p for p in answers if p.index in place]  # an earlier report may lack some
        places = [place[p.index] + shift for p in known]
        panel.barh(places, [p.logit for p in known], 0.36, color=colour, label=label)
    panel.set_yticks(list(place.values()), list(names.values()))
    panel.set_xlabel("logit")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, fontsize=8)
    masked = ", ".join(found.change.groups)
    panel.set_title(f"{masked} {'kept alone' if found.change.keep else 'masked'}", loc="left")
