"""Concept labelling: name the groups, and test the names.

Groups are labelled layer by layer, from the input side, so that a group is shown together with the
labels of the groups below it:

1. Choose the crops that the labeler sees and those that are held out (``sampling``).
2. Ask the labeler, unless a person has named the group, and store the answer at once.
3. When all groups of the layer have labels, a judge scores the held-out crops of each group, mixed with
   others, by the label alone and by other labels (``validation``). Store the result at once.
4. Test the judge: if it does not prefer the groups' own labels more often than a guessing judge, no
   label passes.

Groups of one layer are processed at the same time. A group that fails is reported and skipped. An
error that would make all further requests fail (a spent budget, a rejected key) ends the work. Labels
made before it are kept.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar, cast

from neurflow.circuit import Circuit, LabelStore, NeuronGroup
from neurflow.circuit.evidence import Evidence, Validation
from neurflow.circuit.label_file import GroupLabel, label_of, with_label, with_labels
from neurflow.errors import NeurFlowError, RequestError, WorkError
from neurflow.labels.label_requests import RequestBuilder
from neurflow.labels.label_requests import Settings as Settings
from neurflow.labels.labeler import (
    Judge,
    LabelAnswer,
    Labeler,
    LabelFailed,
)
from neurflow.labels.sampling import Sample
from neurflow.labels.validation import probability_by_guessing, validate
from neurflow.runtime.progress import Progress, Silent

MIN_COMPARED = 6
"""smallest number of compared groups for a test of the judge itself"""
SIGNIFICANCE = 0.05
"""p-value below which a judge's preferences are not those of a guessing judge"""
MAX_FAILURES = 5
"""number of failed groups in a row after which the work ends"""
STOP_INTERVAL = 0.1
"""seconds between calls of ``stop`` while threads are still waiting for a server"""

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """A labelling job: the groups, the labeler and the judge.

    Attributes:
        circuit: a result with thumbnails; neither the model nor the pictures are needed.
        labeler: names the groups.
        judge: validates the labels; default is the labeler, if it is a ``Judge`` too.
        groups: ids of groups; default is all.
        settings: numbers of crops, workers and so on.
    """

    circuit: Circuit
    labeler: Labeler
    judge: Judge | None = None
    groups: Collection[str] | None = None
    settings: Settings = field(default_factory=Settings)


@dataclass
class Outcome:
    """Result of labelling: the circuit with labels, the groups that failed, and why it ended."""

    circuit: Circuit
    failed: dict[str, str] = field(default_factory=dict)
    """group → reason"""
    stopped: NeurFlowError | None = None
    """why the work ended early; None if it did not"""


class LabelsIncomplete(WorkError):
    """The work ended early; ``circuit`` has the labels made so far."""

    def __init__(self, message: str, circuit: Circuit) -> None:
        super().__init__(message)
        self.circuit = circuit


def label(
    circuit: Circuit,
    labeler: Labeler,
    *,
    judge: Judge | None = None,
    groups: Collection[str] | None = None,
    settings: Settings | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Circuit:
    """Label a circuit's groups and validate the labels; METHOD section "Concept labelling".

    Args:
        circuit: a result with thumbnails; neither the model nor the pictures are needed.
        labeler: names groups, e.g. ``ChatLabeler(OpenAIChat("gpt-4o"))``.
        judge: validates labels; default is the labeler, if it is a judge too.
        groups: ids of groups; default is all.
        settings: numbers of crops, workers and so on.
        out: folder in which the circuit is stored; labels are stored there one by one.
        progress: receives stages, steps and notes.

    Returns:
        The circuit with labels, captions and evidence. Groups that failed are unchanged.

    Raises:
        RequestError: there is no such group, or the request cannot be carried out.
        LabelsIncomplete: the work ended early; its ``circuit`` has the labels so far.

    Example::

        labeler = ChatLabeler(OpenAIChat("gpt-4o"))
        circuit = neurflow.label(circuit, labeler, out="runs/bee")
    """
    job = Job(circuit, labeler, judge, groups, settings or Settings())
    outcome = label_groups(job, out=out, progress=progress)
    if outcome.stopped is None:
        return outcome.circuit
    if outcome.circuit == circuit:
        raise outcome.stopped
    raise LabelsIncomplete(str(outcome.stopped), outcome.circuit) from outcome.stopped


def label_groups(
    job: Job, *, out: str | Path | None = None, progress: Progress | None = None
) -> Outcome:
    """Label groups like ``label``, but return failed groups and early ends instead of raising."""
    circuit, progress = job.circuit, progress or Silent()
    wanted = {circuit.group(id).id for id in job.groups} if job.groups is not None else None
    if job.judge is None and isinstance(job.labeler, Judge):
        job = replace(job, judge=job.labeler)
    if job.judge is None and job.settings.validated:
        progress.note(
            f"{job.labeler.name} cannot judge labels, so none is validated. Give a judge."
        )
    work = _Labelling(job, _update_function(circuit, out))
    layers = [
        [group.id for group in layer.groups if wanted is None or group.id in wanted]
        for layer in circuit.layers
    ]
    progress.start("labels", 2 * sum(map(len, layers)))
    with ThreadPoolExecutor(job.settings.workers) as pool:
        for ids in layers:
            begun: list[Future[str | None]] = []
            try:
                for step in (work.name, work.test):
                    begun = [pool.submit(work.run, step, id) for id in ids]
                    for done in work.as_completed(begun):
                        if problem := done.result():
                            progress.note(problem)
                        progress.advance()
            except BaseException:
                work.end()
                deque(work.as_completed(begun), maxlen=0)
                raise
    if problem := work.test_judge():
        progress.note(problem)
    return Outcome(with_labels(circuit, work.labels), work.failed, work.stopped)


Change = Callable[[NeuronGroup], NeuronGroup]
"""takes a group and returns it with another label"""
Update = Callable[[str, Change], NeuronGroup]
"""applies a change to the stored group with an id, and returns the result"""


def _update_function(circuit: Circuit, out: str | Path | None) -> Update:
    """Return a function that changes a group's label where it is stored, in a folder or in memory."""
    if out is not None:
        store = LabelStore(out)
        if {g.id: g.crops for layer in store.circuit.layers for g in layer.groups} != {
            g.id: g.crops for layer in circuit.layers for g in layer.groups
        }:
            raise RequestError(f"{out} holds another circuit. Load it from there to label it.")
        return store.update
    kept: dict[str, NeuronGroup] = {}

    def update(id: str, change: Change) -> NeuronGroup:
        kept[id] = change(kept.get(id) or circuit.group(id))
        return kept[id]

    return update


class _Labelling:
    """One labelling job: its state, which the threads share, and the steps for one group."""

    def __init__(self, job: Job, update: Update) -> None:
        self.circuit, self.labeler, self.judge = job.circuit, job.labeler, job.judge
        self.settings, self.update = job.settings, update
        self.labels: dict[str, GroupLabel] = {}
        self.requests = RequestBuilder(job.circuit, job.settings, self.labels)
        self.failed: dict[str, str] = {}
        self.stopped: NeurFlowError | None = None
        self._over = threading.Event()
        self._failures_in_a_row = 0

    def run(self, step: Callable[[str], None], id: str) -> str | None:
        """Label or validate a group; return a message if it fails."""
        if self._over.is_set() or id in self.failed:
            return None
        try:
            step(id)
            self._failures_in_a_row = 0
        except LabelFailed as error:
            self.failed[id] = str(error)
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= MAX_FAILURES:
                self.end(WorkError(f"{MAX_FAILURES} groups in a row failed. The last: {error}"))
            return f"{id}: {error}"
        except NeurFlowError as error:
            self.end(error)
        return None

    def as_completed(self, begun: Iterable[Future[T]]) -> Iterator[Future[T]]:
        """Yield futures as they finish. Once the work is over, end all waits for a server."""
        pending = set(begun)
        while pending:
            timeout = STOP_INTERVAL if self._over.is_set() else None
            done, pending = wait(pending, timeout, FIRST_COMPLETED)
            yield from done
            if self._over.is_set():
                self._stop_waits()

    def end(self, error: NeurFlowError | None = None) -> None:
        """Start no further group, and end all waits for a server."""
        self.stopped = self.stopped or error
        self._over.set()
        self._stop_waits()

    def _stop_waits(self) -> None:
        for who in (self.labeler, self.judge):
            if stop := getattr(who, "stop", None):
                stop()

    def name(self, id: str) -> None:
        """Label a group, unless a person has done so."""
        group = self.update(id, lambda stored: stored)
        self.labels[id] = label_of(group)
        if not is_pinned(group):
            chosen = self.requests.chosen(group)
            if not chosen.shown:
                raise LabelFailed("the result has no pictures of its crops")
            self._store_answer(id, self.labeler.label(self.requests.request(group, chosen)), chosen)

    def test(self, id: str) -> None:
        """Validate a group's label, if it has one and there is a judge."""
        group = with_label(self.circuit.group(id), self.labels[id])
        if not (self.judge and self.settings.validated and group.label and group.evidence):
            return
        chosen = self.requests.chosen(group)
        own: object = self.labeler
        claim = self.requests.claim(group, chosen, self.judge, chooses=self.judge is own)
        found = validate(self.circuit, chosen, claim, self.judge, seed=self.settings.seed)
        if found is not None:
            self._apply(id, lambda stored: with_validation(stored, group, found))

    def test_judge(self) -> str | None:
        """Remove all validations if the judge does not prefer the groups' own labels.

        Returns:
            A note if validations were removed, else None.
        """
        found = {
            id: label.evidence.validation
            for id, label in self.labels.items()
            if label.evidence and label.evidence.validation
        }
        others = [each.others for each in found.values() if each.others]
        passed = [id for id, each in found.items() if each.doubt is None]
        chance = probability_by_guessing(others)
        if self.judge is None or not self.settings.validated or not passed:
            return None
        if len(others) < MIN_COMPARED or chance <= SIGNIFICANCE:
            return None
        for id in passed:
            self._apply(id, without_validation)
        return (
            f"{self.judge.name} cannot distinguish labels: it prefers the groups' own labels as often "
            f"as a judge that guesses (p = {chance:.2f}). The {len(passed)} labels that passed are "
            "left unvalidated; use another judge."
        )

    def _store_answer(self, id: str, answer: LabelAnswer, chosen: Sample) -> NeuronGroup:
        """Store an answer, unless a person has labelled or pinned the group in the meantime."""
        evidence = Evidence(
            source=cast(Literal["model", "words"], self.labeler.source),
            author=self.labeler.name,
            time=datetime.now(UTC),
            confidence=answer.confidence,
            features=answer.features,
            combination=answer.combination or None,
            words=answer.words,
            shown=chosen.shown,
        )

        def change(stored: NeuronGroup) -> NeuronGroup:
            if is_pinned(stored):
                return stored
            if answer.label.casefold() in {r.label.casefold() for r in stored.rejected}:
                raise LabelFailed(
                    f"{self.labeler.name} proposes {answer.label!r}, which a person has rejected"
                )
            before = stored.evidence
            same = (
                before is not None
                and before.author == evidence.author
                and (stored.label, stored.caption) == (answer.label, answer.caption)
            )
            update = {
                "label": answer.label,
                "caption": answer.caption,
                "evidence": evidence.model_copy(update={"time": before.time})
                if same and before
                else evidence,
            }
            return stored.model_copy(update=update)

        return self._apply(id, change)

    def _apply(self, id: str, change: Change) -> NeuronGroup:
        group = self.update(id, change)
        self.labels[id] = label_of(group)
        return group


def is_pinned(group: NeuronGroup) -> bool:
    """Return whether labelers must not change the label. Labels set by a person are pinned."""
    if group.evidence is None:
        return group.label is not None  # a label without evidence was written by a program
    return group.evidence.pinned


def without_validation(stored: NeuronGroup) -> NeuronGroup:
    """Return the stored group without a validation of its label."""
    if stored.evidence is None:
        return stored
    return stored.model_copy(
        update={"evidence": stored.evidence.model_copy(update={"validation": None})}
    )


def with_validation(stored: NeuronGroup, judged: NeuronGroup, found: Validation) -> NeuronGroup:
    """Return the stored group with a validation, if its label is still the one that was judged."""
    if (stored.label, stored.caption) != (judged.label, judged.caption) or not stored.evidence:
        return stored
    return stored.model_copy(
        update={"evidence": stored.evidence.model_copy(update={"validation": found})}
    )
