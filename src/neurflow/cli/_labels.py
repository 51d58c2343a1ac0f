"""Labels and their evidence as text for a terminal, and as data for ``--json``."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from neurflow.circuit import Circuit, NeuronGroup
from neurflow.circuit.evidence import Evidence, Validation, evidence_data
from neurflow.cli._terminal import plain
from neurflow.stats import Interval


def labels_data(circuit: Circuit, chosen: Collection[str] | None) -> list[dict[str, Any]]:
    """Return every label with its evidence."""
    return [
        {
            "group": group.id,
            "label": group.label,
            "caption": group.caption,
            "evidence": evidence_data(group.evidence),
        }
        for group in _groups(circuit, chosen)
        if group.label
    ]


def labels_text(
    circuit: Circuit, chosen: Collection[str] | None, total: dict[str, Any]
) -> Iterator[RenderableType]:
    """Yield a table with a row per label and its result, then the totals."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("group", overflow="fold", max_width=22)
    table.add_column("label", overflow="fold", ratio=1)
    table.add_column("AUPRC", justify="right", no_wrap=True)
    checked = any(g.evidence and g.evidence.concept for g in _groups(circuit, chosen))
    table.add_column("pictures" if checked else "", justify="right", no_wrap=True)
    table.add_column("")
    for group in _groups(circuit, chosen):
        if group.label:
            found = group.evidence.validation if group.evidence else None
            check = group.evidence.concept if group.evidence else None
            table.add_row(
                Text(plain(group.id)),
                Text(plain(group.label), style="italic"),
                f"{found.auprc.value:.2f}" if found else "",
                f"{check.auprc.value:.2f}" if check else "",
                Text(verdict(group.evidence), style=_style(group.evidence)),
            )
    yield table
    if total["validated"]:
        yield Text(
            f"\n{total['labelled']} of {total['groups']} groups labelled. "
            f"Of {total['validated']} validated labels {total['beat_chance']} beat chance, "
            f"{total['undoubted']} other labels too."
            f"\nAUPRC {_figure(total['auprc'])} (chance {_figure(total['chance'])})"
        )
        if total["gain"]:
            yield Text(
                f"The target's name as every label: AUPRC {_figure(total['constant_auprc'])}; "
                f"gain {_figure(total['gain'])}; beaten by {total['beat_constant']} labels."
            )


def label_words(group: NeuronGroup) -> Text:
    """Return a group's label; a doubtful one is followed by the doubt."""
    words = Text(plain(group.label or ""), style="italic")
    if group.evidence and group.evidence.validation and group.evidence.doubt:
        words.append(f" ({group.evidence.doubt})", style="not italic yellow")
    return words


def verdict(evidence: Evidence | None) -> str:
    """Return the result of the validation in a few words."""
    if evidence is None:
        return ""
    pinned = "pinned" if evidence.pinned else ""
    return ", ".join(filter(None, (pinned, evidence.doubt or "beats other labels")))


def evidence_lines(group: NeuronGroup) -> Iterator[tuple[str, Text]]:
    """Yield (name, text) for each piece of evidence for a label."""
    evidence = group.evidence
    if evidence is None:
        return
    by = {"model": "by a model", "words": "from a vocabulary", "person": "by hand"}[evidence.source]
    said = (
        f", confidence {evidence.confidence:.2f} (its own)"
        if evidence.confidence is not None
        else ""
    )
    yield (
        "label",
        Text(
            f"{by}, {plain(evidence.author)}, {evidence.time:%Y-%m-%d %H:%M} UTC{said}"
            + (f"; pinned by {plain(evidence.pin.author)}" if evidence.pin else "")
        ),
    )
    if evidence.features:
        yield "features", Text("; ".join(map(plain, evidence.features)))
    if evidence.combination:
        yield "combines", Text(plain(evidence.combination))
    if evidence.words:
        words = ", ".join(f"{plain(word)} {score:+.2f}" for word, score in evidence.words)
        margin = "" if evidence.margin is None else f"; margin {evidence.margin:.2f}"
        yield "words", Text(f"{words} (standard deviations{margin})")
    if evidence.validation:
        yield from _validation(evidence.validation)
    else:
        yield "validation", Text("not validated", style="yellow")
    if check := evidence.concept:
        yield (
            "concept",
            Text(
                f"{plain(check.concept)}: AUPRC {_figure(check.auprc)}, chance {check.share:.2f}; "
                f"place {check.rank} of {check.concepts}, first is {plain(check.best)}"
            ),
        )


def _validation(found: Validation) -> Iterator[tuple[str, Text]]:
    yield (
        "validation",
        Text(
            f"{found.doubt or 'beats other labels'}: {found.held_out} unseen crops among "
            f"{found.random} random and {found.hard} hard ones, judged by {plain(found.judge)}\n"
            f"AUPRC {_figure(found.auprc)}, chance {_figure(found.chance)}",
            style="yellow" if found.doubt else "",
        ),
    )
    for what, rivals in (("other labels", found.others), ("texts without meaning", found.nonsense)):
        if rivals:
            yield (
                "",
                Text(
                    f"{rivals.as_good} of {rivals.count} {what} fit as well, best is "
                    f"“{plain(rivals.best)}”, AUPRC {rivals.auprc:.2f}"
                ),
            )
    if found.constant:
        plain_auprc = found.constant.auprc.value
        yield (
            "",
            Text(
                f"“{plain(found.constant.text)}” instead: AUPRC {plain_auprc:.2f}; "
                f"the label's gain {_figure(found.constant.gain, sign='+')}"
            ),
        )


def _figure(interval: Interval | tuple[float, float, float] | None, sign: str = "") -> str:
    if interval is None:
        return "–"
    value, low, high = interval
    return f"{value:{sign}.2f} [{low:{sign}.2f}, {high:{sign}.2f}]"


def _style(evidence: Evidence | None) -> str:
    return "yellow" if evidence and evidence.doubt else ""


def _groups(circuit: Circuit, chosen: Collection[str] | None) -> Iterator[NeuronGroup]:
    for layer in circuit.layers:
        for group in layer.groups:
            if chosen is None or group.id in chosen:
                yield group
