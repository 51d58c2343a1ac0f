"""Edited, truncated, forged or enlarged files of a circuit are refused."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from neurflow.circuit import (
    Circuit,
    load_circuit,
    save_circuit,
)
from neurflow.errors import ResultError
from tests.circuit.stored import header, only, replace, rewrite
from tests.conftest import webp


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
def test_invalid_index_files_are_refused(run: Path, data: bytes) -> None:
    (run / "circuit.json").write_bytes(data)
    with pytest.raises(ResultError, match=r"circuit\.json is damaged"):
        load_circuit(run)


@pytest.mark.parametrize("name", ["circuit.json", "arrays", "thumbnails"])
def test_truncated_files_are_refused(run: Path, name: str) -> None:
    (file,) = run.glob(f"{name}*")
    whole = file.read_bytes()
    for length in (0, 7, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(ResultError, match="damaged"):
            load_circuit(run)


class Bomb:
    """Unpickling an instance creates a file, which the test would find."""

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
def test_forged_arrays_are_refused_and_run_no_code(run: Path, kind: str) -> None:
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
def test_invalid_thumbnails_are_refused(run: Path, kind: str) -> None:
    forged = {key: np.frombuffer(data, np.uint8) for key, data in THUMBNAILS[kind].items()}
    replace(run, "thumbnails", save(forged))
    with pytest.raises(ResultError, match="damaged"):
        load_circuit(run)


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
def test_invalid_surroundings_are_refused(run: Path, kind: str) -> None:
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


def test_huge_sizes_are_refused_before_reading(run: Path) -> None:
    with (run / "circuit.json").open("r+b") as handle:
        handle.truncate(2**40)
    with pytest.raises(ResultError, match="1048576 MiB, over 128"):
        load_circuit(run)


def test_every_flipped_byte_is_detected(run: Path) -> None:
    file = only(run, "arrays")
    whole = file.read_bytes()
    assert load(whole)["8"].shape == (4, 8)
    for place in range(0, len(whole), 37):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        with pytest.raises(ResultError, match="digest"):
            load_circuit(run)


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
