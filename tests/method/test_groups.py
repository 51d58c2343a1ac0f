"""Trees of groups: planted groups are found, noise is one group, and cuts are views of a tree."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import cut_tree, linkage
from sklearn.metrics import adjusted_rand_score, cohen_kappa_score

import neurflow
from neurflow.circuit import Circuit, load_circuit, save_circuit
from neurflow.circuit.trees import branches, cut, labels, merges_of, numbered
from neurflow.config import Config
from neurflow.errors import RequestError, ResultError
from neurflow.method.clustering import unit
from neurflow.method.concepts import Concept
from neurflow.method.grouping.features import LayerOnCrops, pairs_of, profiles
from neurflow.method.grouping.reproducibility import agreement
from neurflow.method.groups import neuron_groups
from neurflow.refs import Member
from tests.method.test_discover import CONFIG, images, model, target

__all__ = ["images", "model", "target"]  # fixtures

IMAGES, CROPS = 20, 6


@pytest.fixture(scope="module")
def circuit(model, images, target) -> Circuit:
    """A circuit with several groups a layer."""
    config = CONFIG.model_copy(update={"groups": 4})
    return neurflow.discover(model, images, target, config=config)


def layer(factors: int, noise: float, seed: int = 0, channels: int = 24):
    """Concepts of a layer whose channels follow ``factors`` binary factors of a crop."""
    generator = np.random.default_rng(seed)
    shown = generator.standard_normal((IMAGES * CROPS, max(factors, 1))) * (factors > 0)
    phi = shown[:, np.arange(channels) % max(factors, 1)]
    phi = phi + noise * generator.standard_normal(phi.shape)
    concepts = {}
    for a in range(channels):
        crops = np.argsort(-phi[:, a])[:20]
        vectors = phi[crops].mean(0, keepdims=True)
        concepts[a] = Concept(crops, phi[crops, a], np.zeros(20, dtype=np.int64), vectors)
    return concepts, LayerOnCrops(phi, np.repeat(np.arange(IMAGES), CROPS))


def grouped(groups: list[list[Member]]) -> list[int]:
    """Neuron → its group."""
    found = {member.neuron: number for number, group in enumerate(groups) for member in group}
    return [found[a] for a in sorted(found)]


def test_channels_with_a_common_factor_are_one_group() -> None:
    found = neuron_groups(*layer(4, 0.5), Config())
    assert adjusted_rand_score(grouped(found.groups), np.arange(24) % 4) == 1
    assert found.tree.default == 4 and found.tree.agreement[3] > 0.9
    shown = [i for i, number in enumerate(found.tree.numbers) if number < 4]
    assert len(shown) == 4 and all((found.tree.returns[i] or 0) > 0.9 for i in shown)


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_one_group_with_a_note(seed: int) -> None:
    found = neuron_groups(*layer(0, 1.0, seed), Config())
    assert len(found.groups) == 1
    assert "No grouping" in str(found.note)


def test_very_dissimilar_pairs_are_not_one_group() -> None:
    """Three channels that are never active together: no cut into two recurs."""
    shown = np.repeat(np.arange(IMAGES) % 3, CROPS)
    phi = np.eye(3)[shown] + 0.05 * np.random.default_rng(0).random((IMAGES * CROPS, 3))
    concepts = {}
    for a in range(3):
        crops = np.argsort(-phi[:, a])[:20]
        vectors = phi[crops].mean(0, keepdims=True)
        concepts[a] = Concept(crops, phi[crops, a], np.zeros(20, dtype=np.int64), vectors)
    found = neuron_groups(
        concepts, LayerOnCrops(phi, np.repeat(np.arange(IMAGES), CROPS)), Config()
    )
    assert sorted(grouped(found.groups)) == [0, 1, 2]
    assert found.note is None


def test_groups_do_not_depend_on_the_scale_of_a_channel() -> None:
    concepts, seen = layer(3, 0.5)
    scaled = LayerOnCrops(seen.phi * np.geomspace(1e-3, 1e3, 24) + 7, seen.images)
    one, other = (neuron_groups(concepts, s, Config()).groups for s in (seen, scaled))
    assert one == other


def test_vectors_of_a_subset_of_images_use_only_their_crops() -> None:
    concepts, seen = layer(3, 0.5)
    pairs = pairs_of(concepts, seen, 0.5)
    chosen = np.arange(10)
    kept = {
        a: Concept(c.crops[inside], c.phi[inside], c.meaning[inside], c.vectors)
        for a, c in concepts.items()
        if (inside := np.isin(seen.images[c.crops], chosen)).any()
    }
    expected = pairs_of(kept, seen, 0.5).vectors()
    there = [a in kept for a in concepts]
    np.testing.assert_allclose(pairs.vectors(chosen)[there], expected, atol=1e-12)


def test_profiles_are_the_strongest_directions_of_similarities() -> None:
    vectors = unit(np.random.default_rng(0).standard_normal((60, 30)))
    left, scales, _ = np.linalg.svd(vectors @ vectors.T)
    nearest = left[:, :5] * scales[:5] @ left[:, :5].T  # the best approximation of rank 5
    found = profiles(vectors)
    np.testing.assert_allclose(found @ found.T, unit(nearest) @ unit(nearest).T, atol=1e-10)
    np.testing.assert_array_equal(profiles(vectors[:47]), vectors[:47])


def test_agreement_is_kappa_over_items_of_different_neurons() -> None:
    generator = np.random.default_rng(0)
    neurons = generator.integers(0, 8, 40)
    one = generator.integers(0, 3, 40)
    other = np.where(generator.random(40) < 0.7, one, generator.integers(0, 3, 40))
    i, j = np.triu_indices(40, 1)
    apart = neurons[i] != neurons[j]
    together = [(g[i] == g[j])[apart] for g in (one, other)]
    assert agreement(neurons, one, other) == pytest.approx(cohen_kappa_score(*together))
    assert agreement(neurons, one * 0, other * 0) is None


def test_cuts_equal_those_of_scipy() -> None:
    points = np.random.default_rng(0).standard_normal((15, 4))
    merges, _ = merges_of(linkage(points, "ward"))
    for count, found in enumerate(labels(merges, 14), start=1):
        expected = cut_tree(linkage(points, "ward"), count)[:, 0]
        assert adjusted_rand_score(found, expected) == 1


def test_groups_of_the_stored_cut_are_numbered_by_size() -> None:
    points = np.random.default_rng(1).standard_normal((12, 4))
    merges, _ = merges_of(linkage(points, "ward"))
    numbers, owns = numbered(merges, 5), branches(merges)
    assert sorted(numbers) == list(range(23))
    groups = sorted(cut(merges, 5), key=numbers.__getitem__)
    assert [numbers[branch] for branch in groups] == list(range(5))
    sizes = owns[groups].sum(1).tolist()
    assert sizes == sorted(sizes, reverse=True)


def test_with_a_single_image_only_dissimilar_pairs_are_separated() -> None:
    concepts, seen = layer(3, 0.5)
    found = neuron_groups(concepts, LayerOnCrops(seen.phi, np.zeros_like(seen.images)), Config())
    assert adjusted_rand_score(grouped(found.groups), np.arange(24) % 3) == 1
    assert "only those groups that have nothing in common" in str(found.note)


def test_every_cut_is_a_circuit_and_can_be_stored(circuit: Circuit, tmp_path) -> None:
    name = circuit.layers[0].name
    pairs = len(circuit.layers[0].tree.members)
    for count in range(1, pairs + 1):
        view = circuit.cut({name: count})
        assert len(view.layer(name).groups) == count
        save_circuit(view, tmp_path)
        assert load_circuit(tmp_path).edges == view.edges
    again = circuit.cut({name: pairs}).cut({name: len(circuit.layers[0].groups)})
    assert {(e.upper, e.lower): pytest.approx(e.weight) for e in circuit.edges} == {
        (e.upper, e.lower): e.weight for e in again.edges
    }


def test_a_branch_has_the_same_id_in_every_cut(circuit: Circuit) -> None:
    name = circuit.layers[0].name
    seen: dict[str, frozenset[Member]] = {}
    for count in range(1, len(circuit.layers[0].tree.members) + 1):
        for group in circuit.cut({name: count}).layer(name).groups:
            members = frozenset(group.members)
            assert seen.setdefault(group.id, members) == members
    assert len(seen) == 2 * len(circuit.layers[0].tree.members) - 1


def test_errors_explain_impossible_cuts(circuit: Circuit) -> None:
    name = circuit.layers[0].name
    pairs = len(circuit.layers[0].tree.members)
    for count in (0, pairs + 1):
        with pytest.raises(RequestError, match=f"1 to {pairs} groups, not into {count}"):
            circuit.cut({name: count})
    bare = circuit.layers[0].model_copy(update={"tree": None})
    old = circuit.model_copy(update={"layers": (bare, *circuit.layers[1:])})
    with pytest.raises(ResultError, match="earlier version"):
        old.cut({name: 1})
