"""What protocols share: a circuit's network on its pictures again, made piece by piece when asked for.

1. ``Bench``: a concept set D with φ of all layers, the segments between them, feature maps.
2. ``Laboratory``: the bench of the circuit's own images, that of the images ablation is tried on (all,
   fewer, or held-out ones), scores of lower neurons, and what was computed before a kill.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from neurflow.attribution.methods import AttributionTask, score_neurons
from neurflow.attribution.streaming import Scores
from neurflow.circuit import Circuit
from neurflow.config import Config
from neurflow.debugging.explain import same_model
from neurflow.errors import RequestError
from neurflow.evaluation.settings import Settings
from neurflow.method.concepts import Concept, crops_limit
from neurflow.method.core_neurons import Core
from neurflow.method.discover import PAIR
from neurflow.method.selection import cores_of
from neurflow.model import Model, Segment
from neurflow.pictures.crops import CropSet
from neurflow.pictures.images import Images
from neurflow.runtime.memory import Budget
from neurflow.runtime.progress import Progress
from neurflow.runtime.workspace import Workspace
from neurflow.study.activations import blocks, collect, concept_images, top_crops
from neurflow.study.features import FeatureMaps

SAME = 1e-3
"""relative difference of activations below which pictures are taken for those of the circuit"""


class Bench:
    """A concept set D, run through the network once.

    Args:
        model: the network.
        crops: of D.
        circuit: gives the studied layers, the target, and how many crops an image may have in a V_a.
        work: keeps what was computed.
        budget: of memory.
        progress: told of the pass.
    """

    def __init__(
        self,
        model: Model,
        crops: CropSet,
        circuit: Circuit,
        work: Workspace,
        budget: Budget,
        progress: Progress,
    ) -> None:
        self.model, self.crops, self.target = model, crops, circuit.target
        self.names = names = [layer.name for layer in circuit.layers]
        self.per_image = crops_limit(circuit.config, len(crops.chosen))
        self.work, self.budget, self.progress = work, budget, progress
        below = reversed(list(pairwise(names)))
        self.segments = [model.segment(lower, upper) for lower, upper in below]
        batch = model.batch(budget)
        self.features = FeatureMaps(
            model, crops, self.segments, folder=work.folder, room=budget.features, batch=batch
        )
        self.activations = collect(
            model, crops, names, work, features=self.features, batch=batch, progress=progress
        )

    def __len__(self) -> int:
        return len(self.crops)

    def place(self, upper: str) -> int:
        """Of the segment that ends at a layer."""
        return [segment.upper.name for segment in self.segments].index(upper)

    def segment(self, upper: str) -> Segment:
        """The segment that ends at a layer."""
        return self.segments[self.place(upper)]

    def minus(self, layer: str) -> int | None:
        """The class that is subtracted at this layer."""
        return self.target.minus if layer == self.target.layer else None

    def phi(self, layer: str, neurons: Sequence[int]) -> np.ndarray:
        """``[crop, neuron]`` φ on D."""
        return np.concatenate(list(blocks(self.activations[layer], neurons, self.minus(layer))))

    def means(self, layer: str) -> np.ndarray:
        """``[neuron]`` mean φ over D."""
        return np.asarray(self.activations[layer].mean(axis=0, dtype=np.float64))

    def top(self, layer: str, neurons: Sequence[int], k: int) -> tuple[np.ndarray, np.ndarray]:
        """V_a of some neurons: (crop numbers, activations) ``[neuron, k]``.

        Raises:
            RequestError: D has fewer crops than k.
        """
        return self.strongest(blocks(self.activations[layer], neurons, self.minus(layer)), k)

    def strongest(self, phi: Iterator[np.ndarray], k: int) -> tuple[np.ndarray, np.ndarray]:
        """The ``k`` strongest crops by blocks of ``[crop, neuron]``, as the circuit takes them.

        Returns:
            (crop numbers, activations), each ``[neuron, k]``.

        Raises:
            RequestError: D has fewer crops than k.
        """
        if k > self.capacity:
            limit = f" (at most {self.per_image} of an image)" if self.per_image else ""
            raise RequestError(
                f"k={k} is more than the {self.capacity} crops of {len(self.crops.chosen)} images"
                f"{limit}. Give more images, or a circuit of smaller k."
            )
        images = self.crops.image_of(np.arange(len(self)))
        return top_crops(phi, k, images=images, per_image=self.per_image)

    @property
    def capacity(self) -> int:
        """How many crops a V_a can have."""
        each = len(self.crops.boxes)
        return len(self.crops.chosen) * min(self.per_image or each, each)

    def concepts(self, layer: str, neurons: Sequence[int], k: int) -> dict[int, Concept]:
        """V_a of some neurons, as one meaning each."""
        numbers, phi = self.top(layer, neurons, k)
        alone = np.zeros(k, dtype=np.int64)
        vector = np.zeros((1, 1), dtype=np.float32)
        return {
            a: Concept(crops, values, alone, vector)
            for a, crops, values in zip(neurons, numbers, phi, strict=True)
        }

    def scores(
        self, method: str, upper: str, concepts: Mapping[int, Concept], config: Config
    ) -> dict[int, Scores]:
        """Scores of all neurons of the layer below, for each target neuron."""
        return score_neurons(method, self.task(self.place(upper), concepts, config))

    def cores(self, upper: str, concepts: Mapping[int, Concept], config: Config) -> dict[int, Core]:
        """Core neurons and weights of each target neuron, as discovery takes them."""
        place = self.place(upper)
        batch = self.budget.batch(PAIR * self.features.bytes_of(place))
        find = partial(cores_of, self.segments[place], place, concepts)
        find = partial(find, self.activations, self.features, config, minus=self.minus(upper))
        return find(batch=batch, progress=self.progress)

    def scores_of_target(self, method: str, lower: str, config: Config) -> np.ndarray:
        """``[neuron]`` importance of a layer's neurons for the explained output itself."""
        target = self.target.neuron
        concepts = self.concepts(self.target.layer, [target], config.k)
        task = self.task(0, concepts, config)
        if lower == task.segment.lower.name:
            return score_neurons(method, task)[target].importance
        segment = self.model.segment(lower, self.target.layer)
        with tempfile.TemporaryDirectory(dir=self.work.folder) as folder:
            maps = FeatureMaps(
                self.model,
                self.crops,
                [segment],
                folder=Path(folder),
                room=self.budget.features,
                batch=self.model.batch(self.budget),
            )
            batch = self.budget.batch(PAIR * maps.bytes_of(0))
            task = replace(task, segment=segment, features=maps, batch=batch)
            return score_neurons(method, task)[target].importance

    def task(self, place: int, concepts: Mapping[int, Concept], config: Config) -> AttributionTask:
        """What an attribution method is asked at a segment."""
        return AttributionTask(
            model=self.model,
            activations=self.activations,
            target=self.target,
            segment=self.segments[place],
            place=place,
            concepts=concepts,
            features=self.features,
            config=config,
            batch=self.budget.batch(PAIR * self.features.bytes_of(place)),
            progress=self.progress,
        )


@dataclass
class Laboratory:
    """A circuit under test.

    Attributes:
        circuit: what is tested.
        model: its network.
        images: the pictures it was made from; None where they are not at hand.
        held_out: pictures it was not made from.
        settings: how thoroughly.
        work: keeps what was computed.
        budget: of memory.
        progress: told of the work.
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
            RequestError: the settings name a layer that has none below it in the circuit.
        """
        wanted = self.settings.layers or self.names[1:]
        wrong = [name for name in wanted if name not in self.names[1:]]
        if wrong:
            raise RequestError(
                f"Layer {wrong[0]!r} has no layer below it in this circuit. "
                f"Choose of {', '.join(self.names[1:])}."
            )
        return [name for name in reversed(self.names[1:]) if name in wanted]

    @cached_property
    def positions(self) -> tuple[int, ...]:
        """Of the circuit's images in the source.

        Raises:
            RequestError: the images are not given, or not all of them.
        """
        if self.images is None:
            raise RequestError(
                "This needs the pictures that the circuit was made from. Give them: --images FOLDER"
            )
        known = {ref.name: i for i, ref in enumerate(self.images.refs)}
        lost = [ref.name for ref in self.circuit.images if ref.name not in known]
        if lost:
            raise RequestError(
                f"{len(lost)} of the circuit's {len(self.circuit.images)} images are not there; "
                f"the first is {lost[0]!r}. Give the folder that was given to discover: --images"
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
        if np.abs(found - known).max() > SAME * max(np.abs(known).max(), 1e-12):
            raise RequestError(
                "These pictures have the names of the circuit's images, and other contents. "
                "Give the folder that was given to discover: --images"
            )
        return bench

    @cached_property
    def scoring(self) -> Bench:
        """Where lower neurons are scored: the circuit's images.

        Ablation being tried on the same crops, only as many as the settings allow.
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
        """Where ablation is tried: held-out pictures of the target, or where neurons are scored.

        Raises:
            ImagesError: no held-out picture belongs to the target.
        """
        if self.held_out is None:
            return self.scoring
        found = concept_images(
            self.model,
            self.held_out,
            self.circuit.target,
            self.circuit.config,
            max_images=self.settings.trial_images,
            batch=self.model.batch(self.budget),
            progress=self.progress,
        )
        return self._bench(self.held_out, found.chosen, "held-out")

    def _bench(self, images: Images, chosen: Sequence[int], name: str) -> Bench:
        config = self.circuit.config
        crops = CropSet(images, chosen, self.model.input_size[1:], config.granularities)
        work = Workspace(self.work.folder / name)
        return Bench(self.model, crops, self.circuit, work, self.budget, self.progress)

    def means(self, layer: str) -> np.ndarray:
        """``[neuron]`` mean φ over the concept set, from the circuit or measured again."""
        known = self.circuit.layer(layer).means
        return np.array(known) if known else self.scoring.means(layer)

    def sampled(self, layer: str) -> list[int]:
        """Target neurons of a layer: all that the circuit has, or as many as the settings ask for."""
        neurons = sorted(self.circuit.layer(layer).neurons)
        if len(neurons) <= self.settings.neurons:
            return neurons
        rng = np.random.default_rng(self.settings.seed)
        return sorted(rng.choice(neurons, self.settings.neurons, replace=False).tolist())

    def importance(
        self, upper: str, method: str = "integrated_gradients", k: int | None = None
    ) -> np.ndarray:
        """``[target neuron, lower neuron]`` importance for the sampled neurons of a layer."""
        config = self.circuit.config
        neurons = self.sampled(upper)

        def compute() -> list[list[float]]:
            concepts = self.scoring.concepts(upper, neurons, k or config.k)
            scores = self.scoring.scores(method, upper, concepts, config)
            return [scores[a].importance.tolist() for a in neurons]

        return np.array(self.kept(f"importance {upper} {method} {k}", compute))

    def core_sets(
        self, upper: str, neurons: Sequence[int], taus: Sequence[int], k: int | None = None
    ) -> dict[int, dict[int, list[int]]]:
        """Core neurons as the circuit's own rule takes them at other ``τ`` or another ``k``.

        What the circuit holds is not computed again: the sets at its own ``τ``, and smaller ones where
        the rule is the published one, which takes neurons in the order in which they are kept.

        Args:
            upper: layer of the target neurons.
            neurons: the target neurons.
            taus: core neurons of each.
            k: crops that make a concept; the circuit's by default.

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
            cores = self.scoring.cores(upper, concepts, config)
            return [list(cores[a].importance) for a in neurons]

        found = self.kept(f"cores {upper} {list(neurons)} {tau} {k}", compute)
        return dict(zip(neurons, found, strict=True))

    def kept(self, name: str, compute: Callable[[], Any]) -> Any:
        """What was computed under this name before, or else now; JSON."""
        file = hashlib.sha256(name.encode()).hexdigest()[:24]
        found = self.work.read(file)
        if found is None:
            found = json.loads(json.dumps(compute()))
            self.work.write(file, found)
        return found
