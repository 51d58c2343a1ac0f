"""``neurflow label``: words for groups, by a model, a vocabulary or by hand, and their worth."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from neurflow.cli._options import Debug, Device, Json, Run, Weights
from neurflow.cli._terminal import Terminal, plain, terminal
from neurflow.errors import RequestError, WorkError

if TYPE_CHECKING:
    from neurflow.circuit import Circuit, NeuronGroup
    from neurflow.labels import Budget, Labeler, Outcome, Settings
    from neurflow.model import Model

CACHE = "label-cache"
"""folder of a run that keeps a model's answers"""
_MODEL, _CLIP, _HAND, _BUDGET = "By a model", "By a vocabulary", "By hand", "Cost"


def _option(*names: str, panel: str | None = None, **rest: Any) -> Any:
    return typer.Option(
        *names, rich_help_panel=panel, show_default=rest.pop("shown", False), **rest
    )


def label(
    run: Run,
    model: Annotated[
        str | None,
        _option(metavar="NAME", help="Model to ask, as its server calls it.", panel=_MODEL),
    ] = None,
    base_url: Annotated[
        str | None,
        _option(
            metavar="URL",
            help="Server that speaks OpenAI's protocol, e.g. http://localhost:11434/v1.",
            panel=_MODEL,
        ),
    ] = None,
    key_env: Annotated[
        str,
        _option(
            metavar="NAME",
            help="Environment variable that holds the key.",
            panel=_MODEL,
            shown=True,
        ),
    ] = "OPENAI_API_KEY",
    judge_model: Annotated[
        str | None,
        _option(metavar="NAME", help="Another model to validate the labels.", panel=_MODEL),
    ] = None,
    sheet: Annotated[
        bool,
        _option(
            "--sheet",
            help="Send one picture a request, for servers that take no more.",
            panel=_MODEL,
        ),
    ] = False,
    workers: Annotated[
        int, _option(min=1, help="Requests under way at the same time.", panel=_MODEL, shown=True)
    ] = 4,
    rate: Annotated[
        float | None, _option(min=0.01, help="Requests a minute, at most.", panel=_MODEL)
    ] = None,
    timeout: Annotated[
        float, _option(min=0.1, help="Seconds for one request.", panel=_MODEL, shown=True)
    ] = 120.0,
    retries: Annotated[
        int, _option(min=0, help="Times that a request is tried again.", panel=_MODEL, shown=True)
    ] = 5,
    answer_tokens: Annotated[
        int, _option(min=50, help="Longest answer in tokens.", panel=_MODEL, shown=True)
    ] = 2000,
    budget: Annotated[
        float | None,
        _option(min=0, help="Money to spend at most; needs the prices.", panel=_BUDGET),
    ] = None,
    price_in: Annotated[
        float, _option(min=0, help="Price of a million tokens sent.", panel=_BUDGET)
    ] = 0.0,
    price_out: Annotated[
        float, _option(min=0, help="Price of a million tokens answered.", panel=_BUDGET)
    ] = 0.0,
    max_requests: Annotated[
        int | None,
        _option(min=0, help="Requests to send at most, retries included.", panel=_BUDGET),
    ] = None,
    max_tokens: Annotated[
        float | None, _option(min=0, help="Tokens to use at most, in and out.", panel=_BUDGET)
    ] = None,
    dry_run: Annotated[
        bool,
        _option("--dry-run", help="Estimate what it would cost, and send nothing.", panel=_BUDGET),
    ] = False,
    clip: Annotated[
        str | None,
        _option(
            metavar="FOLDER|NAME",
            help="A CLIP-style model, from a folder or the hub: labels without asking anyone.",
            panel=_CLIP,
        ),
    ] = None,
    vocabulary: Annotated[
        Path | None, _option(metavar="FILE", help="Its words, one a line.", panel=_CLIP)
    ] = None,
    template: Annotated[
        str, _option(metavar="TEXT", help="What a word is put into.", panel=_CLIP, shown=True)
    ] = "a photo of {}",
    find: Annotated[
        str | None,
        _option(
            metavar="TEXT",
            help="Search groups: in their labels, or with --clip by what their crops look like.",
        ),
    ] = None,
    set_: Annotated[
        tuple[str, str] | None,
        _option(
            "--set", metavar="GROUP WORDS", help="Name a group; the name is pinned.", panel=_HAND
        ),
    ] = None,
    caption: Annotated[
        str | None, _option(metavar="TEXT", help="A sentence to go with --set.", panel=_HAND)
    ] = None,
    pin: Annotated[
        list[str] | None, _option(metavar="GROUP", help="Keep machines off its label.", panel=_HAND)
    ] = None,
    unpin: Annotated[
        list[str] | None,
        _option(metavar="GROUP", help="Let machines change it again.", panel=_HAND),
    ] = None,
    reject: Annotated[
        list[str] | None,
        _option(metavar="GROUP", help="Take its label away, never to be given again.", panel=_HAND),
    ] = None,
    author: Annotated[
        str | None,
        _option(metavar="NAME", help="Who says so.", shown="the login name", panel=_HAND),
    ] = None,
    group: Annotated[
        list[str] | None, _option(metavar="GROUP", help="Label this group alone; may be repeated.")
    ] = None,
    layer: Annotated[
        list[str] | None, _option(metavar="LAYER", help="Label the groups of this layer alone.")
    ] = None,
    shown: Annotated[
        int, _option(min=1, help="Crops of a group that the labeler sees.", shown=True)
    ] = 12,
    held_out: Annotated[
        int, _option(min=1, help="Crops kept from it, for the validation.", shown=True)
    ] = 12,
    no_validation: Annotated[
        bool, _option("--no-validation", help="Do not validate the labels.")
    ] = False,
    no_constant: Annotated[
        bool,
        _option("--no-constant", help="Do not compare them with the target's name as a label."),
    ] = False,
    concepts: Annotated[
        Path | None,
        _option(
            metavar="FOLDER",
            help="Check labels against pictures in folders named after concepts; needs the model.",
        ),
    ] = None,
    weights: Weights = "",
    device: Device = "cpu",
    seed: Annotated[int, _option(min=0, help="Seed of the choice of crops.", shown=True)] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Name the groups of a result, and test the names on crops that the labeler did not see.

    A model: --model gpt-4o, or --model qwen2.5vl --base-url http://localhost:11434/v1. Without one:
    --clip FOLDER --vocabulary words.txt. By hand: --set layer4/3 "round eyes". Stopped half-way, the
    same command goes on where it was.
    """
    with terminal(as_json, debug, resumable=True) as ui:
        from neurflow.labels import Budget, Prices, Settings
        from neurflow.storage import load_circuit

        circuit = load_circuit(run)
        if set_ or pin or unpin or reject:
            who = author or getpass.getuser()
            changes = _changes(set_, caption, pin or [], unpin or [], reject or [], who)
            ui.result(*_by_hand(run, changes))
            return
        if caption:
            raise RequestError("--caption goes with --set GROUP WORDS.")
        labelers = _Labelers(clip, vocabulary, template, device)
        if find is not None:
            ui.result(*_found(circuit, find, labelers))
            return
        spending = Budget(
            max_requests, max_tokens, budget, Prices(input=price_in, output=price_out)
        )
        settings = Settings(
            shown=shown,
            held_out=held_out,
            validated=not no_validation,
            constant=not no_constant,
            seed=seed,
            workers=workers if model or judge_model else 1,
        )
        chosen = _chosen(circuit, group or [], layer or [])
        asked = {
            "base_url": base_url,
            "key": key_env,
            "budget": spending,
            "timeout": timeout,
            "retries": retries,
            "rate": rate,
            "answer_tokens": answer_tokens,
        }
        outcome = None
        if model or clip or judge_model:
            who_labels, who_judges, rehearse = labelers.pair(
                model, judge_model, run / CACHE, asked, sheet
            )
            estimated = rehearse(circuit, chosen, settings)
            if dry_run:
                ui.result(*_estimate(estimated, spending))
                return
            if estimated:
                ui.note(_estimate(estimated, spending)[1].plain)
            from neurflow.labels import label_groups

            outcome = label_groups(
                circuit,
                who_labels,
                judge=who_judges,
                groups=chosen,
                settings=settings,
                out=run,
                progress=ui.progress,
            )
            circuit = outcome.circuit
        elif concepts is None:
            raise RequestError(
                "Who gives the labels? A model: --model gpt-4o. A vocabulary: --clip FOLDER "
                '--vocabulary words.txt. You: --set GROUP "words".'
            )
        if concepts is not None and not (outcome and outcome.stopped):
            circuit = _checked(run, circuit, concepts, weights, device, ui)
        _finish(ui, circuit, chosen, outcome, spending)


class _Labelers:
    """The labelers of a command line, made when they are needed."""

    def __init__(
        self, clip: str | None, vocabulary: Path | None, template: str, device: str
    ) -> None:
        self._clip, self._vocabulary = clip, vocabulary
        self._template, self._device = template, device

    def clip(self, needs_words: bool) -> Any:
        from neurflow.labels import ClipLabeler, read_vocabulary

        if self._clip is None:
            return None
        if needs_words and self._vocabulary is None:
            raise RequestError("--clip chooses among words: give them with --vocabulary words.txt")
        words = read_vocabulary(self._vocabulary) if self._vocabulary else ()
        return ClipLabeler(self._clip, words, template=self._template, device=self._device)

    def pair(
        self,
        model: str | None,
        judge_model: str | None,
        cache: Path,
        asked: dict[str, Any],
        sheet: bool,
    ) -> tuple[Labeler, Labeler, Callable[[Circuit, list[str] | None, Settings], Any]]:
        """(labeler, judge, rehearsal), the last a function that estimates without sending."""
        from neurflow.labels import Cache, ChatLabeler, OpenAIChat, Rehearsal, label_groups

        if model and self._clip:
            raise RequestError(
                "Give either --model or --clip for the labels; a model that validates labels from a "
                "vocabulary is --judge-model."
            )
        if model is None and self._clip is None:
            raise RequestError("--judge-model validates labels of --model or --clip: give one.")
        kept = Cache(cache)
        chats = {name: OpenAIChat(name, **asked) for name in (model, judge_model) if name}
        rehearsals = {n: Rehearsal(chat.name, chat.identity) for n, chat in chats.items()}

        def labelers(of: dict[str, Any]) -> tuple[Labeler, Labeler]:
            made = {name: ChatLabeler(chat, kept, sheet=sheet) for name, chat in of.items()}
            first = made[model] if model else words
            return first, made[judge_model] if judge_model else first

        def rehearse(circuit: Circuit, groups: list[str] | None, settings: Settings) -> Any:
            if not chats:
                return None
            first, second = labelers(rehearsals)
            label_groups(circuit, first, judge=second, groups=groups, settings=settings)
            total = next(iter(rehearsals.values())).used
            for other in list(rehearsals.values())[1:]:
                total += other.used
            return total

        words = self.clip(needs_words=True)
        return (*labelers(chats), rehearse)


def _chosen(circuit: Circuit, groups: list[str], layers: list[str]) -> list[str] | None:
    """Ids of the groups to label; None for all."""
    if not groups and not layers:
        return None
    return [circuit.group(id).id for id in groups] + [
        group.id for name in layers for group in circuit.layer(name).groups
    ]


def _changes(
    named: tuple[str, str] | None,
    caption: str | None,
    pinned: list[str],
    unpinned: list[str],
    rejected: list[str],
    author: str,
) -> list[tuple[str, Callable[[NeuronGroup], NeuronGroup]]]:
    """What a person wants of which group, in the order it is done."""
    from neurflow.labels import manual

    changes: list[tuple[str, Callable[[NeuronGroup], NeuronGroup]]] = []
    if named:
        id, words = named
        changes.append((id, lambda g: manual.set_label(g, words, caption, author=author)))
    changes += [(id, lambda g: manual.pin(g, author=author)) for id in pinned]
    changes += [(id, manual.unpin) for id in unpinned]
    changes += [(id, lambda g: manual.reject(g, author=author)) for id in rejected]
    return changes


def _by_hand(
    run: Path, changes: list[tuple[str, Callable[[NeuronGroup], NeuronGroup]]]
) -> tuple[dict[str, Any], Text]:
    from neurflow.evidence import evidence_data
    from neurflow.storage import LabelStore

    store = LabelStore(run)
    for id, _ in changes:
        store.circuit.group(id)  # all or nothing: a wrong id is known before the first change
    changed = [store.update(id, change) for id, change in changes]
    data = [
        {
            "group": group.id,
            "label": group.label,
            "caption": group.caption,
            "evidence": evidence_data(group.evidence),
            "rejected": [refused.label for refused in group.rejected],
        }
        for group in changed
    ]
    lines = [
        f"{plain(group.id)}: {plain(group.label) if group.label else 'no label'}"
        + (" (pinned)" if group.evidence and group.evidence.pinned else "")
        for group in changed
    ]
    return {"groups": data}, Text("\n".join(lines))


def _found(circuit: Circuit, text: str, labelers: _Labelers) -> tuple[dict[str, Any], Text]:
    from neurflow.labels import find

    clip = labelers.clip(needs_words=False)
    matches = find(circuit, text, clip)
    lines = [
        f"{match.score:+6.2f}  {plain(match.group)}  {plain(match.label or '')}".rstrip()
        for match in matches[:20]
    ]
    nothing = "No label has these words. With --clip FOLDER groups are searched by their crops."
    data = [vars(match) for match in matches]
    return {"find": text, "by": clip.name if clip else "labels", "groups": data}, Text(
        "\n".join(lines) or nothing
    )


def _estimate(used: Any, budget: Budget) -> tuple[dict[str, Any], Text]:
    """What is going to be sent, in figures and in words."""
    if used is None:
        return {"requests": 0, "tokens_in": 0, "tokens_out": 0, "cost": None}, Text(
            "Nothing is sent: the model is here."
        )
    priced = budget.prices.input or budget.prices.output
    cost = used.cost(budget.prices) if priced else None
    money = (
        f", {cost:.2f} in money" if cost is not None else " (for the cost: --price-in --price-out)"
    )
    words = (
        f"Estimate: {used.requests:,} requests not answered yet, {used.tokens_in:,.0f} tokens in, "
        f"{used.tokens_out:,.0f} out{money if used.requests else ''}."
    )
    return {
        "requests": used.requests,
        "tokens_in": round(used.tokens_in),
        "tokens_out": round(used.tokens_out),
        "cost": cost,
    }, Text(words)


def _checked(
    run: Path, circuit: Circuit, pictures: Path, weights: str, device: str, ui: Terminal
) -> Circuit:
    """The circuit with each label that names a concept of the pictures checked, and stored."""
    from neurflow.label_file import label_of, with_labels
    from neurflow.labels.concepts import concept_checks
    from neurflow.storage import LabelStore

    checks = concept_checks(
        circuit, _model(circuit, weights, device), pictures, progress=ui.progress
    )
    if not checks:
        ui.note(f"No label names a concept of {pictures}: nothing to check.")
    store, labels = LabelStore(run), {}
    for id, check in checks.items():
        said = circuit.group(id).label

        def change(group: NeuronGroup, check: Any = check, said: str | None = said) -> NeuronGroup:
            if group.evidence is None or group.label != said:
                return group
            evidence = group.evidence.model_copy(update={"concept": check})
            return group.model_copy(update={"evidence": evidence})

        labels[id] = label_of(store.update(id, change))
    return with_labels(circuit, labels)


def _model(circuit: Circuit, weights: str, device: str) -> Model:
    """The circuit's model, loaded as it was."""
    from neurflow.demo.network import demo_model
    from neurflow.model import load_model

    info = circuit.model
    if info.reference == demo_model().info.reference:
        return demo_model()
    return load_model(
        info.reference, weights or info.weights or "random", device=device, **info.options
    )


def _finish(
    ui: Terminal,
    circuit: Circuit,
    chosen: list[str] | None,
    outcome: Outcome | None,
    budget: Budget,
) -> None:
    """Print the labels and what they are worth; end with 1 if some are missing."""
    from neurflow.cli._labels import labels_data, labels_text
    from neurflow.labels import summary

    failed = outcome.failed if outcome else {}
    used = budget.used
    total = summary(circuit)
    data = {
        "labels": labels_data(circuit, chosen),
        "summary": total,
        "failed": failed,
        "used": {
            "requests": used.requests,
            "tokens_in": round(used.tokens_in),
            "tokens_out": round(used.tokens_out),
            "cost": used.cost(budget.prices),
        },
    }
    ui.result(data, *labels_text(circuit, chosen, total))
    if used.requests:
        ui.note(
            f"Sent {used.requests:,} requests: {used.tokens_in:,.0f} tokens in, "
            f"{used.tokens_out:,.0f} out."
        )
    if outcome and outcome.stopped:
        raise outcome.stopped
    if failed:
        raise WorkError(
            f"{len(failed)} of the groups could not be labelled. The same command asks for them again."
        )
