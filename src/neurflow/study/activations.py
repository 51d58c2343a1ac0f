"""One streaming pass: which images are studied, and φ of every layer on every crop of them.

1. ``concept_images`` chooses the images of the concept set ``D``, in their order; those the model
   predicts as the target, as a rule. Images that cannot be read are skipped and named.
2. ``collect`` makes the crops of one image at a time, runs the network once up to the last studied
   layer, and writes the pooled activations of all layers to files; feature maps that attribution will
   ask for are kept where there is room. Memory does not grow with the number of images; a run that
   was killed goes on behind the last finished image.
3. ``top_crops`` finds each neuron's ``k`` strongest crops, block by block.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from neurflow.config import Config
from neurflow.errors import ImagesError, RequestError
from neurflow.model import Layer, Model
from neurflow.pictures.crops import CropSet
from neurflow.pictures.images import Images, UnreadableImage, spread
from neurflow.refs import SkippedImage, Target
from neurflow.runtime.memory import Batch
from neurflow.runtime.progress import Progress
from neurflow.runtime.workspace import Workspace
from neurflow.study.features import FeatureMaps
from neurflow.study.shared import ActivationCache, Predictions

BLOCK = 8192
"""crops looked at together by ``top_crops``"""


@dataclass(frozen=True)
class ConceptImages:
    """The images of the concept set: positions in the source, and what could not be read."""

    chosen: tuple[int, ...]
    skipped: tuple[SkippedImage, ...]


def predict(model: Model, images: Images, *, batch: Batch, progress: Progress) -> Predictions:
    """What the model calls every image."""
    classes: dict[int, int] = {}
    unread: dict[int, str] = {}
    progress.start("predicting", len(images))
    for indices, pixels in _readable(images, range(len(images)), batch.size, unread, progress):
        classes.update(zip(indices, _predictions(model, pixels, batch), strict=True))
    return Predictions(classes, unread)


def concept_images(
    model: Model,
    images: Images,
    target: Target,
    config: Config,
    *,
    max_images: int | None = None,
    predictions: Predictions | None = None,
    batch: Batch,
    progress: Progress,
) -> ConceptImages:
    """Choose the images of ``D``: those that belong to the target, or ``max_images`` of them.

    Fewer than there are, they are spread over the folders and drawn by the seed.

    A target inside the network has no predictions of its own, and takes all images. Where
    ``predictions`` are given, no image is read.

    Raises:
        ImagesError: no image can be read, or none belongs to the target.
    """
    classes = {c for c in (target.neuron, target.minus) if c is not None}
    is_class = target.layer == model.network.output_name
    rule = config.concept_set if is_class else "all"
    limit = max_images or len(images)
    order = spread(images.refs, config.seed) if limit < len(images) else list(range(len(images)))
    chosen: list[int] = []
    unread: dict[int, str] = {}
    seen: Counter[int] = Counter()
    if rule == "predicted" and predictions is not None:
        chosen = [i for i in order if predictions.classes.get(i) in classes]
        unread, seen = dict(predictions.unread), Counter(predictions.classes.values())
    else:
        progress.start("choosing images", len(images))
        candidates = [
            i
            for i in order
            if rule != "labelled" or model.names.label(images.refs[i].label) in classes
        ]
        size = min(batch.size, limit)
        for indices, pixels in _readable(images, candidates, size, unread, progress):
            if rule == "predicted":
                predicted = _predictions(model, pixels, batch)
                seen.update(predicted)
                chosen += [i for i, c in zip(indices, predicted, strict=True) if c in classes]
            else:
                chosen += indices
            if len(chosen) >= limit:
                break
    skipped = {i: SkippedImage(name=images.refs[i].name, reason=why) for i, why in unread.items()}
    if not chosen:
        raise ImagesError(_why_none(model, images, target, rule, list(skipped.values()), seen))
    if len(chosen) >= limit:  # what comes behind the last one was not asked for
        asked = set(order[: order.index(chosen[limit - 1])])
        skipped = {i: image for i, image in skipped.items() if i in asked}
    return ConceptImages(tuple(sorted(chosen[:limit])), tuple(skipped[i] for i in sorted(skipped)))


def _predictions(model: Model, pixels: Tensor, batch: Batch) -> list[int]:
    rows = np.arange(len(pixels))
    return [c for _, part in batch.map(partial(_classes, model, pixels), rows) for c in part]


def _classes(model: Model, pixels: Tensor, rows: np.ndarray) -> list[int]:
    logits = model.outputs([model.node(model.network.output_name)])
    with torch.inference_mode():
        return logits(model.feed(pixels[torch.from_numpy(rows)]))[0].flatten(1).argmax(1).tolist()


def _readable(
    images: Images,
    indices: Sequence[int],
    batch_size: int,
    unread: dict[int, str],
    progress: Progress,
) -> Iterator[tuple[list[int], Tensor]]:
    """Batches of (positions, pixels); what cannot be read goes to ``unread``."""
    batch: list[int] = []
    pixels: list[Tensor] = []
    for index in indices:
        try:
            pixels.append(images.read(index))
            batch.append(index)
        except UnreadableImage as error:
            unread[index] = str(error)
        progress.advance()
        if len(batch) == batch_size:
            yield batch, torch.stack(pixels)
            batch, pixels = [], []
    if batch:
        yield batch, torch.stack(pixels)


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
    features: FeatureMaps | None = None,
    cache: ActivationCache | None = None,
    precision: Literal["float32", "bfloat16"] = "float32",
    batch: Batch,
    progress: Progress,
) -> Activations:
    """The streaming pass over all crops; goes on behind what ``workspace`` already holds.

    ``features`` are given what they keep of every crop that is run, if they have room for all and the
    pass has the precision that attribution needs. Images that ``cache`` holds are not run.
    """
    studied = [model.layer(name) for name in layers]
    files = {
        layer.name: workspace.array(f"activations-{i}", (len(crops), layer.neurons))
        for i, layer in enumerate(studied)
    }
    done = int(workspace.read("collected", 0))
    progress.start("activations", len(crops.chosen))
    progress.advance(done)
    kept = features if features and features.wanting and precision == "float32" else None
    pooled = partial(_pooled, model, crops, studied, kept=kept, precision=precision, batch=batch)
    arrays = {name: np.load(file, mmap_mode="r+") for name, file in files.items()}
    for image in range(done, len(crops.chosen)):
        rows = crops.of_image(image)
        shapes = {layer.name: (len(rows), layer.neurons) for layer in studied}
        position = crops.chosen[image]
        with cache.turn(position) if cache else contextlib.nullcontext():
            phi = cache.read(position, shapes) if cache else None
            if phi is None:
                phi = pooled(image)
                if cache:
                    cache.keep(position, layers, phi)
        for layer, values in zip(studied, phi, strict=True):
            arrays[layer.name][rows] = values
        workspace.write("collected", image + 1)
        progress.advance()
    for array in arrays.values():
        array.flush()
    return Activations(crops, files)


def _pooled(
    model: Model,
    crops: CropSet,
    layers: Sequence[Layer],
    image: int,
    *,
    kept: FeatureMaps | None,
    precision: Literal["float32", "bfloat16"],
    batch: Batch,
) -> list[np.ndarray]:
    """``[crop, neuron]`` φ of some layers on the crops of one image of D."""
    names = [layer.name for layer in layers]
    forward = model.outputs([*map(model.node, names), *(kept.keys if kept else ())])

    def run(numbers: np.ndarray) -> tuple[Tensor, ...]:
        pixels = model.feed(crops.pixels(numbers))
        half = precision == "bfloat16"
        with (
            torch.inference_mode(),
            torch.autocast(pixels.device.type, torch.bfloat16, enabled=half),
        ):
            return forward(pixels)

    found: list[list[np.ndarray]] = [[] for _ in layers]
    for part, outputs in batch.map(run, crops.of_image(image)):
        for rows, layer, output in zip(found, layers, outputs, strict=False):
            phi = layer.pool(output).float().cpu().numpy()
            if not np.isfinite(phi).all():
                raise RequestError(
                    f"Layer {layer.name!r} gives values that are not finite on "
                    f"{crops.name_of(image)}. "
                    "Check the preprocessing (--mean, --std) and the precision of the model."
                )
            rows.append(phi)
        if kept:
            kept.add(part, outputs[len(layers) :])
    return [np.concatenate(rows) for rows in found]


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
