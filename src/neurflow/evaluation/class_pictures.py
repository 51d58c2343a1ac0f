"""Predictions on pictures of the class, with some neurons ablated, or with all others ablated.

1. The pictures are held-out ones that are labelled as the class. Without held-out pictures they are the
   circuit's own, and a note says so.
2. Neurons of several layers are changed in one forward pass (``debugging.masking``).
3. The results are whether the class is predicted, and its logit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
import torch

from neurflow.debugging.masking import Masker
from neurflow.debugging.pictures import true_class
from neurflow.errors import ImagesError, RequestError
from neurflow.evaluation.ablation import mask
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.settings import Ablation
from neurflow.pictures.images import Images, UnreadableImage

BATCH = 16
Neurons = Mapping[str, Sequence[int]]
"""layer → some of its neurons"""


class ClassPictures:
    """The pictures of a class on which accuracy is measured.

    Raises:
        RequestError: the target is not a class, or its pictures are not available.
        ImagesError: no picture of the class can be read.
    """

    def __init__(self, lab: Laboratory) -> None:
        target, model = lab.circuit.target, lab.model
        if target.layer != model.network.output_name or target.minus is not None:
            raise RequestError(
                f"This protocol measures accuracy on a class, but the target {target.name!r} is not a "
                "class. Give the circuit of a class."
            )
        self.lab, self.model, self.target = lab, model, target.neuron
        self.notes: list[str] = []
        images, chosen = self._choose(lab)
        readable = []
        for index in chosen[: lab.settings.subjects]:
            try:
                readable.append(images.read(index))
            except UnreadableImage as error:
                self.notes.append(f"Skipped {images.refs[index].name}: {error}.")
        if not readable:
            raise ImagesError(
                "None of the pictures of the class can be read. Give others: --held-out FOLDER"
            )
        self.pixels = torch.stack(readable)
        self._masker = lru_cache(maxsize=16)(lambda names: Masker(model, names))

    def _choose(self, lab: Laboratory) -> tuple[Images, list[int]]:
        if lab.held_out is not None:
            labels = [true_class(ref.label, lab.model) for ref in lab.held_out.refs]
            of_class = [i for i, label in enumerate(labels) if label == self.target]
            if of_class:
                self.notes.append(f"Measured on {len(of_class)} held-out pictures of the class.")
                return lab.held_out, of_class
            if any(label is not None for label in labels):
                raise ImagesError(
                    f"No held-out picture is labelled {lab.circuit.target.name!r}. "
                    "Put pictures of the class in a folder named after it."
                )
            self.notes.append(
                "The held-out pictures have no labels, so those predicted as the class are used."
            )
            return lab.held_out, list(lab.trial.crops.chosen)
        positions = list(lab.positions)
        assert lab.images is not None
        self.notes.append(
            "Measured on the pictures that the circuit was made from. For an unbiased accuracy, give "
            "others: --held-out FOLDER"
        )
        return lab.images, positions

    def __len__(self) -> int:
        return len(self.pixels)

    @cached_property
    def _donors(self) -> torch.Tensor:
        """As many random crops of D, whose activations replace ablated neurons (``resample``)."""
        crops = self.lab.scoring.crops
        rng = np.random.default_rng(self.lab.settings.seed)
        numbers = np.sort(rng.choice(len(crops), len(self), replace=len(self) > len(crops)))
        pixels = crops.pixels(numbers)
        return pixels[torch.from_numpy(rng.permutation(len(pixels)))]

    @torch.inference_mode()
    def _donor_outputs(self, masker: Masker, part: slice) -> dict[str, torch.Tensor]:
        """Return the masked layers' outputs on the donors."""
        names = [layer.name for layer in masker.layers]
        observe = self.model.outputs([self.model.node(name) for name in names])
        return dict(zip(names, observe(self.model.feed(self._donors[part])), strict=True))

    def predictions(
        self, sets: Sequence[Neurons], ablation: Ablation, *, keep: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run the network with each set of neurons ablated, or with all others ablated.

        Args:
            sets: layer → neurons; all sets have the same layers.
            ablation: replacement of ablated neurons.
            keep: whether the other neurons of these layers are ablated instead.

        Returns:
            (whether the class is predicted, its logit), each ``[1 + set, picture]``. The first row is
            without ablation.
        """
        masker = self._masker(tuple(sorted(sets[0])))
        layers = {layer.name: layer.neurons for layer in masker.layers}
        chosen = [
            {
                name: sorted(set(range(count)) - set(each[name])) if keep else list(each[name])
                for name, count in layers.items()
            }
            for each in sets
        ]
        means = {name: self.lab.means(name).tolist() for name in layers if ablation == "mean"}
        right = np.empty((1 + len(sets), len(self)), dtype=bool)
        logit = np.empty(right.shape)
        for start in range(0, len(self), BATCH):
            part = slice(start, start + BATCH)
            donors = self._donor_outputs(masker, part) if ablation == "resample" else {}
            masks = [mask(neurons, ablation, means, donors) for neurons in chosen]
            before, after, _ = masker.run(self.pixels[part], masks)
            for row, logits in enumerate([before, *after]):
                right[row, part] = logits.argmax(1) == self.target
                logit[row, part] = logits[:, self.target]
            self.lab.progress.advance(len(before) * len(masks))
        return right, logit


def circuit_at(lab: Laboratory, tau: int) -> dict[str, list[int]]:
    """Return layer → neurons of the circuit that a smaller ``τ`` would give, from the target down.

    The core neurons of each target are selected by the circuit's own rule.

    Raises:
        RequestError: the circuit was found with a smaller ``τ``.
    """
    circuit = lab.circuit
    if tau > circuit.config.tau:
        raise RequestError(
            f"τ={tau} is larger than the circuit's τ={circuit.config.tau}. "
            f"Discover the circuit with --tau {tau} or more."
        )
    found = {}
    targets = [circuit.target.neuron]
    for lower, upper in reversed(list(pairwise(lab.names))):
        cores = lab.core_sets(upper, targets, [tau])[tau]
        targets = sorted({s for core in cores.values() for s in core})
        found[lower] = targets
    return found


def drawn_like(
    neurons: Neurons, widths: Mapping[str, int], count: int, seed: int
) -> list[dict[str, list[int]]]:
    """Draw ``count`` random sets with as many neurons of each layer as ``neurons`` has."""
    rng = np.random.default_rng(seed)
    return [
        {
            name: sorted(rng.choice(widths[name], len(members), replace=False).tolist())
            for name, members in neurons.items()
        }
        for _ in range(count)
    ]
