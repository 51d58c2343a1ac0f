"""Intervals of weights over resampled photographs, compared with results by hand and a slow loop."""

from __future__ import annotations

from io import StringIO
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

import neurflow
from neurflow.circuit import Circuit, load_circuit, save_circuit
from neurflow.circuit.uncertainty import branch_intervals, intervals, resampled
from neurflow.cli._summary import circuit_text, group_text
from neurflow.errors import ResultError
from neurflow.pages.payload import payload
from neurflow.refs import Crop, Member
from tests.method.test_discover import CONFIG, images, model, target

__all__ = ["images", "model", "target"]  # fixtures


@pytest.fixture(scope="module")
def found(model, images, target) -> Circuit:
    """A circuit with several groups a layer."""
    return neurflow.discover(model, images, target, config=CONFIG.model_copy(update={"groups": 3}))


def scored(circuit: Circuit, each: list[list[float]], photographs: list[int]) -> Circuit:
    """The tiny circuit, with these attributions on the crops of its target."""
    block, head = circuit.layers
    (bee,) = head.neurons.values()
    part = bee.semantic_groups[0].model_copy(
        update={
            "attributions": np.array(each, dtype=np.float32).ravel(),
            "shares": {4: (0.5, 0.5)},
        }
    )
    crops = tuple(Crop(image, crop.box) for image, crop in zip(photographs, bee.crops, strict=True))
    bee = bee.model_copy(update={"semantic_groups": (part,), "crops": crops})
    head = head.model_copy(update={"neurons": {2: bee}})
    return circuit.model_copy(update={"layers": (block, head)})


def test_a_sign_is_certain_if_all_photographs_agree(circuit: Circuit) -> None:
    agree = scored(circuit, [[3, -1], [2.9, -1], [3.1, -1]], [0, 1, 2])
    spread = intervals(agree.layers[1], agree.layers[0], agree.config)
    low, high = spread["head/0", "block/1"]  # half of neuron 4's weight of about 3/4
    assert 0.36 < low < 0.375 < high < 0.39
    differ = scored(circuit, [[3, -1], [-3, -1], [0.1, -1]], [0, 1, 2])
    low, high = intervals(differ.layers[1], differ.layers[0], differ.config)["head/0", "block/1"]
    assert low < 0 < high


def test_two_photographs_give_no_interval(circuit: Circuit) -> None:
    few = scored(circuit, [[3, -1], [2.9, -1], [3.1, -1]], [0, 1, 1])
    assert intervals(few.layers[1], few.layers[0], few.config) == {}


def test_attributions_of_crops_give_the_stored_weights(found: Circuit) -> None:
    for layer in found.layers[1:]:
        for neuron in layer.neurons.values():
            for part in neuron.semantic_groups:
                mean = part.attributions.reshape(len(part.crops), -1).mean(0)
                expected = mean / np.abs(mean).sum()
                np.testing.assert_allclose(list(part.weights.values()), expected, atol=1e-5)


def test_resamples_use_the_rule_of_the_circuit_with_other_weights(found) -> None:
    lower, upper = found.layers[:2]
    drawn = resampled(upper, lower, found.config, 2)
    chance = np.random.default_rng(found.config.seed).exponential(size=(2, len(found.images)))
    group_of = {m: h for h, group in enumerate(lower.groups) for m in group.members}
    slow = np.zeros_like(drawn)
    for draw, g in np.ndindex(2, len(upper.groups)):
        for a, i in upper.groups[g].members:
            neuron, part = upper.neurons[a], upper.neurons[a].semantic_groups[i]
            each = part.attributions.reshape(len(part.crops), -1)
            signed = sum(
                chance[draw, neuron.crops[position].image] * row
                for position, row in zip(part.crops, each, strict=True)
            )
            weights = signed / np.abs(signed).sum() / len(upper.groups[g].members)
            for s, weight in zip(part.weights, weights, strict=True):
                for j, share in enumerate(part.shares.get(s, (1.0,))):
                    slow[draw, g, group_of[Member(s, j)]] += weight * share
    np.testing.assert_allclose(drawn, slow, atol=1e-6)


def test_intervals_of_all_cuts_are_restored_from_disk(found, tmp_path) -> None:
    for view in (found, found.cut({found.layers[0].name: 2})):
        assert all(edge.low <= edge.high for edge in view.edges)
        near = [edge.low - 0.05 <= edge.weight <= edge.high + 0.05 for edge in view.edges]
        assert np.mean(near) > 0.9
        save_circuit(view, tmp_path)
        assert load_circuit(tmp_path) == view


def test_results_without_attributions_have_no_intervals(found, tmp_path) -> None:
    layers = []
    for layer in found.layers:
        neurons = {
            a: neuron.model_copy(
                update={
                    "semantic_groups": tuple(
                        part.model_copy(update={"attributions": None})
                        for part in neuron.semantic_groups
                    )
                }
            )
            for a, neuron in layer.neurons.items()
        }
        layers.append(layer.model_copy(update={"neurons": neurons}))
    old = found.model_copy(update={"layers": tuple(layers)})
    for lower, upper in pairwise(old.layers):
        assert intervals(upper, lower, old.config) == {}
    edges = old.cut({old.layers[0].name: 2}).edges
    assert any(edge.certain is None for edge in edges)


def test_attributions_of_other_crops_are_refused(circuit: Circuit, tmp_path) -> None:
    with pytest.raises(ResultError, match="attributions of neuron head/2"):
        save_circuit(scored(circuit, [[1, 2], [3, 4]], [0, 0, 1]), tmp_path)


def test_the_page_and_show_mark_uncertain_edges(circuit: Circuit) -> None:
    sure, unsure = circuit.edges
    sure = sure.model_copy(update={"positive": 0.5, "negative": -0.25, "low": 0.1, "high": 0.4})
    unsure = unsure.model_copy(update={"low": -0.75, "high": 0.125})
    told = circuit.model_copy(update={"edges": (sure, unsure)})
    one, other = payload(told).edges
    assert (one.positive, one.negative, one.low, one.high) == (0.5, -0.25, 0.1, 0.4)
    assert (other.positive, other.low, other.high) == (None, -0.75, 0.125)
    console = Console(width=200, record=True, file=StringIO())
    console.print(*circuit_text(told, told.layers, 5))
    console.print(group_text(told, told.group("head/0"), 5))
    text = console.export_text()
    assert "-0.50? block/1" in text and "+0.25 block/0" in text and "may have the other" in text
    assert "+0.25 block/0 (for 0.50, against 0.25) +0.10 to +0.40" in text


def test_every_cut_has_the_intervals_that_the_page_gets_for_its_branches(found) -> None:
    lower, upper = found.layers[:2]
    spread = branch_intervals(upper, lower, found.config, 4)
    cut = found.cut({lower.name: 4, upper.name: 2})
    edges = [edge for edge in cut.edges if edge.upper.layer == upper.name]
    assert len(edges) > 4
    for edge in edges:
        assert spread[edge.upper, edge.lower] == pytest.approx((edge.low, edge.high))
    assert not branch_intervals(upper, lower.model_copy(update={"tree": None}), found.config, 4)


def test_published_sharing_counts_a_neuron_once_in_a_branch(circuit: Circuit) -> None:
    agree = scored(circuit, [[3, -1], [2.9, -1], [3.1, -1]], [0, 1, 2])
    block, head = agree.layers
    published = agree.config.model_copy(update={"sharing": "published"})
    whole = block.model_copy(
        update={
            "groups": (
                block.groups[0].model_copy(
                    update={
                        "members": tuple(
                            member for group in block.groups for member in group.members
                        )
                    }
                ),
            )
        }
    )
    ((low, high),) = intervals(head, whole, published).values()
    assert 0.45 < low <= high < 0.55  # 3/4 of neuron 4, once, less 1/4
