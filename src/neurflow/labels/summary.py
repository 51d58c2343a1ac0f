"""Statistics of labels and their validation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from neurflow.circuit import Circuit
from neurflow.labels.validation import REPEATS
from neurflow.stats import Interval, bootstrap_mean


def summary(
    circuit: Circuit, groups: Collection[str] | None = None, *, seed: int = 0
) -> dict[str, Any]:
    """Return counts of groups, and means over groups with 95 % bootstrap intervals.

    Args:
        circuit: with labels.
        groups: ids; default is all.
        seed: seed of the intervals.

    Keys ``groups, labelled, pinned, rejected, validated, beat_chance, beat_others, beat_constant,
    undoubted`` are counts; ``auprc, chance, constant_auprc, gain`` are (mean, low, high), or None if
    nothing was validated.
    """
    counted = [
        group
        for layer in circuit.layers
        for group in layer.groups
        if groups is None or group.id in groups
    ]
    evidence = [group.evidence for group in counted if group.evidence]
    found = [item.validation for item in evidence if item.validation]
    compared = [(item, item.constant) for item in found if item.constant]

    def mean(values: Sequence[float]) -> Interval | None:
        return bootstrap_mean(values, REPEATS, seed) if values else None

    return {
        "groups": len(counted),
        "labelled": sum(group.label is not None for group in counted),
        "pinned": sum(item.pinned for item in evidence),
        "rejected": sum(len(group.rejected) for group in counted),
        "validated": len(found),
        "beat_chance": sum(item.beats_chance for item in found),
        "beat_others": sum(bool(item.beats_others) for item in found),
        "undoubted": sum(item.doubt is None for item in found),
        "beat_constant": sum(bool(item.beats_constant) for item in found),
        "auprc": mean([item.auprc.value for item in found]),
        "chance": mean([item.chance.value for item in found]),
        "constant_auprc": mean([constant.auprc.value for _, constant in compared]),
        "gain": mean([constant.gain.value for _, constant in compared]),
    }
