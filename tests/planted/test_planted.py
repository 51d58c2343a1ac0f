"""Planted circuits: networks follow their plan, and scores compare methods with the true circuit."""

from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from neurflow import planted
from neurflow.errors import RequestError
from neurflow.planted.network import colour_direction, pattern_template
from neurflow.planted.pictures import Scene, render
from neurflow.planted.plan import COLOURS, PATTERNS
from neurflow.planted.scoring import weight_scores
from neurflow.planted.truth import TrueNeuron
from neurflow.stats import adjusted_rand


@pytest.fixture(scope="module")
def network():
    return planted.build(4, 2, each=14)


@pytest.fixture(scope="module")
def study(network):
    with planted.study(network) as found:
        yield found


class Calm:
    """A replacement for a random generator, without jitter and noise."""

    def uniform(self, low, high):
        return 1.0

    def normal(self, mean, spread, shape):
        return np.zeros(shape)


def responses(network, scene, layer):
    """``[channel, down, right]`` to a scene of ideal tiles."""
    pixels = torch.from_numpy(render(scene, Calm()))[None]
    with torch.no_grad():
        return network.model.outputs([network.model.node(layer)])(pixels)[0][0].numpy()


def test_a_detector_responds_only_to_its_primitive(network):
    tiles = {(i, 2): {name} for i, name in enumerate(COLOURS)}
    tiles |= {(i, 5): {name} for i, name in enumerate(PATTERNS)}
    found = responses(network, Scene("all", tiles), "detectors")
    for number, unit in enumerate(network.plan.levels[0]):
        if unit.concepts == ("anything",):
            continue
        (name,) = unit.concepts
        for (right, down), (shown,) in tiles.items():
            expected = unit.level if shown == name else 0
            assert found[number, down, right] == pytest.approx(expected, abs=0.12)


def test_templates_of_patterns_are_orthogonal_and_colours_are_distinct():
    for pattern in PATTERNS:
        assert pattern_template(pattern).sum() == 0
        for other in PATTERNS:
            product = (pattern_template(pattern) * pattern_template(other)).mean()
            assert product == (1.0 if pattern == other else 0.0)
    for colour in COLOURS:
        assert colour_direction(colour).sum() == pytest.approx(0)
        overlap = [colour_direction(colour) @ colour_direction(other) for other in COLOURS]
        assert sorted(overlap)[-2] == pytest.approx(0.5)


def drawn(network, name, at=(2, 2)):
    """A scene that contains one concept once, placed by the recursive definition."""
    scene = Scene(name)

    def put(concept, right, down):
        if concept.level == 0:
            scene.tiles.setdefault((right, down), set()).add(concept.name)
        for child, (along, below) in zip(concept.children, ((0, 0), concept.offset), strict=False):
            put(network.plan.concepts[child], right + along, down + below)

    put(network.plan.concepts[name], *at)
    return scene


@pytest.mark.parametrize("layer", ["parts", "motifs"])
def test_a_unit_fires_where_both_children_are_present_and_not_at_one_alone(network, layer):
    level = network.layers.index(layer)
    for number, unit in enumerate(network.plan.levels[level]):
        if "anything" in unit.concepts or unit.distractor:
            continue
        for name in unit.concepts:
            whole = responses(network, drawn(network, name), layer)[number]
            assert whole[2, 2] == pytest.approx(unit.level, abs=0.01)
            for child in network.plan.concepts[name].children:
                alone = responses(network, drawn(network, child), layer)[number]
                # jitter can raise one child slightly above the threshold
                assert alone.max() < 0.35 * unit.level


def test_distractors_fire_as_strongly_as_real_units_and_affect_only_their_own_class(network):
    model, head = network.model, network.model.module.head.weight
    for level, units in enumerate(network.plan.levels):
        kinds = Counter((u.concepts, u.level) for u in units if not u.distractor)
        assert kinds == Counter((u.concepts, u.level) for u in units if u.distractor)
        twins = [n for n, unit in enumerate(units) if unit.distractor]
        segment = model.segment(network.layers[level], "head")
        with torch.no_grad():
            x = model.outputs([model.node(network.layers[level])])(network.images[::40])[0]
            before, zeroed = segment.run(x), x.clone()
            zeroed[:, twins] = 0
            after = segment.run(zeroed)
        assert x[:, twins].mean() == pytest.approx(float(x.mean()), rel=0.1)
        torch.testing.assert_close(before[:, :2], after[:, :2])
        assert (before[:, 2] - after[:, 2]).max() > 0
    assert head.shape == (3, len(network.plan.levels[-1]))


def test_the_target_depends_on_the_circuit_alone(network):
    """Without thresholds, a unit influences the target if a path of non-zero weights leads to it."""
    assert list(network.circuit) == list(network.layers)
    linear = network.model.module
    reach = {"head": {network.model.target("class-0").neuron}}
    weights = {"head": linear.head.weight.abs()}
    weights |= {
        name: getattr(linear, name)[0].weight.abs().sum((2, 3)) for name in ("parts", "motifs")
    }
    for upper, lower in (("head", "motifs"), ("motifs", "parts"), ("parts", "detectors")):
        rows = weights[upper][sorted(reach[upper])]
        reach[lower] = set(torch.nonzero(rows.sum(0) > 0).flatten().tolist())
        assert set(network.circuit[lower]) == reach[lower]
    core = network.circuit["head"][0].core
    assert core == {s for s in reach["motifs"]}


def test_true_weights_are_the_effects_of_zeroing_each_input(network):
    """Zeroing an input of a unit that fires reduces it by the true weight times the unit's gain."""
    plan, model = network.plan, network.model
    segment = model.segment("parts", "motifs")
    tried = 0
    for a, neuron in network.circuit["motifs"].items():
        if "anything" in neuron.concepts:
            continue
        for concept, weights in zip(neuron.concepts, neuron.weights, strict=True):
            pixels = torch.from_numpy(render(drawn(network, concept), Calm()))[None]
            with torch.no_grad():
                x = model.outputs([model.node("parts")])(pixels)[0]
                whole = segment.run(x)[0, a, 2, 2]
                for s, weight in weights.items():
                    without = x.clone()
                    without[:, s] = 0
                    moved = float(whole - segment.run(without)[0, a, 2, 2])
                    expected = weight * plan.levels[2][a].gain
                    assert moved == pytest.approx(min(expected, float(whole)), abs=0.12)
                    tried += 1
    assert tried > 4


def test_scenes_of_a_class_have_its_largest_logits(network):
    with torch.no_grad():
        logits = network.model.module(network.images)
    for name in ("class-0", "class-1"):
        # a scene with many copies of one of its concepts belongs to the class as well
        parts = {name, *network.plan.classes[name]}
        own = [i for i, scene in enumerate(network.scenes) if scene.about == name]
        others = [i for i, scene in enumerate(network.scenes) if scene.about not in parts]
        column = logits[:, network.model.target(name).neuron]
        assert column[own].mean() > column[others].max()


def test_the_method_recovers_the_circuit(study):
    scores = study.scores("integrated_gradients")
    assert len(scores) == sum(map(len, list(study.planted.circuit.values())[1:]))
    assert np.mean([s.recall for s in scores]) >= 0.95
    assert np.mean([s.sign for s in scores]) >= 0.99
    assert np.nanmean([s.rank for s in scores]) >= 0.9
    groups = study.groups()
    assert [g.layer for g in groups] == list(study.planted.layers[:-1])
    assert np.mean([g.semantic for g in groups]) >= 0.9
    assert np.mean([g.neurons for g in groups]) >= 0.9


def test_distractors_mislead_methods_without_attribution(study):
    for method in ("activation", "weight_norm", "random"):
        scores = study.scores(method)
        assert np.mean([s.recall for s in scores]) < 0.7
        assert all(np.isnan(s.sign) for s in scores)


def test_saturating_units_hide_their_inputs_from_gradients_and_single_ablations():
    with planted.study(planted.build(3, 0, traits=("redundant",), each=13)) as study:
        parts = {
            method: np.mean([s.recall for s in study.scores(method) if s.layer == "parts"])
            for method in ("integrated_gradients", "gradient", "ablation")
        }
    assert parts["integrated_gradients"] == 1.0
    assert parts["gradient"] < 0.5
    assert parts["ablation"] < 1.0


def test_equal_seeds_give_equal_networks_and_pictures(network):
    again, other = (planted.build(4, seed, each=14) for seed in (2, 3))
    torch.testing.assert_close(again.images, network.images)
    for one, two in zip(
        again.model.module.parameters(), network.model.module.parameters(), strict=True
    ):
        torch.testing.assert_close(one, two)
    assert other.plan.concepts != network.plan.concepts


@pytest.mark.parametrize("depth", [3, 6])
@pytest.mark.parametrize("trait", planted.TRAITS)
def test_every_trait_at_every_depth_can_be_built(depth, trait):
    found = planted.build(depth, 1, traits=[trait], each=1, clutter=2)
    assert len(found.layers) == depth
    assert found.images.min() >= 0 and found.images.max() <= 1
    units = [unit for level in found.plan.levels for unit in level]
    assert any(len(u.concepts) > 1 for u in units) == (trait == "polysemantic")
    assert any(u.concepts == ("anything",) for u in units) == (trait == "inhibitory")


def test_networks_that_cannot_be_built_are_refused():
    with pytest.raises(RequestError, match="a depth from 3 to 6, not 7"):
        planted.build(7)
    with pytest.raises(RequestError, match="no trait 'magic'"):
        planted.build(4, traits=["magic"])


def test_adjusted_rand_equals_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    for size, first, second in ((30, 3, 4), (12, 1, 2), (9, 9, 2), (5, 1, 1)):
        a, b = rng.integers(0, first, size), rng.integers(0, second, size)
        assert adjusted_rand(a, b) == pytest.approx(adjusted_rand_score(a, b))
    assert adjusted_rand([0], [0]) == 1.0


def test_weight_scores_by_hand():
    truth = TrueNeuron(("x", "y"), ({0: 0.5, 1: -0.2, 2: 0.3}, {2: 1.0}))
    signed = np.array([[0.4, 0.1, 0.2, 9.0], [0.0, 0.0, 2.0, 0.0]])
    sign, rank = weight_scores(truth, signed, [0, 1])
    assert sign == pytest.approx((2 / 3 + 1) / 2)
    assert rank == pytest.approx(0.5 * 0 + 1 * 1.0)  # ranks of 0.4, 0.2, 0.1; one weight has none


def test_precision_and_recall():
    assert planted.precision_recall({1, 2, 3, 4}, {1, 2, 9}) == (2 / 3, 0.5)
    assert planted.precision_recall(set(), set()) == (1.0, 1.0)
