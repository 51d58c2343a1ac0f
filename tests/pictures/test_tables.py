"""Tables of pictures as people have them: names without extensions, several columns of labels."""

import pytest

from neurflow import load_images
from neurflow.errors import ImagesError
from tests.model.test_naming import model_of
from tests.pictures.test_folders import fill


@pytest.fixture
def table(tmp_path):
    """A function that writes a table beside ``train/ID_1.png`` and ``train/ID_2.png``, and reads it."""
    fill(tmp_path, "train/ID_1.png", "train/ID_2.png")

    def read(text, *names):
        (tmp_path / "list.csv").write_text(text)
        return load_images(tmp_path / "list.csv", model_of(*(names or ("cat", "dog"))))

    return read


def labels(images):
    return [ref.label for ref in images.refs]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id,breed\nID_1,dog\nID_2,cat\n", ["dog", "cat"]),
        ("id_code,diagnosis\nID_1,1\nID_2,0\n", ["1", "0"]),
        ("lesion,image,dx,age\nL1,ID_1,dog,40\nL1,ID_2,cat,1\n", ["dog", "cat"]),
        ("image,cat,dog\nID_1,0.0,1.0\nID_2,1.0,0.0\n", ["dog", "cat"]),
        ("image,cat,dog\nID_1.png,1,1\nID_2.png,0,1\n", [None, "dog"]),
        ("image,label,label_name\nID_1,0,dog\nID_2,1,cat\n", ["dog", "cat"]),
        ("image,animal,sex\nID_1,dog,male\nID_2,cat,male\n", ["dog", "cat"]),
    ],
)
def test_names_without_extensions_are_looked_up_and_the_label_column_is_found(
    table, text, expected
):
    images = table(text)
    assert labels(images) == expected
    assert [ref.name for ref in images.refs] == ["ID_1.png", "ID_2.png"]
    assert "ID_1" in images.notes[0]
    assert "is train/ID_1.png" in images.notes[0]


def test_a_table_without_labels_gives_a_note(table):
    images = table("image,age,sex\nID_1,40,male\nID_2,50,male\n")
    assert labels(images) == [None, None]
    assert "No column of the table was recognised as labels (age, sex)" in images.notes[1]


def test_names_in_each_of_two_folders_are_refused_but_may_be_divided_among_them(table, tmp_path):
    fill(tmp_path, "masks/ID_1.png", "masks/ID_2.png", "part_1/P1.png", "part_2/P2.png")
    with pytest.raises(ImagesError, match=r"are in .*(masks|train).* and in .*(masks|train)"):
        table("id,label\nID_1,cat\nID_2,dog\n")
    assert labels(table("id,label\nP1,cat\nP2,dog\n")) == ["cat", "dog"]


@pytest.mark.parametrize("ending", [".png", ""])
def test_missing_pictures_of_a_table_are_reported_and_left_out(table, ending):
    folder = "train/" if ending else ""
    rows = [f"{folder}ID_{i}{ending},{label}" for i, label in ((1, "cat"), (3, "dog"), (2, "cat"))]
    images = table("\n".join(["path,label", *rows]))
    assert labels(images) == ["cat", "cat"]
    assert images.notes[0].startswith("1 of the 3 pictures in ")
    assert f"is missing, such as '{folder}ID_3{ending}', and left out" in images.notes[0]
    lost = [row.replace("ID_2", "ID_4") for row in rows]
    with pytest.raises(ImagesError, match=r"2 of the 3 pictures in .* are missing"):
        table("\n".join(["path,label", *lost]))
