"""The streaming pass: chooses the images to study, and computes φ of every layer on all their crops.

1. ``concept_images`` chooses the images of the concept set ``D``: by default, those that the model
   predicts as the target. Images that cannot be read are skipped and listed.
2. ``StreamingPass`` makes the crops of one image at a time, runs the network once up to the last
   studied layer, and writes the pooled activations of all layers to files. If there is room, it also
   stores the feature maps that attribution will need. Memory does not grow with the number of images.
   A pass that was interrupted resumes after the last finished image.
3. ``top_crops`` finds the ``k`` strongest crops of each neuron, block by block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
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
"""number of crops that ``top_crops`` compares at a time"""


@dataclass(frozen=True)
class ConceptImages:
    """The images of the concept set, by position in the source, and the images that cannot be read."""

    chosen: tuple[int, ...]
    skipped: tuple[SkippedImage, ...]


@dataclass(frozen=True)
class ModelOnImages:
    """A model that is run on whole images.

    Attributes:
        model: the classifier.
        images: the collection.
        batch: number of images to run at once.
        progress: receives the progress.
    """

    model: Model
    images: Images
    batch: Batch
    progress: Progress

    def readable(
        self, indices: Sequence[int], size: int, unread: dict[int, str]
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Yield batches of (positions, pixels), and add the other images to ``unread``."""
        batch: list[int] = []
        pixels: list[Tensor] = []
        for index in indices:
            try:
                pixels.append(self.images.read(index))
                batch.append(index)
            except UnreadableImage as error:
                unread[index] = str(error)
            self.progress.advance()
            if len(batch) == size:
                yield batch, torch.stack(pixels)
                batch, pixels = [], []
        if batch:
            yield batch, torch.stack(pixels)

    def classes(self, pixels: Tensor) -> list[tuple[int, ...]]:
        """Return the predicted classes of each image of a batch: one, or any number if multi-label."""
        rows = np.arange(len(pixels))
        parts = self.batch.map(partial(self._predicted, pixels), rows)
        return [classes for _, part in parts for classes in part]

    def _predicted(self, pixels: Tensor, rows: np.ndarray) -> list[tuple[int, ...]]:
        model = self.model
        logits = model.outputs([model.node(model.network.output_name)])
        with torch.inference_mode():
            outputs = logits(model.feed(pixels[torch.from_numpy(rows)]))[0]
        predicted = model.output_spec.classes(outputs.flatten(1).float().cpu().numpy())
        return [tuple(np.flatnonzero(each).tolist()) for each in predicted]


def predict(runner: ModelOnImages) -> Predictions:
    """Predict the class of every image."""
    classes: dict[int, tuple[int, ...]] = {}
    unread: dict[int, str] = {}
    everything = range(len(runner.images))
    runner.progress.start("predicting", len(everything))
    for indices, pixels in runner.readable(everything, runner.batch.size, unread):
        classes.update(zip(indices, runner.classes(pixels), strict=True))
    return Predictions(classes, unread)


def concept_images(
    runner: ModelOnImages,
    target: Target,
    config: Config,
    *,
    max_images: int | None = None,
    predictions: Predictions | None = None,
) -> ConceptImages:
    """Choose the images of ``D``: those that belong to the target, or ``max_images`` of them.

    If there are more than ``max_images``, they are drawn with the seed and spread over the folders. A
    target inside the network has no predictions, so all images are used. With ``predictions``, no image
    is read.

    Raises:
        ImagesError: no image can be read, or none belongs to the target.
    """
    model, images = runner.model, runner.images
    classes = {c for c in (target.neuron, target.minus) if c is not None}
    is_class = target.layer == model.network.output_name
    rule = config.concept_set if is_class else "all"
    limit = max_images or len(images)
    order = spread(images.refs, config.seed) if limit < len(images) else list(range(len(images)))
    chosen: list[int] = []
    unread: dict[int, str] = {}
    seen: Counter[int] = Counter()
    if rule == "predicted" and predictions is not None:
        chosen = [i for i in order if classes.intersection(predictions.classes.get(i, ()))]
        unread, seen = dict(predictions.unread), predictions.counted()
    else:
        runner.progress.start("choosing images", len(images))
        candidates = order
        if rule == "labelled":
            candidates = [i for i in order if model.names.label(images.refs[i].label) in classes]
        for indices, pixels in runner.readable(candidates, min(runner.batch.size, limit), unread):
            if rule == "predicted":
                predicted = runner.classes(pixels)
                seen.update(c for each in predicted for c in each)
                chosen += [
                    i for i, c in zip(indices, predicted, strict=True) if classes.intersection(c)
                ]
            else:
                chosen += indices
            if len(chosen) >= limit:
                break
    skipped = {i: SkippedImage(name=images.refs[i].name, reason=why) for i, why in unread.items()}
    if not chosen:
        raise ImagesError(_why_none(runner, target, rule, list(skipped.values()), seen))
    if len(chosen) >= limit:  # later images were not needed
        asked = set(order[: order.index(chosen[limit - 1])])
        skipped = {i: image for i, image in skipped.items() if i in asked}
    return ConceptImages(tuple(sorted(chosen[:limit])), tuple(skipped[i] for i in sorted(skipped)))


def _why_none(
    runner: ModelOnImages,
    target: Target,
    rule: str,
    skipped: Sequence[SkippedImage],
    seen: Counter[int],
) -> str:
    model, images = runner.model, runner.images
    if len(skipped) == len(images):
        first = skipped[0]
        return f"None of the {len(images)} images can be read. {first.name}: {first.reason}."
    if rule == "labelled":
        labels = sorted({ref.label for ref in images.refs if ref.label})[:5]
        known = f"labels are {', '.join(labels)}, …" if labels else "the images have no labels"
        return (
            f"No image is labelled {target.name!r}: {known}. "
            "Name class folders after the classes, or use the concept set 'all'."
        )
    common = ", ".join(f"{model.class_names[c]} ({n})" for c, n in seen.most_common(3))
    return (
        f"None of the {len(images) - len(skipped)} images is predicted as "
        f"{target.name!r}; most are {common or 'of no class'}. "
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
        """Return φ ``[crop, neuron]`` of a layer, which is read from disk when it is used."""
        return self._open[layer]


@dataclass(frozen=True)
class StreamingPass:
    """The pass over all crops that pools the activations of all layers.

    Attributes:
        model: the network.
        crops: the concept set D.
        layers: names of the studied layers.
        batch: number of crops to run at once.
        progress: receives the progress.
        precision: precision of the forward pass.
        features: stores the feature maps of every crop that is run, if there is room for all crops
            and the pass has the precision that attribution needs.
        cache: activations of images that need not be run.
    """

    model: Model
    crops: CropSet
    layers: Sequence[str]
    batch: Batch
    progress: Progress
    precision: Literal["float32", "bfloat16"] = "float32"
    features: FeatureMaps | None = None
    cache: ActivationCache | None = None

    @cached_property
    def _studied(self) -> list[Layer]:
        return [self.model.layer(name) for name in self.layers]

    @cached_property
    def _kept(self) -> FeatureMaps | None:
        """Return the feature maps, if this pass fills them."""
        wanted = self.features is not None and self.features.needs_all_crops
        return self.features if wanted and self.precision == "float32" else None

    def run(self, workspace: Workspace) -> Activations:
        """Compute φ of all layers on all crops; resumes after the last image in ``workspace``."""
        files = {
            layer.name: workspace.array(f"activations-{i}", (len(self.crops), layer.neurons))
            for i, layer in enumerate(self._studied)
        }
        done = int(workspace.read("collected", 0))
        self.progress.start("activations", len(self.crops.chosen))
        self.progress.advance(done)
        arrays = {name: np.load(file, mmap_mode="r+") for name, file in files.items()}
        for image in range(done, len(self.crops.chosen)):
            phi = self._cached(image)
            for layer, values in zip(self._studied, phi, strict=True):
                arrays[layer.name][self.crops.of_image(image)] = values
            workspace.write("collected", image + 1)
            self.progress.advance()
        for array in arrays.values():
            array.flush()
        return Activations(self.crops, files)

    def _cached(self, image: int) -> list[np.ndarray]:
        """Return φ ``[crop, neuron]`` of each layer on one image, from the cache if possible."""
        if self.cache is None:
            return self._pooled(image)
        position, count = self.crops.chosen[image], len(self.crops.boxes)
        with self.cache.locked(position):
            shapes = {layer.name: (count, layer.neurons) for layer in self._studied}
            phi = self.cache.read(position, shapes)
            if phi is None:
                phi = self._pooled(image)
                self.cache.keep(position, self.layers, phi)
        return phi

    def _pooled(self, image: int) -> list[np.ndarray]:
        """Return φ ``[crop, neuron]`` of each layer on the crops of one image of D."""
        kept = self._kept
        forward = self.model.outputs(
            [*map(self.model.node, self.layers), *(kept.keys if kept else ())]
        )

        def run(numbers: np.ndarray) -> tuple[Tensor, ...]:
            pixels = self.model.feed(self.crops.pixels(numbers))
            half = self.precision == "bfloat16"
            with (
                torch.inference_mode(),
                torch.autocast(pixels.device.type, torch.bfloat16, enabled=half),
            ):
                return forward(pixels)

        found: list[list[np.ndarray]] = [[] for _ in self.layers]
        for part, outputs in self.batch.map(run, self.crops.of_image(image)):
            for rows, layer, output in zip(found, self._studied, outputs, strict=False):
                phi = layer.pool(output).float().cpu().numpy()
                if not np.isfinite(phi).all():
                    raise RequestError(
                        f"Layer {layer.name!r} gives values that are not finite on "
                        f"{self.crops.name_of(image)}. "
                        "Check the preprocessing (--mean, --std) and the precision of the model."
                    )
                rows.append(phi)
            if kept:
                kept.add(part, outputs[len(self.layers) :])
        return [np.concatenate(rows) for rows in found]


def collect(
    model: Model,
    crops: CropSet,
    layers: Sequence[str],
    workspace: Workspace,
    *,
    batch: Batch,
    progress: Progress,
) -> Activations:
    """Run the streaming pass without feature maps and without a cache."""
    return StreamingPass(model, crops, layers, batch, progress).run(workspace)


def top_crops(
    phi: Iterator[np.ndarray],
    k: int,
    *,
    images: Int[np.ndarray, " crop"] | None = None,
    per_image: int | None = None,
) -> tuple[Int[np.ndarray, "neuron k"], Float[np.ndarray, "neuron k"]]:
    """Return V_a, the ``k`` crops with the largest activation, for several neurons at once.

    Args:
        phi: blocks ``[crop, neuron]``, in the order of the crops.
        k: number of crops of each neuron.
        images: ``[crop]`` image of every crop; required with ``per_image``.
        per_image: largest number of crops of one image.

    Returns:
        (crop numbers, activations), each ``[neuron, k]``, in descending order of activation. Ties are
        in the order of the crops.

    Raises:
        RequestError: there are fewer than ``k`` crops.
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
    """Return the first ``k`` of each row that are among the first ``per_image`` of their image."""
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
    """Yield φ ``[crop, neuron]`` of some neurons in blocks of crops, minus that of neuron ``minus``."""
    for start in range(0, len(array), BLOCK):
        rows = np.asarray(array[start : start + BLOCK])
        yield rows[:, list(neurons)] - (0 if minus is None else rows[:, [minus]])
