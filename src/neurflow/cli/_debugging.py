"""The results of debugging and auditing in a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from neurflow.cli._terminal import plain
from neurflow.debugging.result import (
    AuditReport,
    DebugReport,
    GroupContrast,
    GroupReading,
    Mistakes,
    PictureReport,
    Prediction,
    WhatIf,
)
from neurflow.refs import Target
from neurflow.stats import Interval

PICTURES = 3
"""number of pictures that are shown one by one"""


def report_text(report: DebugReport, top: int) -> Iterator[RenderableType]:
    """Yield the parts of a report, the pictures first."""
    target = plain(report.target.name)
    for picture in report.pictures[:PICTURES]:
        yield from _picture(picture, report.target, top)
    if len(report.pictures) > PICTURES:
        yield Text(f"… and {len(report.pictures) - PICTURES} more pictures (--json, --out)\n")
    if report.what_if:
        yield from _what_if(report.what_if, target, top)
    if report.mistakes:
        yield from _mistakes(report.mistakes, target, top)


def _picture(picture: PictureReport, target: Target, top: int) -> Iterator[RenderableType]:
    truth = f", labelled {plain(picture.label)}" if picture.label else ""
    yield Text.assemble((plain(picture.name), "bold"), truth)
    yield Text(f"  says {_answers(picture.top[:3])}; {plain(target.name)} {picture.target:.2f}")
    for title, found in (("fires", picture.firing), ("missing", picture.missing)):
        # The groups of the target's own layer are the target itself and explain nothing.
        below = [g for g in found if g.id.layer != target.layer]
        if below:
            yield _readings(title, below[:top])
    yield Text("")


def _answers(top: Sequence[Prediction]) -> str:
    return ", ".join(f"{plain(p.name)} {p.formatted}" for p in top)


def _readings(title: str, readings: Sequence[GroupReading]) -> Table:
    table = _table(title, "score", "frequency", "weight", "box", "reached by")
    for g in readings:
        table.add_row(
            g.id,
            f"{g.score:.2f}",
            f"{g.frequency:.0%}",
            f"{g.path_weight:+.3f}",
            ",".join(map(str, g.crops[0].box)),
            " ".join(g.chain[:1]),
        )
    return table


def _what_if(found: WhatIf, target: str, top: int) -> Iterator[RenderableType]:
    change = found.change
    done = "kept alone" if change.keep else "masked"
    how = change.ablation if isinstance(change.ablation, str) else f"× {change.ablation:g}"
    yield Text.assemble(
        "What if ",
        (", ".join(change.groups), "bold"),
        f" were {done} ({sum(map(len, change.neurons.values()))} neurons, {how})",
    )
    if found.overall:
        o = found.overall
        if o.accuracy_before is not None and o.accuracy_after is not None:
            random = (
                f" (random neurons {_interval(o.accuracy_random)})" if o.accuracy_random else ""
            )
            yield Text(f"  accuracy {o.accuracy_before:.3f} → {o.accuracy_after:.3f}{random}")
        random = f" (random neurons {_interval(o.change_random)})" if o.change_random else ""
        yield Text(f"  {target} {o.change:+.2f} on average{random}")
        yield Text(f"  {len(o.flips)} of {o.pictures} pictures change their first class")
    table = _table("picture", "before", "after", target, "change", "random")
    for effect in found.falls[:top]:
        table.add_row(
            plain(effect.name),
            plain(effect.before[0].name),
            plain(effect.after[0].name),
            f"{effect.target_before:.2f}",
            f"{effect.change:+.2f}",
            _interval(effect.random),
        )
    yield table
    yield Text("")


def _mistakes(found: Mistakes, target: str, top: int) -> Iterator[RenderableType]:
    called = ", ".join(f"{plain(n)} {c}" for n, c in list(found.missed_for.items())[:5])
    yield Text.assemble(
        (f"Mistakes of {target}", "bold"),
        f": {found.right} right, {len(found.missed)} missed, {len(found.taken)} false positives",
    )
    if called:
        yield Text(f"  the missed pictures are predicted as {called}")
    if found.why_missed:
        yield _contrasts("fires on", "missed", "right", found.why_missed[:top])
    if found.why_taken:
        yield _contrasts("fires on", "taken", "rejected", found.why_taken[:top])


def _contrasts(title: str, here: str, there: str, found: Sequence[GroupContrast]) -> Table:
    table = _table(title, here, there, "weight", "z")
    for c in found:
        table.add_row(
            c.id,
            _share(c.on_mistakes),
            _share(c.on_others),
            f"{c.path_weight:+.3f}",
            f"{c.evidence:+.1f}",
        )
    return table


def audit_text(report: AuditReport, top: int) -> Iterator[RenderableType]:
    """Yield the ranking of an audit."""
    target = plain(report.target.name)
    yield Text.assemble(
        ("Groups by the evidence that they are a shortcut", "bold"), f" for {target}"
    )
    yield Text(
        f"  {report.pictures} pictures, {report.of_class} of the class, "
        f"{report.false_positives} false positives; a ranking, not a verdict"
    )
    signals = ("raises", "mends", "fixes", "cost", "fixed", "apart")
    table = _table("group", "set to", "total", *signals, gap=1)
    for g in report.groups[:top]:
        s = g.signals
        table.add_row(
            g.id,
            g.ablation,
            f"{g.evidence:+.2f}",
            *(_signal(v) for v in (s.raises, s.mends, s.fixes, s.cost, s.fixed, s.apart)),
        )
    yield table


def _signal(value: Interval | None) -> str:
    """Return a value ± half its interval, short enough for six in a row."""
    if value is None:
        return "-"
    return f"{value.value:z.2f}±{(value.high - value.low) / 2:.2f}".replace("0.", ".")


def _interval(value: Interval | None) -> str:
    return "-" if value is None else f"{value.low:+.2f} … {value.high:+.2f}"


def _share(value: Interval) -> str:
    return f"{value.value:.0%} ({value.low:.0%}-{value.high:.0%})"


def _table(first: str, *columns: str, gap: int = 2) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    table.add_column(f"  {first}", overflow="fold", min_width=14)
    for column in columns:
        table.add_column(column, justify="left", overflow="fold")
    return table
