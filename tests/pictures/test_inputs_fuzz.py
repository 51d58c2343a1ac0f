"""Random pictures, class files, folders, labels, paths, tables, targets, modules, checkpoints and
references raise only errors of neurflow.

``NEURFLOW_FUZZ=20000 pytest tests/pictures/test_inputs_fuzz.py`` tries this many of each, with a
different seed every time.
"""

import io
import json
import os
import tempfile
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save as safetensors
from torch import nn

from neurflow.errors import NeurFlowError
from neurflow.model import Model, load_model
from neurflow.model.checkpoints import load_weights
from neurflow.model.class_files import read_class_names
from neurflow.model.input_form import TRIED
from neurflow.model.naming import ClassNames
from neurflow.model.picture_modes import in_mode
from neurflow.model.targets import target_of
from neurflow.pictures import places
from neurflow.pictures.decoding import formats, open_picture
from neurflow.pictures.folders import labels_of
from neurflow.pictures.images import load_images
from neurflow.pictures.spellings import Spellings
from tests.model.test_naming import model_of


@cache
def model():
    return model_of("cat", "dog", "cat-dog", "n01440764 tench, Tinca tinca", "7")


@cache
def seeds():
    """Small files in the formats that Pillow can write."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # formats that Pillow cannot write
        return tuple(written())


def written():
    picture = Image.fromarray(np.arange(108, dtype=np.uint8).reshape(6, 6, 3))
    for form in formats():
        for mode in ("RGB", "L", "P", "1", "RGBA", "I;16", "F"):
            file = io.BytesIO()
            try:
                in_mode(picture, mode).save(file, form)
            except (OSError, ValueError, KeyError, AttributeError):
                continue
            yield file.getvalue()


EDITS = st.lists(st.tuples(st.integers(0, 600), st.binary(max_size=6)), max_size=8)
COUNT = int(os.environ.get("NEURFLOW_FUZZ", "0"))
FEW = settings(
    max_examples=COUNT or 50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not COUNT,
    database=None,
)


def cured(call, *arguments):
    """Call the function; only errors that a user can fix may be raised."""
    try:
        return call(*arguments)
    except NeurFlowError as error:
        assert str(error)
        assert len(str(error)) < 2000
    return None


@FEW
@given(
    seed=st.deferred(lambda: st.sampled_from(seeds())),
    edits=EDITS,
    cut=st.integers(0, 4000),
    mode=st.sampled_from(TRIED),
)
def test_damaged_pictures(seed, edits, cut, mode):
    data = bytearray(seed)
    for place, written in edits:
        data[place : place + len(written)] = written
    picture = cured(open_picture, bytes(data[: max(1, cut)]))
    if picture is not None:
        cured(in_mode, picture, mode)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(
            st.sampled_from(["image", "label", "bytes", "path", "pixel_values"]), inner
        )
    ),
    max_leaves=6,
)
ARRAYS = st.builds(
    lambda shape, kind, last: np.full(shape, last).astype(kind),
    st.lists(st.integers(0, 5), max_size=5).map(tuple),
    st.sampled_from(["u1", "u2", "i4", "f2", "f4", "f8", "?", "c8", "U3", "O", "datetime64[s]"]),
    st.integers(0, 3),
)
TENSORS = st.builds(
    lambda shape, kind: torch.zeros(shape, dtype=kind),
    st.lists(st.integers(0, 5), max_size=5),
    st.sampled_from([torch.uint8, torch.float16, torch.bfloat16, torch.int64, torch.complex64]),
)


@FEW
@given(items=st.lists(ANYTHING | ARRAYS | TENSORS | st.tuples(TENSORS, ANYTHING), max_size=3))
def test_random_sources(items):
    for source in (items, *items[:1]):
        images = cured(load_images, source, model())
        for index in range(len(images) if images else 0):
            cured(images.read, index)


TEXTS = st.text(max_size=30) | st.from_regex(r"[\[{]?[0-9a-z\"':,;\t\n}\]-]{0,40}", fullmatch=True)


@FEW
@given(
    data=st.binary(max_size=60)
    | st.builds(
        lambda text, code: text.encode(code, errors="replace"),
        TEXTS,
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"]),
    )
)
def test_random_class_files(data):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "names"
        file.write_bytes(data)
        names = cured(read_class_names, file)
    assert names is None or (names and all(isinstance(name, str) for name in names))


@FEW
@given(
    target=st.text(max_size=12)
    | st.text("catdog-_/0179 \u00b2\u0661", max_size=12)
    | st.integers()
    | ANYTHING
    | ARRAYS
    | TENSORS,
    names=st.lists(st.text("catdog-_01\u00e9", max_size=5), min_size=5, max_size=5),
)
def test_random_targets(target, names):
    cured(target_of, target, ClassNames(names), model().network)
    cured(target_of, target, model().names, model().network)


PARTS = st.sampled_from(
    [
        *("cat", "train", "n01440764", "no_cat", "caf\udce9", ".x", "a b", "\u00e9", "001.cat"),
        *("2_dog", "Cat-Dog", "CatDog", "n01440764-tench", "__MACOSX", "@eaDir", "cat (1)", "~"),
        *("$X", "[a]", "*", "0_animalia_b_cat dog", "\u0130", "\ufb01", "07"),
    ]
)
SPELT = st.text("catdogCD-_./ '\u2019017(),\u00e9\u0130\u00b2", max_size=12) | PARTS


@FEW
@given(
    names=st.lists(SPELT, min_size=1, max_size=6),
    labels=st.lists(st.none() | SPELT, max_size=6),
)
@example(names=["", ""], labels=["1", "7"])
def test_random_labels(names, labels):
    classes = ClassNames(names)
    read, notes = Spellings(classes).read(labels)
    changed = [(old, new) for old, new in zip(labels, read, strict=True) if old != new]
    dropped = [old for old, new in changed if new is None]
    if dropped:  # numbers that do not count from 0
        assert all(map(str.isdigit, dropped)) and "without 0" in notes[0]
    kept = [(old, new) for old, new in changed if new is not None]
    assert all(classes.label(old) is None is not classes.label(new) for old, new in kept)
    assert bool(notes) == bool(changed)
    files = [f"{label}_{i}.png" for i, label in enumerate(labels) if label]
    assert len(labels_of(files, classes)[0]) == len(files)


PIECES = st.sampled_from(
    [
        *(
            "pics",
            "cat",
            "1.png",
            "*",
            "**",
            "?",
            "[a]",
            "~",
            "$X",
            "${",
            "/",
            "\\",
            "'",
            " ",
            "\n",
        ),
        *("file:", "http://", "s3://", "a.csv", "\0", "\udce9", "%20", "%", ".tar", ".", "C:", ""),
    ]
)


@FEW
@given(
    pieces=st.lists(PIECES, max_size=5),
    table=st.binary(max_size=30)
    | st.lists(PIECES | st.sampled_from([",", ";", "\t", "path", "label", '"', "pics/cat/1.png"]))
    .map("".join)
    .map(os.fsencode),
)
def test_random_paths(pieces, table):
    text = "".join(pieces)
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pics", "cat").mkdir(parents=True)
        Path(folder, "pics", "cat", "1.png").write_bytes(seeds()[0])
        Path(folder, "a.csv").write_bytes(table)
        os.chdir(folder)
        try:
            if text.startswith("/") or any(way in text for way in ("..", "~", "file:")):
                if "*" not in text:  # it may lead out of the folder, which is not searched
                    cured(places.find, text)
                text = "a.csv"
            for source in ("a.csv", text):
                images = cured(load_images, source, model())
                for index in range(len(images) if images else 0):
                    cured(images.read, index)
        finally:
            os.chdir(before)


HEADS = st.sampled_from(
    [b"\0\0\0\x18ftypheic", b"\xff\n", b"<svg", b"<html", b"version https://git-lfs", b"\0\5\x16\7"]
)


@FEW
@given(head=HEADS, rest=st.binary(max_size=40), cut=st.integers(0, 60))
def test_random_bytes_as_pictures(head, rest, cut):
    cured(open_picture, (head + rest)[:cut])


@FEW
@given(
    files=st.lists(
        st.tuples(st.lists(PARTS, max_size=3), st.sampled_from([".png", ".JPG", ".txt", ""]))
    ),
    links=st.lists(st.tuples(PARTS, PARTS), max_size=2),
)
def test_random_folders(files, links):
    with tempfile.TemporaryDirectory() as folder:
        for number, (parts, ending) in enumerate(files):
            path = Path(folder, *parts)
            path.mkdir(parents=True, exist_ok=True)
            (path / f"{number}{ending}").write_bytes(seeds()[number % len(seeds())])
        for name, goal in links:
            if not os.path.lexists(Path(folder, name)):
                Path(folder, name).symlink_to(Path(folder, goal))
        images = cured(load_images, folder, model())
        for index in range(len(images) if images else 0):
            cured(images.read, index)
            images.refs[index].name.encode()


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 2))


def saved(value, **options):
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


@cache
def checkpoints():
    """Small files of weights of common kinds."""
    state = network().state_dict()
    wrapped = {f"module.{name}": value for name, value in state.items()}
    return (
        saved(state),
        saved(state, _use_new_zipfile_serialization=False),
        saved({"epoch": 3, "state_dict": wrapped, "model_ema": state, "lr": np.float64(0.1)}),
        saved(network()),  # a pickled module
        safetensors(state),
    )


@FEW
@given(
    seed=st.deferred(lambda: st.sampled_from(checkpoints())),
    edits=EDITS,
    cut=st.integers(0, 6000),
    ending=st.sampled_from([".pt", ".pth", ".bin", ".safetensors", ".onnx", ""]),
)
def test_damaged_checkpoints(seed, edits, cut, ending):
    data = bytearray(seed)
    for place, written in edits:
        data[place : place + len(written)] = written
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"weights{ending}")
        file.write_bytes(bytes(data[:cut]))
        cured(load_weights, network(), file)


NAMES = st.sampled_from(
    [
        "1.weight",
        "1.bias",
        "module.1.weight",
        "module.1.bias",
        "state_dict",
        "model",
        "ema",
        "optim",
        "1._orig_mod.weight",
        "1.weight_orig",
        "1.weight_mask",
        "1.weight_g",
        "1.weight_v",
        "1.parametrizations.weight.original0",
        "1.parametrizations.weight.original1",
        "x",
        "",
    ]
)
CONTENTS = st.recursive(
    st.none() | st.integers() | st.text(max_size=4) | TENSORS | ARRAYS,
    lambda inner: (
        st.dictionaries(NAMES | st.integers(), inner, max_size=3)
        | st.lists(inner, max_size=2)
        | st.lists(st.tuples(NAMES, inner), max_size=3)
    ),
    max_leaves=8,
)


@FEW
@given(
    value=ANYTHING | ARRAYS | TENSORS | st.sampled_from([nn.Linear, "resnet18", len, nn.Identity()])
)
def test_random_values_as_modules(value):
    cured(lambda: Model(value).input_size)


@FEW
@given(content=CONTENTS)
def test_random_checkpoints(content):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "weights.pt")
        torch.save(content, file)
        cured(load_weights, network(), file)


@FEW
@given(
    content=st.binary(max_size=20)
    | st.recursive(
        st.none() | st.integers() | st.sampled_from(["a.bin", "../a.bin", "w.index.json", "", "/"]),
        lambda inner: st.dictionaries(st.sampled_from(["weight_map", "x"]), inner, max_size=2),
        max_leaves=4,
    ).map(lambda value: json.dumps(value).encode()),
    part=st.deferred(lambda: st.sampled_from(checkpoints())),
)
def test_random_checkpoint_indices(content, part):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.bin").write_bytes(part)
        file = Path(folder, "w.index.json")
        file.write_bytes(content)
        cured(load_weights, network(), file)


MODULES = st.sampled_from(
    [
        "",
        "import nothing_of_that_name",
        "def make(:",
        "def make(): raise SystemExit",
        "def make(): return 3",
        "def make(size): return size",
        "def make(): 1 / 0",
        "from torch import nn\nmake = nn.Sequential(nn.Flatten(), nn.LazyLinear(2))",
        "from torch import nn\ndef make(): return nn.Conv2d(3, 2, 1)",
        "from torch import nn\ndef make(): return nn.Sequential(nn.Conv2d(3, 2, 1), nn.Dropout())",
        "make = 3",
    ]
)
JSON = st.sampled_from(["", "{}", "[]", '{"model_type": "vit"}', '{"model_type": 3}', "\x00", "{"])


@FEW
@given(
    kind=st.sampled_from(["torchvision", "timm", "hf", "onnx", "file", "", "x"]),
    name=st.text(max_size=8)
    | st.sampled_from(
        ["FILE", "FOLDER", "FILE:make", "FILE:mak", "..", "/", "~", "$X:make", "a.pt"]
    ),
    code=MODULES,
    config=JSON,
    data=st.binary(max_size=40),
    options=st.fixed_dictionaries(
        {},
        optional={
            "weights": st.sampled_from(["random", "nothing", "a/b.pt", None, "", "~", "$X/a.pt"]),
            "input_size": st.integers(-2, 8) | st.just((4, 4)),
            "resize": st.integers(-2, 8),
            "mean": st.floats() | st.lists(st.floats(), max_size=4),
            "std": st.floats() | st.lists(st.floats(), max_size=4),
            "class_names": st.lists(st.text(max_size=3), max_size=3),
            "output": st.text(max_size=3) | st.sampled_from(["logits", "probabilities"]),
            "allow_chance": st.booleans(),
            "classes_as_text": st.booleans(),
            "device": st.sampled_from(["cpu", "cuda:99", "nothing", ""]),
        },
    ),
)
def test_random_references(kind, name, code, config, data, options):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "net.py" if kind == "file" else "net.onnx")
        file.write_bytes(code.encode() if kind == "file" else data)
        Path(folder, "config.json").write_text(config)
        for word, path in (("FILE", file), ("FOLDER", folder)):
            name = name.replace(word, str(path))
        if kind == "hf":  # a name that is not a folder would be looked up on the network
            name = folder
        cured(lambda: load_model(f"{kind}:{name}", **options))
