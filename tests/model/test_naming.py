"""Classes by name, files of class names, and targets of all kinds."""

import codecs
import json
import unicodedata
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from neurflow import Model
from neurflow.errors import ModelError, NeurFlowError, TargetError
from neurflow.model.class_files import read_class_names
from neurflow.model.naming import ClassNames


@pytest.mark.parametrize(
    ("names", "label", "expected"),
    [
        (["tumor", "healthy"], "tumor", 0),
        (["tumor", "healthy"], "no_tumor", None),
        (["no_tumor", "tumor"], "no_tumor", 0),
        (["no_tumor", "tumor"], "tumor", 1),
        (["dog", "hot dog"], "hot_dog", 1),
        (["grey owl", "great grey owl"], "great_grey_owl", 1),
        (["defect", "ok"], "no_defect", None),
        (["beagle", "dog"], "n02088364_beagle", 0),
        (["beagle", "dog"], "n0208836_beagle", None),
        (["beagle", "dog"], "n02088364", None),
        (["n02088364", "n02099601"], "n02099601_golden_retriever", 1),
        (["n02088364 beagle", "n02099601 golden retriever, Goldie"], "goldie", 1),
        (["n02088364 beagle", "n02099601 golden retriever, Goldie"], "n02099601", 1),
        (["tench, Tinca tinca", "goldfish"], "tench", 0),
        (["Cat", "cat"], "cat", 1),
        (["Cat", "cat"], "CAT", None),
        (["crane", "crane"], "crane", None),
        (["crane", "crane"], "1", 1),
        (["0", "1", "10", "2"], "2", 3),
        (["0", "1", "10", "2"], "3", None),
        (["1", "2", "3"], "0", None),
        (["caf\u00e9", "b"], "cafe\u0301", 0),
        (["cafe\u0301", "b"], "CAF\u00c9", 0),
        (["a", "b"], "\u00b2", None),
        (["a", "b"], "\u0661", None),
        (["a", "b"], "9" * 5000, None),
        (["a", "b"], None, None),
    ],
)
def test_labels_match_one_class_or_none(names, label, expected):
    assert ClassNames(names).label(label) == expected


def test_wnids_without_names_are_imagenet_classes():
    pytest.importorskip("timm")
    names = ClassNames(["crane" if place in (134, 517) else f"c{place}" for place in range(1000)])
    assert names.label("n02088364") == 162
    assert (names.label("n02012849_crane"), names.label("n03126707_crane")) == (134, 517)
    assert names.label("n00000000") is None


@cache
def model_of(*names):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, len(names))
    )
    return Model(net, transform=lambda picture: torch.zeros(3, 16, 16), class_names=names)


@pytest.mark.parametrize(
    ("names", "target", "expected"),
    [
        ("0 1 10 2", 2, (2, None)),
        ("0 1 10 2", "2", (3, None)),
        ("0 1 10 2", np.int64(1), (1, None)),
        ("cat dog b", torch.tensor(1), (1, None)),
        ("cat dog b", np.array(2), (2, None)),
        ("cat dog b", torch.tensor([2]), (2, None)),
        ("cat dog b", "2", (2, None)),
        ("cat dog b", "dog - cat", (1, 0)),
        ("cat dog b", "1-2", (1, 2)),
        ("t-shirt shirt t", "t-shirt", (0, None)),
        ("t-shirt shirt t", "shirt-t-shirt", (1, 0)),
        ("0/1 b c", "0/1", (0, None)),
        ("cafe\u0301 dog b", "caf\u00e9-dog", (0, 1)),
    ],
)
def test_targets_of_every_kind(names, target, expected):
    found = model_of(*names.split()).target(target)
    assert (found.neuron, found.minus) == expected


@pytest.mark.parametrize(
    ("names", "target", "told"),
    [
        ("cat dog b", "cat-cat", "with itself"),
        ("cat dog b", "cat-0", "with itself"),
        ("cat cat dog", "dog-cat", r"'cat' names classes \[0, 1\]. Give numbers: 2-0, 2-1"),
        ("cat cat dog", "cat", r"names classes \[0, 1\]"),
        ("a a-b b-c c", "a-b-c", "split at several hyphens. Give numbers: 0-2, 1-3"),
        ("cat dog b", "\u00b2", "There is no class"),
        ("cat dog b", 3, "classes are 0 to 2"),
        ("cat dog b", -1, "classes are 0 to 2"),
        ("cat dog b", True, "There is no class 'True'"),
        ("cat dog b", 1.5, "There is no class '1.5'"),
        ("cat dog b", None, "There is no class 'None'"),
        ("cat dog b", torch.tensor([1, 2]), "There is no class"),
        ("cat dog b", "0/\u00b2", "There is no class"),
        ("cat dog b", "0/99", "has neurons 0 to 3, not 99"),
        ("cat dog b", "0/" + "9" * 5000, "has neurons 0 to 3"),
    ],
)
def test_unknown_and_ambiguous_targets_are_refused(names, target, told):
    with pytest.raises(TargetError, match=told):
        model_of(*names.split()).target(target)


LINES = "tench\nh\u00e9ron\ncock\n"
NAMES = ["tench", "h\u00e9ron", "cock"]


@pytest.mark.parametrize(
    "data",
    [
        LINES.encode(),
        (LINES + "\n \n\n").encode(),
        LINES.replace("\n", "\r\n").encode("utf-8-sig"),
        LINES.encode("latin-1"),
        LINES.encode("utf-16"),
        LINES.encode("utf-16-le"),
        LINES.encode("utf-16-be"),
        codecs.BOM_UTF32_BE + LINES.encode("utf-32-be"),
        json.dumps(NAMES).encode(),
        json.dumps({"2": "cock", "0": "tench", "1": "h\u00e9ron"}).encode("utf-8-sig"),
        json.dumps({"0": ["n1", "tench"], "1": ["n2", "h\u00e9ron"], "2": ["n3", "cock"]}).encode(),
        json.dumps({"cock": 2, "tench": 0, "h\u00e9ron": 1}).encode(),
        json.dumps({"model_type": "vit", "id2label": dict(enumerate(NAMES))}).encode(),
        str(dict(enumerate(NAMES))).encode(),
        "index,name\n0,tench\n2,cock\n1,h\u00e9ron\n".encode(),
        'name;index\ntench;1\ncock;3\n"h\u00e9ron";2\n'.encode("latin-1"),
        "0\ttench\n1\th\u00e9ron\n2\tcock".encode(),
        "id,wnid,name\n0,n1,tench\n1,n2,h\u00e9ron\n2,n3,cock\n".encode(),
        "0: tench\n1: h\u00e9ron\n2: cock\n\n".encode(),
        "0 tench\n1 h\u00e9ron\n2 cock\n".encode(),
        "1. tench\n2. h\u00e9ron\n3. cock\n".encode(),
        "- tench\n- 'h\u00e9ron'\n- cock\n".encode(),
        "path: x\nnc: 3\nnames:\n  0: tench\n  1: h\u00e9ron\n  # a bird\n  2: cock\ntest: y".encode(),
        "nc: 3\nnames: ['tench', 'h\u00e9ron', 'cock']\n".encode(),
        json.dumps([{"id": i, "name": NAMES[i]} for i in (2, 0, 1)]).encode(),
        json.dumps({"categories": [{"id": i + 1, "name": NAMES[i]} for i in (1, 2, 0)]}).encode(),
        json.dumps({"idx_to_class": dict(enumerate(NAMES))}).encode(),
        str(tuple(NAMES)).encode(),
        '"tench",\n"h\u00e9ron",\n"cock"\n'.encode(),
        "tench: 0\nh\u00e9ron: 1\ncock: 2\n".encode(),
        "cock = 3\ntench = 1\nh\u00e9ron = 2\n".encode(),
        "cock 2\ntench 0\nh\u00e9ron 1\n".encode(),
        "0 -> tench\n1 -> h\u00e9ron\n2 -> cock\n".encode(),
        "nc: 3\nnames: [tench, h\u00e9ron, cock]\n".encode(),
        "tench, h\u00e9ron, cock\n".encode(),
        json.dumps({"label_map": dict(enumerate(NAMES))}).encode(),
        "classes:\n- tench\n- h\u00e9ron\n- cock\n".encode(),
        "names:\n  0: tench  # a fish\n  1: h\u00e9ron\n  2: cock\n".encode(),
        "names: {0: tench, 2: cock, 1: h\u00e9ron}\n".encode(),
        "CLASSES = [\n    'tench',\n    'h\u00e9ron', 'cock',\n]\n".encode(),
        'names = ["tench", "h\u00e9ron", "cock"]'.encode(),
        "0 - tench\n1 - h\u00e9ron\n2 - cock\n".encode(),
        "tench,\nh\u00e9ron,\ncock,\n".encode(),
        "".join(
            f'item {{\n  name: "/m/{i}"\n  id: {i}\n  display_name: "{name}"\n}}\n'
            for i, name in enumerate(NAMES, 1)
        ).encode(),
        "\n".join(f"item {{ id: {i} name: '{n}' }}" for i, n in enumerate(NAMES, 1)).encode(),
    ],
)
def test_class_names_are_read_in_all_common_formats(tmp_path, data):
    (tmp_path / "names").write_bytes(data)
    assert read_class_names(tmp_path / "names") == NAMES


def test_ten_or_more_lines_numbered_from_1_are_a_table(tmp_path):
    """As in ``classes.txt`` of CUB and ``classInd.txt`` of UCF101."""
    names = [f"{i:03}.Bird_{i}" for i in range(1, 13)]
    (tmp_path / "names").write_text("".join(f"{i} {name}\n" for i, name in enumerate(names, 1)))
    assert read_class_names(tmp_path / "names") == names


@pytest.mark.parametrize(
    "lines",
    [
        ["tench, Tinca tinca", "goldfish, Carassius auratus"],
        ["1 euro", "2 euro"],
        ["0", "1", "10", "2"],
        ["[unk]", "cat"],
        ["{", "}x"],
        ["1 Chronicles", "2 Kings"],
        ["grade 1", "stage 2"],
        ["digit 0", "digit 1"],
        ["'n' roll", "cat"],
        ["n01440764 tench, Tinca tinca", "n01443537 goldfish"],
    ],
)
def test_lines_that_resemble_a_table_are_names(tmp_path, lines):
    (tmp_path / "names.txt").write_text("\n".join(lines))
    assert read_class_names(tmp_path / "names.txt") == lines


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "has no names"),
        (b"\n \n", "has no names"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not a text file"),
        (b'["a", "b"', "starts like JSON"),
        (b'{"0": "a", "2": "b"}', "1 is missing"),
        (b'{"a": "b"}', "neither indices to names nor"),
        (b"[[[]]]", "a name must be text"),
        (b"[" * 100_000 + b"]", "starts like JSON"),
        (b"<!DOCTYPE html><html>404", "a web page"),
        (b"classes = ['a', 'b']\nclasses += ['c']", "starts like JSON"),
        (codecs.BOM_UTF16_LE + b"a", "cannot be read"),
    ],
)
def test_errors_for_files_without_class_names(tmp_path, data, told):
    (tmp_path / "names").write_bytes(data)
    with pytest.raises(ModelError, match=told):
        read_class_names(tmp_path / "names")
    with pytest.raises(NeurFlowError, match="There is no file of class names"):
        read_class_names(tmp_path / "nowhere")


def test_names_match_in_composed_and_decomposed_unicode():
    name = "Gar\u00e7on"
    assert ClassNames([name, "x"]).matching(unicodedata.normalize("NFD", name)) == (0,)
