"""Labels that are spelled differently from the classes, as in well-known data sets."""

import pytest
import torch
from PIL import Image

from neurflow import load_images
from neurflow.model.naming import ClassNames
from neurflow.pictures.folders import labels_of
from neurflow.pictures.spellings import Spellings
from tests.model.test_naming import model_of
from tests.pictures.test_folders import fill


@pytest.mark.parametrize(
    ("names", "labels", "expected"),
    [
        (["black footed albatross", "b"], ["001.Black_footed_Albatross"], [0]),
        (["golden retriever", "b"], ["golden-retriever", "GoldenRetriever"], [0, 0]),
        (["ak47", "american flag"], ["001.ak47", "002.american-flag"], [0, 1]),
        (["jack-o'-lantern", "b"], ["jack_o_lantern"], [0]),
        (["no tumor", "tumor"], ["notumor", "no-tumor"], [0, 0]),
        (["001.Black_footed_Albatross", "b"], ["Black footed Albatross"], [0]),
        (["Lumbricus terrestris", "b"], ["00000_Animalia_Annelida_Lumbricus_terrestris"], [0]),
        (["1 euro", "pound"], ["1-euro", "2_euro"], [0, None]),
        (["euro", "pound"], ["1_euro", "2_euro"], [None, None]),  # two labels for one class
        (["cat", "dog"], ["cat", "01.cat"], [0, None]),
        (["tumor", "healthy"], ["no_tumor", "not-tumor"], [None, None]),
        (["A+", "B"], ["A-", "A"], [None, None]),
        (["1.5", "2.5"], ["1-5", "15"], [None, None]),
        (["t-shirt", "t shirt"], ["tshirt", "t.shirt"], [None, None]),  # fits both
        (["0", "1"], ["1.cat"], [None]),
    ],
)
def test_labels_are_read_in_looser_forms_if_a_single_class_fits(names, labels, expected):
    classes = ClassNames(names)
    read, notes = Spellings(classes).read(labels)
    assert [classes.label(label) for label in read] == expected
    changed = [old for old, new in zip(labels, read, strict=True) if old != new]
    assert bool(notes) == bool(changed) and all(f"{old} as " in notes[0] for old in changed)


def test_classes_can_be_paths_of_folders():
    names = ["a/abbey/1.png", "a/apartment_building/outdoor/1.png"]
    for classes in (
        ["/a/abbey", "/a/apartment_building/outdoor"],
        ["abbey", "apartment_building-outdoor"],
    ):
        found, _ = labels_of(names, ClassNames(classes))
        assert [ClassNames(classes).label(label) for label in found] == [0, 1]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["Abyssinian_100.jpg", "images/american_bulldog_7.jpg"], [0, 1]),
        (["train/abyssinian.0.jpg", "train/american-bulldog (1).jpg"], [0, 1]),
        (["12_Abyssinian.png", "x.png"], [0, None]),
        (["7_1234.png", "1.png"], [None, None]),  # a number is not the name of a class
        (["Abyssinian_1.png", "x.png", "y.png"], [None, None, None]),
        (["no_abyssinian_1.png", "Abyssinians_2.png"], [None, None]),
    ],
)
def test_labels_come_from_file_names_if_folders_have_no_class_names(files, expected):
    classes = ClassNames(["Abyssinian", "american bulldog", *map(str, range(8))])
    found, notes = labels_of(files, classes)
    assert [classes.label(label) for label in found] == expected
    assert any("names of the files" in note for note in notes) == any(
        place is not None for place in expected
    )


def test_labels_in_looser_forms_are_noted(tmp_path):
    fill(tmp_path, "001.cat/1.png", "2-hot_dog/1.png", "__MACOSX/2-hot_dog/1.png", "no-cat/1.png")
    model = model_of("cat", "hot dog")
    images = load_images(tmp_path, model)
    assert [ref.label for ref in images.refs] == ["cat", "hot dog", "no-cat"]
    assert images.notes == (
        "Labels that are spelled differently from the classes were read: 001.cat as cat, 2-hot_dog "
        "as hot dog.",
        "1 image counts as unlabelled because the label fits no class of the model: no-cat (1).",
    )
    items = [(torch.zeros(3, 16, 16), "hot-dog"), (torch.zeros(3, 16, 16), "cat")]
    images = load_images(items, model)
    assert [ref.label for ref in images.refs] == ["hot dog", "cat"]
    assert "hot-dog as hot dog" in images.notes[0]


def test_numbers_that_do_not_count_from_zero_are_no_classes(tmp_path):
    """Folders 1 and 2 of the classes 0 and 1: folder 1 is probably not class 1."""
    fill(tmp_path, "1/a.png", "2/a.png")
    images = load_images(tmp_path, model_of("cat", "dog"))
    assert [ref.label for ref in images.refs] == [None, None]
    assert "numbers up to 2 without 0, but the classes have the numbers 0 to 1" in images.notes[0]
    assert [r.label for r in load_images(tmp_path, model_of("1", "2")).refs] == ["1", "2"]
    picture = Image.new("RGB", (8, 8))
    for numbers, expected in (
        ([1, 2], [None, None]),
        ([0, 2], ["cat", "2"]),
        ([1, 1], ["dog", "dog"]),
    ):
        images = load_images([(picture, number) for number in numbers], model_of("cat", "dog"))
        assert [ref.label for ref in images.refs] == expected


def test_another_order_of_folders_in_torchvision_is_reported(tmp_path):
    fill(tmp_path, *(f"{number}/a.png" for number in range(11)))
    images = load_images(tmp_path, model_of(*map(str, range(11))))
    assert [ref.label for ref in images.refs][:3] == ["0", "1", "10"]
    assert "Folder '10' is read as class 10. ImageFolder sorts folders as text" in images.notes[0]
    fill(tmp_path / "few", "0/a.png", "1/a.png")
    assert not load_images(tmp_path / "few", model_of("0", "1")).notes
