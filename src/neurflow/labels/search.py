"""Searches groups by text, in their labels or by their crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from neurflow.circuit import Circuit, NeuronGroup
from neurflow.errors import RequestError
from neurflow.labels.sampling import Sample, contrast, picture
from neurflow.labels.zero_shot import ClipLabeler

OWN, OTHERS = 24, 96
"""number of crops of a group, and of others, in a search by crops"""


@dataclass(frozen=True)
class Match:
    """A group that was found, and its score."""

    group: str
    score: float
    """share of the words that were found, or contrast in standard deviations"""
    label: str | None


def find(circuit: Circuit, text: str, clip: ClipLabeler | None = None) -> list[Match]:
    """Find groups that match a text, best first.

    Args:
        circuit: with labels or thumbnails.
        text: words.
        clip: compares the text with the crops of every group, labelled or not. Without it, labels,
            captions and features are searched for the words, and only groups with a match are returned.

    Raises:
        RequestError: the text has no words.
    """
    if not text.strip():
        raise RequestError(
            "There is no word to search for. Give at least one: neurflow label search RUN wheel"
        )
    groups = [group for layer in circuit.layers for group in layer.groups]
    scores = [
        _by_looks(circuit, group, text, clip) if clip else _by_words(group, text.split())
        for group in groups
    ]
    found = [
        Match(group.id, score, group.label)
        for group, score in zip(groups, scores, strict=True)
        if clip or score
    ]
    return sorted(found, key=lambda match: -match.score)


def _by_words(group: NeuronGroup, words: Sequence[str]) -> float:
    features = group.evidence.features if group.evidence else ()
    text_of_group = " ".join(filter(None, (group.label, group.caption, *features))).casefold()
    return sum(word.casefold() in text_of_group for word in words) / len(words)


def _by_looks(circuit: Circuit, group: NeuronGroup, text: str, clip: ClipLabeler) -> float:
    own = [picture(circuit, crop) for crop in group.crops if crop in circuit.thumbnails][:OWN]
    nothing = Sample((), (), (), ())
    others = [picture(circuit, crop) for crop in contrast(circuit, group, nothing, OTHERS, 0)]
    return float(clip.contrast([text], own, others)[0]) if own and others else 0.0
