"""Measurements that protocols share; each is computed when it is first used.

1. ``Bench``: a study of a concept set D, with φ of all layers, the segments between them and feature
   maps.
2. ``Laboratory``: a bench with the circuit's own images, and one with the images on which ablation is
   tried (the same, a part of them, or held-out ones); scores of lower neurons; and the intermediate
   results of an interrupted run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from neurflow.attribution import AttributionTask, score_neurons
from neurflow.circuit import Circuit
from neurflow.circuit.reload import same_model
from neurflow.config import Config
from neurflow.errors import RequestError
from neurflow.evaluation.settings import Settings
from neurflow.method.concepts import Concept, crops_limit
from neurflow.method.core_neurons import select_cores
from neurflow.model import Model, Segment
from neurflow.pictures.crops import CropSet
from neurflow.pictures.images import Images
from neurflow.runtime.memory import Budget
from neurflow.runtime.progress import Progress
from neurflow.runtime.workspace import Workspace
from neurflow.study.activations import ModelOnImages, blocks, concept_images, top_crops
from neurflow.study.study import Study, segments_of

TOLERANCE = 1e-3
"""largest relative difference of activations at which pictures count as those of the circuit"""


@dataclass(frozen=True)
class Bench(Study):
    """A study of a circuit's layers on some crops, with the measurements that protocols share.

    Attributes:
        per_image: largest number of crops that a V_a takes from one image; None for no limit.
    """

    per_image: int | None = None

    @classmethod
    def of(cls, lab: Laboratory, crops: CropSet, name: str) -> Bench:
        """Return the study of a laboratory's circuit on some crops, with a workspace of this name."""
        return cls(
            model=lab.model,
            target=lab.circuit.target,
            segments=segments_of(lab.model, lab.names),
            crops=crops,
            work=Workspace(lab.work.folder / name),
            budget=lab.budget,
            progress=lab.progress,
            per_image=crops_limit(lab.circuit.config, len(crops.chosen)),
        )

    def __len__(self) -> int:
        return len(self.crops)

    def segment(self, upper: str) -> Segment:
        """Return the segment that ends at a layer."""
        return self.pair(upper).segment

    def top(self, layer: str, neurons: Sequence[int], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return V_a of some neurons: (crop numbers, activations), each ``[neuron, k]``.

        Raises:
            RequestError: k is larger than ``capacity``.
        """
        return self.strongest(blocks(self.activations[layer], neurons, self.minus(layer)), k)

    def strongest(self, phi: Iterator[np.ndarray], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the top-k crops of each neuron, with the circuit's limit on crops of one image.

        Args:
            phi: blocks ``[crop, neuron]`` of activations.
            k: number of crops.

        Returns:
            (crop numbers, activations), each ``[neuron, k]``.

        Raises:
            RequestError: k is larger than ``capacity``.
        """
        if k > self.capacity:
            limit = f" (at most {self.per_image} of an image)" if self.per_image else ""
            raise RequestError(
                f"k={k} is larger than the {self.capacity} crops of {len(self.crops.chosen)} images"
                f"{limit}. Give more images, or a circuit with a smaller k."
            )
        return top_crops(phi, k, images=self.image_of, per_image=self.per_image)

    @property
    def capacity(self) -> int:
        """Largest number of crops of a V_a."""
        each = len(self.crops.boxes)
        return len(self.crops.chosen) * min(self.per_image or each, each)

    def concepts(self, layer: str, neurons: Sequence[int], k: int) -> dict[int, Concept]:
        """Return the concepts of some neurons, each with a single meaning."""
        numbers, phi = self.top(layer, neurons, k)
        alone = np.zeros(k, dtype=np.int64)
        vector = np.zeros((1, 1), dtype=np.float32)
        return {
            a: Concept(crops, values, alone, vector)
            for a, crops, values in zip(neurons, numbers, phi, strict=True)
        }

    def task(self, upper: str, concepts: Mapping[int, Concept], config: Config) -> AttributionTask:
        """Return the task of attributing neurons of a layer to the layer below."""
        return AttributionTask(self, self.pair(upper), concepts, config)

    def scores_of_target(self, method: str, lower: str, config: Config) -> np.ndarray:
        """Return ``[neuron]``: the importance of a layer's neurons for the target of the circuit."""
        target = self.target.neuron
        concepts = self.concepts(self.target.layer, [target], config.k)
        with self.between(lower, self.target.layer) as pair:
            task = AttributionTask(self, pair, concepts, config)
            return score_neurons(method, task)[target].importance


@dataclass
class Laboratory:
    """A circuit under test, with its model and pictures.

    Attributes:
        circuit: the circuit.
        model: the model that it was found in.
        images: the pictures that it was made from; None if they are not available.
        held_out: pictures that it was not made from.
        settings: settings of the measurement.
        work: stores intermediate results.
        budget: memory budget.
        progress: receives stages, steps and notes.
    """

    circuit: Circuit
    model: Model
    images: Images | None
    held_out: Images | None
    settings: Settings
    work: Workspace
    budget: Budget
    progress: Progress

    def __post_init__(self) -> None:
        same_model(self.circuit, self.model)

    @property
    def names(self) -> list[str]:
        """Studied layers, input side first."""
        return [layer.name for layer in self.circuit.layers]

    @property
    def uppers(self) -> list[str]:
        """Layers whose target neurons are measured, from the target down.

        Raises:
            RequestError: the settings name a layer without a layer below it in the circuit.
        """
        wanted = self.settings.layers or self.names[1:]
        wrong = [name for name in wanted if name not in self.names[1:]]
        if wrong:
            raise RequestError(
                f"Layer {wrong[0]!r} has no layer below it in this circuit. "
                f"Choose from {', '.join(self.names[1:])}."
            )
        return [name for name in reversed(self.names[1:]) if name in wanted]

    @cached_property
    def positions(self) -> tuple[int, ...]:
        """Indices of the circuit's images in ``images``.

        Raises:
            RequestError: the images are not given, or some of them are missing.
        """
        if self.images is None:
            raise RequestError(
                "This protocol needs the pictures that the circuit was made from: --images FOLDER"
            )
        known = {ref.name: i for i, ref in enumerate(self.images.refs)}
        missing = [ref.name for ref in self.circuit.images if ref.name not in known]
        if missing:
            raise RequestError(
                f"{len(missing)} of the circuit's {len(self.circuit.images)} images are missing; "
                f"the first is {missing[0]!r}. Give the folder that was given to discover: --images"
            )
        return tuple(known[ref.name] for ref in self.circuit.images)

    @cached_property
    def own(self) -> Bench:
        """The circuit's own concept set.

        Raises:
            RequestError: the pictures are not those that the circuit was made from.
        """
        assert self.positions and self.images is not None
        bench = self._bench(self.images, self.positions, "own")
        top = self.circuit.layers[-1].neurons[self.circuit.target.neuron]
        phi = bench.phi(self.names[-1], [top.index])
        found = phi[[bench.crops.number(crop) for crop in top.crops], 0]
        known = np.array(top.activations)
        if np.abs(found - known).max() > TOLERANCE * max(np.abs(known).max(), 1e-12):
            raise RequestError(
                "These pictures have the names of the circuit's images, but their contents differ. "
                "Give the folder that was given to discover: --images"
            )
        return bench

    @cached_property
    def scoring(self) -> Bench:
        """The bench on which lower neurons are scored: the circuit's images.

        Without held-out pictures, ablation is tried on them too, and ``settings.trial_images`` limits
        their number.
        """
        limit = self.settings.trial_images
        if self.held_out is not None or limit is None or limit >= len(self.circuit.images):
            return self.own
        assert self.positions and self.images is not None
        rng = np.random.default_rng(self.settings.seed)
        chosen = sorted(rng.permutation(self.positions)[:limit].tolist())
        return self._bench(self.images, chosen, "fewer")

    @cached_property
    def trial(self) -> Bench:
        """The bench on which ablation is tried: held-out pictures of the target, or else ``scoring``.

        Raises:
            ImagesError: no held-out picture belongs to the target.
        """
        if self.held_out is None:
            return self.scoring
        batch = self.model.batch(self.budget)
        found = concept_images(
            ModelOnImages(self.model, self.held_out, batch, self.progress),
            self.circuit.target,
            self.circuit.config,
            max_images=self.settings.trial_images,
        )
        return self._bench(self.held_out, found.chosen, "held-out")

    def _bench(self, images: Images, chosen: Sequence[int], name: str) -> Bench:
        granularities = self.circuit.config.granularities
        crops = CropSet(images, chosen, self.model.input_size[1:], granularities)
        return Bench.of(self, crops, name)

    def means(self, layer: str) -> np.ndarray:
        """Return ``[neuron]``: the mean φ over D, from the circuit if it has them."""
        known = self.circuit.layer(layer).means
        return np.array(known) if known else self.scoring.means(layer)

    def sampled(self, layer: str) -> list[int]:
        """Return the target neurons of a layer: the circuit's, or a sample of ``settings.neurons``."""
        neurons = sorted(self.circuit.layer(layer).neurons)
        if len(neurons) <= self.settings.neurons:
            return neurons
        rng = np.random.default_rng(self.settings.seed)
        return sorted(rng.choice(neurons, self.settings.neurons, replace=False).tolist())

    def importance(
        self, upper: str, method: str = "integrated_gradients", k: int | None = None
    ) -> np.ndarray:
        """Return ``[target neuron, lower neuron]``: importance for the sampled neurons of a layer."""
        config = self.circuit.config
        neurons = self.sampled(upper)

        def compute() -> list[list[float]]:
            concepts = self.scoring.concepts(upper, neurons, k or config.k)
            scores = score_neurons(method, self.scoring.task(upper, concepts, config))
            return [scores[a].importance.tolist() for a in neurons]

        return np.array(self.cached(f"importance {upper} {method} {k}", compute))

    def target_scores(self, layer: str, method: str) -> np.ndarray:
        """Return ``scores_of_target`` on the scoring bench, stored between runs."""
        return np.array(
            self.cached(
                f"target {layer} {method}",
                lambda: self.scoring.scores_of_target(method, layer, self.circuit.config).tolist(),
            )
        )

    def core_sets(
        self, upper: str, neurons: Sequence[int], taus: Sequence[int], k: int | None = None
    ) -> dict[int, dict[int, list[int]]]:
        """Return the core neurons that the circuit's own rule selects at other ``τ`` or another ``k``.

        Sets that follow from the circuit are not computed again: those at its own ``τ`` and, with the
        published rule, which takes neurons in their stored order, those at smaller ``τ``.

        Args:
            upper: layer of the target neurons.
            neurons: the target neurons.
            taus: numbers of core neurons.
            k: number of crops of a concept; the circuit's by default.

        Returns:
            τ → target neuron → its core neurons, most important first.
        """
        config, known = self.circuit.config, self.circuit.layer(upper).neurons
        same = k in (None, config.k) and set(neurons) <= set(known)
        in_order = config.selection == "published"

        def found(tau: int) -> dict[int, list[int]]:
            if same and (tau == config.tau or (in_order and tau < config.tau)):
                return {a: list(known[a].core_neurons[:tau]) for a in neurons}
            return self._scored_cores(upper, neurons, tau, k or config.k)

        if not in_order:
            return {tau: found(tau) for tau in taus}
        largest = found(max(taus))
        return {tau: {a: core[:tau] for a, core in largest.items()} for tau in taus}

    def _scored_cores(
        self, upper: str, neurons: Sequence[int], tau: int, k: int
    ) -> dict[int, list[int]]:
        config = self.circuit.config.model_copy(update={"tau": tau, "k": k})

        def compute() -> list[list[int]]:
            concepts = self.scoring.concepts(upper, neurons, k)
            cores = select_cores(self.scoring.task(upper, concepts, config))
            return [list(cores[a].importance) for a in neurons]

        found = self.cached(f"cores {upper} {list(neurons)} {tau} {k}", compute)
        return dict(zip(neurons, found, strict=True))

    def cached(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return the JSON result that is stored under a name; compute and store it if there is none."""
        file = hashlib.sha256(name.encode()).hexdigest()[:24]
        found = self.work.read(file)
        if found is None:
            found = json.loads(json.dumps(compute()))
            self.work.write(file, found)
        return found
