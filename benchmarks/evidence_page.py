"""Write ``docs/results.md`` from the tables that ``benchmarks.evidence`` stored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from neurflow import Settings
from neurflow.evaluation.evaluate import PROTOCOLS

HEAD = """# Results on real networks

`python -m benchmarks.evidence --write` makes the tables from torchvision networks and ImageNet
validation photographs. [evaluation.md](evaluation.md) explains what each protocol measures. A circuit
is made from the first 10 photographs that the network predicts as the class (590 crops). Answers are
counted on photographs of the class that the circuit was **not** made from. Figures are means with 95 %
bootstrap intervals.

Every protocol ran with **fewer neurons, sets and crops than published**. Each table says what was
reduced.
"""
MARK = "<!-- what follows is made by benchmarks.evidence --write -->"
WORDS = {
    "optimality": "Overlap of top-50 crops left after zeroing a neuron's 16 core neurons; "
    "lower is better.",
    "fidelity": "Accuracy on the class with neurons zeroed (*masking*: low is good) or all others "
    "zeroed (*retaining*: high is good), on held-out photographs.",
    "weights": "Correlation of summed importance with the overlap left; −1 is best.",
    "attribution": "The same for other attribution methods.",
    "stability": "Agreement with circuits of resampled images.",
    "significance": "Edges heavier than when the lower layer's pairs are dealt to groups at random.",
    "crop-sizes": "Share of each crop size among the exemplars.",
}
COLUMNS = {
    "optimality": "layer tau neurons core random matched difference beaten beaten_matched",
    "fidelity": "layer scope mode tau kept before core random matched",
}
"""columns that are shown; the others are the same in every row"""
COMPLETE = frozenset(["crop-sizes"])
"""protocols that have nothing to reduce"""
LABELS = {"difference": "difference (99 %)"}


class Case(Protocol):
    """A network and a class: what the page names."""

    @property
    def network(self) -> str:
        """As torchvision calls it."""

    @property
    def target(self) -> str:
        """The class."""


def write(work: Path, document: Path, cases: Mapping[str, Case]) -> None:
    """Write the tables stored under ``work`` into the page, below the text about them."""
    written = document.read_text(encoding="utf-8") if document.exists() else f"{HEAD}\n{MARK}"
    start, _, _ = written.partition(MARK)
    document.write_text(f"{start}{MARK}\n\n" + "\n".join(page(work, cases)), encoding="utf-8")


def page(work: Path, cases: Mapping[str, Case]) -> Iterator[str]:
    """Lines of the page, for the cases by name."""
    found = {
        name: {file.stem: json.loads(file.read_text()) for file in tables(work / name)}
        for name in cases
    }
    for protocol in (name for name in PROTOCOLS if any(name in kept for kept in found.values())):
        yield f"## {protocol.replace('-', ' ').capitalize()}\n"
        yield f"{WORDS.get(protocol, '')}\n"
        for name, kept in found.items():
            if protocol in kept:
                (table,) = kept[protocol]["tables"]
                case = cases[name]
                yield f"**{case.network}, {case.target}**\n"
                if protocol not in COMPLETE:
                    reduced = "; ".join(_reduced(kept[protocol]["settings"]))
                    yield f"{table['seconds']:.0f} s. Reduced: {reduced}.\n"
                yield from _table(protocol, table["rows"])
                yield from (f"\n{note}" for note in table["notes"])
                yield ""


def tables(folder: Path) -> list[Path]:
    """Files of a case's tables, in the order of the protocols."""
    return [file for name in PROTOCOLS if (file := folder / f"{name}.json").exists()]


def _table(protocol: str, rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    columns = COLUMNS[protocol].split() if protocol in COLUMNS else list(rows[0])
    yield "| " + " | ".join(LABELS.get(c, c.replace("_", " ")) for c in columns) + " |"
    yield "| " + " | ".join("---" for _ in columns) + " |"
    for row in rows:
        yield "| " + " | ".join(_cell(row[c]) for c in columns) + " |"


def _reduced(used: dict[str, Any]) -> Iterator[str]:
    """Settings that are not the published ones."""
    published = Settings().model_dump(mode="json")
    for name, value in used.items():
        if value != published[name]:
            yield f"{name} = {_text(value)}"


def _cell(value: Any) -> str:
    if isinstance(value, list):
        middle, low, high = (f"{number:.2f}" for number in value)
        return middle if low == high else f"{middle} ({low} … {high})"
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
