"""No function of the package writes through links that an attacker has put into a folder."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from neurflow.atlas.tables import add_circuit
from neurflow.circuit import Circuit, LabelStore, change_edits, save_robustness
from neurflow.circuit.edits import Edits
from neurflow.circuit.robustness_file import RobustnessFile
from neurflow.circuit.tables import to_graphml, write_records
from neurflow.config import Config
from neurflow.errors import NeurFlowError
from neurflow.labels.cache import Cache, CachedAnswer
from neurflow.labels.manual import set_label
from neurflow.pages.page import write_page
from neurflow.refs import Target
from neurflow.runtime.files import create
from neurflow.runtime.workspace import Workspace
from neurflow.stats import Interval
from neurflow.study.shared import ActivationCache
from neurflow.sweeping.plan import Plan, add_to_plan, job_of
from neurflow.sweeping.state import lock_of, store_failure
from tests.test_structure import sources

Writer = Callable[[Path, Circuit], object]
TARGET = Target(layer="head", neuron=2, name="bee")


def label(run: Path, _: Circuit) -> None:
    LabelStore(run).update("block/0", lambda g: set_label(g, "stripes", author="ann"))


def plan(folder: Path, _: Circuit) -> None:
    job = job_of(TARGET)
    add_to_plan(
        folder / "sweep",
        Plan(
            model="m", reference="r", images="i", layers=None, config=Config(), max_images=None,
            jobs=(job,),
        ),
    )  # fmt: skip
    store_failure(folder / "sweep", job, "why")
    (folder / "sweep" / "locks").mkdir(exist_ok=True)
    with lock_of(folder / "sweep", job):
        pass


def pool(folder: Path, _: Circuit) -> None:
    import numpy as np

    kept = ActivationCache(folder / "pool")
    with kept.locked(0):
        kept.keep(0, ["block"], [np.zeros((2, 3), dtype=np.float32)])


def work(folder: Path, _: Circuit) -> None:
    import numpy as np

    kept = Workspace(folder / "work")
    kept.write("request", {})
    np.load(kept.array("phi", (2, 3)), mmap_mode="r+")[:] = 1
    with create(kept.folder / "features-0.bin") as handle:
        handle.write(b"1")


WRITERS: dict[str, Writer] = {
    "save": lambda folder, circuit: circuit.save(folder),
    "label": label,
    "edit": lambda folder, _: change_edits(folder, lambda *_: Edits()),
    "robustness": lambda folder, _: save_robustness(
        folder, RobustnessFile(groups={"block/0": Interval(0.5, 0.4, 0.6)})
    ),
    "page": lambda folder, _: write_page("<!doctype html>", folder / "report.html"),
    "csv": lambda folder, _: write_records([{"a": 1}], folder / "csv" / "a.csv"),
    "graphml": lambda folder, circuit: to_graphml(circuit, folder / "bee.graphml"),
    "cache": lambda folder, _: Cache(folder / "label-cache").put(
        "0", CachedAnswer(model="m", answer="a")
    ),
    "atlas": lambda folder, circuit: add_circuit(folder / "atlas", "bee", circuit),
    "sweep": plan,
    "pool": pool,
    "work": work,
}


def files(folder: Path) -> set[Path]:
    return {file.relative_to(folder) for file in folder.rglob("*") if not file.is_dir()}


@pytest.mark.parametrize("name", WRITERS)
def test_no_writer_follows_a_planted_link(name: str, circuit: Circuit, tmp_path: Path) -> None:
    precious, elsewhere = tmp_path / "precious", tmp_path / "elsewhere"
    precious.write_text("mine")
    precious.chmod(0o600)
    elsewhere.mkdir()
    clean, planted = tmp_path / "clean", tmp_path / "planted"
    for folder in (clean, planted):
        circuit.save(folder)
    before = files(clean)
    WRITERS[name](clean, circuit)
    after = files(clean)
    assert after - before or name == "save"
    for file in after:
        for link in (planted / file, (planted / file).with_name(f".{file.name}.partial")):
            if link.exists():
                continue
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(precious)
    with contextlib.suppress(NeurFlowError):
        WRITERS[name](planted, circuit)
    assert precious.read_text() == "mine" and precious.stat().st_size == 4

    for folder in {file.parts[0] for file in after - before if len(file.parts) > 1}:
        linked = tmp_path / "linked"
        circuit.save(linked)
        (linked / folder).symlink_to(elsewhere)
        with contextlib.suppress(NeurFlowError):
            WRITERS[name](linked, circuit)
        assert name in ("csv", "sweep") or not files(elsewhere)


WRITES = {"write_text", "write_bytes", "to_parquet", "save_file", "FileLock", "NamedTemporaryFile"}


def writes(source: str) -> list[int]:
    """Lines that write a file directly."""
    found = []
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        given = [*call.args, *(word.value for word in call.keywords if word.arg == "mode")]
        modes = [str(each.value) for each in given if isinstance(each, ast.Constant)]
        opens = name == "open" and any(len(m) < 4 and set(m) & set("wax+") for m in modes)
        if name in WRITES or opens:
            found.append(call.lineno)
    return found


def test_files_are_written_only_by_runtime_files() -> None:
    elsewhere = {path: writes(source) for path, source in sources().items()}
    del elsewhere["runtime/files.py"]
    assert {path: lines for path, lines in elsewhere.items() if lines} == {}
    assert writes("import pathlib\npathlib.Path('a').open('wb')") == [2]
    assert writes("FileLock('a')") == [1]
