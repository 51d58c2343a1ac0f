"""Comparison of two circuits: shared groups, missing groups, and changed edges."""

import pytest
from scipy.stats import spearmanr

from neurflow import compare
from neurflow.comparison.result import Comparison
from neurflow.errors import RequestError
from tests.comparison.tiny import QUARTER, plain, tiny

OTHER = "1" * 64
HEAD = plain([0])


@pytest.fixture
def a():
    """Three groups below two groups, with all edges."""
    return tiny(
        {"low": plain([0, 1, 2], [3, 4], [5]), "mid": plain([1, 2], [7]), "head": HEAD},
        {
            ("mid/0", "low/0"): 0.5,
            ("mid/0", "low/1"): -0.25,
            ("mid/0", "low/2"): 0.25,
            ("mid/1", "low/1"): 1.0,
            ("head/0", "mid/0"): 0.75,
            ("head/0", "mid/1"): -0.25,
        },
    )


@pytest.fixture
def b():
    """Groups in another order, with one missing and one new group in each layer, and other weights."""
    return tiny(
        {
            "low": plain([3, 4, 9], [0, 1, 2], [8]),
            "mid": plain([11], [1, 2, 3]),
            "head": plain([4]),
        },
        {
            ("mid/1", "low/1"): 0.25,
            ("mid/1", "low/2"): 0.5,
            ("mid/0", "low/0"): 1.0,
            ("head/0", "mid/1"): 0.5,
            ("head/0", "mid/0"): 0.5,
        },
        target="fly",
        neuron=4,
    )


def layer(found, name):
    return next(layer for layer in found.layers if layer.name == name)


def test_groups_find_their_counterparts(a, b):
    found = compare(a, b)
    assert found.by == "neurons" and "same weights" in found.reason
    low = layer(found, "low")
    assert [(p.a, p.b) for p in low.pairs] == [("low/0", "low/1"), ("low/1", "low/0")]
    assert [p.similarity for p in low.pairs] == pytest.approx([1, 2 / 3])
    assert [p.by_neurons for p in low.pairs] == [p.similarity for p in low.pairs]
    overlap = low.pairs[1].neurons
    assert (overlap.common, overlap.only_a, overlap.only_b) == ((3, 4), (), (9,))
    assert [one.id for one in low.only_a] == ["low/2"]
    assert [one.id for one in low.only_b] == ["low/2"]
    assert low.only_a[0].similarity == 0
    assert low.similarity == pytest.approx(5 / 6)
    assert low.groups == (3, 3) and low.shared == pytest.approx(4 / 6)
    mid = layer(found, "mid")
    assert [(p.a, p.b, p.similarity) for p in mid.pairs] == [
        ("mid/0", "mid/1", pytest.approx(2 / 3))
    ]


def test_targets_are_matched_even_without_common_neurons(a, b):
    (pair,) = layer(compare(a, b), "head").pairs
    assert (pair.a, pair.b, pair.matched_by, pair.similarity) == ("head/0", "head/0", "target", 0)
    assert pair.chance is None and pair.above_chance is None


def test_the_parts_of_divided_targets_are_matched_with_each_other():
    one, other = (
        tiny({"low": plain([0]), "head": plain([n], [n + 1])}, neuron=n, target=name)
        for n, name in ((0, "bee"), (2, "fly"))
    )
    pairs = layer(compare(one, other), "head").pairs
    assert [(p.a, p.b, p.matched_by) for p in pairs] == [
        ("head/0", "head/0", "target"),
        ("head/1", "head/1", "target"),
    ]


def test_of_groups_with_the_same_neurons_those_with_the_same_crops_are_matched():
    left, right = (0, QUARTER[0]), (0, QUARTER[3])
    one = tiny({"low": plain([0]), "head": [{0: [left]}, {0: [right]}]})
    other = tiny({"low": plain([0]), "head": [{0: [right]}, {0: [(0, QUARTER[9])]}, {0: [left]}]})
    head = layer(compare(one, other), "head")
    assert {(p.a, p.b) for p in head.pairs} == {("head/0", "head/2"), ("head/1", "head/0")}
    assert all(p.similarity == 1 for p in head.pairs)
    again = layer(compare(other, one), "head")
    assert [(u.id, u.similarity) for u in again.only_a] == [("head/1", 1)]


def test_edges_between_matched_groups(a, b):
    mid = layer(compare(a, b), "mid")
    edges = {(e.upper, e.lower): (e.weight_a, e.weight_b, e.change) for e in mid.edges}
    upper = ("mid/0", "mid/1")
    assert edges == {
        (upper, ("low/0", "low/1")): (0.5, 0.25, -0.25),
        (upper, ("low/1", "low/0")): (-0.25, None, 0.25),  # missing
    }
    assert mid.carried == pytest.approx(((0.5 + 0.25) / 2, 0.25 / 1.75))
    head = layer(compare(a, b), "head")
    assert [(e.weight_a, e.weight_b) for e in head.edges] == [(0.75, 0.5)]
    assert layer(compare(a, b), "low").edges == ()
    assert layer(compare(a, b), "low").carried == (None, None)


def test_the_comparison_is_symmetric(a, b):
    there, back = compare(a, b), compare(b, a)
    assert there.counterparts == {one: other for other, one in back.counterparts.items()}
    for one, other in zip(there.layers, back.layers, strict=True):
        assert {e.change for e in one.edges} == {-e.change for e in other.edges}
        assert one.carried == other.carried[::-1]


@pytest.mark.parametrize("by", ["neurons", "crops"])
def test_a_circuit_shares_all_groups_with_itself(a, by):
    found = compare(a, a, by=by)
    for one in found.layers:
        assert not one.only_a and not one.only_b
        assert all(p.a == p.b and p.similarity == pytest.approx(1) for p in one.pairs)
        assert all(edge.change == 0 for edge in one.edges)
        assert one.shared == 1
        assert one.correlation in (None, pytest.approx(1))
    assert layer(found, "mid").carried == (1, 1)
    assert layer(found, "mid").correlation == pytest.approx(1)  # four edges


def test_rank_correlation_is_spearmans_and_needs_three_edges():
    names = [f"low/{i}" for i in range(4)]
    low = plain([0], [1], [2], [3])
    weights = (0.4, 0.3, 0.2, 0.1), (0.1, 0.5, 0.3, 0.1)
    one, other = (
        tiny(
            {"low": low, "head": HEAD}, {("head/0", n): w for n, w in zip(names, each, strict=True)}
        )
        for each in weights
    )
    expected = spearmanr(*weights).statistic
    assert layer(compare(one, other), "head").correlation == pytest.approx(expected)
    few = one.model_copy(update={"edges": one.edges[:2]})
    assert layer(compare(few, few), "head").correlation is None


def test_different_networks_are_compared_by_crops():
    """Neuron numbers and crops disagree; between different networks, crops are used."""
    left, right = [(0, QUARTER[0])], [(1, QUARTER[15])]
    one = tiny({"l": [{0: left}, {1: right}], "head": HEAD})
    other = tiny({"l": [{0: right}, {1: left}], "head": HEAD}, digest=OTHER)
    found = compare(one, other)
    assert found.by == "crops" and "weights differ" in found.reason
    assert (
        layer(found, "l").pairs[0].by_neurons is None and layer(found, "l").pairs[0].neurons is None
    )
    assert {(p.a, p.b) for p in layer(found, "l").pairs} == {("l/0", "l/1"), ("l/1", "l/0")}
    tuned = compare(one, other, by="neurons")
    assert {(p.a, p.b) for p in layer(tuned, "l").pairs} == {("l/0", "l/0"), ("l/1", "l/1")}
    assert all(p.by_neurons == 1 and p.by_crops == 0 for p in layer(tuned, "l").pairs)
    assert "not checked" in tuned.notes[0]


def test_pictures_are_matched_by_name():
    groups = [{0: [(0, QUARTER[0])]}, {1: [(1, QUARTER[0])]}]
    one = tiny({"l": groups, "head": HEAD}, images=("x.png", "y.png"))
    other = tiny({"l": groups, "head": HEAD}, images=("y.png", "x.png"), digest=OTHER)
    found = compare(one, other)
    assert found.images == 2
    assert {(p.a, p.b) for p in layer(found, "l").pairs} == {("l/0", "l/1"), ("l/1", "l/0")}


def test_crops_of_other_pictures_are_left_out():
    one = tiny({"l": [{0: [(0, QUARTER[0]), (1, QUARTER[3])]}], "head": HEAD}, images=("x", "y"))
    other = tiny(
        {"l": [{0: [(0, QUARTER[0]), (1, QUARTER[9])]}], "head": HEAD},
        images=("x", "z"),
        digest=OTHER,
    )
    (pair,) = layer(compare(one, other), "l").pairs
    assert pair.similarity == pytest.approx(1)


def test_the_same_boxes_on_a_larger_input():
    one = tiny({"l": [{0: [(0, (8, 8, 24, 24))]}], "head": HEAD})
    other = tiny({"l": [{0: [(0, (16, 16, 48, 48))]}], "head": HEAD}, side=64, digest=OTHER)
    assert layer(compare(one, other), "l").pairs[0].similarity == pytest.approx(1)


def test_layers_in_one_circuit_only_are_reported_and_their_edges_not_compared(a):
    b = tiny(
        {"low": plain([0, 1, 2]), "extra": plain([0]), "mid": plain([1, 2]), "head": HEAD},
        {("extra/0", "low/0"): 1, ("mid/0", "extra/0"): 1, ("head/0", "mid/0"): 1},
    )
    found = compare(a, b)
    assert (found.a.only, found.b.only) == ((), ("extra",))
    assert [one.name for one in found.layers] == ["low", "mid", "head"]
    assert layer(found, "mid").edges == ()  # mid is above low in only one of them
    assert [(e.weight_a, e.weight_b) for e in layer(found, "head").edges] == [(0.75, 1)]


def test_pairs_below_the_threshold_are_separated(a, b):
    assert len(layer(compare(a, b, threshold=0.7), "low").pairs) == 1
    alone = layer(compare(a, b, threshold=0.7), "low").only_a[0]
    assert (alone.id, alone.nearest, alone.similarity) == ("low/1", "low/0", pytest.approx(2 / 3))
    nothing = tiny({"low": plain([20], [21]), "mid": plain([22]), "head": HEAD})
    found = compare(a, nothing, threshold=0)
    assert [len(one.pairs) for one in found.layers] == [0, 0, 1]
    assert found.layers[0].similarity is None


def test_chance_depends_on_the_seed(a, b):
    def chances(seed):
        return [pair.chance for pair in layer(compare(a, b, seed=seed, draws=7), "low").pairs]

    assert chances(0) == chances(0) != chances(1)


def test_matches_within_chance_are_marked():
    groups = plain(*([4 * i + j for j in range(4)] for i in range(6)))
    one = tiny({"l": groups, "head": HEAD})
    assert all(p.above_chance for p in layer(compare(one, one), "l").pairs)
    shuffled = tiny({"l": plain(*([i + 6 * j for j in range(4)] for i in range(6))), "head": HEAD})
    pairs = layer(compare(one, shuffled, threshold=0.1), "l").pairs
    assert pairs and not any(p.above_chance for p in pairs)


def test_the_comparison_is_data(a, b):
    found = compare(a, b)
    assert Comparison.model_validate_json(found.model_dump_json()) == found
    assert repr(found) == (
        "<Comparison of 'bee' and 'fly' by neurons: "
        "3 layers, 4 groups shared, 2 only in A, 2 only in B>"
    )


def test_notes_name_reasons_for_doubt(a, b):
    summed = b.model_copy(update={"config": b.config.model_copy(update={"aggregation": "sum"})})
    assert "compute edge weights differently" in compare(a, summed).notes[0]
    one = a.model_copy(update={"pictures": {0: b"one"}})
    other = a.model_copy(update={"pictures": {0: b"other"}})
    assert "Pictures with the same name differ" in compare(one, other).notes[0]
    assert compare(one, one).notes == ()
    many = tiny({"head": HEAD}, images=[f"{i}" for i in range(5)])
    few = tiny({"head": HEAD}, images=["0", "x", "y", "z"], digest=OTHER)
    assert "1 of 5 and 4 pictures in common" in compare(many, few).notes[0]


@pytest.mark.parametrize(
    ("other", "settings", "says"),
    [
        ({"elsewhere": HEAD}, {}, "no layer in common"),
        ({"head": HEAD}, {"digest": OTHER, "images": ["z.png"]}, "none in common"),
        ({"head": HEAD}, {"digest": OTHER, "means": {"head": 9}}, "9 in the other"),
    ],
)
def test_circuits_that_cannot_be_compared(other, settings, says):
    one = tiny({"head": HEAD}, means={"head": 4})
    by = "neurons" if "means" in settings else "auto"
    with pytest.raises(RequestError, match=says):
        compare(one, tiny(other, **settings), by=by)


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.5}, {"threshold": -1}, {"draws": 0}, {"by": "hue"}]
)
def test_invalid_settings_are_refused(a, wrong):
    with pytest.raises(RequestError):
        compare(a, a, **wrong)
