"""The benchmark of planted shortcuts, on a network with a shortcut in its hand-set weights."""

import numpy as np
import pytest
import torch
from benchmarks.planted import carriers
from benchmarks.shortcuts import LEAST_LOST, holding, important, restored, write_page

from neurflow.debugging.masking import Masker
from tests.debugging import test_audit

planted = test_audit.planted


class Scenes:
    """Scenes with or without the blue corner, which is the shortcut of class 0, red."""

    target = 0

    def draw(self, split, marks):
        rng = np.random.default_rng(3)
        labels = np.arange(48) % 2
        carries = carriers(labels == 0, marks, 1.0, [0])
        pixels = [
            test_audit.scene(kind, mark, rng) for kind, mark in zip(labels, carries, strict=True)
        ]
        return torch.stack(pixels).numpy(), labels, carries

    def inputs(self, pixels):
        return torch.from_numpy(pixels)


def test_only_groups_with_the_corner_neuron_hold_the_shortcut(planted):
    model, circuit, _ = planted
    found = holding(model, circuit, Scenes())
    for layer in circuit.layers[:-1]:
        for group in layer.groups:
            if group.neurons == (2,):
                assert found[group.id] == pytest.approx(1)
            elif not {2, 3} & set(group.neurons):
                assert found[group.id] == pytest.approx(0, abs=1e-6)


def test_the_most_important_neuron_is_that_of_the_corner(planted):
    model, _, _ = planted
    pixels, _, _ = Scenes().draw("train", "usual")
    own = Scenes().inputs(pixels)[::2]
    # 12 × the mean of the corner against 4 × that of the square: the corner contributes more to red
    assert important(model, Masker(model, ["mix"]), own, target=0, count=1) == [2]


def test_the_kinds_of_marks_select_the_right_pictures():
    own = np.arange(400) < 200
    usual = carriers(own, "usual", 0.8, [1])
    assert not usual[200:].any()
    assert usual[:200].mean() == pytest.approx(0.8, abs=0.1)
    assert carriers(own, "swapped", 0.8, [1]).tolist() == (~own).tolist()
    assert carriers(own, "half", 0.8, [1]).mean() == pytest.approx(0.5, abs=0.1)
    assert not carriers(own, "none", 0.8, [1]).any()


def test_restored_is_a_share_of_the_lost_accuracy():
    row = {
        "usual": {"before": 0.9},
        "none": {"before": 0.85},
        "swapped": {"before": 0.5, "group": 0.8, "random": None},
    }
    assert restored(row, "swapped", "group") == pytest.approx(0.75)
    assert restored(row, "swapped", "random") is None
    assert restored(row, "swapped", "removed") == pytest.approx(0.875)
    small_loss = {**row, "usual": {"before": 0.5 + LEAST_LOST / 2}}
    assert restored(small_loss, "swapped", "group") is None


def test_only_the_tables_of_the_page_are_replaced(tmp_path, monkeypatch):
    page = tmp_path / "shortcuts.md"
    parts = (f"## {n}\n<!-- {n} -->\noutdated\n<!-- end {n} -->\n" for n in ("drawn", "real"))
    page.write_text(f"Before.\n{''.join(parts)}After.\n", encoding="utf-8")
    monkeypatch.setattr("benchmarks.shortcuts.PAGE", page)
    usual = {"before": 0.9, "group": 0.85, "mct": 0.6, "random": 0.5, "refit": 0.9}
    measured = {"usual": usual, "none": usual, "swapped": {**usual, "before": 0.5}}
    row = {
        **{"kind": "patch", "strength": 1.0, "seed": 7, "neurons": 3, "by": "mean"},
        **{"first_holds": True, "holding": 2, "groups": 8},
        **measured,
        **{f"{marks}, others": of for marks, of in measured.items()},
    }
    write_page({"drawn": [row], "real": []})
    text = page.read_text(encoding="utf-8")
    assert text.startswith("Before.\n## drawn\n")
    assert text.endswith("After.\n")
    assert "outdated" not in text
    assert "| all | 1 | 1 (100%) | 25% | 0 |" in text
    found = next(line for line in text.splitlines() if line.startswith("| all | 1 of 1 | 40%"))
    assert found.endswith("| 0% | 25% | 100% | 100% |")
    assert "| all | 0 of 1 | 0% | - | - | - | - | - |" in text  # no accuracy is lost without marks
    assert "Not measured." in text
