"""Results on disk: what is written comes back, a kill harms nothing, damage is refused."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from neurflow.circuit import (
    Circuit,
    CircuitLayer,
    GroupEdge,
    Neuron,
    NeuronGroup,
    SemanticGroup,
    load_circuit,
    save_circuit,
)
from neurflow.circuit.interactions import Flow, edge
from neurflow.config import Config
from neurflow.errors import ResultError, WorkError
from neurflow.refs import Crop, HeatMap, ImageRef, Member, ModelInfo, Target
from tests.conftest import webp


def contents(circuit: Circuit) -> tuple[Any, ...]:
    """Everything a circuit holds, arrays as lists, to be compared with ``==``."""
    shown = (circuit.thumbnails, circuit.pictures, circuit.heat)
    return circuit.model_dump(mode="json"), *map(dict, shown)


def index(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "circuit.json").read_text())


def rewrite(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Edit ``circuit.json`` by a function on its parsed content."""
    content = index(folder)
    change(content)
    (folder / "circuit.json").write_text(json.dumps(content))


def replace(folder: Path, kind: str, data: bytes) -> None:
    """Put other bytes in place of a file, name and digest corrected, as a forger would."""
    digest = hashlib.sha256(data).hexdigest()
    only(folder, kind).unlink()
    (folder / f"{kind}-{digest[:16]}.safetensors").write_bytes(data)
    rewrite(folder, lambda content: content.update({kind: digest}))


def only(folder: Path, kind: str) -> Path:
    (file,) = folder.glob(f"{kind}-*")
    return file


def header(**tensors: Any) -> bytes:
    """A safetensors file with any header and no data."""
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.fixture
def run(circuit: Circuit, tmp_path: Path) -> Path:
    save_circuit(circuit, tmp_path / "run")
    return tmp_path / "run"


def test_what_is_saved_comes_back(circuit: Circuit, run: Path) -> None:
    loaded = load_circuit(run)
    assert contents(loaded) == contents(circuit)
    vector = loaded.layers[0].neurons[4].semantic_groups[1].concept_vector
    assert vector.dtype == np.float32
    assert not vector.flags.writeable


def test_saving_again_replaces_the_result_and_keeps_other_files(
    circuit: Circuit, run: Path
) -> None:
    (run / "work").mkdir()
    (run / "work" / "state.json").write_text("{}")
    (run / "report.html").write_text("a report")
    other = circuit.model_copy(update={"thumbnails": {}, "notes": ("again",)})
    other.save(run)
    assert contents(load_circuit(run)) == contents(other)
    assert (run / "work" / "state.json").exists()
    assert (run / "report.html").read_text() == "a report"
    assert len(list(run.iterdir())) == 6


def test_equal_circuits_give_equal_bytes(circuit: Circuit, run: Path, tmp_path: Path) -> None:
    save_circuit(load_circuit(run), tmp_path / "again")
    first, second = (
        {file.name: file.read_bytes() for file in folder.iterdir()}
        for folder in (run, tmp_path / "again")
    )
    assert first == second


@pytest.mark.parametrize(
    ("edge", "problem"),
    [
        (GroupEdge(upper="head/0", lower="block/9", weight=1), "block/9"),
        (
            GroupEdge(upper="head/0", lower="block/0", weight=1, positive=1, negative=-0.5),
            "parts of edge",
        ),
    ],
)
def test_a_circuit_that_contradicts_itself_is_not_written(
    circuit: Circuit, tmp_path: Path, edge: GroupEdge, problem: str
) -> None:
    with pytest.raises(ResultError, match=problem):
        save_circuit(circuit.model_copy(update={"edges": (edge,)}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("step", range(4))
def test_a_kill_while_saving_leaves_the_old_result(
    circuit: Circuit, run: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    other = circuit.model_copy(update={"layers": doubled(circuit), "thumbnails": {}})
    moves, move = iter(range(4)), os.replace

    def killed(source: Any, destination: Any) -> None:
        if next(moves) == step:
            raise KeyboardInterrupt
        move(source, destination)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_circuit(other, run)
    monkeypatch.undo()
    assert contents(load_circuit(run)) == contents(circuit)
    save_circuit(other, run)
    assert contents(load_circuit(run)) == contents(other)
    assert len(list(run.iterdir())) == 4


def test_a_kill_after_the_last_move_leaves_the_new_result(
    circuit: Circuit, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = circuit.model_copy(update={"layers": doubled(circuit)})

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        save_circuit(other, run)
    monkeypatch.undo()
    assert contents(load_circuit(run)) == contents(other)


def doubled(circuit: Circuit) -> tuple[CircuitLayer, ...]:
    """The circuit's layers with other concept vectors, so that its array file is another one."""
    layers = json.loads(json.dumps([layer.model_dump(mode="json") for layer in circuit.layers]))
    for layer in layers:
        for neuron in layer["neurons"].values():
            for part in neuron["semantic_groups"]:
                part["concept_vector"] = [2 * value for value in part["concept_vector"]]
    return tuple(CircuitLayer.model_validate(layer) for layer in layers)


def test_a_folder_that_cannot_be_written_is_named(circuit: Circuit, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError, match="Cannot write"):
        save_circuit(circuit, tmp_path / "file" / "run")


def test_what_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="neurflow discover"):
        load_circuit(tmp_path / "none")
    (tmp_path / "half" / "work").mkdir(parents=True)
    with pytest.raises(ResultError, match="not finished"):
        load_circuit(tmp_path / "half")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="is a file"):
        load_circuit(tmp_path / "file")


def neuron(content: dict[str, Any], layer: int = 1, index: str = "2") -> dict[str, Any]:
    return content["circuit"]["layers"][layer]["neurons"][index]


def part(content: dict[str, Any], layer: int = 1, index: str = "2") -> dict[str, Any]:
    return neuron(content, layer, index)["semantic_groups"][0]


def group(content: dict[str, Any], layer: int = 0) -> dict[str, Any]:
    return content["circuit"]["layers"][layer]["groups"][0]


EDITS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "newer schema": (lambda c: c.update(schema_version=99), "schema version 99.*Upgrade"),
    "older schema": (lambda c: c.update(schema_version=0), "schema version 0.*Create it again"),
    "no schema": (lambda c: c.update(schema_version=None), "schema_version"),
    "other format": (lambda c: c.update(format="other"), "format"),
    "more fields": (lambda c: c.update(code="import os"), "code: Extra inputs"),
    "no circuit": (lambda c: c.pop("circuit"), "circuit: Field required"),
    "digest edited": (lambda c: c.update(arrays="0" * 64), "arrays-0000.*No such file"),
    "path in digest": (lambda c: c.update(arrays="../" * 21 + "x"), "arrays: String should match"),
    "wrong type": (lambda c: part(c).update(crops="all"), "crops: Input should be"),
    "negative index": (lambda c: part(c)["weights"].update({"-4": 1}), "greater than or equal"),
    "bad config": (lambda c: c["circuit"]["config"].update(tau=0), "tau=0"),
    "array address": (lambda c: part(c).update(concept_vector="8:99"), "no vector 8:99"),
    "array by path": (lambda c: part(c).update(concept_vector="../x"), "not the address"),
    "array in place": (lambda c: part(c).update(concept_vector=[1, 2]), "not the address"),
    "no layers": (lambda c: c["circuit"].update(layers=[]), "no layers"),
    "layer twice": (lambda c: c["circuit"].update(layers=c["circuit"]["layers"] * 2), "2 times"),
    "target layer": (lambda c: c["circuit"]["target"].update(layer="block"), "target 'bee'"),
    "target neuron": (lambda c: c["circuit"]["target"].update(neuron=3), "target 'bee'"),
    "neuron index": (lambda c: neuron(c).update(index=3), "has the index 3"),
    "image": (lambda c: neuron(c)["crops"][0].__setitem__(0, 7), "image 7 of 2"),
    "group's image": (lambda c: group(c)["crops"][0].__setitem__(0, 7), "image 7 of 2"),
    "empty crop": (lambda c: neuron(c)["crops"][0][1].__setitem__(2, 0), "empty crop"),
    "activations": (lambda c: neuron(c)["activations"].pop(), "3 crops and 2 activations"),
    "crop lost": (lambda c: part(c)["crops"].pop(), "do not partition"),
    "crop twice": (lambda c: part(c)["crops"].append(0), "do not partition"),
    "crop beyond": (lambda c: part(c)["crops"].append(3), "do not partition"),
    "weights sum": (lambda c: part(c)["weights"].update({"4": 0.5}), "sum to 0.75"),
    "weight of none": (lambda c: part(c).update(weights={"5": 1.0}), "weight for neuron 5"),
    "core of none": (lambda c: neuron(c)["importance"].update({"5": 1.0}), "weight for neuron 5"),
    "weight at l_0": (lambda c: part(c, 0, "4").update(weights={"4": 1.0}), "weight for neuron 4"),
    "usual": (
        lambda c: group(c).update(usual={"means": [1.0], "crop_scores": [], "image_scores": []}),
        "does not cover all",
    ),
    "group name": (lambda c: group(c).update(id="x/0"), "is in layer"),
    "group twice": (lambda c: group(c).update(id="block/1"), "group 'block/1' occurs 2 times"),
    "member of none": (lambda c: group(c)["members"].append([9, 0]), "of neuron 9"),
    "member twice": (lambda c: group(c)["members"].append([4, 1]), "is in 2 groups"),
    "member lost": (lambda c: group(c)["members"].pop(), "is in no group"),
    "edge of none": (lambda c: c["circuit"]["edges"][0].update(lower="block/5"), "'block/5'"),
    "edge across": (lambda c: c["circuit"]["edges"][0].update(lower="head/0"), "adjacent"),
    "edge twice": (lambda c: c["circuit"]["edges"].append(c["circuit"]["edges"][0]), "2 times"),
}  # fmt: skip


@pytest.mark.parametrize("damage", EDITS)
def test_an_edited_result_is_refused(run: Path, damage: str) -> None:
    change, message = EDITS[damage]
    load_circuit(run)
    rewrite(run, change)
    with pytest.raises(ResultError, match=f"(?s){message}"):
        load_circuit(run)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(run: Path, number: str) -> None:
    text = (run / "circuit.json").read_text()
    assert "-0.5" in text
    (run / "circuit.json").write_text(text.replace("-0.5", number))
    with pytest.raises(ResultError, match="damaged"):
        load_circuit(run)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xfe", b"[" * 100_000, b"[]", pickle.dumps({"schema_version": 1})],
    ids=["empty", "no text", "deep", "list", "pickle"],
)
def test_what_is_no_index_is_refused(run: Path, data: bytes) -> None:
    (run / "circuit.json").write_bytes(data)
    with pytest.raises(ResultError, match=r"circuit\.json is damaged"):
        load_circuit(run)


@pytest.mark.parametrize("name", ["circuit.json", "arrays", "thumbnails"])
def test_a_file_cut_short_is_refused(run: Path, name: str) -> None:
    (file,) = run.glob(f"{name}*")
    whole = file.read_bytes()
    for length in (0, 7, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(ResultError, match="damaged"):
            load_circuit(run)


class Bomb:
    """Unpickling it makes a file, and so would show."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


FORGED: dict[str, Callable[[Path], bytes]] = {
    "pickle": lambda folder: pickle.dumps(Bomb(folder / "executed")),
    "not there": lambda _: b"",
    "a billion rows": lambda _: header(
        **{"8": {"dtype": "F32", "shape": [10**9, 8], "data_offsets": [0, 32 * 10**9]}}
    ),
    "a billion rows of nothing": lambda _: header(
        **{"8": {"dtype": "F32", "shape": [10**9, 0], "data_offsets": [0, 0]}}
    ),
    "a header of 2^60 bytes": lambda _: struct.pack("<Q", 2**60),
    "unknown type": lambda _: header(**{"8": {"dtype": "X9", "shape": [], "data_offsets": [0, 0]}}),
    "integers": lambda _: save({"8": np.ones((5, 8), dtype=np.int32)}),
    "another length": lambda _: save({"8": np.ones((5, 7), dtype=np.float32)}),
    "too few": lambda _: save({"8": np.ones((1, 8), dtype=np.float32)}),
    "not finite": lambda _: save({"8": np.full((5, 8), np.nan, dtype=np.float32)}),
}


@pytest.mark.parametrize("kind", FORGED)
def test_forged_arrays_are_refused_and_nothing_runs(run: Path, kind: str) -> None:
    replace(run, "arrays", FORGED[kind](run))
    with pytest.raises(ResultError, match="damaged"):
        load_circuit(run)
    assert not (run / "executed").exists()


def huge_webp() -> bytes:
    return webp(side=2000)


THUMBNAILS: dict[str, dict[str, bytes]] = {
    "html": {"0:0,0,8,8": b"<script>alert(1)</script>"},
    "other format": {"0:0,0,8,8": b"\x89PNG\r\n\x1a\n" + bytes(40)},
    "webp in name only": {"0:0,0,8,8": b"RIFF\x20\0\0\0WEBPVP8 " + bytes(20)},
    "too large": {"0:0,0,8,8": huge_webp()},
    "too many bytes": {"0:0,0,8,8": webp() + bytes(2**20)},
    "no crop": {"../0": webp()},
    "no such image": {"5:0,0,8,8": webp()},
    "upside down": {"0:0,8,8,0": webp()},
}


@pytest.mark.parametrize("kind", THUMBNAILS)
def test_thumbnails_that_are_none_are_refused(run: Path, kind: str) -> None:
    forged = {key: np.frombuffer(data, np.uint8) for key, data in THUMBNAILS[kind].items()}
    replace(run, "thumbnails", save(forged))
    with pytest.raises(ResultError, match="damaged"):
        load_circuit(run)


def test_pictures_and_heat_maps_come_back(circuit: Circuit, tmp_path: Path) -> None:
    heat = {("block/0", 0): HeatMap(1, 3, b"\x00\x7f\xff"), ("head/0", 1): HeatMap(2, 1, b"ab")}
    shown = circuit.model_copy(update={"pictures": {0: webp(), 1: webp()}, "heat": heat})
    save_circuit(shown, tmp_path / "shown")
    assert contents(load_circuit(tmp_path / "shown")) == contents(shown)


def test_results_of_before_there_were_pictures_load(circuit: Circuit, run: Path) -> None:
    (file,) = run.glob("surroundings*")
    file.unlink()
    rewrite(run, lambda content: content.pop("surroundings"))
    assert contents(load_circuit(run)) == contents(circuit)


byte = np.zeros((2, 2), np.uint8)
SURROUNDINGS: dict[str, dict[str, np.ndarray]] = {
    "html": {"0": np.frombuffer(b"<script>alert(1)</script>", np.uint8)},
    "too large": {"0": np.frombuffer(huge_webp(), np.uint8)},
    "no such image": {"7": np.frombuffer(webp(), np.uint8)},
    "no name": {"../0": np.frombuffer(webp(), np.uint8)},
    "heat without a picture": {"0@block/0": byte},
    "heat of no group": {"0": np.frombuffer(webp(), np.uint8), "0@block/99": byte},
    "heat of floats": {"0": np.frombuffer(webp(), np.uint8), "0@block/0": byte.astype(np.float32)},
    "heat too fine": {
        "0": np.frombuffer(webp(), np.uint8),
        "0@block/0": np.zeros((2, 5000), np.uint8),
    },
    "heat of nothing": {"0": np.frombuffer(webp(), np.uint8), "0@block/0": byte[:0]},
}


@pytest.mark.parametrize("kind", SURROUNDINGS)
def test_surroundings_that_are_none_are_refused(run: Path, kind: str) -> None:
    replace(run, "surroundings", save(SURROUNDINGS[kind]))
    with pytest.raises(ResultError, match="damaged"):
        load_circuit(run)


@pytest.mark.parametrize("name", ["circuit.json", "arrays", "thumbnails", "surroundings"])
def test_links_and_devices_are_refused(run: Path, tmp_path: Path, name: str) -> None:
    (file,) = run.glob(f"{name}*")
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ResultError, match="a link or device"):
        load_circuit(run)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ResultError, match="a link or device"):
        load_circuit(run)


def test_absurd_sizes_are_refused_unread(run: Path) -> None:
    with (run / "circuit.json").open("r+b") as handle:
        handle.truncate(2**40)
    with pytest.raises(ResultError, match="1048576 MiB, over 128"):
        load_circuit(run)


def test_any_flipped_byte_is_noticed(run: Path) -> None:
    file = only(run, "arrays")
    whole = file.read_bytes()
    assert load(whole)["8"].shape == (4, 8)
    for place in range(0, len(whole), 37):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        with pytest.raises(ResultError, match="digest"):
            load_circuit(run)


finite = st.floats(-1e6, 1e6, width=32)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def neurons(draw: st.DrawFn, index: int, below: list[int], width: int, images: int) -> Neuron:
    count = draw(st.integers(1, 5))
    boxes = st.tuples(
        st.integers(0, 9), st.integers(0, 9), st.integers(10, 99), st.integers(10, 99)
    )
    cut = draw(st.integers(1, count))
    parts = []
    for crops in filter(None, (tuple(range(cut)), tuple(range(cut, count)))):
        raw = np.array([draw(st.floats(-1, 1).filter(lambda w: abs(w) > 1e-3)) for _ in below])
        weights = dict(zip(below, (raw / np.abs(raw).sum()).tolist(), strict=True)) if below else {}
        vector = draw(st.lists(finite, min_size=width, max_size=width))
        parts.append(SemanticGroup(crops=crops, weights=weights, concept_vector=vector))
    return Neuron(
        index=index,
        crops=tuple(Crop(draw(st.integers(0, images - 1)), draw(boxes)) for _ in range(count)),
        activations=tuple(sorted((draw(finite) for _ in range(count)), reverse=True)),
        semantic_groups=tuple(parts),
        importance=dict.fromkeys(below, draw(st.floats(0, 1e6))),
        steps=draw(st.none() | st.integers(1, 99)),
        completeness_error=draw(st.none() | st.floats(0, 1)),
    )


@st.composite
def circuits(draw: st.DrawFn) -> Circuit:
    """Small circuits of up to three layers, each with one group for each first meaning."""
    names = draw(st.lists(text, min_size=1, max_size=3, unique=True))
    images = tuple(
        ImageRef(name=n, label=n[:3] or None) for n in draw(st.lists(text, min_size=1, max_size=3))
    )
    layers: list[CircuitLayer] = []
    below: list[int] = []
    for name in names:
        indices = draw(st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True))
        found = {a: draw(neurons(a, below, 6, len(images))) for a in indices}
        groups = tuple(
            NeuronGroup(
                id=f"{name}/{i}",
                members=tuple(Member(a, j) for j in range(len(found[a].semantic_groups))),
                crops=found[a].crops,
                label=draw(st.none() | text),
            )
            for i, a in enumerate(found)
        )
        layers.append(CircuitLayer(name=name, neurons=found, groups=groups))
        below = indices
    return Circuit(
        model=ModelInfo(reference=draw(text), digest="0" * 64, input_size=(3, 8, 8)),
        target=Target(layer=names[-1], neuron=below[0], name=draw(text)),
        config=Config(
            tau=draw(st.integers(1, 99)), groups=draw(st.just("auto") | st.integers(1, 9))
        ),
        images=images,
        crop_count=draw(st.integers(0, 2**40)),
        layers=tuple(layers),
        edges=tuple(
            edge(g.id, h.id, Flow(draw(st.floats(0, 1)), draw(st.floats(-1, 0))))
            for lower, upper in pairwise(layers)
            for g in upper.groups
            for h in lower.groups
        ),
        notes=tuple(draw(st.lists(text, max_size=2))),
        thumbnails={crop: webp() for crop in layers[-1].groups[0].crops},
    )


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(any_circuit=circuits())
def test_any_circuit_comes_back_as_it_was(any_circuit: Circuit, tmp_path: Path) -> None:
    save_circuit(any_circuit, tmp_path)
    assert contents(load_circuit(tmp_path)) == contents(any_circuit)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Path of every value within a JSON value, containers included."""
    if isinstance(value, dict):
        inner = [leaves(child, (*path, key)) for key, child in value.items()]
    elif isinstance(value, list):
        inner = [leaves(child, (*path, i)) for i, child in enumerate(value)]
    else:
        inner = []
    return [path, *(found for paths in inner for found in paths)]


ODD_VALUES = st.sampled_from(
    [None, True, 0, -1, 7, 10**30, 0.5, "", "8:0", "NaN", "../../etc/passwd", [], {}, [[]], {"": 0}]
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_stands_in_the_index_loading_gives_a_circuit_or_our_error(
    circuit: Circuit, tmp_path: Path, data: st.DataObject
) -> None:
    save_circuit(circuit, tmp_path)
    content = index(tmp_path)
    *parents, last = data.draw(st.sampled_from(leaves(content)[1:]))
    place = content
    for key in parents:
        place = place[key]
    place[last] = data.draw(ODD_VALUES)
    (tmp_path / "circuit.json").write_text(json.dumps(content))
    with contextlib.suppress(ResultError):
        save_circuit(load_circuit(tmp_path), tmp_path / "again")


def test_json_that_would_take_much_memory_is_refused_before_it_is_parsed(
    circuit: Circuit, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    junk = b"[" + b"[]," * 12_000_000 + b"[]]"
    (run / "circuit.json").write_bytes(b'{"circuit": ' + junk + b"}")
    monkeypatch.setattr("neurflow.runtime.files.from_json", lambda *_, **__: pytest.fail("parsed"))
    with pytest.raises(ResultError, match=r"its values would take 1... MiB, over 1024"):
        load_circuit(run)
    monkeypatch.setattr("neurflow.circuit.storage.MEMORY_OF_JSON", 1000)
    with pytest.raises(ResultError, match=r"too large to be stored.*--tau"):
        save_circuit(circuit, run)
