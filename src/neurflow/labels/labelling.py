"""Concept labelling: words for groups, and how far to trust them. The whole of it on one screen.

Layer by layer from the input side, so that a group is shown with the labels of those that feed it:

1. choose the crops that the labeler sees and those that are kept from it (``sampling``);
2. ask the labeler, unless a person has named the group; keep the answer at once;
3. when all groups of the layer have labels, let a judge find each one's unseen crops among others by
   its label alone, and by the labels of other groups (``validation``); keep that too.

Groups of one layer are asked about at the same time. One that fails is noted and passed over; what
makes going on pointless (a spent budget, a refused key) ends the work with all that was kept.
"""

from __future__ import annotations

import threading
import zlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar, cast

import numpy as np

from neurflow.circuit.circuit import Circuit, NeuronGroup
from neurflow.circuit.evidence import Evidence, Validation
from neurflow.circuit.label_file import GroupLabel, label_of, with_label, with_labels
from neurflow.circuit.storage import LabelStore
from neurflow.errors import NeurFlowError, RequestError, WorkError
from neurflow.labels.labeler import (
    Controls,
    Judge,
    LabelAnswer,
    Labeler,
    LabelFailed,
    LabelRequest,
    LowerGroup,
)
from neurflow.labels.sampling import Sample, contrast, picture, sample
from neurflow.labels.validation import Claim, validate
from neurflow.runtime.progress import Progress, Silent

SHOWN = HELD_OUT = 12
"""crops of a group for the labeler, and for the judge"""
LOWER, LOWER_SHOWN = 4, 4
"""lower groups shown with a group, and crops of each"""
OTHERS = 96
"""crops of other groups that zero-shot labels are a contrast to"""
RIVALS = 8
"""labels of other groups that a judge tries on a group's crops"""
WORDS = 200
"""words of a vocabulary that are tried likewise"""
PATIENCE = 5
"""groups that may fail in a row before the rest is given up"""
LET_GO = 0.1
"""seconds after which, once the work is over, those who wait for a server are let go again"""

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """How groups are labelled.

    Attributes:
        shown: crops of a group that the labeler sees, at most.
        held_out: crops that are kept from it for the validation, at most.
        validated: whether labels are validated.
        constant: whether each is compared with the target's name as a label.
        rivals: labels of other groups that each is compared with, at most.
        seed: of the choice of crops and of the intervals.
        workers: groups asked about at the same time.
    """

    shown: int = SHOWN
    held_out: int = HELD_OUT
    validated: bool = True
    constant: bool = True
    rivals: int = RIVALS
    seed: int = 0
    workers: int = 4

    def __post_init__(self) -> None:
        if min(self.shown, self.workers) < 1 or min(self.held_out, self.rivals, self.seed) < 0:
            raise RequestError(
                "shown and workers are 1 or more; held_out, rivals and seed 0 or more."
            )


@dataclass
class Outcome:
    """What came of labelling: the circuit with labels, the groups that failed, and why it ended."""

    circuit: Circuit
    failed: dict[str, str] = field(default_factory=dict)
    """group → reason"""
    stopped: NeurFlowError | None = None
    """what ended the work early"""


class LabelsIncomplete(WorkError):
    """The work ended early; ``circuit`` has the labels that there are."""

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
        circuit: what to label; it needs its thumbnails, and neither model nor pictures.
        labeler: names groups, e.g. ``ChatLabeler(OpenAIChat("gpt-4o"))``.
        judge: validates labels; default is the labeler, if it judges too.
        groups: ids; default is all.
        settings: how many crops, and so on.
        out: folder that the circuit is stored in; labels are kept there one by one.
        progress: told what is being done.

    Returns:
        The circuit with labels, captions and evidence. Groups that failed stay as they were.

    Raises:
        RequestError: a group that is not there, or a request that cannot be carried out.
        LabelsIncomplete: the work ended early; the error holds the circuit as far as it came.
    """
    outcome = label_groups(
        circuit,
        labeler,
        judge=judge,
        groups=groups,
        settings=settings,
        out=out,
        progress=progress,
    )
    if outcome.stopped is None:
        return outcome.circuit
    if outcome.circuit == circuit:
        raise outcome.stopped
    raise LabelsIncomplete(str(outcome.stopped), outcome.circuit) from outcome.stopped


def label_groups(
    circuit: Circuit,
    labeler: Labeler,
    *,
    judge: Judge | None = None,
    groups: Collection[str] | None = None,
    settings: Settings | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """``label``, which tells what failed instead of raising."""
    settings, progress = settings or Settings(), progress or Silent()
    wanted = {circuit.group(id).id for id in groups} if groups is not None else None
    if judge is None and isinstance(labeler, Judge):
        judge = labeler
    if judge is None and settings.validated:
        progress.note(f"{labeler.name} judges no labels: none is validated. Give a judge.")
    work = _Work(circuit, labeler, judge, settings, _keeper(circuit, out))
    layers = [
        [group.id for group in layer.groups if wanted is None or group.id in wanted]
        for layer in circuit.layers
    ]
    progress.start("labels", 2 * sum(map(len, layers)))
    with ThreadPoolExecutor(settings.workers) as pool:
        for ids in layers:
            begun: list[Future[str | None]] = []
            try:
                for step in (work.name, work.test):
                    begun = [pool.submit(work.one, step, id) for id in ids]
                    for done in work.as_completed(begun):
                        if problem := done.result():
                            progress.note(problem)
                        progress.advance()
            except BaseException:
                work.end()
                deque(work.as_completed(begun), maxlen=0)
                raise
    return Outcome(with_labels(circuit, work.labels), work.failed, work.stopped)


Change = Callable[[NeuronGroup], NeuronGroup]
Keeper = Callable[[str, Change], NeuronGroup]


def _keeper(circuit: Circuit, out: str | Path | None) -> Keeper:
    """Changes a group's label where it is kept: in the folder, or in memory."""
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


class _Work:
    """The state that the groups' labelling shares."""

    def __init__(
        self,
        circuit: Circuit,
        labeler: Labeler,
        judge: Judge | None,
        settings: Settings,
        keep: Keeper,
    ) -> None:
        self.circuit, self.labeler, self.judge = circuit, labeler, judge
        self.settings, self.keep = settings, keep
        self.labels: dict[str, GroupLabel] = {}
        self.failed: dict[str, str] = {}
        self.stopped: NeurFlowError | None = None
        self._over = threading.Event()
        self._in_a_row = 0

    def one(self, step: Callable[[str], None], id: str) -> str | None:
        """Label or validate a group; returns what a person should read of a failure."""
        if self._over.is_set() or id in self.failed:
            return None
        try:
            step(id)
            self._in_a_row = 0
        except LabelFailed as error:
            self.failed[id] = str(error)
            self._in_a_row += 1
            if self._in_a_row >= PATIENCE:
                self.end(WorkError(f"{PATIENCE} groups in a row failed. The last: {error}"))
            return f"{id}: {error}"
        except NeurFlowError as error:
            self.end(error)
        return None

    def as_completed(self, begun: Iterable[Future[T]]) -> Iterator[Future[T]]:
        """Futures as they end. Once the work is over, whoever comes to wait later is let go too."""
        left = set(begun)
        while left:
            patience = LET_GO if self._over.is_set() else None
            done, left = wait(left, patience, FIRST_COMPLETED)
            yield from done
            if self._over.is_set():
                self._let_go()

    def end(self, error: NeurFlowError | None = None) -> None:
        """Begin no further group, and let nobody wait for a server's leave."""
        self.stopped = self.stopped or error
        self._over.set()
        self._let_go()

    def _let_go(self) -> None:
        for who in (self.labeler, self.judge):
            if stop := getattr(who, "stop", None):
                stop()

    def name(self, id: str) -> None:
        """Label a group, unless a person has."""
        group = self.keep(id, lambda stored: stored)
        self.labels[id] = label_of(group)
        if not by_hand(group):
            chosen = self._chosen(group)
            if not chosen.shown:
                raise LabelFailed("the result has no pictures of its crops")
            self._named(id, self.labeler.label(self._request(group, chosen)), chosen)

    def test(self, id: str) -> None:
        """Validate a group's label, if it has one and there is a judge."""
        group = with_label(self.circuit.group(id), self.labels[id])
        if not (self.judge and self.settings.validated and group.label and group.evidence):
            return
        chosen = self._chosen(group)
        claim = Claim(
            label=group.label,
            caption=group.caption,
            constant=self.circuit.target.name if self.settings.constant else None,
            others=self._others(group, self.judge),
            nonsense=self._nonsense(group, chosen, self.judge),
        )
        found = validate(self.circuit, chosen, claim, self.judge, seed=self.settings.seed)
        if found is not None:
            self._keep(id, lambda stored: with_validation(stored, group, found))

    def _chosen(self, group: NeuronGroup) -> Sample:
        settings = self.settings
        return sample(self.circuit, group, settings.shown, settings.held_out, settings.seed)

    def _others(self, group: NeuronGroup, judge: Judge) -> tuple[str, ...]:
        """Labels of other groups, and words of the judge's vocabulary.

        The groups are those of the same layer and of lower ones: labels of higher layers may not exist
        yet, so with them a second run would ask what the first did not.
        """
        layers = [layer.name for layer in self.circuit.layers]
        own = layers.index(group.id.rpartition("/")[0])
        known = {
            each.id: self.labels[each.id].label if each.id in self.labels else each.label
            for layer in self.circuit.layers[: own + 1]
            for each in layer.groups
        }
        rng = np.random.default_rng([self.settings.seed, zlib.crc32(group.id.encode())])
        vocabulary = judge.vocabulary if isinstance(judge, Controls) else ()
        found: dict[str, str] = {}
        for texts, count in ((known.values(), self.settings.rivals), (vocabulary, WORDS)):
            new = {text.casefold(): text for text in texts if text}
            new.pop((group.label or "").casefold(), None)
            names = sorted(new.keys() - found.keys())
            found |= {name: new[name] for name in rng.permutation(names)[:count].tolist()}
        return tuple(found.values())

    def _nonsense(self, group: NeuronGroup, chosen: Sample, judge: Judge) -> tuple[str, ...]:
        """Texts without meaning, chosen by the judge in the way that the label was chosen."""
        if not isinstance(judge, Controls):
            return ()
        own: object = self.labeler
        choice = len(judge.vocabulary) if judge is own else 1
        return tuple(judge.controls(self._request(group, chosen), max(choice, 1)))

    def _request(self, group: NeuronGroup, chosen: Sample) -> LabelRequest:
        circuit, settings = self.circuit, self.settings
        others = contrast(circuit, group, chosen, OTHERS, settings.seed)
        return LabelRequest(
            group=group.id,
            layer=group.id.rpartition("/")[0],
            pictures=tuple(picture(circuit, group.crops[i]) for i in chosen.shown),
            lower=tuple(
                self._lower(edge.lower, edge.weight) for edge in circuit.inputs(group.id)[:LOWER]
            ),
            others=tuple(picture(circuit, crop) for crop in others),
            rejected=tuple(refused.label for refused in group.rejected),
        )

    def _lower(self, id: str, weight: float) -> LowerGroup:
        group = self.circuit.group(id)
        if id in self.labels:
            group = with_label(group, self.labels[id])
        settings = self.settings
        chosen = sample(self.circuit, group, LOWER_SHOWN, settings.held_out, settings.seed)
        return LowerGroup(
            id=id,
            weight=weight,
            label=group.label,
            doubt=group.evidence.doubt if group.evidence else None,
            pictures=tuple(picture(self.circuit, group.crops[i]) for i in chosen.shown),
        )

    def _named(self, id: str, answer: LabelAnswer, chosen: Sample) -> NeuronGroup:
        """Keep an answer, unless a person has had a say in the meantime."""
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
            if by_hand(stored):
                return stored
            if answer.label.casefold() in {r.label.casefold() for r in stored.rejected}:
                raise LabelFailed(
                    f"{self.labeler.name} proposes {answer.label!r}, which is rejected"
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

        return self._keep(id, change)

    def _keep(self, id: str, change: Change) -> NeuronGroup:
        group = self.keep(id, change)
        self.labels[id] = label_of(group)
        return group


def by_hand(group: NeuronGroup) -> bool:
    """Whether a machine must leave the label as it is: it is pinned, as what a person sets is."""
    if group.evidence is None:
        return group.label is not None  # written into the circuit by a program of somebody's
    return group.evidence.pinned


def with_validation(stored: NeuronGroup, judged: NeuronGroup, found: Validation) -> NeuronGroup:
    """The stored group with its label validated, if it still is the label that was judged."""
    if (stored.label, stored.caption) != (judged.label, judged.caption) or not stored.evidence:
        return stored
    return stored.model_copy(
        update={"evidence": stored.evidence.model_copy(update={"validation": found})}
    )
