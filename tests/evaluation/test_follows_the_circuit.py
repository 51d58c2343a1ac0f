"""Protocols use the rule, the limit of crops per image and the groups of the circuit."""

import numpy as np
import pytest

from neurflow import discover, load_images
from neurflow.circuit import edits
from neurflow.circuit.edits import Edits
from neurflow.evaluation.ablation import overlaps
from neurflow.evaluation.class_pictures import circuit_at
from neurflow.evaluation.effect_of_k import effect_of_k
from neurflow.evaluation.optimality import core_sets
from neurflow.evaluation.significance import contributions, memberships, significance
from neurflow.evaluation.stability import stability
from neurflow.evaluation.weight_norm import ig_against_weight_norm
from neurflow.refs import Member
from tests.evaluation.conftest import CONFIG

UPPER = "block3"


@pytest.fixture(scope="module")
def found(model, studied, circuit):
    """Circuits of the same target with other hyperparameters."""

    def make(**changed):
        config = CONFIG.model_copy(update=changed)
        return discover(model, load_images(studied, model), circuit.target, config=config)

    return make


@pytest.mark.parametrize("rule", ["published", "signed", "contrast", "stepwise"])
def test_a_smaller_circuit_equals_a_discovery_with_that_tau(lab_of, found, rule):
    lab, small = lab_of(found(selection=rule)), found(selection=rule, tau=2)
    known = {layer.name: sorted(layer.neurons) for layer in small.layers[:-1]}
    assert circuit_at(lab, 2) == dict(reversed(known.items()))


def test_sets_of_any_size_follow_the_rule_of_the_circuit(lab_of, found):
    subject, larger = found(selection="signed"), found(selection="signed", tau=6)
    lab = lab_of(subject)
    known = larger.layer("head").neurons[subject.target.neuron].core_neurons
    assert core_sets(lab, "head", 6) == [list(known)]
    published = np.argsort(-lab.importance("head")[0], kind="stable")[:6]
    assert set(known) != set(published.tolist()), "the test tells the two rules apart"

    row = next(r for r in effect_of_k(lab).rows if (r.layer, r.k) == (UPPER, 10))
    assert row.same.value == 4
    assert core_sets(lab, UPPER, 4) == [
        list(subject.layer(UPPER).neurons[a].core_neurons) for a in lab.sampled(UPPER)
    ]
    norm = {(r.layer, r.method, r.top): r.overlap.value for r in ig_against_weight_norm(lab).rows}
    left = np.diag(overlaps(lab, UPPER, core_sets(lab, UPPER, 2), "zero", "tried"))
    assert norm[UPPER, "integrated_gradients", 2] == pytest.approx(left.mean())


def test_overlaps_keep_the_circuits_limit_per_image(lab_of, found):
    subject = found(crops_per_image=2)
    lab = lab_of(subject)
    bench, neurons = lab.own, lab.sampled(UPPER)
    top, _ = bench.top(UPPER, neurons, 10)
    for row, a in zip(top, neurons, strict=True):
        assert [bench.crops.crop(n) for n in row] == list(subject.layer(UPPER).neurons[a].crops)
    assert (overlaps(lab, UPPER, [[]], "zero", "tried") == 1).all()
    # a V_a has at most two crops of each image, so k = 20 is impossible with 9 images
    assert bench.capacity == 2 * len(subject.images)
    few = lab_of(found(crops_per_image=1, k=5), k_reference=5, ks=(5, 10, 20))
    assert {r.k for r in effect_of_k(few).rows} == {k for k in (5, 10) if k <= len(subject.images)}


@pytest.fixture(scope="module")
def edited(circuit):
    """The circuit with merged and split groups, whose ids are not positions."""
    first, second, *_ = circuit.layer("block2").groups
    done = edits.merge(circuit, Edits(), [first.id, second.id])
    large = circuit.layer("block1").groups[0]
    done = edits.split(circuit, done, large.id, [Member(*large.members[0])])
    return edits.apply(circuit, done)


def test_edited_groups_are_measured(lab_of, edited):
    lab = lab_of(edited)
    ids = {group.id for layer in edited.layers for group in layer.groups}
    edges = {(edge.upper, edge.lower) for edge in edited.edges}
    stable, tested = stability(lab).robustness, significance(lab).robustness
    assert stable.groups.keys() == ids
    assert all(0 <= figure.low <= figure.high <= 1 for figure in stable.groups.values())
    for robustness in (stable, tested):
        assert {(edge.upper, edge.lower) for edge in robustness.edges} == edges


def test_weights_of_pairs_sum_to_the_edges_of_edited_groups(edited):
    lower, upper = edited.layers[0], edited.layers[1]
    weights = contributions(edited, upper, lower) @ memberships(edited, lower).matrix()
    above, below = ([group.id for group in layer.groups] for layer in (upper, lower))
    known = {(e.upper, e.lower): e.weight for e in edited.edges if e.upper in above}
    told = {(u, lo): weights[g, h] for g, u in enumerate(above) for h, lo in enumerate(below)}
    assert {key: value for key, value in told.items() if value} == pytest.approx(known)
