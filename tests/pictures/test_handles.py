"""Encoded pictures in memory, open files, lists of folders, and pairs of arrays."""

import io
import os
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from neurflow import load_images
from neurflow.errors import ImagesError, UnreadableImage
from tests.pictures.test_same_picture import COLOUR, model_of, saved

DATA = saved(Image.fromarray(COLOUR), "PNG")
EXPECTED = model_of().transform(Image.fromarray(COLOUR))


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("bee/1.png", DATA)
    return zipfile.Path(zipfile.ZipFile(file), "bee/1.png")


@pytest.mark.parametrize(
    "make",
    [
        lambda: DATA,
        lambda: bytearray(DATA),
        lambda: memoryview(DATA),
        lambda: io.BytesIO(DATA),
        zipped,
    ],
    ids=["bytes", "bytearray", "memoryview", "BytesIO", "in a zip"],
)
def test_encoded_pictures_are_read_alone_in_lists_and_in_dicts(make):
    for source in (
        make(),
        [make()],
        [(make(), "bee")],
        [{"bytes": make(), "path": None}],
        [{"image": {"bytes": make(), "path": "gone.png"}, "label": 1}],
        [{"__key__": "0", "input.png": make(), "cls": b"bee"}],
    ):
        images = load_images(source, model_of())
        for _ in range(2):  # a file is read from its beginning each time
            assert torch.equal(images.read(0), EXPECTED)


def test_open_files_and_other_kinds_of_path_are_read(tmp_path):
    (tmp_path / "a.png").write_bytes(DATA)
    with (tmp_path / "a.png").open("rb") as file, os.scandir(tmp_path) as entries:
        for source in ([file], list(entries), [{"file_name": tmp_path / "a.png", "label": 2}]):
            assert torch.equal(load_images(source, model_of()).read(0), EXPECTED)
    with pytest.raises(UnreadableImage, match="closed file"):
        load_images([file], model_of()).read(0)
    with pytest.raises(UnreadableImage, match="reading text; open it with mode 'rb'"):
        load_images([io.StringIO("a")], model_of()).read(0)


def test_lists_can_have_folders_and_patterns(tmp_path):
    for name in ("bee/1.png", "bee/2.png", "cat/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(DATA)
    for source in (
        [tmp_path / "bee", tmp_path / "cat"],
        [str(tmp_path / "bee" / "*.png"), tmp_path / "cat" / "1.png"],
    ):
        images = load_images(source, model_of())
        assert [ref.name for ref in images.refs] == ["bee/1.png", "bee/2.png", "cat/1.png"]
        assert [ref.label for ref in images.refs] == ["bee", "bee", "cat"]
    (tmp_path / "none").mkdir()
    zipfile.ZipFile(tmp_path / "a.zip", "w").close()
    for path, message in (
        ("none", "No pictures in"),
        ("*.gif", "There is no image"),
        ("a.zip", "Unpack it"),
    ):
        with pytest.raises(ImagesError, match=message):
            load_images([tmp_path / "bee", tmp_path / path], model_of())


@pytest.mark.parametrize("kind", [tuple, list])
def test_two_arrays_are_pictures_and_labels(kind):
    pictures, labels = np.stack([COLOUR] * 3), np.array([2, 0, 1])
    images = load_images(kind((pictures, labels)), model_of())
    assert [ref.label for ref in images.refs] == ["cat", "ant", "bee"]
    assert torch.equal(images.read(2), EXPECTED)
    images = load_images(kind((torch.stack([EXPECTED] * 3), torch.tensor(labels))), model_of())
    assert torch.equal(images.read(1), EXPECTED)
    with pytest.raises(ImagesError, match="3 pictures but 2 labels"):
        load_images(kind((pictures, [1, 2])), model_of())


def test_errors_for_dicts_and_archives_say_what_to_give(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for source, message in (
            ({"image": [COLOUR], "label": [1]}, r"list\(zip\(data\['image'\], data\['label'\]\)\)"),
            ({"a.png": "bee"}, r"list\(data.items\(\)\)"),
            (archive, "Unpack it"),
        ):
            with pytest.raises(ImagesError, match=message):
                load_images(source, model_of())


def test_tensors_of_pixel_values_are_not_taken_for_inputs():
    pixels = EXPECTED * 255
    with pytest.raises(
        UnreadableImage, match=r"reach \d+, .*give uint8, or what the transform returns"
    ):
        load_images(pixels[None], model_of()).read(0)
    assert torch.equal(load_images(3 * EXPECTED[None], model_of()).read(0), 3 * EXPECTED)


@pytest.mark.parametrize(
    ("item", "label"),
    [
        ({"x": COLOUR, "y": 1}, "bee"),
        ({"inputs": EXPECTED, "targets": torch.tensor(1)}, "bee"),
        ({"image": COLOUR, "class_name": "bee"}, "bee"),
        ({"__key__": "a", "png": COLOUR, "json": {"label": 1}}, "bee"),
        ({"image": COLOUR, "kind": "bee", "id": 3}, None),
        ({"image": COLOUR}, None),
    ],
)
def test_dicts_have_their_picture_and_label_under_many_keys(item, label):
    images = load_images([item, item], model_of())
    assert torch.equal(images.read(0), load_images([COLOUR], model_of()).read(0))
    assert images.refs[1].label == label
    told = ["(image, kind, id)" in note for note in images.notes]
    assert told == [True] * ("kind" in item)


def test_an_array_with_an_alpha_channel_is_one_picture():
    rgba = np.dstack([COLOUR, np.full(COLOUR.shape[:2], 255, np.uint8)])
    images = load_images(rgba, model_of())
    assert torch.equal(images.read(0), load_images([COLOUR], model_of()).read(0))


def test_errors_for_arrays_and_pairs_name_the_cure():
    for item, told in (
        (COLOUR.astype(np.float32), "range from 60 to 187, .*divide them by 255"),
        ((1, COLOUR), "here the picture is second"),
    ):
        with pytest.raises(UnreadableImage, match=told):
            load_images([item], model_of()).read(0)
