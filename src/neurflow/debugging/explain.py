"""``neurflow.debug``: explain predictions by a circuit, and measure the effect of masking groups.

1. Refuse a model other than that of the circuit.
2. Explain each picture (``picture_explainer``).
3. If groups are to be masked or kept alone, run the pictures with that change (``what_if``).
4. If mistakes are to be explained, find the false negatives and false positives of the class, and
   compare the groups that fire (``mistakes``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neurflow.circuit import Circuit
from neurflow.circuit.reload import same_model
from neurflow.debugging.masking import Ablation
from neurflow.debugging.mistakes import find_mistakes
from neurflow.debugging.picture_explainer import PictureExplainer
from neurflow.debugging.pictures import as_source, labelled
from neurflow.debugging.result import DebugReport, PictureReport
from neurflow.debugging.what_if import Controls, change_of, what_if
from neurflow.errors import ImagesError, RequestError
from neurflow.model import Model
from neurflow.pictures.images import Images, UnreadableImage, load_images
from neurflow.refs import SkippedImage
from neurflow.runtime.float32 import full_float32
from neurflow.runtime.progress import Progress, Silent
from neurflow.runtime.renaming import former_keywords


@full_float32()
@former_keywords(by="ablation")
def debug(
    circuit: Circuit,
    model: Model,
    images: Any,
    *,
    mask: Sequence[str] = (),
    keep: Sequence[str] = (),
    ablation: Ablation = "zero",
    errors: bool = False,
    label: str | None = None,
    draws: int = 20,
    seed: int = 0,
    progress: Progress | None = None,
) -> DebugReport:
    """Explain predictions by a circuit, and measure the effect of masking groups.

    Args:
        circuit: the circuit of a class, or of a difference of two classes.
        model: the model that the circuit was found in.
        images: a picture, its path, or any other source that ``load_images`` accepts.
        mask: groups whose neurons are changed, of any layers below the target's.
        keep: groups that are kept, while all other neurons of their layers are changed.
        ablation: set the neurons to ``zero``, to their ``mean`` over the concept set, or scale them by
            a factor.
        errors: whether mistakes of the class among labelled images are explained.
        label: true class of images without a label.
        draws: number of random sets of neurons that the mask is compared with.
        seed: seed of these sets.
        progress: receives stages, steps and notes.

    Raises:
        RequestError: there is no such group, or a group is the target itself.
        ModelError: the circuit was found in another model.
        ImagesError: no image can be read.

    Example::

        report = neurflow.debug(circuit, model, "odd.jpg", mask=["layer4.1/3"])
        report.pictures[0].firing
        report.what_if.effects[0].after
    """
    if mask and keep:
        raise RequestError("Give groups either to mask or to keep, not both.")
    if draws < 0:
        raise RequestError(f"The number of random sets must be 0 or more, not {draws}.")
    same_model(circuit, model)
    progress = progress or Silent()
    change = (
        change_of(circuit, mask or keep, keep=bool(keep), ablation=ablation)
        if mask or keep
        else None
    )
    source = labelled(load_images(as_source(images), model).tell(progress), label)
    pictures, skipped = _read(PictureExplainer(model, circuit), source, progress)
    return DebugReport(
        model=circuit.model,
        target=circuit.target,
        pictures=tuple(pictures),
        what_if=what_if(model, circuit, source, change, Controls(draws, seed), progress)
        if change
        else None,
        mistakes=find_mistakes(model, circuit, pictures) if errors else None,
        skipped=tuple(skipped),
    )


def _read(
    explainer: PictureExplainer, source: Images, progress: Progress
) -> tuple[list[PictureReport], list[SkippedImage]]:
    """Explain pictures; return the reports and the pictures that cannot be read.

    Raises:
        ImagesError: no picture can be read.
    """
    pictures, skipped = [], []
    progress.start("reading pictures", len(source))
    for index, ref in enumerate(source.refs):
        try:
            pictures.append(explainer.explain(ref.name, ref.label, source.read(index)))
        except UnreadableImage as error:
            skipped.append(SkippedImage(name=ref.name, reason=str(error)))
            progress.note(f"Skipped {ref.name}: {error}.")
        progress.advance()
    if not pictures:
        first = skipped[0]
        raise ImagesError(f"No picture can be read. The first is {first.name}: {first.reason}.")
    return pictures, skipped
