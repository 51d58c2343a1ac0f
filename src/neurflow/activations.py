"""One streaming pass: which images are studied, and φ of every layer on every crop of them.

1. ``concept_images`` chooses the images of the concept set ``D``, in their order; those the model
   predicts as the target, as a rule. Images that cannot be read are skipped and named.
2. ``collect`` makes the crops of one image at a time, runs the network once up to the last studied
   layer, and writes the pooled activations of all layers to files. Memory does not grow with the
   number of images; a run that was killed goes on behind the last finished image.
3. ``top_crops`` finds each neuron's ``k`` strongest crops, block by block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neurflow.circuit import Crop, ImageRef, SkippedImage, Target
from neurflow.config import Config
from neurflow.crops import Box, crop_boxes, crop_pixels
from neurflow.errors import ImagesError, RequestError, WorkError
from neurflow.images import Images, UnreadableImage
from neurflow.model import Model
from neurflow.progress import Progress
from neurflow.workspace import Workspace

BATCH_SIZE = 64
BLOCK = 8192
"""crops looked at together by ``top_crops``"""


@dataclass(frozen=True)
class ConceptImages:
    """The images of the concept set: positions in the source, and what could not be read."""

    chosen: tuple[int, ...]
    skipped: tuple[SkippedImage, ...]


def concept_images(
    model: Model,
    images: Images,
    target: Target,
    config: Config,
    *,
    max_images: int | None = None,
    batch_size: int = BATCH_SIZE,
    progress: Progress,
) -> ConceptImages:
    """Choose the images of ``D``: the first ``max_images`` that belong to the target.

    A target inside the network has no predictions of its own, and takes all images.

    Raises:
        ImagesError: no image can be read, or none belongs to the target.
    """
    classes = {c for c in (target.neuron, target.minus) if c is not None}
    is_class = target.layer == model.network.output_name
    rule = config.concept_set if is_class else "all"
    limit = max_images or len(images)
    chosen: list[int] = []
    skipped: list[SkippedImage] = []
    seen: Counter[int] = Counter()
    progress.start("choosing images", len(images))
    logits = model.outputs([model.node(model.network.output_name)])
    candidates = [
        i
        for i in range(len(images))
        if rule != "labelled" or _labelled(images.refs[i], model, classes)
    ]
    for indices, pixels in _readable(images, candidates, min(batch_size, limit), skipped, progress):
        if rule == "predicted":
            with torch.inference_mode():
                predicted = logits(model.feed(pixels))[0].flatten(1).argmax(1).tolist()
            seen.update(predicted)
            chosen += [i for i, c in zip(indices, predicted, strict=True) if c in classes]
        else:
            chosen += indices
        if len(chosen) >= limit:
            break
    if not chosen:
        raise ImagesError(_why_none(model, images, target, rule, skipped, seen))
    return ConceptImages(tuple(chosen[:limit]), tuple(skipped))


def _readable(
    images: Images,
    indices: Sequence[int],
    batch_size: int,
    skipped: list[SkippedImage],
    progress: Progress,
) -> Iterator[tuple[list[int], Tensor]]:
    """Batches of (positions, pixels); what cannot be read goes to ``skipped``."""
    batch: list[int] = []
    pixels: list[Tensor] = []
    for index in indices:
        try:
            pixels.append(images.read(index))
            batch.append(index)
        except UnreadableImage as error:
            skipped.append(SkippedImage(name=images.refs[index].name, reason=str(error)))
        progress.advance()
        if len(batch) == batch_size:
            yield batch, torch.stack(pixels)
            batch, pixels = [], []
    if batch:
        yield batch, torch.stack(pixels)


def _labelled(ref: ImageRef, model: Model, classes: set[int]) -> bool:
    """Whether an image's label names one of the classes: by name, number, or ``wnid_name``."""
    if ref.label is None:
        return False
    names = {ref.label, ref.label.partition("_")[2]}
    return any(
        name.casefold().replace("_", " ")
        in {model.class_names[c].casefold().replace("_", " "), str(c)}
        for name in names
        for c in classes
    )


def _why_none(
    model: Model,
    images: Images,
    target: Target,
    rule: str,
    skipped: Sequence[SkippedImage],
    seen: Counter[int],
) -> str:
    if len(skipped) == len(images):
        first = skipped[0]
        return f"None of the {len(images)} images can be read. The first, {first.name}: {first.reason}."
    if rule == "labelled":
        labels = sorted({ref.label for ref in images.refs if ref.label})[:5]
        known = f"labels are {', '.join(labels)}, …" if labels else "the images have no labels"
        return (
            f"No image is labelled {target.name!r}: {known}. "
            "Name class folders after the classes, or use the concept set 'all'."
        )
    common = ", ".join(f"{model.class_names[c]} ({n})" for c, n in seen.most_common(3))
    return (
        f"None of the {sum(seen.values())} images is predicted as "
        f"{target.name!r}; most are {common}. "
        "Check --mean, --std and the class order, or use the concept set 'labelled' or 'all'."
    )


class CropSet:
    """The concept set D: every crop of the chosen images, numbered image by image.

    Args:
        images: the source.
        chosen: positions of the images of D in it.
        size: height and width of the model's input; images are seen at this size.
        granularities: crop sizes as shares of the short side.
    """

    def __init__(
        self,
        images: Images,
        chosen: Sequence[int],
        size: tuple[int, int],
        granularities: Sequence[float],
    ) -> None:
        self.images, self.chosen, self.size = images, tuple(chosen), size
        self.boxes = crop_boxes(*size, granularities)
        self._read = lru_cache(maxsize=4)(self._read_again)

    def __len__(self) -> int:
        return len(self.chosen) * len(self.boxes)

    def _read_again(self, index: int) -> Tensor:
        """An image that could be read when it was chosen; ``WorkError`` if it cannot be now."""
        try:
            return self.images.read(index)
        except UnreadableImage as error:
            raise WorkError(
                f"{self.images.refs[index].name} could be read before and cannot be now: {error}. "
                "Put it back; the same command then goes on."
            ) from None

    def crop(self, number: int) -> Crop:
        """Crop ``number`` as (image of D, box)."""
        image, box = divmod(int(number), len(self.boxes))
        return Crop(image, self.boxes[box])

    def image_of(self, numbers: np.ndarray) -> np.ndarray:
        """Which image of D each crop belongs to."""
        return numbers // len(self.boxes)

    def pixels_of(self, crop: Crop) -> Tensor:
        """Input ``[channel, height, width]`` of one crop."""
        return crop_pixels(self._read(self.chosen[crop.image]), [crop.box], self.size)[0]

    def pixels(self, numbers: Sequence[int] | np.ndarray) -> Tensor:
        """Inputs ``[crop, channel, height, width]`` of crops given in ascending order."""
        by_image: dict[int, list[Box]] = {}
        for number in numbers:
            image, box = divmod(int(number), len(self.boxes))
            by_image.setdefault(image, []).append(self.boxes[box])
        return torch.cat(
            [
                crop_pixels(self._read(self.chosen[image]), boxes, self.size)
                for image, boxes in by_image.items()
            ]
        )


@dataclass(frozen=True)
class Activations:
    """φ of every neuron of the studied layers on every crop of D, on disk.

    Attributes:
        crops: the concept set.
        files: layer → file of ``[crop, neuron]`` float32.
    """

    crops: CropSet
    files: dict[str, Path]

    @cached_property
    def _open(self) -> dict[str, np.ndarray]:
        return {layer: np.load(file, mmap_mode="r") for layer, file in self.files.items()}

    def __getitem__(self, layer: str) -> np.ndarray:
        """Pooled activations ``[crop, neuron]`` of a layer, read as they are used."""
        return self._open[layer]


def collect(
    model: Model,
    crops: CropSet,
    layers: Sequence[str],
    workspace: Workspace,
    *,
    batch_size: int = BATCH_SIZE,
    progress: Progress,
) -> Activations:
    """The streaming pass over all crops; goes on behind what ``workspace`` already holds."""
    studied = [model.layer(name) for name in layers]
    files = {
        layer.name: workspace.array(f"activations-{i}", (len(crops), layer.neurons))
        for i, layer in enumerate(studied)
    }
    done = int(workspace.read("collected", 0))
    progress.start("activations", len(crops.chosen))
    progress.advance(done)
    forward = model.outputs([model.node(name) for name in layers])
    per_image = len(crops.boxes)
    arrays = {name: np.load(file, mmap_mode="r+") for name, file in files.items()}
    for image in range(done, len(crops.chosen)):
        rows = np.arange(image * per_image, (image + 1) * per_image)
        for part in np.array_split(rows, -(-per_image // batch_size)):
            with torch.inference_mode():
                outputs = forward(model.feed(crops.pixels(part)))
            for layer, output in zip(studied, outputs, strict=True):
                arrays[layer.name][part] = layer.pool(output).float().cpu().numpy()
        workspace.write("collected", image + 1)
        progress.advance()
    for name, array in arrays.items():
        array.flush()
        if not np.isfinite(array).all():
            raise RequestError(
                f"Layer {name!r} gives values that are not finite on these images. "
                "Check the preprocessing (--mean, --std) and the precision of the model."
            )
    return Activations(crops, files)


def top_crops(
    phi: Iterator[np.ndarray],
    k: int,
    *,
    images: np.ndarray | None = None,
    per_image: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """V_a: the ``k`` crops with the largest activation, for several neurons at once.

    Args:
        phi: blocks ``[crop, neuron]`` in the order of the crops.
        k: crops to keep.
        images: ``[crop]`` image of every crop; needed with ``per_image``.
        per_image: at most so many crops of one image.

    Returns:
        (crop numbers, activations), each ``[neuron, k]``, descending; ties in the order of the crops.
    """
    best: np.ndarray | None = None
    numbers = np.empty((0, 0), dtype=np.int64)
    start = 0
    for block in phi:
        fresh = np.broadcast_to(np.arange(start, start + len(block)), block.T.shape)
        start += len(block)
        values = block.T if best is None else np.concatenate([best, block.T], axis=1)
        numbers = fresh if best is None else np.concatenate([numbers, fresh], axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        if per_image is None:
            order = order[:, :k]
        else:
            assert images is not None
            order = _limited(images[np.take_along_axis(numbers, order, 1)], order, k, per_image)
        best = np.take_along_axis(values, order, 1)
        numbers = np.take_along_axis(numbers, order, 1)
    if best is None or best.shape[1] < k:
        raise RequestError(
            f"k={k} is more than the {0 if best is None else best.shape[1]} crops there are"
            f"{' under the limit of crops per image' if per_image else ''}. "
            "Lower k or give more images."
        )
    return numbers, best


def _limited(images: np.ndarray, order: np.ndarray, k: int, per_image: int) -> np.ndarray:
    """The first ``k`` of each row that are among the first ``per_image`` of their image."""
    rows = []
    for of_image, row in zip(images, order, strict=True):
        count: Counter[int] = Counter()
        kept = []
        for image, position in zip(of_image.tolist(), row.tolist(), strict=True):
            if count[image] < per_image:
                count[image] += 1
                kept.append(position)
            if len(kept) == k:
                break
        rows.append(kept)
    width = min(map(len, rows))
    return np.array([row[:width] for row in rows])


def blocks(
    array: np.ndarray, neurons: Sequence[int], minus: int | None = None
) -> Iterator[np.ndarray]:
    """φ of chosen neurons ``[crop, neuron]`` in blocks of crops, less that of ``minus``."""
    for start in range(0, len(array), BLOCK):
        rows = np.asarray(array[start : start + BLOCK])
        yield rows[:, list(neurons)] - (0 if minus is None else rows[:, [minus]])
