"""The whole method on one screen: from a target and a folder of pictures to its concept circuit.

1. choose the images of the concept set D;
2. pool the activations of every layer on every crop of them, in one pass;
3. from the target down, layer by layer: find each target neuron's concept V_a and its meanings, score
   the neurons below, keep the core neurons S_a with their weights; they are the next targets;
4. at l_0, which has no layer below, find the concepts;
5. group the neurons of each layer and weigh how groups act on groups.

Every step keeps its result in the run's workspace; a killed run goes on behind the last one kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from neurflow.circuit import Circuit, CircuitLayer, load_circuit, save_circuit
from neurflow.circuit.reload import facts_to_reload
from neurflow.config import METHOD_VERSION, PRESETS, Config
from neurflow.errors import LayerError, RequestError
from neurflow.method.assembly import assemble, thumbnails
from neurflow.method.concepts import PER_IMAGE, crops_limit, find_concepts
from neurflow.method.core_neurons import Core, next_targets
from neurflow.method.precision import low_precision
from neurflow.method.selection import cores_of
from neurflow.method.surroundings import surroundings
from neurflow.model import Model
from neurflow.pictures.crops import CropSet
from neurflow.pictures.images import Images, load_images
from neurflow.refs import SkippedImage, Target
from neurflow.runtime.memory import MEMORY, Budget
from neurflow.runtime.progress import Progress, Silent
from neurflow.runtime.workspace import Workspace, open_workspace
from neurflow.study.activations import ConceptImages, collect, concept_images
from neurflow.study.features import FeatureMaps
from neurflow.study.shared import Shared

SOURCE = "source"
"""where the pictures lie, noted in the run's workspace for those who need them again"""
PAIR = 16
"""times what a segment needs of a crop that attributing a (target, crop) pair holds at once"""


def discover(
    model: Model,
    images: Any,
    target: str | int | Target,
    layers: Sequence[str] | None = None,
    config: Config | None = None,
    *,
    out: str | Path | None = None,
    max_images: int | None = None,
    memory: str | int = MEMORY,
    shared: Shared | None = None,
    redo: bool = False,
    progress: Progress | None = None,
) -> Circuit:
    """Find the circuit of a target.

    Args:
        model: the classifier.
        images: pictures to study, or any source that ``load_images`` takes.
        target: class name or index, ``LAYER/NEURON``, or ``CLASS-CLASS`` for a difference.
        layers: names, input side first, the target's layer last (added if it is left out); default
            is ``model.proposed_layers()``.
        config: hyperparameters.
        out: folder for the result; work in progress is kept there and resumed from there.
        max_images: use at most so many images of the concept set, spread over the folders.
        memory: what may be held at once above the loaded model: bytes, or text such as "512MB".
        shared: what other targets of this model on these images leave and take.
        redo: replace what ``out`` holds if it is of another request or an earlier version.
        progress: told what is being done.

    Raises:
        RequestError: anything in the request that cannot be carried out; nothing was started.
        WorkError: the work failed; what was finished is kept in ``out``.

    Example::

        circuit = neurflow.discover(model, "photos/", target="bee", out="runs/bee")
        circuit = neurflow.discover(model, images, "bee", config=neurflow.Config(tau=8, k=20))
    """
    config, progress, shared = config or Config(), progress or Silent(), shared or Shared()
    budget = Budget(memory, progress)
    images = load_images(images, model)
    goal = model.target(target)
    names = study_layers(model, goal, layers)
    segments = [model.segment(lower, upper) for lower, upper in reversed(list(pairwise(names)))]
    request = _request(model, images, goal, names, config, max_images)
    folder = Path(out) if out is not None else None
    with open_workspace(folder, request, redo=redo) as work:
        if images.root:
            work.write(SOURCE, {"folder": str(images.root.absolute())})
        if folder and work.read("finished"):
            progress.note(f"{folder} holds this circuit already: nothing to do.")
            return load_circuit(folder)

        batch = model.batch(budget)
        choose = partial(concept_images, model, images, goal, config, max_images=max_images)
        choose = partial(choose, predictions=shared.predictions, batch=batch, progress=progress)
        found = _images(choose, work, progress)
        crops = _crops(model, images, found, config)
        room = partial(FeatureMaps, folder=work.folder, room=budget.features, batch=batch)
        seen = model.info.digest, images.digest, config.granularities, config.precision
        cache = shared.cache(*seen)
        features = shared.features(
            (*seen, found.chosen, names), lambda: room(model, crops, segments)
        )
        passing = partial(collect, precision=config.precision, batch=batch, progress=progress)
        activations = passing(model, crops, names, work, features=features, cache=cache)
        concepts, cores, targets, minus = {}, {}, {goal.neuron}, goal.minus
        for place, segment in enumerate(segments):
            lower, upper = segment.lower.name, segment.upper.name
            concepts[upper] = find_concepts(activations, upper, lower, targets, config, minus=minus)
            pairs = budget.batch(PAIR * features.bytes_of(place))
            find = partial(cores_of, segment, place, concepts[upper], activations, features, config)
            find = partial(find, minus=minus, batch=pairs, progress=progress)
            cores[upper] = _cores(find, f"core-{upper}", work)
            targets, minus = next_targets(cores[upper], upper, lower), None
        first = names[0]
        concepts[first] = find_concepts(activations, first, first, targets, config, minus=minus)

        progress.start("groups", 1)
        circuit_layers, edges = assemble(
            activations, names, concepts, cores, config, minus=goal.minus
        )
        circuit = Circuit(
            model=model.info,
            **facts_to_reload(model),
            target=goal,
            config=config,
            images=tuple(images.refs[i] for i in found.chosen),
            skipped=found.skipped,
            crop_count=len(crops),
            layers=circuit_layers,
            edges=edges,
            notes=(
                *images.notes,
                *_notes(model, names, config, found, cores),
                *_far_off(circuit_layers, config),
                *low_precision(model, crops, circuit_layers, config),
            ),
            thumbnails=thumbnails(model, crops, circuit_layers),
        )
        progress.advance()
        shown = surroundings(model, crops, circuit_layers, batch=batch, progress=progress)
        circuit = circuit.model_copy(update=vars(shown))
        if folder:
            save_circuit(circuit, folder)
            work.write("finished", True)  # first: a kill from here on costs nothing
            work.clear(keep=("request", "finished", SOURCE))
    return circuit


def study_layers(model: Model, target: Target, layers: Sequence[str] | None) -> list[str]:
    """The studied layers, input side first, ending at the target's; each must feed the next.

    Raises:
        LayerError: a layer does not exist, is named twice, comes after the target, or is not fed
            by the one before.
    """
    network, top = model.network, model.layer(target.layer).name
    if layers is None:
        names = [name for name in model.proposed_layers() if network.precedes(name, top)]
    else:
        names = [model.layer(name).name for name in layers]
        names = names[:-1] if names and names[-1] == top else names
        late = [name for name in names if not network.precedes(name, top)]
        if late:
            raise LayerError(
                f"Layer {late[0]!r} does not come before the target's layer {top!r}: "
                f"name layers input side first, of {', '.join(model.proposed_layers())}."
            )
    names.append(top)
    if len(names) < 2:
        raise LayerError(f"At least one layer below {target.layer!r} is needed.")
    return names


def _images(
    choose: Callable[[], ConceptImages], work: Workspace, progress: Progress
) -> ConceptImages:
    """The images of D, from the workspace if they were chosen before."""
    kept = work.read("images")
    if kept is None:
        found = choose()
        kept = {"chosen": found.chosen, "skipped": [s.model_dump() for s in found.skipped]}
        work.write("images", kept)
    skipped = tuple(SkippedImage(**s) for s in kept["skipped"])
    for image in skipped[:3]:
        progress.note(f"Skipped {image.name}: {image.reason}.")
    if len(skipped) > 3:
        progress.note(f"Skipped {len(skipped)} images in all; the result names them.")
    return ConceptImages(tuple(kept["chosen"]), skipped)


def _crops(model: Model, images: Images, found: ConceptImages, config: Config) -> CropSet:
    crops = CropSet(images, found.chosen, model.input_size[1:], config.granularities)
    count = len(found.chosen)
    limit = min(crops_limit(config, count) or len(crops), len(crops) // count)
    if config.k > limit * count:
        raise RequestError(
            f"k={config.k} is more than the {limit * count} crops of {count} images, {limit} of each. "
            "Lower k (--k) or give more images."
        )
    return crops


def _cores(select: Callable[[], dict[int, Core]], name: str, work: Workspace) -> dict[int, Core]:
    """Core neurons of a layer's targets, from the workspace if they were found before."""
    kept = work.read(name)
    if kept is None:
        cores = select()
        work.write(name, {a: vars(core) for a, core in cores.items()})
        return cores
    return {
        int(a): Core(
            {int(s): v for s, v in core["importance"].items()},
            tuple({int(s): w for s, w in part.items()} for part in core["weights"]),
            core["completeness_error"],
            core["steps"],
            core["rule"],
            core["score_error"],
        )
        for a, core in kept.items()
    }


def _request(
    model: Model,
    images: Images,
    target: Target,
    layers: Sequence[str],
    config: Config,
    max_images: int | None,
) -> dict[str, Any]:
    """What a run's identity is: equal requests give equal circuits."""
    return {
        "method": METHOD_VERSION,
        "model": model.info.digest,
        "images": images.digest,
        "target": target.model_dump(),
        "layers": list(layers),
        "config": config.model_dump(mode="json"),
        "max_images": max_images,
    }


def _far_off(layers: Sequence[CircuitLayer], config: Config) -> list[str]:
    """A note on neurons whose scores did not come within the tolerance."""
    errors = [n.score_error or 0.0 for layer in layers for n in layer.neurons.values()]
    far = [error for error in errors if error > config.tolerance]
    if not far:
        return []
    return [
        f"The scores of {len(far)} of {len(errors)} neurons may be off by more than the tolerance of "
        f"{config.tolerance:.2%}: by up to {max(far):.2%}. "
        + ("Put more layers in between." if config.steps == "auto" else "Use --steps auto.")
    ]


def _notes(
    model: Model,
    layers: Sequence[str],
    config: Config,
    found: ConceptImages,
    cores: Mapping[str, Mapping[int, Core]],
) -> tuple[str, ...]:
    notes = list(model.notes)
    small = [name for name in layers[:-1] if model.layer(name).neurons <= config.tau]
    if small:
        notes.append(
            f"τ={config.tau} is no smaller than the number of neurons of {', '.join(small)}: "
            "all that act are core."
        )
    for lower, upper in reversed(list(pairwise(layers))):
        wanted = min(config.tau, model.layer(lower).neurons)
        short = sum(len(core.importance) < wanted for core in cores[upper].values())
        if short:
            notes.append(
                f"{short} of {len(cores[upper])} neurons of {upper} have fewer than {wanted} core "
                f"neurons: the others in {lower} have importance 0 for them and are left out."
            )
    if all(getattr(config, field) == value for field, value in PRESETS["quick"].items()):
        sizes = ", ".join(f"{size:g}" for size in config.granularities)
        notes.append(
            f"A quick look: τ={config.tau}, k={config.k} and crops of {sizes} of an image only. "
            "Without --preset quick more is found."
        )
    count, limit = len(found.chosen), crops_limit(config, len(found.chosen))
    if count < 5:
        notes.append(f"Only {count} images: concepts rest on few pictures.")
    if config.crops_per_image == "auto" and limit != PER_IMAGE:
        notes.append(
            f"A concept may hold {limit} crops of one image instead of {PER_IMAGE}, "
            f"since there are only {count} images."
        )
    return tuple(notes)
