"""The whole method: from a target and a folder of pictures to its circuit.

1. Choose the images of the concept set D (``study.activations``).
2. Pool the activations of every layer on every crop of D, in one pass (``study.study``).
3. Find the circuit (``find``): from the target down, find concepts, meanings, core neurons and
   weights. Then find the neuron groups and the edges between them.
4. Freeze the circuit, add pictures of its exemplars, and save it.

Every step stores its result in the run's workspace. The same request resumes after the last stored
step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from neurflow.attribution.task import AttributionTask
from neurflow.circuit import Circuit, load_circuit, save_circuit
from neurflow.circuit.reload import facts_to_reload
from neurflow.config import METHOD_VERSION, Config
from neurflow.errors import LayerError, RequestError
from neurflow.method.assembly import assemble, thumbnails
from neurflow.method.concepts import crops_limit
from neurflow.method.core_neurons import RULES, Core, select_cores
from neurflow.method.estimate import report_estimate
from neurflow.method.find import Findings, find
from neurflow.method.notes import notes, score_error_notes
from neurflow.method.precision import precision_notes
from neurflow.method.surroundings import surroundings
from neurflow.model import Model
from neurflow.pictures.crops import CropSet
from neurflow.pictures.images import Images, load_images
from neurflow.refs import SkippedImage, Target
from neurflow.runtime.float32 import full_float32
from neurflow.runtime.memory import MEMORY, Budget
from neurflow.runtime.progress import Progress, Silent, note_skipped
from neurflow.runtime.workspace import Workspace, open_workspace, same_request
from neurflow.study.activations import ConceptImages, ModelOnImages, concept_images
from neurflow.study.shared import Shared
from neurflow.study.study import Study, segments_of

SOURCE = "source"
"""name of the workspace entry that has the folder of the pictures"""


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
        layers: names of the layers to study, input side first. The target's layer is added at the end
            if it is missing. The default is ``model.proposed_layers()``.
        config: hyperparameters.
        out: folder for the result and for unfinished work; the same request resumes it.
        max_images: largest number of images of the concept set, spread over the folders.
        memory: memory to use in addition to the loaded model: bytes, or text such as "512MB".
        shared: results that are shared by several targets of this model on these images.
        redo: replace the contents of ``out`` if they belong to another request or an earlier version.
        progress: receives the progress.

    Raises:
        RequestError: the request cannot be carried out; nothing was started.
        WorkError: the work failed; finished steps are stored in ``out``.

    Example::

        circuit = neurflow.discover(model, "photos/", target="bee", out="runs/bee")
        circuit = neurflow.discover(model, images, "bee", config=neurflow.Config(tau=8, k=20))
    """
    config, progress, shared = config or Config(), progress or Silent(), shared or Shared()
    RULES.named(config.selection)  # an unknown rule is an error before the work begins
    budget = Budget(memory, progress)
    images = load_images(images, model)
    goal = model.target(target)
    layers = study_layers(model, goal, layers, config.depth)
    segments = segments_of(model, layers)
    request = _request(model, images, goal, layers, config, max_images)
    folder = Path(out) if out is not None else None
    opened = open_workspace(folder, request, redo=redo, can_continue=_can_continue)
    with full_float32(), opened as work:
        if images.root:
            work.write(SOURCE, {"folder": str(images.root.absolute())})
        if folder and work.read("finished"):
            progress.note(f"{folder} already contains this circuit: nothing to do.")
            return load_circuit(folder)

        runner = ModelOnImages(model, images, model.batch(budget), progress)
        chosen = _images(
            lambda: concept_images(
                runner, goal, config, max_images=max_images, predictions=shared.predictions
            ),
            work,
            progress,
        )
        crops = _crops(model, images, chosen, config)
        study = Study(
            model, goal, segments, crops, work, budget, progress, config.precision, shared
        )
        circuit = _circuit(study, _findings(study, config), chosen, config)
        if folder:
            save_circuit(circuit, folder)
            work.write("finished", True)
            work.clear(keep=("request", "finished", SOURCE), journals=config.depth is not None)
    return circuit


def _findings(study: Study, config: Config) -> Findings:
    """Find the parts of the circuit; reuse core neurons from the workspace.

    The time is estimated after the first pass.
    """
    work = study.work
    begun = work.read(f"core-{study.target.layer}") is not None
    alone = study.shared.folder is None  # a sweep reports its own progress
    if study.activations and alone and not begun:
        report_estimate(study, config)
    return find(study, config, select=partial(_stored_cores, work))


def _circuit(study: Study, found: Findings, chosen: ConceptImages, config: Config) -> Circuit:
    """Return the frozen circuit, with its pictures and notes."""
    model, crops = study.model, study.crops
    layers, edges = assemble(study, found, config)
    circuit = Circuit(
        model=model.info,
        **facts_to_reload(model),
        target=study.target,
        config=config,
        images=tuple(crops.images.refs[i] for i in chosen.chosen),
        skipped=chosen.skipped,
        crop_count=len(crops),
        layers=layers,
        edges=edges,
        notes=(
            *crops.images.notes,
            *notes(study, found, config),
            *score_error_notes(layers, config, model.half is not None),
            *precision_notes(model, crops, layers, config),
        ),
        thumbnails=thumbnails(model, crops, layers),
    )
    shown = surroundings(model, crops, layers, batch=study.batch, progress=study.progress)
    return circuit.model_copy(update=vars(shown))


def study_layers(
    model: Model, target: Target, layers: Sequence[str] | None, depth: int | None = None
) -> list[str]:
    """Return the studied layers, input side first, up to the target's layer.

    Args:
        model: the network.
        target: the target, in the last of the layers.
        layers: names of layers; by default, the last ``depth`` of those that the model proposes.
        depth: number of layers below the target's; by default, all.

    Raises:
        LayerError: a layer does not exist, is named twice, comes after the target, or does not depend
            on the previous one.
    """
    network, top = model.network, model.layer(target.layer).name
    if layers is None:
        names = [name for name in model.proposed_layers() if network.precedes(name, top)]
        names = names[-depth:] if depth else names
    else:
        names = [model.layer(name).name for name in layers]
        names = names[:-1] if names and names[-1] == top else names
        late = [name for name in names if not network.precedes(name, top)]
        if late:
            raise LayerError(
                f"Layer {late[0]!r} does not come before the target's layer {top!r}. Choose from "
                f"{', '.join(model.proposed_layers())}, and name layers from the input on."
            )
    names.append(top)
    if len(names) < 2:
        alone = len(model.layers()) == 1
        why = (
            " The network has no other layer. Only modules that are attributes or in an nn.ModuleList "
            "count, not functions or modules in a plain list."
        )
        raise LayerError(
            f"At least one layer below {target.layer!r} is needed.{why if alone else ''}"
        )
    return names


def _images(
    choose: Callable[[], ConceptImages], work: Workspace, progress: Progress
) -> ConceptImages:
    """Return the images of D, from the workspace if they are stored there."""
    kept = work.read("images")
    if kept is None:
        found = choose()
        kept = {"chosen": found.chosen, "skipped": [s.model_dump() for s in found.skipped]}
        work.write("images", kept)
    skipped = tuple(SkippedImage(**s) for s in kept["skipped"])
    note_skipped(skipped, progress)
    return ConceptImages(tuple(kept["chosen"]), skipped)


def _crops(model: Model, images: Images, found: ConceptImages, config: Config) -> CropSet:
    crops = CropSet(images, found.chosen, model.input_size[1:], config.granularities)
    count = len(found.chosen)
    limit = min(crops_limit(config, count) or len(crops), len(crops) // count)
    if config.k > limit * count:
        raise RequestError(
            f"k={config.k} is more than the {limit * count} crops of {count} images ({limit} each). "
            "Lower k (--k) or give more images."
        )
    return crops


def _stored_cores(work: Workspace, task: AttributionTask) -> dict[int, Core]:
    """Return the core neurons of a task's targets, from the workspace if they are stored there."""
    name, journal = f"core-{task.pair.upper}", work.journal(f"scores-{task.pair.upper}")
    stored = work.read(name)
    if stored is None:
        cores = select_cores(replace(task, journal=journal))
        work.write(name, {a: _plain(core) for a, core in cores.items()})
    else:
        cores = {int(a): _core(data) for a, data in stored.items()}
    if task.config.depth is None:
        journal.remove()
    else:
        journal.write()  # a run on more layers starts from these sums
    return cores


def _core(data: dict[str, Any]) -> Core:
    """Return core neurons from JSON data of the workspace."""
    importance = {int(s): v for s, v in data["importance"].items()}
    weights = tuple({int(s): w for s, w in part.items()} for part in data["weights"])
    each = None if data["each"] is None else np.array(data["each"], dtype=np.float32)
    return Core(**{**data, "importance": importance, "weights": weights, "each": each})


def _plain(core: Core) -> dict[str, Any]:
    """Convert core neurons to JSON data for the workspace."""
    return {**vars(core), "each": None if core.each is None else core.each.tolist()}


def _request(
    model: Model,
    images: Images,
    target: Target,
    layers: Sequence[str],
    config: Config,
    max_images: int | None,
) -> dict[str, Any]:
    """Return the identity of a run: equal requests give equal circuits."""
    return {
        "method": METHOD_VERSION,
        "model": model.info.digest,
        "answers": list(model.answers),
        "outputs": model.output_spec.kind,
        "images": images.digest,
        "target": target.model_dump(),
        "layers": list(layers),
        "config": config.model_dump(mode="json"),
        "max_images": max_images,
    }


def _can_continue(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Return whether a request continues an earlier one: same images, more layers, τ not smaller.

    The core neurons of a target are the first τ of an order that does not depend on τ. The targets of
    the earlier run are therefore among those of the new one, and their attributions are the same.
    """
    layers, config = before.get("layers", []), dict(before.get("config", {}))
    fewer = config.get("tau", 0) <= now["config"]["tau"] and config.get("depth") is not None
    config |= {name: now["config"][name] for name in ("tau", "depth")}
    same = same_request({**before, "layers": now["layers"], "config": config}, now)
    return fewer and same and now["layers"][-len(layers) :] == layers
