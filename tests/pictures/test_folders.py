"""Folders of pictures: files that are read, reports, and labels from folder names."""

import importlib
import os
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, Subset, random_split

from neurflow import load_images
from neurflow.config import Config
from neurflow.errors import ImagesError
from neurflow.model.naming import ClassNames
from neurflow.pictures.folders import find_pictures, labels_of
from neurflow.pictures.images import spread
from neurflow.refs import ImageRef
from neurflow.runtime.memory import Batch
from neurflow.runtime.progress import Silent
from neurflow.study.activations import ModelOnImages, concept_images, predict
from tests.model.test_naming import model_of


def fill(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".heic", ".dcm", ".txt"):
            path.write_bytes(b"ftypheic")
        else:
            Image.new("RGB", (8, 8)).save(path, "JPEG" if path.suffix == ".jfif" else None)


def test_all_picture_kinds_are_read_and_other_files_counted(tmp_path):
    fill(tmp_path, "a.jfif", "b.tga", "c.tiff", "d.PNG", "e.ppm", "f.ico")
    fill(tmp_path, "1.heic", "2.heic", "3.dcm", "notes.txt", ".hidden.png", ".dir/x.png")
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere.png")
    images = load_images(tmp_path, model_of("a", "b"))
    assert [ref.name for ref in images.refs] == sorted(
        ["a.jfif", "b.tga", "c.tiff", "d.PNG", "e.ppm", "f.ico"]
    )
    (note,) = images.notes
    assert note.startswith("5 files of other kinds were left out (.heic 2, ")
    assert ".dcm 1" in note and "broken links 1" in note
    (tmp_path / "only").mkdir()
    fill(tmp_path / "only", "1.heic")
    with pytest.raises(ImagesError, match=r"1 file of other kinds was left out \(\.heic 1\)"):
        load_images(tmp_path / "only", model_of("a", "b"))


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        ("cat/a.png dog/b.png", "cat dog"),
        ("train/cat/a.png val/dog/b.png", "cat dog"),
        ("data/train/cat/a.png data/val/dog/b.png", "cat dog"),
        ("cat/1/a.png dog/2/b.png", "cat dog"),
        ("cat/dog/a.png cat/cat/b.png", "cat cat"),
        ("train/cat/a.png train/train/b.png", "cat train"),
        ("train/a.png cat/b.png", "train cat"),
        ("train/x1/a.png train/x2/b.png", "train train"),
        ("kitchen/a.png garden/b.png", "kitchen garden"),
        ("n02088364_cat/a.png n02099601_dog/b.png", "n02088364_cat n02099601_dog"),
        ("a.png cat/b.png", " cat"),
        ("a.png b.png", " "),
    ],
)
def test_labels_come_from_the_folder_level_with_class_names(names, labels):
    found, _ = labels_of(names.split(), ClassNames(["cat", "dog", "train"]))
    assert [label or "" for label in found] == labels.split(" ")


def test_labels_that_fit_no_class_or_several_are_reported(tmp_path):
    fill(tmp_path, "cat/a.png", "no_cat/a.png", "no_cat/b.png", "crane/a.png")
    images = load_images(tmp_path, model_of("cat", "crane", "crane"))
    assert images.notes == (
        "2 images count as unlabelled because the label fits no class of the model: no_cat (2).",
        "1 image counts as unlabelled because the label fits several classes: crane (1).",
    )


def test_links_are_followed_without_loops(tmp_path):
    fill(tmp_path, "store/a.png", "photos/dog/b.png")
    (tmp_path / "photos/cat").symlink_to(tmp_path / "store")
    (tmp_path / "photos/dog/again").symlink_to(tmp_path / "photos")
    (tmp_path / "photos/self").symlink_to(tmp_path / "photos/self")
    images = load_images(tmp_path / "photos", model_of("cat", "dog"))
    assert [(ref.name, ref.label) for ref in images.refs] == [
        ("cat/a.png", "cat"),
        ("dog/b.png", "dog"),
    ]


def test_file_names_with_any_bytes_are_supported(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    try:
        os.mkdir(folder)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    fill(tmp_path, "x.png")
    os.rename(os.fsencode(tmp_path) + b"/x.png", folder + b"/\xff.png")
    images = load_images(tmp_path, model_of("a", "b"))
    assert images.refs[0].name.encode() == b"caf\\xe9/\\xff.png"
    assert images.read(0).shape == (3, 16, 16)
    with pytest.raises(ImagesError, match="There is no image or folder"):
        load_images("a\0b", model_of("a", "b"))


def test_a_pipe_is_not_opened(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes here")
    os.mkfifo(tmp_path / "a.png")
    assert find_pictures(tmp_path).pictures == ()


def test_max_images_samples_from_all_folders_by_the_seed():
    refs = [ImageRef(name=f"{c}/{i:02}.png", label=c) for c in "abcd" for i in range(20)]
    for seed in range(3):
        order = spread(refs, seed)
        assert sorted(order) == list(range(80))
        assert order == spread(refs, seed)
        for few in (4, 8, 12):
            counts = {c: sum(refs[i].label == c for i in order[:few]) for c in "abcd"}
            assert set(counts.values()) == {few // 4}
    assert spread(refs, 0)[:8] != spread(refs, 1)[:8]


def test_max_images_do_not_depend_on_shared_predictions(tmp_path):
    fill(tmp_path, *(f"{folder}/{number}.png" for folder in "abc" for number in range(6)))
    (tmp_path / "a/broken.png").write_bytes(b"none")
    model = model_of("x", "y")
    images, quiet = load_images(tmp_path, model), Silent()
    batch, config = Batch(4, quiet), Config(seed=3)
    looked = ModelOnImages(model, images, batch, quiet)
    shared = predict(looked)
    ((called,),) = set(shared.classes.values())  # all pictures are equal
    choose = partial(concept_images, looked, model.target(called), config)
    alone = choose(max_images=6)
    assert alone == choose(max_images=6, predictions=shared)
    assert alone.chosen == tuple(sorted(alone.chosen))
    assert {images.refs[i].label for i in alone.chosen} == {"a", "b", "c"}
    assert alone.chosen != tuple(range(6))


class Named(Dataset):
    """A data set with its own class numbers, like torchvision's ``ImageFolder``."""

    def __init__(self, *classes):
        self.classes = list(classes)

    def __len__(self):
        return len(self.classes)

    def __getitem__(self, index):
        return torch.zeros(3, 16, 16), index


def test_class_names_of_a_data_set_take_precedence_over_numbers():
    first, second = Named("dog", "zebra"), Named("n02123045_cat", "dog")
    model = model_of("ant", "cat", "dog")
    joined = ConcatDataset([first, Subset(second, [1, 0])])
    images = load_images(Subset(joined, [3, 1, 0, 2]), model)
    assert [model.names.label(ref.label) for ref in images.refs] == [1, None, 2, 2]
    (note,) = images.notes
    assert "zebra (1)" in note
    first.target_transform = lambda number: number
    assert [ref.label for ref in load_images(first, model).refs] == ["ant", "cat"]
    part, _ = random_split(second, [2, 0], generator=torch.Generator().manual_seed(0))
    assert {model.names.label(ref.label) for ref in load_images(part, model).refs} == {1, 2}


class Features:
    """Like a data set of Hugging Face: items are dicts, names are in ``features``."""

    def __init__(self, names):
        kind = type("ClassLabel", (), {"names": names})
        self.features = {"image": object(), "label": kind()}

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return {"image": Image.new("L", (8, 8)), "label": index}


def test_class_names_of_hugging_face_take_precedence_over_numbers():
    model = model_of("ant", "cat", "dog")
    labels = [ref.label for ref in load_images(Features(["dog", "cat"]), model).refs]
    assert labels == ["dog", "cat"]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (1, "cat"),
        (np.uint8(1), "cat"),
        (torch.tensor(1), "cat"),
        (torch.tensor([1]), "cat"),
        (1.0, "cat"),
        ("cat", "cat"),
        (b"cat", "cat"),
        (torch.tensor([0.0, 1, 0]), "cat"),
        ([False, True, False], "cat"),
        (np.array([0, 1]), None),
        (torch.tensor([0.0, 2, 0]), None),
        (torch.tensor([1.0, 0, 1]), None),
        (torch.zeros(3, 4), None),
        (object(), None),
    ],
)
def test_labels_in_memory_match_one_class_or_are_reported(label, expected):
    images = load_images([(torch.zeros(3, 16, 16), label)], model_of("ant", "cat", "dog"))
    assert images.refs[0].label == expected
    assert any("not a single class" in note for note in images.notes) == (expected is None)


def test_classes_with_equal_names_are_distinguished_by_number():
    model = model_of("crane", "x", "crane")
    images = load_images([(torch.zeros(3, 16, 16), i) for i in range(3)], model)
    assert [model.names.label(ref.label) for ref in images.refs] == [0, 1, 2]


def test_numbers_are_classes_if_a_data_set_has_no_names():
    model = model_of("0", "1", "2")
    labels = [ref.label for ref in load_images(Named("ant", "cat", "dog"), model).refs]
    assert labels == ["0", "1", "2"]


def test_the_former_module_works_with_a_warning():
    with pytest.warns(DeprecationWarning, match="import load_images from neurflow"):
        former = importlib.reload(importlib.import_module("neurflow.images"))
    assert former.load_images is load_images
