"""``neurflow.evaluate``: the protocols by name, one table each, kept as they are finished.

1. Each protocol is a function from a ``Laboratory`` to a ``Table``.
2. A finished table is kept beside the circuit, under a digest of all it depends on; the same request
   finds it there. What a protocol computed before a kill is kept too.
3. A protocol that the circuit or the pictures cannot serve says what is missing: an error when it was
   asked for by name, an entry in ``missing`` when all were.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from neurflow.circuit import Circuit
from neurflow.config import METHOD_VERSION
from neurflow.errors import NeurFlowError, RequestError, near
from neurflow.evaluation.crop_sizes import crop_sizes
from neurflow.evaluation.effect_of_k import effect_of_k
from neurflow.evaluation.faithfulness import faithfulness
from neurflow.evaluation.fidelity import completeness, fidelity, overlap_of_methods
from neurflow.evaluation.groups import groups
from neurflow.evaluation.integration import integration
from neurflow.evaluation.laboratory import Laboratory
from neurflow.evaluation.meanings import meanings
from neurflow.evaluation.optimality import optimality
from neurflow.evaluation.result import Evaluation, Table
from neurflow.evaluation.settings import Settings
from neurflow.evaluation.significance import significance
from neurflow.evaluation.stability import stability
from neurflow.evaluation.weight_norm import ig_against_weight_norm
from neurflow.evaluation.weights import attribution_methods, fidelity_of_weights, sum_against_mean
from neurflow.model import Model
from neurflow.pictures.images import Images, load_images
from neurflow.runtime.files import subfolder
from neurflow.runtime.float32 import full_float32
from neurflow.runtime.memory import MEMORY, Budget
from neurflow.runtime.progress import Progress, Silent
from neurflow.runtime.workspace import Workspace

Protocol = Callable[[Laboratory], Table[Any]]

PROTOCOLS: dict[str, Protocol] = {
    "optimality": optimality,
    "fidelity": fidelity,
    "completeness": completeness,
    "overlap": overlap_of_methods,
    "weights": fidelity_of_weights,
    "attribution": attribution_methods,
    "sum-mean": sum_against_mean,
    "norm": ig_against_weight_norm,
    "k": effect_of_k,
    "crop-sizes": crop_sizes,
    "meanings": meanings,
    "groups": groups,
    "integration": integration,
    "faithfulness": faithfulness,
    "stability": stability,
    "significance": significance,
}
"""the published experiments in METHOD's order, then those that a reviewer would add"""
FOLDER = "evaluation"
"""in a run's folder"""


@full_float32()
def evaluate(
    circuit: Circuit,
    model: Model,
    images: Any = None,
    protocol: str | Sequence[str] = "all",
    *,
    held_out: Any = None,
    settings: Settings | None = None,
    out: str | Path | None = None,
    memory: str | int = MEMORY,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a circuit by one protocol, several, or all.

    Args:
        circuit: what is measured.
        model: the one that it was found in.
        images: the pictures that it was made from, as any source that ``load_images`` takes; some
            protocols do without.
        protocol: names of :data:`PROTOCOLS`, or ``all``.
        held_out: pictures that it was not made from: answers are counted on those of the class, and
            overlaps measured on the crops of those that the model calls the class.
        settings: how thoroughly; the published values by default.
        out: the circuit's folder; finished tables are kept in ``out/evaluation`` and found again.
        memory: what may be held at once above the model.
        progress: told what is being done.

    Raises:
        RequestError: there is no such protocol, or the one asked for cannot be served.

    Example::

        found = neurflow.evaluate(circuit, model, "photos/", ["optimality", "fidelity"])
        found.table("optimality").rows
    """
    names = chosen_protocols(protocol)
    settings, progress = settings or Settings(), progress or Silent()
    studied = load_images(images, model).tell(progress) if images is not None else None
    unseen = (
        unseen_only(load_images(held_out, model).tell(progress), studied, circuit)
        if held_out is not None
        else None
    )
    request = {
        "version": version("neurflow"),
        "method": METHOD_VERSION,
        "circuit": hashlib.sha256(circuit.model_dump_json().encode()).hexdigest(),
        "images": studied.digest if studied else None,
        "held_out": unseen.digest if unseen else None,
        "settings": settings.model_dump(mode="json"),
    }
    with ExitStack() as stack:
        if out is None:
            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="neurflow-"))
            folder = Path(temporary)
        else:
            folder = subfolder(Path(out), FOLDER) / _digest(request)
        work = Workspace(folder)
        work.write("request", request)
        lab = Laboratory(
            circuit, model, studied, unseen, settings, work, Budget(memory, progress), progress
        )
        tables, missing = [], {}
        for name in names:
            try:
                tables.append(measured(lab, name, work))
            except NeurFlowError as error:
                if len(names) == 1:
                    raise
                missing[name] = str(error)
                progress.note(f"{name}: {error}")
        if not tables:
            raise RequestError(f"Nothing could be measured. {next(iter(missing.values()))}")
        clear(work)
    return Evaluation(
        model=circuit.model,
        target=circuit.target,
        settings=settings,
        images=len(circuit.images),
        held_out=len(unseen) if unseen else None,
        tables=tuple(tables),
        missing=missing,
    )


def chosen_protocols(protocol: str | Sequence[str]) -> list[str]:
    """Names of protocols; ``all`` stands for every one.

    Raises:
        RequestError: there is no such protocol.
    """
    given = [protocol] if isinstance(protocol, str) else list(protocol)
    if "all" in given:
        return list(PROTOCOLS)
    for name in given:
        if name not in PROTOCOLS:
            raise RequestError(
                f"There is no protocol {name!r}.{near(name, PROTOCOLS)} "
                f"Known: {', '.join(PROTOCOLS)}, all."
            )
    return list(dict.fromkeys(given))


def measured(lab: Laboratory, name: str, work: Workspace) -> Table[Any]:
    """A protocol's table, from before or measured now."""
    protocol = PROTOCOLS[name]
    kept = work.read(f"table-{name}")
    if kept is not None:
        return _form(protocol).model_validate(kept)
    lab.progress.start(name, 1)
    before = perf_counter()
    table = protocol(lab)
    table = table.model_copy(update={"seconds": perf_counter() - before})
    work.write(f"table-{name}", table.model_dump(mode="json"))
    return table


def _form(protocol: Protocol) -> type[Table[Any]]:
    """The table's type, with its rows'."""
    import typing

    found: type[Table[Any]] = typing.get_type_hints(protocol)["return"]
    return found


def clear(work: Workspace) -> None:
    """Drop what the tables were computed from."""
    for path in work.folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif not path.name.startswith(("table-", "request")):
            path.unlink()


def unseen_only(held_out: Images, studied: Images | None, circuit: Circuit) -> Images:
    """The held-out images without those that the circuit was made from, told by their pixels.

    Raises:
        RequestError: none is left.
    """
    if studied is None:
        return held_out
    names = {ref.name for ref in circuit.images}
    seen = {_pixels(studied, i) for i, ref in enumerate(studied.refs) if ref.name in names}
    left = [i for i in range(len(held_out)) if _pixels(held_out, i) not in seen]
    if not left:
        raise RequestError(
            "The circuit was made from all of the held-out pictures. Give others: --held-out FOLDER"
        )
    if len(left) == len(held_out):
        return held_out

    def read(index: int) -> torch.Tensor:
        return held_out.read(left[index])

    refs = tuple(held_out.refs[i] for i in left)
    digest = hashlib.sha256(f"{held_out.digest} {left}".encode()).hexdigest()
    return Images(refs, read, digest, held_out.root)


def _pixels(images: Images, index: int) -> str:
    try:
        return hashlib.sha256(images.read(index).contiguous().numpy().tobytes()).hexdigest()
    except NeurFlowError:  # cannot be read: met again, and named, where it is used
        return f"unreadable {index}"


def _digest(request: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:16]
