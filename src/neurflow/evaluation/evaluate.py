"""``neurflow.evaluate``: runs protocols by name and stores their tables.

1. Each protocol is a function from a ``Laboratory`` to a ``Table``.
2. A finished table is stored beside the circuit, under a digest of everything it depends on, so that
   the same request finds it again. Intermediate results of an interrupted protocol are stored too.
3. A protocol for which the circuit or the pictures do not suffice raises an error that says what is
   missing. If several protocols were requested, the error becomes an entry of ``missing``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any, get_type_hints

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
"""name → protocol: the published experiments in their order, then further controls"""
FOLDER = "evaluation"
"""subfolder of a run with the tables"""


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
        circuit: the circuit to measure.
        model: the model that it was found in.
        images: the pictures that it was made from: any source that ``load_images`` accepts. Some
            protocols do not need them.
        protocol: names of :data:`PROTOCOLS`, or ``all``.
        held_out: pictures that it was not made from. Accuracy is measured on those labelled as the
            class, and overlaps on the crops of those predicted as the class.
        settings: settings of the protocols; the published values by default.
        out: the circuit's folder. Finished tables are stored in ``out/evaluation`` and reused.
        memory: memory to use in addition to that of the model.
        progress: receives stages, steps and notes.

    Raises:
        RequestError: there is no such protocol, or none of those requested can be measured.

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
    with workspace(request, out) as work:
        budget = Budget(memory, progress)
        lab = Laboratory(circuit, model, studied, unseen, settings, work, budget, progress)
        tables, missing = all_measured(lab, names)
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


@contextmanager
def workspace(request: dict[str, Any], out: str | Path | None) -> Iterator[Workspace]:
    """Open the workspace of a request, in the folder of the run or in a temporary folder."""
    with ExitStack() as stack:
        if out is None:
            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="neurflow-"))
            work = Workspace(Path(temporary))
        else:
            work = Workspace(subfolder(Path(out), FOLDER) / _digest(request))
        work.write("request", request)
        yield work


def all_measured(lab: Laboratory, names: Sequence[str]) -> tuple[list[Table[Any]], dict[str, str]]:
    """Run several protocols.

    Returns:
        The tables, and protocol → reason for those that cannot be measured.

    Raises:
        NeurFlowError: none of them can be measured.
    """
    tables, missing = [], {}
    for name in names:
        try:
            tables.append(measured(lab, name))
        except NeurFlowError as error:
            if len(names) == 1:
                raise
            missing[name] = str(error)
            lab.progress.note(f"{name}: {error}")
    if not tables:
        raise RequestError(f"Nothing could be measured. {next(iter(missing.values()))}")
    return tables, missing


def chosen_protocols(protocol: str | Sequence[str]) -> list[str]:
    """Return the names of the requested protocols; ``all`` stands for every protocol.

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


def measured(lab: Laboratory, name: str) -> Table[Any]:
    """Return the table of a protocol, stored or measured now."""
    protocol, work = PROTOCOLS[name], lab.work
    stored = work.read(f"table-{name}")
    if stored is not None:
        return _table_type(protocol).model_validate(stored)
    lab.progress.start(name, 1)
    before = perf_counter()
    table = protocol(lab)
    table = table.model_copy(update={"seconds": perf_counter() - before})
    work.write(f"table-{name}", table.model_dump(mode="json"))
    return table


def _table_type(protocol: Protocol) -> type[Table[Any]]:
    """Return the type of a protocol's table, including the type of its rows."""
    found: type[Table[Any]] = get_type_hints(protocol)["return"]
    return found


def clear(work: Workspace) -> None:
    """Delete everything except the tables and the request."""
    for path in work.folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif not path.name.startswith(("table-", "request")):
            path.unlink()


def unseen_only(held_out: Images, studied: Images | None, circuit: Circuit) -> Images:
    """Leave out the images that the circuit was made from; they are recognised by their pixels.

    Raises:
        RequestError: no image is left.
    """
    if studied is None:
        return held_out
    names = {ref.name for ref in circuit.images}
    seen = {_pixels(studied, i) for i, ref in enumerate(studied.refs) if ref.name in names}
    unseen = [i for i in range(len(held_out)) if _pixels(held_out, i) not in seen]
    if not unseen:
        raise RequestError(
            "The circuit was made from all of the held-out pictures. Give others: --held-out FOLDER"
        )
    if len(unseen) == len(held_out):
        return held_out

    def read(index: int) -> torch.Tensor:
        return held_out.read(unseen[index])

    refs = tuple(held_out.refs[i] for i in unseen)
    digest = hashlib.sha256(f"{held_out.digest} {unseen}".encode()).hexdigest()
    return Images(refs, read, digest, held_out.root)


def _pixels(images: Images, index: int) -> str:
    try:
        return hashlib.sha256(images.read(index).contiguous().numpy().tobytes()).hexdigest()
    except NeurFlowError:  # reported when the image is used
        return f"unreadable {index}"


def _digest(request: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:16]
