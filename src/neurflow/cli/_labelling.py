"""What ``neurflow label`` does with its options: by hand, by a search, by a model or a vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from neurflow.circuit import Circuit, LabelStore, NeuronGroup
from neurflow.circuit.evidence import evidence_data
from neurflow.circuit.label_file import label_of, with_labels
from neurflow.cli._labels import labels_data, labels_text
from neurflow.cli._modes import Given
from neurflow.cli._terminal import Terminal, plain
from neurflow.errors import RequestError, WorkError
from neurflow.labels import (
    Budget,
    Cache,
    ChatLabeler,
    ClipLabeler,
    Judge,
    Labeler,
    OpenAIChat,
    Outcome,
    Settings,
    find,
    label_groups,
    manual,
    read_vocabulary,
    rehearse,
    summary,
)
from neurflow.labels.budget import Usage
from neurflow.model import Model
from neurflow.runtime.progress import Progress

CACHE = "label-cache"
"""folder of a run that keeps a model's answers"""
FOUND = 20
"""groups listed by a search"""

BY_HAND = {
    "set_": {"caption", "author"},
    "pin": {"author"},
    "unpin": {"author"},
    "reject": {"author"},
    "find": {"clip", "template", "device"},
}
"""what asks nobody: parameter → those that belong to it"""
ENDPOINT = (
    "base_url", "key_env", "key_file", "sheet", "rate", "timeout", "retries", "answer_tokens",
    "budget", "price_in", "price_out", "max_requests", "max_tokens",
)  # fmt: skip
"""what is told of a server"""
ASKING = (
    "dry_run", "group", "layer", "shown", "held_out", "no_validation", "no_constant", "seed",
    "workers",
)  # fmt: skip
"""what is told of labelling"""

Change = Callable[[NeuronGroup], NeuronGroup]
Result = tuple[dict[str, Any], Text]


def check_modes(given: Given) -> None:
    """``RequestError`` for options that cannot go together, or would do nothing."""
    mode = given.one_of(*BY_HAND)
    if mode:
        given.only(mode, {"run", *BY_HAND[mode]})
    given.need(["set_"], "caption")
    given.need(["set_", "pin", "unpin", "reject"], "author")
    given.need(["chat_model", "judge_model"], *ENDPOINT)
    given.need(["chat_model", "judge_model", "clip"], *ASKING)
    given.need(["clip"], "vocabulary", "template")
    given.need(["concepts"], "model", "weights")
    given.need(["concepts", "clip"], "device")
    given.one_of("no_validation", "judge_model")
    given.one_of("key_env", "key_file")


def changes(
    named: tuple[str, str] | None,
    caption: str | None,
    pinned: Sequence[str],
    unpinned: Sequence[str],
    rejected: Sequence[str],
    author: str,
) -> list[tuple[str, Change]]:
    """What a person wants of which group, in the order it is done."""
    wanted: list[tuple[str, Change]] = []
    if named:
        id, words = named
        wanted.append((id, lambda g: manual.set_label(g, words, caption, author=author)))
    wanted += [(id, lambda g: manual.pin(g, author=author)) for id in pinned]
    wanted += [(id, manual.unpin) for id in unpinned]
    wanted += [(id, lambda g: manual.reject(g, author=author)) for id in rejected]
    return wanted


def by_hand(run: Path, wanted: Sequence[tuple[str, Change]]) -> Result:
    """Carry out a person's changes."""
    store = LabelStore(run)
    for id, _ in wanted:
        store.circuit.group(id)  # a wrong id is known before the first change
    changed = [store.update(id, change) for id, change in wanted]
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


class Words:
    """The CLIP-style model and the vocabulary of a command line, loaded when they are needed."""

    def __init__(
        self, model: str | None, vocabulary: Path | None, template: str, device: str
    ) -> None:
        self.model, self._vocabulary = model, vocabulary
        self._template, self._device = template, device

    def labeler(self, *, chooses: bool) -> ClipLabeler | None:
        """The labeler, if a model was given; one that chooses needs words to choose among."""
        if self.model is None:
            return None
        if chooses and self._vocabulary is None:
            raise RequestError("--clip chooses among words: give them with --vocabulary words.txt")
        words = read_vocabulary(self._vocabulary) if self._vocabulary else ()
        return ClipLabeler(self.model, words, template=self._template, device=self._device)


def found(circuit: Circuit, text: str, words: Words) -> Result:
    """Groups that fit a text."""
    clip = words.labeler(chooses=False)
    matches = find(circuit, text, clip)
    lines = [
        f"{match.score:+6.2f}  {plain(match.group)}  {plain(match.label or '')}".rstrip()
        for match in matches[:FOUND]
    ]
    nothing = "No label has these words. With --clip FOLDER groups are searched by their crops."
    data = {
        "find": text,
        "by": clip.name if clip else "labels",
        "groups": [vars(match) for match in matches],
    }
    return data, Text("\n".join(lines) or nothing)


def chosen(circuit: Circuit, groups: Sequence[str], layers: Sequence[str]) -> list[str] | None:
    """Ids of the groups to label; None for all."""
    if not groups and not layers:
        return None
    found: list[str] = [circuit.group(id).id for id in groups]
    return found + [group.id for name in layers for group in circuit.layer(name).groups]


def labelers(
    run: Path,
    model: str | None,
    judge_model: str | None,
    words: Words,
    endpoint: dict[str, Any],
    sheet: bool,
) -> tuple[Labeler, Judge | None]:
    """(labeler, judge) that a command line asks for."""
    if model and words.model:
        raise RequestError(
            "Give either --chat-model or --clip for the labels; a model that validates labels from a "
            "vocabulary is --judge-model."
        )

    def chat(name: str) -> ChatLabeler:
        return ChatLabeler(OpenAIChat(name, **endpoint), Cache(run / CACHE), sheet=sheet)

    labeler: Labeler | None = chat(model) if model else words.labeler(chooses=True)
    if labeler is None:
        raise RequestError("--judge-model validates labels of --chat-model or --clip: give one.")
    return labeler, chat(judge_model) if judge_model else None


class Task:
    """Labelling one result, and what became of it."""

    def __init__(
        self, run: Path, circuit: Circuit, groups: list[str] | None, settings: Settings
    ) -> None:
        self._run, self._circuit = run, circuit
        self._groups, self._settings = groups, settings
        self._outcome = Outcome(circuit)

    @property
    def stopped(self) -> Exception | None:
        """What ended the work early."""
        return self._outcome.stopped

    def estimate(self, labeler: Labeler, judge: Judge | None, budget: Budget) -> Result:
        """What is going to be sent, in figures and in words."""
        if not any(isinstance(who, ChatLabeler) for who in (labeler, judge)):
            return _usage(Usage(), budget), Text("Nothing is sent: the model is here.")
        used = rehearse(
            self._circuit, labeler, judge=judge, groups=self._groups, settings=self._settings
        )
        figures = _usage(used, budget)
        cost = figures["cost"]
        money = (
            "; for the cost: --price-in --price-out" if cost is None else f", {cost:.2f} in money"
        )
        return figures, Text(
            f"Estimate: {used.requests:,} requests not answered yet, {used.tokens_in:,.0f} tokens "
            f"in, {used.tokens_out:,.0f} out{money}."
        )

    def label(self, labeler: Labeler, judge: Judge | None, progress: Progress) -> None:
        """Label and validate; what is finished is stored at once."""
        self._outcome = label_groups(
            self._circuit,
            labeler,
            judge=judge,
            groups=self._groups,
            settings=self._settings,
            out=self._run,
            progress=progress,
        )
        if self.stopped and self._outcome.circuit == self._circuit:
            raise self.stopped  # with nothing to show for it

    def check(self, pictures: Path, model: Model, ui: Terminal) -> None:
        """Check labels that name a concept of the pictures."""
        from neurflow.labels.concepts import concept_checks, with_check

        circuit = self._outcome.circuit
        checks = concept_checks(circuit, model, pictures, progress=ui.progress)
        if not checks:
            ui.note(f"No label names a concept of {pictures}: nothing to check.")
        store, labels = LabelStore(self._run), {}
        for id, check in checks.items():
            said = circuit.group(id).label
            group = store.update(id, lambda g, c=check, s=said: with_check(g, c, s))  # type: ignore[misc]
            labels[id] = label_of(group)
        self._outcome.circuit = with_labels(circuit, labels)

    def result(self, budget: Budget) -> tuple[dict[str, Any], *tuple[RenderableType, ...]]:
        """The labels and what they are worth."""
        circuit = self._outcome.circuit
        total = summary(circuit, self._groups)
        data = {
            "labels": labels_data(circuit, self._groups),
            "summary": total,
            "failed": self._outcome.failed,
            "used": _usage(budget.used, budget),
        }
        shown = list(labels_text(circuit, self._groups, total))
        if used := budget.used.requests:
            shown.append(
                Text(
                    f"Sent {used:,} requests: {budget.used.tokens_in:,.0f} tokens in, "
                    f"{budget.used.tokens_out:,.0f} out."
                )
            )
        return data, *shown

    def fail_if_incomplete(self) -> None:
        """Raise what ended the work early, or ``WorkError`` if groups failed."""
        if self._outcome.stopped:
            raise self._outcome.stopped
        if self._outcome.failed:
            raise WorkError(
                f"{len(self._outcome.failed)} groups could not be labelled or validated. "
                "The same command asks for them again."
            )


def _usage(used: Usage, budget: Budget) -> dict[str, Any]:
    priced = budget.prices.input or budget.prices.output
    return {
        "requests": used.requests,
        "tokens_in": round(used.tokens_in),
        "tokens_out": round(used.tokens_out),
        "cost": used.cost(budget.prices) if priced else None,
    }
