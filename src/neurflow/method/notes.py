"""Notes on a circuit for its reader, one line each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from neurflow.attribution.baselines import baseline_name
from neurflow.circuit import CircuitLayer
from neurflow.config import QUICK_IMAGES, Config
from neurflow.method.concepts import PER_IMAGE, crops_limit
from neurflow.method.find import Findings
from neurflow.study.study import Study


def notes(study: Study, found: Findings, config: Config) -> tuple[str, ...]:
    """Return notes on the request, and on where the data were not sufficient for it."""
    model, layers, cores = study.model, study.layers, found.cores
    notes = list(model.notes)
    small = [name for name in layers[:-1] if model.layer(name).neurons <= config.tau]
    if small:
        notes.append(
            f"τ={config.tau} is not smaller than the number of neurons of {', '.join(small)}, so "
            "all neurons that have an effect are core neurons."
        )
    for lower, upper in reversed(list(pairwise(layers))):
        wanted = min(config.tau, model.layer(lower).neurons)
        short = sum(len(core.importance) < wanted for core in cores[upper].values())
        if short:
            notes.append(
                f"{short} of {len(cores[upper])} neurons of {upper} have fewer than {wanted} core "
                f"neurons: the others in {lower} have importance 0 for them and are left out."
            )
    if config.depth is not None:
        notes.append(
            f"This is a quick look: τ={config.tau}, {config.depth} layers below the target's and "
            f"{len(study.crops.chosen)} images. The same command without --preset quick finds more. "
            f"It continues from this result if --max-images is the same (default here: {QUICK_IMAGES})."
        )
    means = [s.upper.name for s in study.segments if baseline_name(s, config.baseline) == "mean"]
    if means:
        notes.append(
            f"Integrated gradients of {', '.join(means)} start from the mean output of the layer "
            "below instead of zero (--baseline)."
        )
    count = len(study.crops.chosen)
    limit = crops_limit(config, count)
    images = "1 image" if count == 1 else f"{count} images"
    if count < 5:
        notes.append(f"Only {images}: concepts rest on few pictures.")
    if config.crops_per_image == "auto" and limit != PER_IMAGE:
        notes.append(
            f"A concept may have {limit} crops of one image instead of {PER_IMAGE}, "
            f"because D has only {images}."
        )
    return tuple(notes)


def score_error_notes(layers: Sequence[CircuitLayer], config: Config, half: bool) -> list[str]:
    """Return a note if the score error of some neurons is larger than the tolerance.

    Args:
        layers: layers of the circuit.
        config: configuration of the run.
        half: whether the network computes in half precision.
    """
    errors = [n.score_error or 0.0 for layer in layers for n in layer.neurons.values()]
    far = [error for error in errors if error > config.tolerance]
    if not far:
        return []
    return [
        f"The scores of {len(far)} of {len(errors)} neurons may be off by more than the tolerance of "
        f"{config.tolerance:.2%}: by up to {max(far):.2%}. " + _cure(config, half)
    ]


def _cure(config: Config, half: bool) -> str:
    if half:
        return "Give the network in float32."
    return (
        "Study more layers in between (--layers)."
        if config.steps == "auto"
        else "Use --steps auto."
    )
