"""What is fuzzed: for each kind of input, how one is made and what is done with it.

A target is made in a scratch folder from valid files, and gives ``(make, use)``: ``make(chance)`` an
input, ``use(input)`` what a command or the server would do with it.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image

import neurflow
from benchmarks.fire import jobs
from benchmarks.fire.mutate import VALUES, damaged, json_bomb, json_input, rewritten
from benchmarks.fire.seeds import Chance, Target, pictures_of, stored
from benchmarks.fire.talk import chat, requests
from neurflow.atlas import Atlas
from neurflow.atlas.schema import TABLES
from neurflow.atlas.tables import renew
from neurflow.circuit import LabelStore, load_edits
from neurflow.circuit.attachments import read_edits
from neurflow.circuit.edits import file_name as edits_file
from neurflow.circuit.label_file import file_name as label_file
from neurflow.circuit.robustness_file import (
    file_name as robustness_file,
)
from neurflow.model.picture_modes import in_mode
from neurflow.pictures.decoding import open_picture
from neurflow.runtime.workspace import Workspace
from neurflow.server.uploads import picture_from
from neurflow.sweeping.plan import PLAN, Plan, agree, job_of, read_plan

QUERIES = tuple(f"SELECT * FROM {table}" for table in TABLES)


def _file(file: Path, use: Callable[[], object]) -> Target:
    """A JSON file is replaced by inputs made from it."""
    valid = [json.loads(file.read_text())]

    def written(data: bytes) -> object:
        file.write_bytes(data)
        return use()

    return lambda chance: json_input(valid, chance), written


def circuits(scratch: Path) -> Target:
    """``circuit.json``; every fifth time what is loaded is edited, shown and saved."""
    run = stored(scratch)
    for file in [*run.glob("labels-*"), *run.glob("edits-*"), *run.glob("robustness-*")]:
        file.unlink()  # their names go with the bytes of circuit.json
    return _file(run / "circuit.json", lambda: neurflow.load_circuit(run))


def tensors(scratch: Path) -> Target:
    """The safetensors files, with the digests that the index wants."""
    run = stored(scratch)
    index = json.loads((run / "circuit.json").read_text())
    kinds = ("arrays", "thumbnails", "surroundings")
    valid = {k: next(run.glob(f"{k}-*")).read_bytes() for k in kinds}

    def make(chance: Chance) -> tuple[str, bytes]:
        kind = chance.choice(kinds)
        head = int.from_bytes(valid[kind][:8], "little")
        if chance.random() < 0.5:  # the header is JSON
            said = json.dumps(rewritten(json.loads(valid[kind][8 : 8 + head]), chance)).encode()
            return kind, len(said).to_bytes(8, "little") + said + valid[kind][8 + head :]
        return kind, damaged(valid[kind], chance)

    def use(made: tuple[str, bytes]) -> object:
        kind, data = made
        digest = hashlib.sha256(data).hexdigest()
        file = run / f"{kind}-{digest[:16]}.safetensors"
        file.write_bytes(data)
        (run / "circuit.json").write_text(json.dumps({**index, kind: digest}))
        try:
            return neurflow.load_circuit(run)
        finally:
            file.unlink()

    return make, use


def labels(scratch: Path) -> Target:
    """The file of labels; every load is followed by a label that is set."""
    run = stored(scratch)
    store = LabelStore(run)
    group = store.circuit.layers[0].groups[0].id

    def use() -> None:
        neurflow.load_circuit(run)
        store.update(group, lambda found: found)

    return _file(run / label_file((run / "circuit.json").read_bytes()), use)


def edits(scratch: Path) -> Target:
    """The file of edits, beside its circuit and as a file that is imported."""
    run = stored(scratch)
    file = run / edits_file((run / "circuit.json").read_bytes())

    def use() -> None:
        read_edits(file)
        load_edits(run)
        neurflow.load_circuit(run)

    return _file(file, use)


def robustness(scratch: Path) -> Target:
    """The file of stability and significance."""
    run = stored(scratch)
    file = run / robustness_file((run / "circuit.json").read_bytes())
    return _file(file, lambda: neurflow.load_circuit(run))


def work(scratch: Path) -> Target:
    """What an interrupted run has left."""
    run = stored(scratch)
    place = Workspace(run / "work")
    place.write("thing", {"bee": [1.0, 2, None], "layers": {"a": [[1, 2], [3]]}, "finished": True})
    return _file(run / "work" / "thing.json", lambda: place.read("thing"))


def plans(scratch: Path) -> Target:
    """The plan of a sweep."""
    circuit = neurflow.load_circuit(stored(scratch))
    plan = Plan(
        model=circuit.model.digest,
        reference=circuit.model.reference,
        images="0" * 64,
        layers=("a", "b"),
        config=circuit.config,
        max_images=4,
        jobs=(job_of(circuit.target),),
    )
    agree(scratch / "sweep", plan)
    return _file(scratch / "sweep" / PLAN, lambda: read_plan(scratch / "sweep"))


def atlas(scratch: Path) -> Target:
    """The files of an atlas; tables are queried, or everything is packed anew."""
    jobs.prepare("pack", scratch)
    jobs.pack(scratch)
    place = scratch / "atlas"
    valid = {str(f.relative_to(place)): f.read_bytes() for f in place.rglob("*") if f.is_file()}

    def make(chance: Chance) -> tuple[str, bytes, str]:
        name = chance.choice(list(valid))
        sql = (
            chance.choice(QUERIES) if name.endswith(".json") else f"SELECT * FROM {Path(name).stem}"
        )
        return name, damaged(valid[name], chance), sql

    def use(made: tuple[str, bytes, str]) -> object:
        name, data, sql = made
        (place / name).write_bytes(data)
        try:
            return Atlas(scratch, memory="256MB").query(sql)
        finally:
            (place / name).write_bytes(valid[name])

    return make, use


def packing(scratch: Path) -> Target:
    """Damaged packed files, when an atlas is renewed."""
    jobs.prepare("pack", scratch)
    jobs.pack(scratch)
    place, spare = scratch / "atlas", scratch / "spare"
    circuits = sorted((scratch / "circuits").iterdir())
    shutil.copytree(place, spare)
    names = [str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()]

    def make(chance: Chance) -> list[tuple[str, bytes]]:
        chosen = chance.sample(names, chance.choice((1, 1, 2)))
        return [(name, damaged((spare / name).read_bytes(), chance)) for name in chosen]

    def use(made: list[tuple[str, bytes]]) -> None:
        shutil.rmtree(place)
        shutil.copytree(spare, place)
        for name, data in made:
            (place / name).write_bytes(data)
        for circuit in circuits[:3]:  # they are newer than the atlas
            (circuit / "circuit.json").touch()
        renew(scratch)

    return make, use


def picture_bomb(chance: Chance) -> bytes:
    """A small PNG or BMP file that says it is very large."""
    width, height = chance.choice(
        ((60_000, 60_000), (2**31 - 1, 1), (1, 2**31 - 1), (8_000, 8_000))
    )
    file = io.BytesIO()
    Image.new(chance.choice(("1", "L", "RGB")), (4, 4)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    import zlib

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


def uploads(_: Path) -> Target:
    """Files that a person uploads to the live explorer."""
    valid = pictures_of()

    def make(chance: Chance) -> bytes:
        if chance.randrange(500) == 0:
            return picture_bomb(chance)
        return damaged(chance.choice(valid), chance)

    return make, lambda data: picture_from(data).convert("RGB").resize((8, 8))


def images(scratch: Path) -> Target:
    """Image files in a folder, by their path and in every mode that a transform may want."""
    valid, file = pictures_of(), scratch / "picture.jpg"

    def make(chance: Chance) -> tuple[bytes, str]:
        return damaged(chance.choice(valid), chance), chance.choice(
            ("RGB", "L", "RGBA", "F", "I;16")
        )

    def use(made: tuple[bytes, str]) -> object:
        file.write_bytes(made[0])
        return in_mode(open_picture(file), made[1])

    return make, use


def json_texts(_: Path) -> Target:
    """The reader of JSON itself: many small bombs."""
    from neurflow.runtime.files import SMALL, json_value

    def make(chance: Chance) -> bytes:
        if chance.random() < 0.002:
            return json_bomb(chance)
        value = [chance.choice(VALUES) for _ in range(4)]
        return damaged(json.dumps(value).encode(), chance)

    def use(data: bytes) -> object:
        try:
            return json_value(data, SMALL)
        except ValueError as error:  # what its callers turn into an error of neurflow
            return error

    return make, use


TARGETS: dict[str, tuple[int, Callable[[Path], Target]]] = {
    "circuit files": (60_000, circuits),
    "arrays and thumbnails": (40_000, tensors),
    "label files": (40_000, labels),
    "edit files": (40_000, edits),
    "robustness files": (40_000, robustness),
    "files of interrupted work": (250_000, work),
    "plans of sweeps": (100_000, plans),
    "JSON itself": (250_000, json_texts),
    "Parquet of an atlas": (4_000, atlas),
    "packing an atlas": (300, packing),
    "uploads": (150_000, uploads),
    "image files": (100_000, images),
    "chat answers": (150_000, chat),
    "requests to the explorer": (20_000, requests),
}
"""name → inputs of the full length, and what makes the target"""
