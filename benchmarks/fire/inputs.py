"""The fuzz targets: for each kind of input, functions that make an input and use it.

A target is made in a scratch folder from valid files. It returns ``(make, use)``: ``make(rng)`` makes
an input, and ``use(input)`` does what a command or the server would do with it.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image

import neurflow
from benchmarks.fire import jobs
from benchmarks.fire.mutations import VALUES, damaged, json_bomb, json_input, rewritten
from benchmarks.fire.remote_inputs import chat, requests
from benchmarks.fire.valid_inputs import Target, pictures_of, stored
from neurflow.atlas import Atlas
from neurflow.atlas.schema import TABLES
from neurflow.atlas.tables import renew
from neurflow.circuit import LabelStore, load_edits
from neurflow.circuit.attachments import read_edits
from neurflow.circuit.edits import Edits
from neurflow.circuit.label_file import LabelFile
from neurflow.circuit.robustness_file import RobustnessFile
from neurflow.model.picture_modes import in_mode
from neurflow.pictures.decoding import open_picture
from neurflow.runtime.workspace import Workspace
from neurflow.server.uploads import picture_from
from neurflow.sweeping.plan import PLAN, Plan, add_to_plan, job_of, read_plan

QUERIES = tuple(f"SELECT * FROM {table}" for table in TABLES)


def _file(file: Path, use: Callable[[], object]) -> Target:
    """Replace a JSON file by inputs made from it."""
    valid = [json.loads(file.read_text())]

    def written(data: bytes) -> object:
        file.write_bytes(data)
        return use()

    return lambda rng: json_input(valid, rng), written


def circuits(scratch: Path) -> Target:
    """Return ``circuit.json``."""
    run = stored(scratch)
    for file in [*run.glob("labels-*"), *run.glob("edits-*"), *run.glob("robustness-*")]:
        file.unlink()  # their names depend on the bytes of circuit.json
    return _file(run / "circuit.json", lambda: neurflow.load_circuit(run))


def tensors(scratch: Path) -> Target:
    """Return the safetensors files, with matching digests in the index."""
    run = stored(scratch)
    index = json.loads((run / "circuit.json").read_text())
    kinds = ("arrays", "thumbnails", "surroundings")
    valid = {k: next(run.glob(f"{k}-*")).read_bytes() for k in kinds}

    def make(rng: random.Random) -> tuple[str, bytes]:
        kind = rng.choice(kinds)
        head = int.from_bytes(valid[kind][:8], "little")
        if rng.random() < 0.5:  # the header is JSON
            header = json.dumps(rewritten(json.loads(valid[kind][8 : 8 + head]), rng)).encode()
            return kind, len(header).to_bytes(8, "little") + header + valid[kind][8 + head :]
        return kind, damaged(valid[kind], rng)

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
    """Return the file of labels; a label is set after every load."""
    run = stored(scratch)
    store = LabelStore(run)
    group = store.circuit.layers[0].groups[0].id

    def use() -> None:
        neurflow.load_circuit(run)
        store.update(group, lambda found: found)

    return _file(run / LabelFile.file_name((run / "circuit.json").read_bytes()), use)


def edits(scratch: Path) -> Target:
    """Return the file of edits, beside its circuit and as a file that is imported."""
    run = stored(scratch)
    file = run / Edits.file_name((run / "circuit.json").read_bytes())

    def use() -> None:
        read_edits(file)
        load_edits(run)
        neurflow.load_circuit(run)

    return _file(file, use)


def robustness(scratch: Path) -> Target:
    """Return the file of stability and significance."""
    run = stored(scratch)
    file = run / RobustnessFile.file_name((run / "circuit.json").read_bytes())
    return _file(file, lambda: neurflow.load_circuit(run))


def work(scratch: Path) -> Target:
    """Return the intermediate results of an interrupted run."""
    run = stored(scratch)
    place = Workspace(run / "work")
    place.write("thing", {"bee": [1.0, 2, None], "layers": {"a": [[1, 2], [3]]}, "finished": True})
    return _file(run / "work" / "thing.json", lambda: place.read("thing"))


def plans(scratch: Path) -> Target:
    """Return the plan of a sweep."""
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
    add_to_plan(scratch / "sweep", plan)
    return _file(scratch / "sweep" / PLAN, lambda: read_plan(scratch / "sweep"))


def atlas(scratch: Path) -> Target:
    """Return the files of an atlas, read by queries."""
    jobs.prepare("pack", scratch)
    jobs.pack(scratch)
    place = scratch / "atlas"
    valid = {str(f.relative_to(place)): f.read_bytes() for f in place.rglob("*") if f.is_file()}

    def make(rng: random.Random) -> tuple[str, bytes, str]:
        name = rng.choice(list(valid))
        sql = rng.choice(QUERIES) if name.endswith(".json") else f"SELECT * FROM {Path(name).stem}"
        return name, damaged(valid[name], rng), sql

    def use(made: tuple[str, bytes, str]) -> object:
        name, data, sql = made
        (place / name).write_bytes(data)
        try:
            return Atlas(scratch, memory="256MB").query(sql)
        finally:
            (place / name).write_bytes(valid[name])

    return make, use


def packing(scratch: Path) -> Target:
    """Damaged packed files, read when an atlas is rebuilt."""
    jobs.prepare("pack", scratch)
    jobs.pack(scratch)
    place, spare = scratch / "atlas", scratch / "spare"
    circuits = sorted((scratch / "circuits").iterdir())
    shutil.copytree(place, spare)
    names = [str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()]

    def make(rng: random.Random) -> list[tuple[str, bytes]]:
        chosen = rng.sample(names, rng.choice((1, 1, 2)))
        return [(name, damaged((spare / name).read_bytes(), rng)) for name in chosen]

    def use(made: list[tuple[str, bytes]]) -> None:
        shutil.rmtree(place)
        shutil.copytree(spare, place)
        for name, data in made:
            (place / name).write_bytes(data)
        for circuit in circuits[:3]:  # they are newer than the atlas
            (circuit / "circuit.json").touch()
        renew(scratch)

    return make, use


def picture_bomb(rng: random.Random) -> bytes:
    """Return a small PNG file whose header claims a very large size."""
    width, height = rng.choice(((60_000, 60_000), (2**31 - 1, 1), (1, 2**31 - 1), (8_000, 8_000)))
    file = io.BytesIO()
    Image.new(rng.choice(("1", "L", "RGB")), (4, 4)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    import zlib

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


def uploads(_: Path) -> Target:
    """Files that a person uploads to the live explorer."""
    valid = pictures_of()

    def make(rng: random.Random) -> bytes:
        if rng.randrange(500) == 0:
            return picture_bomb(rng)
        return damaged(rng.choice(valid), rng)

    return make, lambda data: picture_from(data, "picture").convert("RGB").resize((8, 8))


def images(scratch: Path) -> Target:
    """Return the image files, opened by path and converted to a mode that a transform may need."""
    valid, file = pictures_of(), scratch / "picture.jpg"

    def make(rng: random.Random) -> tuple[bytes, str]:
        return damaged(rng.choice(valid), rng), rng.choice(("RGB", "L", "RGBA", "F", "I;16"))

    def use(made: tuple[bytes, str]) -> object:
        file.write_bytes(made[0])
        return in_mode(open_picture(file), made[1])

    return make, use


def json_texts(_: Path) -> Target:
    """Return the JSON reader."""
    from neurflow.runtime.files import SMALL, json_value

    def make(rng: random.Random) -> bytes:
        if rng.random() < 0.002:
            return json_bomb(rng)
        value = [rng.choice(VALUES) for _ in range(4)]
        return damaged(json.dumps(value).encode(), rng)

    def use(data: bytes) -> object:
        try:
            return json_value(data, SMALL)
        except ValueError as error:  # the callers turn it into an error of neurflow
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
"""name → (number of inputs of the full campaign, function that makes the target)"""
