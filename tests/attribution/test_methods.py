"""Other attribution methods, each compared with its slow definition."""

import sys
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import neurflow
from neurflow import Config, Model
from neurflow.attribution import METHODS, AttributionTask, score_neurons
from neurflow.attribution.gradient_based import measure_of, with_modules
from neurflow.attribution.gradient_free import Knockoffs, weight_norms
from neurflow.attribution.relevance import Relevance, with_rules
from neurflow.errors import RequestError
from neurflow.method.concepts import find_concepts
from neurflow.model.cut.hooked import HookedNetwork
from neurflow.study.features import Observed
from tests.guide import example
from tests.networks import SmallNet, TwoLayer, settle
from tests.reference import methods as slow
from tests.reference.method import integrated_gradients
from tests.studies import inputs, select_core, study_of

LAYERS = ["block2", "block3", "head"]


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """The task of eight targets of block3 on the crops of six pictures."""
    torch.manual_seed(0)
    model = Model(settle(SmallNet()), transform=lambda _: torch.zeros(3, 32, 32))
    config = Config(k=12, tau=4, steps=8, granularities=(1.0, 0.5))
    images = inputs(torch.rand(6, 3, 32, 32))
    study = study_of(model, images, LAYERS, config, tmp_path_factory.mktemp("study"), target=1)
    concepts = find_concepts(study, "block3", range(0, 16, 2), config)
    return AttributionTask(study, study.pair("block3"), concepts, config)


def maps(task, layer, numbers):
    with torch.no_grad():
        pixels = torch.cat([task.activations.crops.pixels([n]) for n in numbers])
        return task.model.outputs([task.model.node(layer)])(pixels)[0]


def assert_scores(task, found, a, expected):
    """``expected`` ``[crop, lower neuron]``."""
    concept, expected = task.concepts[a], expected.double().numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        found[a].importance, np.abs(expected).mean(0), atol=1e-4 * scale, rtol=0
    )
    for i, part in enumerate(concept.parts):
        np.testing.assert_allclose(
            found[a].signed[i], expected[part].mean(0), atol=1e-4 * scale, rtol=0
        )


@pytest.mark.parametrize(
    "method", ["gradient", "input_x_gradient", "guided_backprop", "deeplift", "lrp", "ablation"]
)
def test_methods_equal_their_slow_definitions(task, method):
    found = score_neurons(method, task)
    block = task.model.module.block3
    for a, concept in task.concepts.items():
        x = maps(task, "block2", concept.crops)
        assert_scores(task, found, a, getattr(slow, method)(block, x, a))


def test_neuron_mct_scores_neurons_for_the_output(task):
    found = score_neurons("neuron_mct", task)
    phi = task.activations["head"][:, 1]
    numbers = np.argsort(-phi, kind="stable")[: task.config.k]
    module = task.model.module
    scores = []
    for v in maps(task, "block2", numbers):
        above = integrated_gradients(
            lambda x: module.head(module.block3(x).mean((2, 3)))[0, 1], v[None], 8
        )
        scores.append(above.sum((0, 2, 3)))
    expected = torch.stack(scores).double().numpy()
    for scores in found.values():
        np.testing.assert_allclose(scores.importance, np.abs(expected).mean(0), rtol=1e-3)
        np.testing.assert_allclose(scores.signed[0], expected.mean(0), rtol=1e-3, atol=1e-6)


def test_smoothgrad_is_the_mean_gradient_under_noise_in_a_crops_own_range(task):
    a = 4
    concept = task.concepts[a]
    x = maps(task, "block2", concept.crops[:3])
    values = Observed.of(task.segment, {key: x for key in task.segment.observed})
    measure = measure_of("smoothgrad", seed=1)
    found, _ = measure(task.segment, torch.full((3,), a), values, 3000)
    expected = slow.smoothgrad(task.model.module.block3, x, a, 3000)
    assert np.corrcoef(found.flatten(), expected.flatten())[0, 1] > 0.999
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()


def test_gradient_shap_approximates_integrated_gradients(task):
    a = 4
    x = maps(task, "block2", task.concepts[a].crops[:3])
    values = Observed.of(task.segment, {key: x for key in task.segment.observed})
    measure = measure_of("gradient_shap", seed=1)
    found, change = measure(task.segment, torch.full((3,), a), values, 3000)
    block = task.model.module.block3
    for row, sample in zip(found, x, strict=True):
        exact = integrated_gradients(lambda z: block(z).mean((2, 3))[0, a], sample[None], 200).sum(
            (0, 2, 3)
        )
        assert (row - exact).abs().max() < 0.05 * exact.abs().max()
    torch.testing.assert_close(
        found.sum(1), change, rtol=0.05, atol=0.05 * change.abs().max().item()
    )


def test_activation_is_the_mean_over_the_crops(task):
    found = score_neurons("activation", task)
    for a, concept in task.concepts.items():
        phi = maps(task, "block2", concept.crops).mean((2, 3))
        assert_scores(task, found, a, phi)


def test_weight_norm_is_of_the_filters_that_read_a_neuron(task):
    found = score_neurons("weight_norm", task)
    weight = task.model.module.block3[0].weight.detach()
    for scores in found.values():
        for s in range(12):
            total = sum(float(w) ** 2 for w in weight[:, s].flatten())
            assert scores.importance[s] == pytest.approx(total**0.5, rel=1e-5)


def test_weight_norm_supports_pooling_groups_and_flattening():
    class Grouped(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(3, 4, 1)
            self.paired = nn.Conv2d(4, 6, 1, groups=2)
            self.head = nn.Linear(6 * 4, 3)

        def forward(self, x):
            return self.head(self.paired(torch.relu(self.first(x))).relu().flatten(1))

    module = Grouped().eval()
    model = Model(module, transform=lambda _: torch.zeros(3, 2, 2))
    paired = weight_norms(model.segment("first", "paired"))
    w = module.paired.weight.detach()  # outputs 0-2 read inputs 0-1, outputs 3-5 read inputs 2-3
    expected = [w[:3, 0], w[:3, 1], w[3:, 0], w[3:, 1]]
    np.testing.assert_allclose(paired, [float(v.norm()) for v in expected], rtol=1e-5)
    head = weight_norms(model.segment("paired", "head"))
    expected = [float(module.head.weight.detach()[:, 4 * s : 4 * s + 4].norm()) for s in range(6)]
    np.testing.assert_allclose(head, expected, rtol=1e-5)


def test_knockoffs_select_the_neurons_that_explain_the_target():
    rng = np.random.default_rng(0)
    common = rng.standard_normal((300, 1))
    x = 0.6 * common + rng.standard_normal((300, 20))
    x[:, 7] = 0.0  # a dead neuron
    y = 2 * x[:, 3] - 1.5 * x[:, 11] + 0.1 * rng.standard_normal(300)
    knockoffs = Knockoffs(x, seed=0)
    scores = knockoffs.importance(y)
    assert set(np.argsort(-scores)[:2]) == {3, 11}
    assert scores[7] == 0.0
    np.testing.assert_array_equal(scores, Knockoffs(x, seed=0).importance(y))
    # a knockoff has the same correlations with the other neurons as the neuron itself
    own = np.corrcoef(knockoffs.x.T)
    swapped = np.corrcoef(knockoffs.x.T, knockoffs.knockoffs.T)[:19, 19:]
    others = ~np.eye(19, dtype=bool)
    assert np.abs(own - swapped)[others].mean() < 0.06


def test_random_methods_use_the_seed_and_not_the_global_generators(task):
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(5)
    np.random.seed(5)
    for method in ("random", "smoothgrad", "gradient_shap", "knockoff"):
        once, twice = (score_neurons(method, task) for _ in range(2))
        for a in task.concepts:
            np.testing.assert_array_equal(once[a].importance, twice[a].importance)
    assert (torch.rand(1), np.random.rand()) == expected
    first, second = list(score_neurons("random", task).values())[:2]
    assert (first.importance != second.importance).all()


@pytest.mark.parametrize("method", METHODS)
def test_core_neurons_can_be_selected_by_every_method(task, method):
    found = score_neurons(method, task)
    assert list(found) == list(task.concepts)
    sizes = []
    for a, scores in found.items():
        assert scores.importance.shape == (12,)
        assert scores.signed.shape == (len(task.concepts[a].vectors), 12)
        core = select_core(scores, 4)
        sizes.append(len(core.importance))
        assert sizes[-1] == min(4, int((scores.importance > 0).sum()))  # no dead neuron is core
        for weights in core.weights:
            assert sum(map(abs, weights.values())) == pytest.approx(1 if core.importance else 0)
        if not METHODS[method].signed and method != "knockoff":
            assert (scores.signed >= 0).all()
    assert sizes.count(4) >= 4  # of eight neurons, some of which never fire


def test_scores_on_two_layers_by_hand():
    """h = (3, 2, 2), logit 0 = h0 − h1 + h2 / 2."""
    model = Model(TwoLayer(), transform=lambda _: torch.zeros(2, 1, 1))
    segment = model.segment("act", "head")
    h = torch.tensor([3.0, 2.0, 2.0]).view(1, 3, 1, 1)
    observed = Observed.of(segment, dict.fromkeys(segment.observed, h))
    for method, expected in {
        "gradient": [1.0, -1.0, 0.5],
        "input_x_gradient": [3.0, -2.0, 1.0],
        "smoothgrad": [1.0, -1.0, 0.5],
        "guided_backprop": [1.0, -1.0, 0.5],
        "deeplift": [3.0, -2.0, 1.0],
    }.items():
        found, change = measure_of(method)(segment, torch.tensor([0]), observed, 4)
        torch.testing.assert_close(found, torch.tensor([expected]))
        torch.testing.assert_close(change, torch.tensor([2.0]))


def test_unknown_methods_and_unsupported_segments_are_refused(task):
    with pytest.raises(RequestError, match="Near names: deeplift"):
        score_neurons("deep_lift", task)
    gelu = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.GELU(), nn.Conv2d(4, 2, 1))
    head = nn.Sequential(gelu, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    model = Model(head, transform=lambda _: torch.zeros(3, 2, 2))
    with pytest.raises(RequestError, match=r"deeplift has no rule for aten\.gelu"):
        with_modules(model.segment("0.0", "0"), "deeplift")


def test_methods_that_need_a_graph_refuse_a_network_cut_by_hooks():
    network = HookedNetwork(settle(SmallNet()), torch.rand(2, 3, 32, 32), "for the test")
    segment = network.segment("block1", "block2")
    for refused in (partial(with_modules, method="deeplift"), with_rules, weight_norms):
        with pytest.raises(RequestError, match=r"by hooks between 'block1' and .*Choose another"):
            refused(segment)


def test_deeplift_refuses_operations_without_a_rule_in_captum():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
            self.last, self.head = nn.Conv2d(4, 4, 1), nn.Linear(4, 2)

        def forward(self, x):
            y = self.first(x)
            return self.head(self.last(y * torch.sigmoid(y)).mean((2, 3)))

    model = Model(Gated().eval(), transform=lambda _: torch.zeros(3, 2, 2))
    segment = model.segment("first", "last")
    with pytest.raises(RequestError, match=r"deeplift has no rule for aten\.mul"):
        with_modules(segment, "deeplift")
    assert with_modules(segment, "guided_backprop")


class Joined(nn.Module):
    """A residual block without biases behind a stem, with pooling and one value that is scaled."""

    def __init__(self, gate=False):
        super().__init__()
        self.stem, self.lower = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.upper, self.head = nn.Conv2d(6, 5, 1, bias=False), nn.Linear(5, 2)
        self.gate = gate

    def forward(self, x):
        y = torch.relu(self.stem(x))
        z = torch.relu(y + self.lower(y))
        z = torch.max_pool2d(torch.cat([z[:, :2] * 2, z[:, 2:]], 1), 2)
        return self.head(self.upper(z * torch.sigmoid(z) if self.gate else z).mean((2, 3)))


def test_lrp_without_biases_is_input_times_gradient():
    torch.manual_seed(0)
    model = Model(Joined().eval(), transform=lambda _: torch.zeros(3, 8, 8))
    segment = model.segment("stem", "upper")
    x = torch.randn(4, 6, 8, 8)
    observed = Observed.of(segment, dict.fromkeys(segment.observed, x))
    neurons = torch.tensor([0, 1, 2, 4])
    found, change = Relevance()(segment, neurons, observed, 1)
    expected, same = measure_of("input_x_gradient")(segment, neurons, observed, 1)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(change, same)
    gated = Model(Joined(gate=True).eval(), transform=lambda _: torch.zeros(3, 8, 8))
    with pytest.raises(RequestError, match=r"lrp has no rule for aten\.mul"):
        with_rules(gated.segment("stem", "upper"))


def test_the_examples_of_the_guide_are_scored_like_built_in_methods(task):
    names = {"__name__": "guide"}
    exec(example("An attribution method").partition("settings = ")[0], names)
    assert METHODS["correlation"].signed and "correlation" in METHODS
    found = score_neurons("correlation", task)
    lower, upper = (np.asarray(task.activations[name]) for name in ("block2", "block3"))
    expected = np.corrcoef(lower[:, 5], upper[:, 2])[0, 1]
    assert found[2].signed[0, 5] == pytest.approx(expected, rel=1e-5)

    exec(example("An attribution method", 1), names | {"torch": torch})
    block, concept = task.model.module.block3, task.concepts[2]
    x = maps(task, "block2", concept.crops)
    halved = x.clone()
    halved[:, 5] /= 2
    change = (block(x) - block(halved)).mean((2, 3))[:, 2]
    importance = score_neurons("half_zeroed", task)[2].importance
    assert importance[5] == pytest.approx(change.abs().mean().item(), rel=1e-4, abs=1e-6)


def test_a_name_is_registered_once_but_its_module_can_be_run_again():
    def again(scale):
        def scores(task):
            return scale

        return scores

    with pytest.raises(RequestError, match="Another attribution method is registered as 'random'"):
        neurflow.attribution.register("random")(again(1))
    for scale in (1, 2):
        neurflow.attribution.register("scaled")(again(scale))
    assert score_neurons("scaled", None) == 2


def test_an_entry_point_registers_a_method(tmp_path, monkeypatch):
    """A package with an entry point is found, and imported when its method is used."""
    info = tmp_path / "plugin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[neurflow.attribution]\nsevens = plugged_in\nlost = plugged_out\n"
    )
    (tmp_path / "plugged_in.py").write_text(
        "import neurflow\n\n\n@neurflow.attribution.register('sevens')\n"
        "def sevens(task):\n    return 7\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert "sevens" in METHODS and "plugged_in" not in sys.modules
    assert score_neurons("sevens", None) == 7
    with pytest.raises(RequestError, match="'lost' is registered by plugged_out, and importing"):
        score_neurons("lost", None)
