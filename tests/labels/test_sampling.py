"""Selection of the crops that are shown, held out, or used for comparison."""

from __future__ import annotations

from itertools import combinations

import pytest

from neurflow.circuit import Circuit
from neurflow.labels.sampling import OVERLAP, SAMPLE_SIZE, contrast, overlap, sample
from neurflow.refs import Crop


def test_overlap_by_hand():
    assert overlap((0, 0, 4, 4), (2, 0, 6, 4)) == pytest.approx(8 / 24)
    assert overlap((0, 0, 4, 4), (1, 1, 3, 3)) == 4 / 16
    assert overlap((0, 0, 4, 4), (4, 0, 8, 4)) == 0
    assert overlap((0, 0, 4, 4), (0, 0, 4, 4)) == 1


def test_shown_held_out_and_other_crops_are_disjoint(planted: Circuit):
    for layer in planted.layers:
        for group in layer.groups:
            chosen = sample(planted, group, 12, 12, seed=0)
            shown = [group.crops[i] for i in chosen.shown]
            parts = [*shown, *chosen.held_out, *chosen.random, *chosen.hard]
            assert len(parts) == len(set(parts))
            own, others = {*shown, *chosen.held_out}, {*chosen.random, *chosen.hard}
            assert own <= set(group.crops)
            assert not others & set(group.crops)
            assert len(chosen.held_out) >= 10
            assert len(chosen.held_out) + len(others) == SAMPLE_SIZE
            assert not {c.image for c in shown} & {c.image for c in chosen.held_out}
            siblings = {c for g in layer.groups if g is not group for c in g.crops}
            assert set(chosen.hard) <= siblings
            assert not set(chosen.random) & siblings
            assert len(chosen.hard) == (len(others) + 1) // 2 or layer.name == "head"
            strangers = [c for c in planted.thumbnails if c not in set(group.crops)]
            hard = sum(c in siblings for c in strangers)
            known = len(group.crops), len(strangers) - hard, hard
            assert chosen.population == known
            assert set(contrast(planted, group, chosen, 50, 0)).isdisjoint({*own, *others})


def test_crops_depend_only_on_arguments_and_seed(planted: Circuit):
    group = planted.group("early/0")
    first, again, other = (sample(planted, group, 12, 12, seed) for seed in (0, 0, 1))
    assert first == again
    assert first.held_out == other.held_out
    assert first.random != other.random


def test_near_duplicate_crops_count_once(circuit: Circuit):
    boxes = [(8 * i, 0, 8 * i + 16, 16) for i in range(6)]  # each overlaps the next by a third
    crops = tuple(Crop(image, box) for box in boxes for image in (0, 1))
    group = circuit.group("block/0").model_copy(update={"crops": crops})
    pictured = circuit.model_copy(update={"thumbnails": dict.fromkeys(crops, b"")})
    chosen = sample(pictured, group, 12, 12, seed=0)
    for side in ([crops[i] for i in chosen.shown], chosen.held_out):
        assert len(side) == 3
        assert all(overlap(a.box, b.box) < OVERLAP for a, b in combinations(side, 2))


def test_a_group_of_one_image_is_split_by_crops(circuit: Circuit):
    crops = tuple(Crop(0, (16 * i, 0, 16 * i + 16, 16)) for i in range(6))
    group = circuit.group("block/0").model_copy(update={"crops": crops})
    pictured = circuit.model_copy(update={"thumbnails": dict.fromkeys(crops, b"")})
    chosen = sample(pictured, group, 12, 12, seed=0)
    assert chosen.shown == (0, 2, 4)
    assert chosen.held_out == crops[1::2]


def test_crops_without_a_picture_are_left_out(planted: Circuit):
    group = planted.group("late/0")
    bare = planted.model_copy(update={"thumbnails": {}})
    chosen = sample(bare, group, 12, 12, seed=0)
    assert (chosen.shown, chosen.held_out, chosen.random, chosen.hard) == ((), (), (), ())
