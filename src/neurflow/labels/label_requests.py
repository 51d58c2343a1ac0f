"""Builds the requests to labelers and judges: a group's crops, the groups below, and other labels."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurflow.circuit import Circuit, NeuronGroup
from neurflow.circuit.label_file import GroupLabel, with_label
from neurflow.errors import RequestError
from neurflow.labels.labeler import Controls, Judge, LabelRequest, LowerGroup
from neurflow.labels.sampling import Sample, contrast, picture, sample
from neurflow.labels.validation import Claim

SHOWN = HELD_OUT = 12
"""largest number of crops of a group for the labeler, and for the judge"""
LOWER, LOWER_SHOWN = 4, 4
"""number of lower groups shown with a group, and of crops of each"""
OTHERS = 96
"""number of crops of other groups with which zero-shot labels contrast the group's crops"""
RIVALS = 8
"""number of other groups' labels with which a label is compared"""
WORDS = 200
"""number of words of the judge's vocabulary with which a label is compared"""


@dataclass(frozen=True)
class Settings:
    """Settings of labelling.

    Attributes:
        shown: largest number of a group's crops that the labeler sees.
        held_out: largest number of crops that are held out for the validation.
        validated: whether labels are validated.
        constant: whether each label is compared with the target's name as a label.
        rivals: largest number of labels of other groups that each label is compared with.
        seed: seed of the choice of crops and of the intervals.
        workers: number of groups that are labelled at the same time.
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
                "A setting is too small: shown and workers must be at least 1; held_out, rivals and "
                "seed at least 0."
            )


@dataclass(frozen=True)
class RequestBuilder:
    """Builds requests about the groups of a circuit.

    Attributes:
        circuit: with thumbnails.
        settings: numbers of crops and labels in a request.
        labels: group id → label made so far; labelling adds to it.
    """

    circuit: Circuit
    settings: Settings
    labels: Mapping[str, GroupLabel]

    def chosen(self, group: NeuronGroup) -> Sample:
        """Return the crops for the labeler and for the judge."""
        settings = self.settings
        return sample(self.circuit, group, settings.shown, settings.held_out, settings.seed)

    def request(self, group: NeuronGroup, chosen: Sample) -> LabelRequest:
        """Build the request to label a group."""
        circuit, settings = self.circuit, self.settings
        others = contrast(circuit, group, chosen, OTHERS, settings.seed)
        return LabelRequest(
            group=group.id,
            layer=group.id.layer,
            pictures=tuple(picture(circuit, group.crops[i]) for i in chosen.shown),
            lower=tuple(
                self._lower(edge.lower, edge.weight) for edge in circuit.inputs(group.id)[:LOWER]
            ),
            others=tuple(picture(circuit, crop) for crop in others),
            rejected=tuple(refused.label for refused in group.rejected),
        )

    def claim(self, group: NeuronGroup, chosen: Sample, judge: Judge, *, chooses: bool) -> Claim:
        """Return a group's label, and the texts that it is compared with.

        Args:
            group: with a label.
            chosen: its crops.
            judge: the judge; if it is a ``Controls``, its vocabulary and meaningless texts are used.
            chooses: whether the judge itself chose the label from its vocabulary.
        """
        assert group.label is not None
        nonsense: tuple[str, ...] = ()
        if isinstance(judge, Controls):
            choice = len(judge.vocabulary) if chooses else 1
            nonsense = tuple(judge.controls(self.request(group, chosen), max(choice, 1)))
        return Claim(
            label=group.label,
            caption=group.caption,
            constant=self.circuit.target.name if self.settings.constant else None,
            others=self._others(group, judge),
            nonsense=nonsense,
        )

    def _others(self, group: NeuronGroup, judge: Judge) -> tuple[str, ...]:
        """Return labels of other groups in the same and lower layers, and words of the vocabulary.

        Upper layers are left out: they have no labels in a first run, and a second run must compare
        the same labels.
        """
        names = [layer.name for layer in self.circuit.layers]
        below = self.circuit.layers[: names.index(group.id.layer) + 1]
        known = {
            each.id: self.labels[each.id].label if each.id in self.labels else each.label
            for layer in below
            for each in layer.groups
        }
        rng = np.random.default_rng([self.settings.seed, zlib.crc32(group.id.encode())])
        vocabulary = judge.vocabulary if isinstance(judge, Controls) else ()
        found: dict[str, str] = {}
        for texts, count in ((known.values(), self.settings.rivals), (vocabulary, WORDS)):
            new = {text.casefold(): text for text in texts if text}
            new.pop((group.label or "").casefold(), None)
            fresh = sorted(new.keys() - found.keys())
            found |= {name: new[name] for name in rng.permutation(fresh)[:count].tolist()}
        return tuple(found.values())

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
