"""Whatever is given as pictures, class files, folders and targets: only neurflow's errors come out.

``NEURFLOW_FUZZ=20000 pytest tests/pictures/test_inputs_fuzz.py`` tries so many of each, and other ones
every time.
"""

import io
import os
import tempfile
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from neurflow.decoding import formats, in_mode, open_picture
from neurflow.errors import NeurFlowError
from neurflow.model.class_files import read_class_names
from neurflow.model.naming import ClassNames
from neurflow.model.offering import TRIED
from neurflow.model.targets import target_of
from neurflow.pictures.images import load_images
from tests.model.test_naming import model_of


@cache
def model():
    return model_of("cat", "dog", "cat-dog", "n01440764 tench, Tinca tinca", "7")


@cache
def seeds():
    """Small files of the formats that Pillow writes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of formats that Pillow will not write
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
    """Call; whatever a user can cure may be raised, and nothing else."""
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
def test_sources_of_anything(items):
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
def test_class_files_of_anything(data):
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
def test_targets_of_anything(target, names):
    cured(target_of, target, ClassNames(names), model().network)
    cured(target_of, target, model().names, model().network)


PARTS = st.sampled_from(["cat", "train", "n01440764", "no_cat", "caf\udce9", ".x", "a b", "\u00e9"])


@FEW
@given(
    files=st.lists(
        st.tuples(st.lists(PARTS, max_size=3), st.sampled_from([".png", ".JPG", ".txt", ""]))
    ),
    links=st.lists(st.tuples(PARTS, PARTS), max_size=2),
)
def test_folders_of_anything(files, links):
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
