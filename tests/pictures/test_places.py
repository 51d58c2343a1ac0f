"""Paths with ``~``, variables and patterns, tables, and files with pictures in another form."""

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neurflow import load_images, load_model
from neurflow.errors import ImagesError, UnreadableImage
from neurflow.pictures.decoding import open_picture
from neurflow.runtime.paths import all_expanded
from tests.model.test_naming import model_of
from tests.pictures.test_folders import fill


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder ``pics`` with two pictures in the current folder, which is also the home folder."""
    fill(tmp_path, "pics/cat/1.png", "pics/dog/2.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PICS", str(tmp_path / "pics"))
    return tmp_path


def labels(source):
    return [ref.label for ref in load_images(source, model_of("cat", "dog")).refs]


@pytest.mark.parametrize(
    "text", ["pics", "pics/", "~/pics", "$PICS", "${PICS}/", "pics/*/*.png", "~/pics/**/*.png"]
)
def test_tilde_and_variables_in_paths_are_expanded(here, text):
    assert labels(text) == ["cat", "dog"]


def test_a_list_of_paths_has_the_labels_of_its_folders(here):
    paths = sorted((here / "pics").rglob("*.png"))
    assert labels(paths) == ["cat", "dog"]
    assert labels([str(path) for path in paths]) == ["cat", "dog"]
    assert labels(paths[:1]) == [None]
    names = [ref.name for ref in load_images(paths, model_of("cat", "dog")).refs]
    assert names == [str(path) for path in paths]


def test_file_addresses_are_paths(here):
    fill(here, "my pics/cat/1.png")
    assert labels((here / "my pics").as_uri()) == ["cat"]


def test_a_file_with_the_literal_name_takes_precedence(here):
    fill(here, "$PICS/cat/1.png", "[a]/dog/1.png")
    assert labels("$PICS") == ["cat"]
    assert labels("[a]") == ["dog"]


def test_paths_in_options_and_references_are_expanded(here):
    (here / "net.py").write_text("from torch import nn\nmake = nn.Conv2d(3, 2, 224)\n")
    (here / "names.txt").write_text("a\nb\n")
    model = load_model("file:~/net.py:make", class_names="~/names.txt")
    assert model.class_names == ("a", "b")
    assert all_expanded([Path("~/x"), "~"]) == [here / "x", "~"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "path of the images is empty"),
        ("pics\\cat", r"Did you mean 'pics/cat'\?"),
        (" pics ", r"Did you mean 'pics'\?"),
        ("'pics'", r"Did you mean 'pics'\?"),
        ("pics/*", "matches folders"),
        ("https://host/a.jpg", "Download the pictures first"),
        ("s3://bucket/photos", "Download the pictures first"),
        ("~nobody-of-this-name/x", "There is no image"),
        ("pics/*.gif", "There is no image"),
    ],
)
def test_errors_for_paths_without_pictures(here, text, message):
    with pytest.raises(ImagesError, match=message):
        labels(text)


def test_archives_and_arrays_are_refused_with_a_suggestion(here):
    with tarfile.open("shard.tar", "w") as archive:
        archive.add("pics")
    np.save("x.npy", np.zeros((2, 8, 8, 3), np.uint8))
    for file, message in (("shard.tar", "Unpack it"), ("x.npy", r"numpy.load\(PATH\)")):
        with pytest.raises(ImagesError, match=message):
            labels(file)
    (here / "shards").mkdir()
    (here / "shard.tar").rename(here / "shards" / "0.tar")
    with pytest.raises(ImagesError, match=r"\(.tar 1\). A .tar file is an archive. Unpack it"):
        labels("shards")
    Image.new("RGB", (8, 8)).save("photo.heic", "JPEG")  # the extension alone does not decide
    assert labels("photo.heic") == [None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path,label\npics/cat/1.png,dog\npics/dog/2.png,cat\n", ["dog", "cat"]),
        ("label;when;file\ncat;1;pics/cat/1.png\n", ["cat"]),
        ("pics/cat/1.png 0\npics/dog/2.png 1\n", ["0", "1"]),
        ("\ufeffpics/cat/1.png\t001.cat\n", ["cat"]),
        ("pics/cat/1.png\n", [None]),
        ("path,label\npics/cat/1.png,\npics/dog/2.png,1.0\n", [None, "1"]),
        ("path,label\npics\\cat\\1.png,dog\n", ["dog"]),
    ],
)
def test_a_table_of_paths_and_labels_is_a_source(here, text, expected):
    (here / "list.csv").write_text(text)
    assert labels("list.csv") == expected
    os.chdir(here / "pics")
    assert labels(here / "list.csv") == expected  # paths are relative to the table


def test_pictures_of_a_table_are_named_in_the_folder_that_has_them_all(here):
    (here / "lists").mkdir()
    (here / "lists" / "a.csv").write_text("../pics/cat/1.png,dog\n../pics/dog/2.png,cat\n")
    for source in ("lists/a.csv", "pics/*/*.png"):
        images = load_images(source, model_of("cat", "dog"))
        assert images.root == here / "pics"
        assert [ref.name for ref in images.refs] == ["cat/1.png", "dog/2.png"]


def test_a_picture_that_a_table_repeats_counts_once(here):
    (here / "a.csv").write_text("pics/cat/1.png,cat\npics/dog/2.png,dog\n./pics/cat/1.png,dog\n")
    images = load_images("a.csv", model_of("cat", "dog"))
    assert [ref.label for ref in images.refs] == ["cat", "dog"]
    assert images.notes == ("1 line of the table repeats a picture, and only the first counts.",)


def test_a_table_without_pictures_is_refused(here):
    for text in ("path,label\nnowhere.png,cat\n", "", "a\0b"):
        (here / "list.csv").write_text(text)
        with pytest.raises(ImagesError, match="as a table"):
            labels("list.csv")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture"),
        (b"\xff\x0a\0", "a JPEG XL picture"),
        (b"  <!DOCTYPE html>", "a web page"),
        (b"<?xml version='1.0'?><svg/>", "an SVG drawing"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"", "an empty file"),
        (b"\0\x05\x16\x07\0", "metadata that macOS stores"),
        (b"nothing", "not a picture"),
    ],
)
def test_errors_name_the_kind_of_a_file_that_is_not_a_picture(tmp_path, data, message):
    (tmp_path / "a.jpg").write_bytes(data)
    for source in (data, tmp_path / "a.jpg"):
        with pytest.raises(UnreadableImage, match=message):
            open_picture(source)


def test_encoded_bytes_are_one_picture(here):
    assert labels((here / "pics/cat/1.png").read_bytes()) == [None]
