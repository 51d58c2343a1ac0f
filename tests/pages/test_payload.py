"""The payload of the page is complete and compact, and labels in it cannot run code."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from neurflow.circuit.robustness_file import RobustnessFile, with_robustness
from neurflow.config import Config
from neurflow.errors import WorkError
from neurflow.pages import page, write_report
from neurflow.pages.model_name import model_name
from neurflow.pages.payload import payload
from neurflow.pages.schema import schema
from neurflow.stats import Interval
from tests.conftest import evidence, relabelled
from tests.pages.conftest import HOSTILE

ROOT = Path(__file__).parents[2]


def embedded(text):
    """The data in a page, parsed as in the browser."""
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    chunks = re.findall(
        r'<script type="application/json" class="picture-data">(.*?)</script>', text
    )
    return json.loads(data) | {"pictures": [each for chunk in chunks for each in json.loads(chunk)]}


def test_the_payload_has_every_group_edge_and_neuron(wide):
    data = payload(wide)
    assert [(e.upper, e.lower) for e in data.edges] == [(e.upper, e.lower) for e in wide.edges]
    assert [e.weight for e in data.edges] == pytest.approx([e.weight for e in wide.edges], rel=1e-5)
    for shown, layer in zip(data.layers, wide.layers, strict=True):
        assert [g.id for g in shown.groups] == [g.id for g in layer.groups]
        assert shown.neurons.keys() == layer.neurons.keys()
        for a, neuron in layer.neurons.items():
            (meaning,) = shown.neurons[a].meanings
            assert meaning.weights == pytest.approx(neuron.semantic_groups[0].weights, rel=1e-5)
            assert meaning.activations == pytest.approx(neuron.activations)
            assert meaning.mean == pytest.approx(sum(neuron.activations) / 3, rel=1e-5)
            assert (a, 0) in next(g for g in shown.groups if g.id == meaning.group).members


def test_pictures_are_stored_once_and_crops_refer_to_them(wide):
    data = payload(wide)
    assert len(data.pictures) == len(set(data.pictures)) == len(data.crops) + 3  # images
    group = data.layers[0].groups[0]
    first = data.crops[group.crops[0]]
    assert (first.image, first.box) == wide.layers[0].groups[0].crops[0]
    few = payload(wide, crops_per_group=1)
    assert all(len(g.crops) == 1 for layer in few.layers for g in layer.groups)
    fewer = payload(wide, crops_per_group=1, crops_per_meaning=1)
    meanings = [m for layer in fewer.layers for a in layer.neurons.values() for m in a.meanings]
    assert all(len(m.crops) == len(m.activations) == 1 and m.size == 3 for m in meanings)
    assert len(fewer.pictures) < len(few.pictures)


@pytest.mark.parametrize(
    ("settings", "shares"),
    [({}, True), ({"aggregation": "sum"}, False), ({"sharing": "published"}, False)],
)
def test_only_conserving_weights_are_called_shares(wide, settings, shares):
    assert payload(wide.model_copy(update={"config": Config(**settings)})).shares is shares


def test_the_pages_are_small_without_their_data(built):
    assert len(page.bundle().encode()) < 250_000


def test_pictures_stand_in_order_behind_the_data_a_few_at_a_time(wide, monkeypatch):
    monkeypatch.setattr(page, "AT_ONCE", 400)
    text = page.render(wide)
    assert text.count('class="picture-data"') > 2
    assert text.index('id="data"') < text.index('class="picture-data"')
    assert embedded(text)["pictures"] == payload(wide).pictures


def test_pictures_of_the_target_come_first(wide):
    data = payload(wide)
    first = [data.crops[layer.groups[0].crops[0]].picture for layer in data.layers]
    assert first == sorted(first, reverse=True)


def test_the_page_contains_its_data_and_loads_nothing(wide, tmp_path):
    text = write_report(wide, tmp_path / "page.html").read_text()
    assert embedded(text) == json.loads(payload(wide).model_dump_json())
    loading = re.findall(
        r"""(?:src|href)\s*=\s*["'](?!data:|\$\{)[^"']+""", text.split('id="data"')[0]
    )
    assert loading == []
    assert "<title>Why bee? · neurflow</title>" in text


def test_only_scripts_of_the_front_end_run(wide):
    (allowed,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page.render(wide))
    assert "unsafe" not in allowed
    assert "default-src 'none'" in allowed and "connect-src" not in allowed
    (script,) = re.findall(
        r"<script [^>]*type=\"module\"[^>]*>(.+?)</script>", page.render(wide), re.S
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in allowed


def test_hostile_labels_cannot_escape_the_data(wide):
    text = page.render(wide)
    assert HOSTILE not in text
    assert embedded(text)["layers"][0]["groups"][1]["label"] == HOSTILE


def test_labels_come_with_their_evidence(wide):
    told = relabelled(wide, "early/2", "wheel", evidence=evidence(0.7, features=("round", "black")))
    groups = payload(told).layers[0].groups
    found = groups[2].evidence
    assert (found.author, found.features, found.doubt) == (
        "gpt-9",
        ["round", "black"],
        "does not beat chance",
    )
    assert found.validation.auprc == (0.7, pytest.approx(0.5), 0.75)
    assert found.time == "2026-01-02T00:00:00+00:00"
    assert groups[1].label == HOSTILE and groups[1].evidence is None


def test_columns_of_groups_are_shown_if_a_value_is_known(wide):
    assert payload(wide).group_columns == []
    measured = with_robustness(wide, RobustnessFile(groups={"early/2": Interval(0.5, 0.25, 0.75)}))
    data = payload(measured)
    assert [column.key for column in data.group_columns] == ["stability"]
    assert [group.figures for group in data.layers[0].groups[1:3]] == [{}, {"stability": 0.5}]


def test_errors_for_a_missing_front_end_or_folder(wide, tmp_path, monkeypatch):
    with pytest.raises(WorkError, match="There is no folder"):
        write_report(wide, tmp_path / "nowhere" / "page.html")
    monkeypatch.setattr(page.resources, "files", lambda _: tmp_path)
    with pytest.raises(WorkError, match="was not built"):
        write_report(wide, tmp_path / "page.html")


def test_the_types_of_the_front_end_are_current():
    """`make web-types` writes both files; `make web-check` compares the second with the first."""
    assert (ROOT / "web" / "src" / "shared" / "schema.json").read_text() == schema()


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("torchvision:resnet18", "torchvision:resnet18"),
        ("file:/home/ann/nets.py:small", "nets.py:small"),
        ("file:nets.py:small", "nets.py:small"),
        ("onnx:../models/net.onnx", "net.onnx"),
        ("hf:google/vit-base", "hf:google/vit-base"),
        ("hf:/data/my vit", "my vit"),
        ("hf:C:\\data\\vit", "vit"),
        ("a model given in Python", "a model given in Python"),
    ],
)
def test_pages_name_a_model_without_the_folders_of_this_machine(reference, name):
    assert model_name(reference) == name
