"""Write ``docs/results.md`` from the tables that ``benchmarks.evidence`` stored.

Each protocol has one chart, one summary with a row for each case, and all rows as a CSV file beside the
page. Figures of the summary are means over the layers of a case, with the smallest and the largest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from neurflow import Settings
from neurflow.evaluation.evaluate import PROTOCOLS

MARK = "<!-- what follows is made by benchmarks.evidence --write -->"
FOLDER = "results"
"""folder of the CSV files and charts, beside the page"""
INK = "#7a7f87"
"""a grey that can be read on white and on black"""
SAME = 1e-9


@dataclass(frozen=True)
class Summary:
    """The summary of a protocol.

    Attributes:
        words: the quantity that is measured, and which direction is better.
        values: columns whose mean over layers is shown.
        by: columns that distinguish the rows of one layer.
        where: column → its values in the summary and the chart; other rows are left out.
    """

    words: str
    values: tuple[str, ...]
    by: tuple[str, ...] = ()
    where: Mapping[str, Sequence[Any]] = field(default_factory=dict)


SUMMARIES = {
    "optimality": Summary(
        "Overlap of top-k crops that remains after zeroing a neuron's τ core neurons; lower is better. "
        "`beaten` is the share of random sets after which less remains.",
        ("core", "random", "matched", "beaten"),
        ("tau",),
    ),
    "fidelity": Summary(
        "Accuracy on the class, on held-out photographs, with the core neurons of one layer zeroed "
        "(*masking*: lower is better), or all its others (*retaining*: higher is better).",
        ("kept", "before", "core", "random", "matched"),
        ("mode", "tau"),
        {"scope": ["single"], "tau": [4, 16]},
    ),
    "completeness": Summary(
        "The same accuracy for neurons chosen by NeurFlow and by other methods.",
        ("accuracy",),
        ("mode", "method"),
        {"scope": ["single"], "tau": [16]},
    ),
    "overlap": Summary("F1 of the neurons that two methods choose.", ("f1", "chance"), ("pair",)),
    "weights": Summary(
        "Correlation of the summed importance of m random neurons with the overlap that remains; "
        "−1 is best.",
        ("correlation",),
        ("m",),
    ),
    "attribution": Summary(
        "The same correlation for several attribution methods, and seconds for one neuron. The paper "
        "reports 3.1 s for integrated gradients, 28.7 for SmoothGrad, 0.2 for guided backprop, 33.4 "
        "for GradientSHAP, 8.0 for the knockoff filter, 0.5 for LRP and 0.2 for the gradient.",
        ("correlation", "seconds"),
        ("method",),
        {"m": [10]},
    ),
    "sum-mean": Summary(
        "The same correlation for sets of random sizes; −1 is best.",
        ("correlation",),
        ("importance",),
    ),
    "norm": Summary(
        "Overlap that remains after zeroing the first 16 neurons by integrated gradients and by weight "
        "norm; lower is better.",
        ("overlap",),
        ("method",),
        {"top": [16]},
    ),
    "k": Summary("Number of core neurons that are also found at k = 50.", ("same",), ("k",)),
    "crop-sizes": Summary(
        "Share of each crop size among the exemplars, and among all crops.",
        ("share", "available"),
        ("granularity",),
    ),
    "meanings": Summary(
        "Share of neurons with several meanings, mean number of meanings, and share of a meaning's "
        "crops that come from one photograph.",
        ("several", "meanings", "one_image"),
    ),
    "groups": Summary(
        "Agreement of groups found on disjoint halves of the photographs and with shuffled pairs, and "
        "share of the largest group.",
        ("pairs", "groups", "agreement", "agreement_shuffled", "largest"),
    ),
    "integration": Summary(
        "Score error against 400 points, and the error that the circuit states.",
        ("error", "worst", "stated"),
        ("steps",),
    ),
    "faithfulness": Summary(
        "Areas of the curves when only a share of every layer is kept: CPR (larger is better) and CMD "
        "(smaller is better).",
        ("area", "distance"),
        ("order", "ablation"),
    ),
    "stability": Summary(
        "Agreement with circuits of resampled photographs.",
        ("core", "neurons", "groups", "edges"),
        ("images",),
    ),
    "significance": Summary(
        "Share of edges that are heavier than chance, and their share of the weight.",
        ("significant", "discovered", "weight"),
    ),
}


class Case(Protocol):
    """A network and a class."""

    @property
    def network(self) -> str:
        """Name of the network in torchvision."""

    @property
    def target(self) -> str:
        """Name of the class."""


def write(work: Path, document: Path, cases: Mapping[str, Case]) -> None:
    """Write the page below its text, with charts and CSV files, from the tables under ``work``."""
    start, _, _ = document.read_text(encoding="utf-8").partition(MARK)
    folder = document.parent / FOLDER
    folder.mkdir(exist_ok=True)
    parts = [
        text
        for protocol in PROTOCOLS
        for text in _section(protocol, records(work, protocol, cases), folder)
    ]
    document.write_text(f"{start}{MARK}\n\n" + "\n".join(parts), encoding="utf-8")


def records(work: Path, protocol: str, cases: Mapping[str, Case]) -> list[dict[str, Any]]:
    """Return the stored records of a protocol, one for each case that was measured."""
    found = []
    for name, case in cases.items():
        file = work / name / f"{protocol}.json"
        if file.exists():
            stored = json.loads(file.read_text(encoding="utf-8"))
            (table,) = stored["tables"]
            about = {"network": case.network, "target": case.target}
            found.append({"about": about, "table": table, "settings": stored["settings"]})
    return found


def _section(protocol: str, found: list[dict[str, Any]], folder: Path) -> Iterator[str]:
    if not found:
        return
    rows = pd.concat(
        pd.json_normalize([record["about"] | row for row in record["table"]["rows"]])
        for record in found
    )
    summary = SUMMARIES[protocol]
    shown = summarised(rows, summary)
    _flat(rows).to_csv(folder / f"{protocol}.csv", index=False, float_format="%.4g")
    chart(shown, summary, folder / f"{protocol}.svg")
    yield f"## {found[0]['table']['title']}\n"
    yield f"{summary.words} Raw rows: [{protocol}.csv]({FOLDER}/{protocol}.csv).\n"
    yield f"![{found[0]['table']['title']}]({FOLDER}/{protocol}.svg)\n"
    yield from _markdown(shown, summary)
    reduced = {"; ".join(_reduced(record["settings"])) for record in found} - {""}
    if reduced and protocol != "crop-sizes":
        yield "\nSettings other than the published ones: " + " | ".join(sorted(reduced)) + ".\n"
    yield ""


def summarised(rows: pd.DataFrame, summary: Summary) -> pd.DataFrame:
    """Return the mean, smallest and largest of each value over the layers of a case.

    Returns:
        One row for each case and combination of ``summary.by``; columns ``(value, statistic)``.
    """
    for column, allowed in summary.where.items():
        rows = rows[rows[column].isin(allowed)]
    keys = ["network", "target", *summary.by]
    middle = rows[list(summary.values)].map(lambda v: v[0] if isinstance(v, list) else v)
    numbers = middle.apply(pd.to_numeric, errors="coerce")
    return (
        pd.concat([rows[keys], numbers], axis=1)
        .groupby(keys, sort=False)
        .agg(["mean", "min", "max"])
    )


def chart(shown: pd.DataFrame, summary: Summary, path: Path) -> None:
    """Draw a panel for each value, with a dot and its range over layers for each row of the summary."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": path.stem, "font.size": 9}):
        names = [_name(key, summary.by) for key in shown.index]
        figure = Figure((2.6 + 2.3 * len(summary.values), 0.8 + 0.19 * len(names)))
        panels = figure.subplots(1, len(summary.values), sharey=True, squeeze=False)[0]
        for panel, value in zip(panels, summary.values, strict=True):
            part = shown[value]
            places = range(len(names))
            panel.hlines(places, part["min"], part["max"], color=INK, linewidth=1.5, alpha=0.6)
            panel.plot(part["mean"], places, "o", color="#2f7fd6", markersize=4)
            panel.set_title(value.replace("_", " "), color=INK, fontsize=9)
            panel.tick_params(colors=INK, length=0)
            panel.grid(axis="x", color=INK, alpha=0.25, linewidth=0.5)
            for side in panel.spines.values():
                side.set_visible(False)
        panels[0].set_yticks(range(len(names)), names)
        panels[0].invert_yaxis()
        figure.savefig(
            path, transparent=True, bbox_inches="tight", metadata={"Date": None, "Creator": None}
        )


def _name(key: tuple[Any, ...], by: Sequence[str]) -> str:
    """Return the label of a row; numbers are named by their column."""
    parts = [
        f"{name} {part}" if isinstance(part, int) else str(part)
        for name, part in zip(("network", "class", *by), key, strict=True)
    ]
    return ", ".join(parts)


def _markdown(shown: pd.DataFrame, summary: Summary) -> Iterator[str]:
    heads = ["network", "class", *summary.by, *summary.values]
    yield "| " + " | ".join(head.replace("_", " ") for head in heads) + " |"
    yield "| " + " | ".join("---" for _ in heads) + " |"
    for key, row in shown.iterrows():
        cells = [str(part) for part in (key if isinstance(key, tuple) else (key,))]
        cells += [_cell(*row[value]) for value in summary.values]
        yield "| " + " | ".join(cells) + " |"


def _cell(mean: float, least: float, most: float) -> str:
    if pd.isna(mean):
        return "–"
    text = f"{mean:.3g}" if abs(mean) >= 1 else f"{mean:.2f}"
    if abs(mean) < 0.01 and mean:
        text = f"{mean:.1e}"
    if most - least < SAME:
        return text
    return f"{text} ({least:.2g} … {most:.2g})"


def _flat(rows: pd.DataFrame) -> pd.DataFrame:
    """Divide intervals into three columns."""
    flat = {}
    for name in rows:
        intervals = rows[name].map(lambda value: isinstance(value, list))
        if not intervals.any():
            flat[name] = rows[name]
            continue
        for place, end in enumerate(("", " low", " high")):
            flat[f"{name}{end}"] = rows[name].map(
                lambda value, place=place: value[place] if isinstance(value, list) else value
            )
    return pd.DataFrame(flat)


def _reduced(used: dict[str, Any]) -> Iterator[str]:
    """Describe the settings that differ from the published ones."""
    published = Settings().model_dump(mode="json")
    for name, value in used.items():
        if value != published[name]:
            yield f"{name} = {_text(value)}"


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
