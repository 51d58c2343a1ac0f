"""Registered picture sources and kinds of model reference, as in the documentation."""

import zipfile
from importlib.metadata import EntryPoint
from io import BytesIO

import pytest
from PIL import Image

from neurflow import load_images, load_model
from neurflow.errors import ImagesError, ModelError, RequestError
from neurflow.model import model_reference
from neurflow.model.source import REFERENCES
from neurflow.pictures.images import SOURCES, picture_source
from neurflow.runtime import registry
from tests.guide import example
from tests.model.test_naming import model_of


@pytest.fixture(autouse=True)
def none_registered(monkeypatch):
    for known in (SOURCES, REFERENCES):
        monkeypatch.setattr(known, "_items", {})
        monkeypatch.setattr(known, "_homes", {})


@pytest.fixture
def archive(tmp_path):
    data = BytesIO()
    Image.new("RGB", (8, 8)).save(data, "PNG")
    path = tmp_path / "pets.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("dog/0.png", data.getvalue())
        file.writestr("readme.txt", "pets")
    return path


def test_a_registered_source_is_read(archive, tmp_path):
    model = model_of("cat", "dog")
    with pytest.raises(ImagesError):
        load_images(archive, model).read(0)
    exec(example("A picture source"), {})
    found = load_images(archive, model)
    assert [ref.label for ref in found.refs] == ["dog"]
    assert found.read(0).shape == model.input_size
    with pytest.raises(ImagesError, match="no image or folder"):  # other sources are read as before
        load_images(tmp_path / "none", model)


def test_the_error_names_a_failing_source():
    @picture_source("broken")
    def broken(source, model):
        raise OSError("no such camera")

    with pytest.raises(ImagesError, match=r"'broken' fails: OSError: no such camera"):
        load_images("anything", model_of("cat", "dog"))


def test_a_registered_reference_is_loaded():
    with pytest.raises(ModelError, match="Unknown model reference"):
        load_model("zoo:small")
    exec(example("A kind of model reference"), {"__name__": "zoo"})
    assert load_model("zoo:small", class_names=["a", "b"]).class_names == ("a", "b")
    with pytest.raises(ModelError, match="no network 'huge'"):
        load_model("zoo:huge")


def test_names_of_built_in_kinds_cannot_be_registered():
    with pytest.raises(RequestError, match="built in"):
        model_reference("timm")


def test_entry_points_are_imported_when_they_are_needed(archive, tmp_path, monkeypatch):
    (tmp_path / "zipped_pictures.py").write_text(example("A picture source"))
    monkeypatch.syspath_prepend(tmp_path)
    points = [EntryPoint("zip", "zipped_pictures", "neurflow.pictures")]

    class Points(list):
        names = ("zip",)

    monkeypatch.setattr(
        registry,
        "entry_points",
        lambda group, name=None: Points(p for p in points if p.group == group),
    )
    assert len(load_images(archive, model_of("cat", "dog"))) == 1
