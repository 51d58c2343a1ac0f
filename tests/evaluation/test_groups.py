"""The groups protocol, compared with loops over all pairs of items."""

import itertools

import numpy as np
import pytest

from neurflow.errors import RequestError
from neurflow.evaluation.groups import Items, groups, items_of, largest_weight, purity


def slowly(eyes, items, label):
    """Purity, computed one pair of items at a time."""
    cosines = {True: [], False: []}
    for i, j in itertools.combinations(range(len(label)), 2):
        if items.images[i] != items.images[j]:
            cosines[bool(label[i] == label[j])].append(eyes[items.crops[i]] @ eyes[items.crops[j]])
    inner, outer = (np.mean(cosines[same]) if cosines[same] else 0 for same in (True, False))
    return inner - outer


def test_purity_is_that_of_all_pairs_of_different_photographs():
    generator = np.random.default_rng(0)
    eyes = generator.standard_normal((30, 5))
    eyes /= np.linalg.norm(eyes, axis=1, keepdims=True)
    crops = generator.integers(0, 30, 40)
    items = Items(generator.integers(0, 4, 40), crops, crops // 6)
    for count in (1, 3, 40):
        label = generator.integers(0, count, 40)
        assert purity(eyes, items, label) == pytest.approx(slowly(eyes, items, label))


def test_the_table_has_every_layer_with_groups(lab_of, tmp_path, circuit):
    lab = lab_of(splits=2)
    eyes = np.random.default_rng(0).standard_normal((len(lab.own), 8))
    np.save(tmp_path / "eyes.npy", eyes)
    rows = groups(lab_of(splits=2, eyes=str(tmp_path / "eyes.npy"))).rows
    assert [row.layer for row in rows] == lab.names[:-1]
    for row, layer in zip(rows, circuit.layers, strict=False):
        assert row.groups == len(layer.groups) and row.pairs == len(layer.tree.members)
        assert row.groups > 1 and row.agreement is not None and row.agreement.value <= 1
        assert abs(row.purity) < 0.1 and abs(row.chance) < 0.1  # an embedding without information
        items = items_of(layer, lab.own.crops)
        members = {m: g for g, group in enumerate(layer.groups) for m in group.members}
        counts = np.bincount(
            [
                members[a, i]
                for a, neuron in layer.neurons.items()
                for i, part in enumerate(neuron.semantic_groups)
                for _ in part.crops
            ]
        )
        assert row.largest == pytest.approx(counts.max() / len(items.crops))


def test_an_embedding_of_the_groups_has_full_purity(lab_of, tmp_path, circuit):
    """The embedding is the group of a crop in the top layer of groups."""
    lab, layer = lab_of(splits=0), circuit.layers[-2]
    eyes = np.zeros((len(lab.own), len(layer.groups)))
    for g, group in enumerate(layer.groups):
        for crop in group.crops:
            eyes[lab.own.crops.number(crop), g] += 1
    np.save(tmp_path / "eyes.npy", eyes)
    row = groups(lab_of(splits=0, eyes=str(tmp_path / "eyes.npy"))).rows[-1]
    assert row.purity > row.chance + 0.05


def test_the_weight_of_a_group_is_divided_among_its_inputs(circuit):
    layer = circuit.layers[0]
    flow = {group.id: 0.0 for group in layer.groups}
    for edge in circuit.edges:
        if edge.lower in flow:
            flow[edge.lower] += abs(edge.weight)
    expected = max(flow.values()) / sum(flow.values())
    assert largest_weight(circuit, layer) == pytest.approx(expected)
    assert largest_weight(circuit, circuit.layers[-1]) is None


def test_an_embedding_of_other_crops_is_refused(lab_of, tmp_path):
    np.save(tmp_path / "eyes.npy", np.zeros((3, 4)))
    with pytest.raises(RequestError, match="not an embedding of the circuit's crops"):
        groups(lab_of(eyes=str(tmp_path / "eyes.npy")))
