"""``neurflow label``: names groups by a model, from a vocabulary or by hand."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from neurflow.cli._command import command, parameters_of, with_parameters
from neurflow.cli._label_options import SERVER, WORK, LabelOptions, option
from neurflow.cli._model_of import ModelOptions, with_model_options
from neurflow.cli._modes import Given
from neurflow.cli._options import Device, Run, names
from neurflow.cli._terminal import Terminal, plain
from neurflow.errors import RequestError, WorkError

if TYPE_CHECKING:
    from neurflow.circuit import NeuronGroup
    from neurflow.labels import Budget, Job, Labeler, Outcome
    from neurflow.labels.budget import Usage
    from neurflow.labels.labelling import Change

FOUND = 20
"""number of groups that a search lists"""

app = typer.Typer(
    help="Name the groups of a result, and test the names on crops that the labeler has not seen.",
    no_args_is_help=True,
)

Groups = Annotated[list[str], typer.Argument(metavar="GROUP…", help="Groups, such as layer4.1/3.")]
Author = Annotated[
    str | None, option(metavar="NAME", help="Who gives the label.", shown="the login name")
]
Clip = Annotated[
    str | None,
    option(metavar="FOLDER|NAME", help="A CLIP-style model, from a folder or the hub."),
]
Template = Annotated[
    str, option(metavar="TEXT", help="Text into which each word is put.", shown=True)
]


@app.command("ask")
@command(resumable=True)
@with_parameters(parameters_of(SERVER | WORK))
def ask(
    ui: Terminal,
    context: typer.Context,
    run: Run,
    chat_model: Annotated[
        str | None,
        option(metavar="NAME", help="Model to ask, by the name that its server uses."),
    ] = None,
    labeler: Annotated[
        str | None, option(metavar="NAME", help="A labeler registered by a package.")
    ] = None,
    labeler_option: Annotated[
        list[str] | None, option(metavar="KEY=VALUE", help="An option of that labeler.")
    ] = None,
    **values: Any,
) -> None:
    """Ask a chat model, or a labeler of your own, to name groups.

    For example --chat-model gpt-4o, or --chat-model qwen2.5vl --base-url http://localhost:11434/v1.
    Re-run the same command to resume: answers are stored, and no request is repeated.
    """
    from neurflow.labels import labeler_named

    asked, given = LabelOptions(values), Given(context)
    given.one_of("chat_model", "labeler")
    given.need(["labeler"], "labeler_option")
    if not chat_model and not labeler:
        raise RequestError(
            "Give a labeler: --chat-model gpt-4o for a chat model, or --labeler NAME for one of your "
            "own. To choose from a list of words, use neurflow label words; to write a label yourself, "
            "neurflow label set."
        )
    asked.check(given, "chat_model")

    def namer(budget: Budget) -> Labeler:
        if chat_model:
            return asked.chat(chat_model, run, budget)
        return labeler_named(labeler or "", _pairs(labeler_option or []))

    _label(ui, run, asked, namer)


@app.command("words")
@command(resumable=True)
@with_parameters(parameters_of(SERVER | WORK))
def words(
    ui: Terminal,
    context: typer.Context,
    run: Run,
    clip: Clip = None,
    vocabulary: Annotated[
        Path | None, option(metavar="FILE", help="Words to choose from, one per line.")
    ] = None,
    template: Template = "a photo of {}",
    device: Device = "cpu",
    **values: Any,
) -> None:
    """Choose names from a list of words by a local CLIP-style model; nothing is sent anywhere."""
    from neurflow.labels.api import words_labeler

    asked = LabelOptions(values)
    asked.check(Given(context), "judge_model")
    if clip is None or vocabulary is None:
        raise RequestError("Give a model and words: --clip FOLDER --vocabulary words.txt")
    make = partial(words_labeler, clip, vocabulary, template=template, device=device)
    _label(ui, run, asked, lambda _: make())


@app.command("set")
@command()
def set_(
    ui: Terminal,
    run: Run,
    group: Annotated[str, typer.Argument(metavar="GROUP", help="A group, such as layer4.1/3.")],
    words: Annotated[str, typer.Argument(metavar="WORDS", help="Its name.")],
    caption: Annotated[
        str | None, option(metavar="TEXT", help="A sentence that describes the group.")
    ] = None,
    author: Author = None,
) -> None:
    """Name a group by hand; the name is pinned."""
    from neurflow.labels import manual

    who = author or getpass.getuser()
    _change(ui, run, [group], lambda g: manual.set_label(g, words, caption, author=who))


@app.command("pin")
@command()
def pin(ui: Terminal, run: Run, groups: Groups, author: Author = None) -> None:
    """Keep machines from changing the labels of groups."""
    from neurflow.labels import manual

    who = author or getpass.getuser()
    _change(ui, run, groups, lambda g: manual.pin(g, author=who))


@app.command("unpin")
@command()
def unpin(ui: Terminal, run: Run, groups: Groups) -> None:
    """Let machines change the labels of groups again."""
    from neurflow.labels import manual

    _change(ui, run, groups, manual.unpin)


@app.command("reject")
@command()
def reject(ui: Terminal, run: Run, groups: Groups, author: Author = None) -> None:
    """Remove the labels of groups; no machine will give them the same labels again."""
    from neurflow.labels import manual

    who = author or getpass.getuser()
    _change(ui, run, groups, lambda g: manual.reject(g, author=who))


@app.command("search")
@command()
def search(
    ui: Terminal,
    context: typer.Context,
    run: Run,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A word or several.")],
    clip: Clip = None,
    template: Template = "a photo of {}",
    device: Device = "cpu",
) -> None:
    """Search groups by the words of their labels, or with --clip by their crops."""
    from neurflow.circuit import load_circuit
    from neurflow.labels import find
    from neurflow.labels.api import words_labeler

    Given(context).need(["clip"], "template", "device")
    circuit = load_circuit(run)
    labeler = words_labeler(clip, None, template=template, device=device) if clip else None
    matches = find(circuit, text, labeler)
    lines = [
        f"{match.score:+6.2f}  {plain(match.group)}  {plain(match.label or '')}".rstrip()
        for match in matches[:FOUND]
    ]
    nothing = "No label has these words. Search groups by their crops: --clip FOLDER"
    data = {
        "find": text,
        "by": labeler.name if labeler else "labels",
        "groups": [vars(match) for match in matches],
    }
    ui.result(data, Text("\n".join(lines) or nothing))


@app.command("check")
@command(resumable=True)
@with_model_options
def check(
    ui: Terminal,
    run: Run,
    concepts: Annotated[
        Path,
        typer.Argument(metavar="IMAGES", help="Pictures in folders named after concepts."),
    ],
    **model: Any,
) -> None:
    """Check whether the neurons of groups named after a concept respond to pictures of it."""
    from neurflow.circuit import load_circuit
    from neurflow.cli._labels import labels_data, labels_text
    from neurflow.labels import summary
    from neurflow.labels.api import check_run

    circuit = load_circuit(run)
    loaded = ModelOptions.pop(model).load(circuit)
    circuit, checked = check_run(run, loaded, concepts, ui.progress)
    if not checked:
        ui.note(f"No label names a concept of {concepts}, so nothing was checked.")
    total = summary(circuit)
    data = {"checked": sorted(checked), "labels": labels_data(circuit, None), "summary": total}
    ui.result(data, *labels_text(circuit, None, total))


def _pairs(given: Sequence[str]) -> dict[str, str]:
    """Parse texts such as ``key=value`` into a dict."""
    for each in given:
        if "=" not in each:
            raise RequestError(f"{each!r} is not an option. Write --labeler-option KEY=VALUE.")
    return dict(each.partition("=")[::2] for each in given)


def _label(
    ui: Terminal, run: Path, asked: LabelOptions, namer: Callable[[Budget], Labeler]
) -> None:
    """Estimate the cost, label the groups and print the labels; fail if some are missing."""
    from neurflow.circuit import load_circuit
    from neurflow.labels.api import estimate, label_run

    circuit, budget = load_circuit(run), asked.budget()
    job = asked.job(circuit, namer(budget), asked.judge(run, budget))
    used = estimate(job)
    estimate_line = (
        "Nothing is sent, as the labeler runs here." if used is None else _cost(used, budget)
    )
    if asked.values["dry_run"]:
        from neurflow.labels.budget import Usage

        ui.result(_usage(used or Usage(), budget), Text(estimate_line))
        return
    ui.note(estimate_line)
    outcome = label_run(job, run, ui.progress)
    _show(ui, job, outcome, budget)
    if outcome.stopped:
        raise outcome.stopped
    if outcome.failed:
        raise WorkError(
            f"{len(outcome.failed)} groups could not be labelled or validated. "
            "Re-run the same command to try them again."
        )


def _show(ui: Terminal, job: Job, outcome: Outcome, budget: Budget) -> None:
    from neurflow.cli._labels import labels_data, labels_text
    from neurflow.labels import summary

    circuit, groups = outcome.circuit, job.groups
    total, used = summary(circuit, groups), budget.used
    data = {
        "labels": labels_data(circuit, groups),
        "summary": total,
        "failed": outcome.failed,
        "used": _usage(used, budget),
    }
    shown = list(labels_text(circuit, groups, total))
    if used.requests:
        sent = f"{used.tokens_in:,.0f} tokens in, {used.tokens_out:,.0f} out."
        shown.append(Text(f"Sent {used.requests:,} requests: {sent}"))
    ui.result(data, *shown)


def _cost(used: Usage, budget: Budget) -> str:
    """Return an estimate as text."""
    cost = _usage(used, budget)["cost"]
    money = (
        "; give --price-in and --price-out for the cost" if cost is None else f", cost {cost:.2f}"
    )
    return (
        f"Estimate: {used.requests:,} requests not answered yet, {used.tokens_in:,.0f} tokens "
        f"in, {used.tokens_out:,.0f} out{money}."
    )


def _usage(used: Usage, budget: Budget) -> dict[str, Any]:
    priced = budget.prices.input or budget.prices.output
    return {
        "requests": used.requests,
        "tokens_in": round(used.tokens_in),
        "tokens_out": round(used.tokens_out),
        "cost": used.cost(budget.prices) if priced else None,
    }


def _change(ui: Terminal, run: Path, groups: Sequence[str], change: Change) -> None:
    from neurflow.labels.api import change_run

    changed = change_run(run, names(groups) or [], change)
    ui.result(
        {"groups": [_group_data(group) for group in changed]},
        Text("\n".join(map(_group_line, changed))),
    )


def _group_data(group: NeuronGroup) -> dict[str, Any]:
    from neurflow.circuit.evidence import evidence_data

    return {
        "group": group.id,
        "label": group.label,
        "caption": group.caption,
        "evidence": evidence_data(group.evidence),
        "rejected": [refused.label for refused in group.rejected],
    }


def _group_line(group: NeuronGroup) -> str:
    pinned = " (pinned)" if group.evidence and group.evidence.pinned else ""
    return f"{plain(group.id)}: {plain(group.label) if group.label else 'no label'}{pinned}"
