"""Outputs of networks: the logits are found, and probabilities are computed correctly."""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from neurflow import Config, Model, audit, debug, discover
from neurflow.errors import ModelError, RequestError
from neurflow.model import Preprocessing
from neurflow.model.cut.exported import ExportedNetwork
from neurflow.model.cut.hooked import HookedNetwork
from tests.networks import SmallNet, settle

PLAIN = Preprocessing(resize=None, crop=(32, 32), mean=(0.0,) * 3, std=(1.0,) * 3)


class Ends(nn.Module):
    """A small network that applies ``end`` to its logits; with ``eager`` it cannot be exported."""

    def __init__(self, end, classes=3, eager=False):
        super().__init__()
        self.net, self.end, self.eager = settle(SmallNet(classes)), end, eager

    def forward(self, x):
        if self.eager and float(x.sum()) > 1e9:
            x = x * 2
        return self.end(self.net(x))


def values(model, images):
    """(explained outputs, probabilities) of the model."""
    with torch.no_grad():
        (found,) = model.outputs([model.node(model.network.output_name)])(images)
    return found, model.probabilities(found.numpy())


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (lambda z: z.softmax(1), "logits"),
        (nn.Softmax(1), "logits"),
        (nn.LogSoftmax(1), "logits"),
        (lambda z: torch.sigmoid(z), "sigmoid"),
        (nn.LogSigmoid(), "sigmoid"),
        (lambda z: nn.functional.softmax(z[:, :, None, None], 1).flatten(1), "logits"),
        (lambda z: z.sigmoid_(), "sigmoid"),
        (lambda z: z.softmax(1).log(), "logits"),
        (lambda z: z.log_softmax(1).exp(), "logits"),
        (lambda z: z.sigmoid().clamp(1e-7, 1 - 1e-7), "sigmoid"),
        (lambda z: torch.clamp(z.softmax(1), min=1e-6), "logits"),
    ],
)
def test_logits_before_a_final_softmax_or_sigmoid_are_explained(end, kind, eager):
    module, images = Ends(end, eager=eager), torch.rand(3, 3, 32, 32)
    model = Model(module, transform=PLAIN)
    assert isinstance(model.network, HookedNetwork if eager else ExportedNetwork)
    logits, shares = values(model, images)
    with torch.no_grad():
        torch.testing.assert_close(logits.flatten(1), module.net(images), rtol=1e-4, atol=1e-4)
        own = module(images)
    own = own.exp() if (own < 0).all() else own
    np.testing.assert_allclose(shares, own.numpy(), rtol=1e-3, atol=1e-5)
    assert model.output_spec.kind == kind
    assert any("network ends in a" in note for note in model.notes)


def test_explained_probabilities_get_no_second_softmax():
    images = torch.rand(3, 3, 32, 32)
    asked = Model(Ends(nn.Softmax(1)), transform=PLAIN, output="probabilities")
    unseen = Model(Ends(lambda z: z.exp() / z.exp().sum(1, keepdim=True)), transform=PLAIN)
    for model in (asked, unseen):
        found, shares = values(model, images)
        np.testing.assert_array_equal(shares, found.numpy().astype(float))
        assert model.info.options.output == "probabilities"
        assert any("The outputs are read as" in note for note in model.notes)


@pytest.mark.parametrize("eager", [False, True])
def test_one_probability_of_two_is_a_sigmoid_of_the_difference(eager):
    for picked, sign in ((np.s_[:, 1], 1), (np.s_[:, :1], -1)):
        module = Ends(lambda z, picked=picked: z.softmax(1)[picked], classes=2, eager=eager)
        model, images = Model(module, transform=PLAIN), torch.rand(3, 3, 32, 32)
        found, shares = values(model, images)
        with torch.no_grad():
            z = module.net(images)
        torch.testing.assert_close(found[:, 1], sign * (z[:, 1] - z[:, 0]), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(shares[:, 1], module(images).detach().flatten(), rtol=1e-4)


@pytest.mark.parametrize(
    "end", [lambda z: z, lambda z: z[:, 0], lambda z: z.sigmoid(), lambda z: z.sigmoid().squeeze(1)]
)
def test_one_output_gives_two_classes_by_its_sign(end):
    module, images = Ends(end, classes=1), torch.rand(5, 3, 32, 32)
    model = Model(module, transform=PLAIN, class_names=["tumor"])
    assert model.class_names == ("not tumor", "tumor")
    found, shares = values(model, images)
    with torch.no_grad():
        z = module.net(images)[:, 0]
    torch.testing.assert_close(found, torch.stack([-z, z], 1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(shares[:, 1], torch.sigmoid(z).numpy(), rtol=1e-4)
    np.testing.assert_allclose(shares.sum(1), 1)
    named = Model(module, transform=PLAIN, class_names=["healthy", "tumor"])
    assert (named.target("healthy").neuron, named.target("tumor").neuron) == (0, 1)
    with pytest.raises(
        ModelError, match="3 class names for one output, which is read as two classes"
    ):
        Model(module, transform=PLAIN, class_names=list("abc")).target("a")


def test_circuits_of_both_classes_of_one_output_use_their_own_pictures():
    module = Ends(lambda z: z, classes=1)
    images = torch.rand(12, 3, 32, 32) * torch.rand(12, 3, 1, 1)
    with torch.no_grad():
        module.net.head.bias -= module(images).quantile(0.5)  # between two pictures
        above = int((module(images) > 0).sum())
    model = Model(module, transform=PLAIN, class_names=["healthy", "tumor"])
    config = Config(tau=3, k=10, steps=3)
    tumor, healthy = (discover(model, images, c, config=config) for c in ("tumor", "healthy"))
    assert (len(tumor.images), len(healthy.images)) == (above, 12 - above)
    report = debug(tumor, model, images[:1])
    assert sum(each.probability for each in report.pictures[0].top) == pytest.approx(1)


def test_a_multi_label_picture_counts_for_each_label_above_one_half():
    module, images = Ends(torch.sigmoid), torch.rand(12, 3, 32, 32) * torch.rand(12, 3, 1, 1)
    with torch.no_grad():
        module.net.head.bias -= module.net(images).quantile(0.5, 0)  # between two pictures
        module.net.head.bias[0] += 50  # the first is always the highest
        over = (module(images) > 0.5).numpy()
    assert over[:, 0].all() and 0 < over[:, 1].sum() < 12
    model = Model(module, transform=PLAIN, class_names=["ant", "bee", "cat"])
    circuit = discover(model, images, "bee", config=Config(tau=3, k=10, steps=3))
    assert [int(ref.name[-2:]) for ref in circuit.images] == np.flatnonzero(over[:, 1]).tolist()
    pictures = [(picture, "bee") for picture in images]
    report = debug(circuit, model, pictures, errors=True, mask=[circuit.layers[1].groups[0].id])
    assert report.mistakes.right == over[:, 1].sum()
    assert len(report.mistakes.missed) == 12 - over[:, 1].sum()
    assert report.what_if.overall.accuracy_before == over[:, 1].mean()
    shares = Model(Ends(torch.sigmoid), transform=PLAIN, output="probabilities")
    assert shares.output_spec.multilabel and not model.output_spec.single
    np.testing.assert_array_equal(
        shares.output_spec.classes(np.array([[0.6, 0.9, 0.2]])), [[True, True, False]]
    )


def test_regression_outputs_have_no_probability():
    module, images = Ends(lambda z: 40 * z + 50, classes=1), torch.rand(6, 3, 32, 32)
    assert any("--output values" in note for note in Model(module, transform=PLAIN).notes)
    model = Model(module, transform=PLAIN, output="values")
    assert (model.class_names, model.info.options.output) == (("value",), "values")
    circuit = discover(model, images, "value", config=Config(tau=3, k=10, steps=3))
    assert len(circuit.images) == 6
    report = debug(circuit, model, images[:2], mask=[circuit.layers[1].groups[0].id])
    (only,) = report.pictures[0].top
    with torch.no_grad():
        assert only.logit == pytest.approx(float(module(images[:1])), rel=1e-4)
    assert only.probability is None and only.formatted == f"{only.logit:.4g}"
    assert report.what_if.overall.accuracy_before is None
    for ask in (audit, lambda *given: debug(*given, errors=True)):
        with pytest.raises(RequestError, match=r"needs? the circuit of a class"):
            ask(circuit, model, images)


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (lambda z: [z[:, :1], z[:, 1:2]], "returns 2 tensors with one output each"),
        (lambda z: z * float("nan"), "only NaN or infinity"),
        (lambda z: z[:, :0], r"no tensor of shape \[batch, class\]"),
        (lambda z: z.argmax(1), "the number of a class for each picture, which has no gradient"),
        (lambda z: z[:, :, None].expand(-1, -1, 5), r"but \[3, 3, 5\] for 3 images"),
        (lambda z: z if len(z) == 1 else 1 / 0, "runs on one picture alone"),
    ],
)
def test_outputs_without_classes_are_refused(end, told):
    with pytest.raises(ModelError, match=told):
        Model(Ends(end), transform=PLAIN).network  # noqa: B018


def test_the_output_option_is_respected():
    images = torch.rand(2, 3, 32, 32)
    labels, logs = (
        Model(Ends(lambda z: z - 9), transform=PLAIN, output="sigmoid"),
        Model(Ends(nn.LogSoftmax(1)), transform=PLAIN, output="log-probabilities"),
    )
    found, shares = values(labels, images)
    np.testing.assert_allclose(shares, found.double().sigmoid().numpy())
    np.testing.assert_allclose(values(logs, images)[1].sum(1), 1, rtol=1e-5)
    hidden = Ends(lambda z: z.exp() / z.exp().sum(1, keepdim=True))
    for said in ("logits", "sigmoid"):
        with pytest.raises(ModelError, match="sum to 1 for every picture, so they are not"):
            Model(hidden, transform=PLAIN, output=said).network  # noqa: B018
    with pytest.raises(ModelError, match="not in 0…1"):
        Model(Ends(lambda z: 50 * z), transform=PLAIN, output="probabilities").network  # noqa: B018


@pytest.mark.parametrize("said", [None, "logits", "log-probabilities"])
def test_negative_log_probabilities_are_refused(said):
    for end in (lambda z: -z.log_softmax(1), lambda z: z.logsumexp(1, keepdim=True) - z):
        with pytest.raises(ModelError, match="negative log-probabilities"):
            Model(Ends(end), transform=PLAIN, output=said).network  # noqa: B018


@pytest.mark.parametrize(
    "end", [lambda z: 0.5 + 0.4 * torch.tanh(z), lambda z: 100 * z.exp() / z.exp().sum(1, True)]
)
def test_outputs_that_could_be_probabilities_give_a_note(end):
    model = Model(Ends(end), transform=PLAIN)
    assert any("may be probabilities" in note for note in model.notes)
    assert not any("?" in n for n in Model(model.module, transform=PLAIN, output="logits").notes)


class Both(NamedTuple):
    features: torch.Tensor
    logits: torch.Tensor


@dataclass
class Answer:
    hidden: torch.Tensor
    scores: torch.Tensor


@pytest.mark.parametrize(
    "form",
    [
        lambda f, y: (f, y),
        lambda f, y: {"features": f, "out": y},
        lambda f, y: Answer(f, y),
        lambda f, y: Both(f[:, :4] * 2, y),
        lambda f, y: [y[:, :, None, None], f.detach().mean()],
        lambda f, y: {"probs": y.softmax(1), "logits": y},
        lambda f, y: (y[:, None], y.softmax(1)),
        lambda f, y: {"aux": f[:, :4] * 2, "main": y},
    ],
)
def test_the_logits_are_found_among_other_tensors(form):
    class Two(SmallNet):
        def forward(self, x):
            features = self.block3(self.block2(self.block1(x))).mean((2, 3))
            return form(features, self.head(features))

    module, images = settle(Two()), torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        expected = SmallNet.forward(module, images)
    found, _ = values(Model(module, transform=PLAIN), images)
    torch.testing.assert_close(found.flatten(1), expected, rtol=1e-4, atol=1e-5)


def test_the_first_of_two_heads_of_equal_width_is_used_with_a_note():
    class Heads(SmallNet):
        def forward(self, x):
            x = self.block3(self.block2(self.block1(x))).mean((2, 3))
            return {"colour": self.head(x), "shape": x[:, :4] * 2}

    (note,) = Model(settle(Heads()), transform=PLAIN).notes
    assert "output['colour'] is explained, not output['shape']" in note
    told = [n for n in Model(settle(SmallNet()), transform=PLAIN).notes if "tensors" in n]
    assert not told


@pytest.mark.parametrize("derived", [lambda z: z.var(1, keepdim=True), lambda z: z.topk(2)[0]])
def test_quantities_computed_from_the_logits_are_not_the_outputs(derived):
    model = Model(Ends(lambda z: (z, derived(z)), classes=4), transform=PLAIN)
    assert (model.network.classes, model.output_spec.place) == (4, (0,))


def test_class_names_decide_between_heads_of_different_width():
    class Heads(SmallNet):
        def __init__(self):
            super().__init__()
            self.other = nn.Linear(16, 6)

        def forward(self, x):
            x = self.block3(self.block2(self.block1(x))).mean((2, 3))
            return self.other(x), self.head(x)

    module = settle(Heads())
    with pytest.raises(ModelError, match="several tensors that may be the classes, with 6, 4"):
        Model(module, transform=PLAIN).network  # noqa: B018
    model = Model(module, transform=PLAIN, class_names=list("abcd"))
    assert (model.network.classes, model.network.output_name) == (4, "head")


def test_a_clamp_that_changes_probabilities_makes_them_doubtful():
    assert Model(Ends(lambda z: z.sigmoid().clamp(0.3, 0.6)), transform=PLAIN).output_spec.doubtful


def test_outputs_that_are_features_are_reported():
    model = Model(Ends(lambda z: {"pooler_output": z}), transform=PLAIN)
    assert "features, not classes: they are called 'pooler_output'" in model.notes[0]
    assert model.output_spec.kind == "values"

    class Answer:
        def __init__(self, z):
            self.logits = z

    with pytest.raises(ModelError, match="an object of type Answer, in which no tensor is found"):
        Model(Ends(Answer), transform=PLAIN).output_spec  # noqa: B018


class Headless(SmallNet):
    """A network without its last layer, in one of several ways."""

    def __init__(self, end=None, count=None):
        super().__init__()
        self.head = end or nn.Identity()
        if count is not None:
            self.num_classes = count

    def forward(self, x):
        return self.head(self.block3(self.block2(self.block1(x))).mean((2, 3)))


@pytest.mark.parametrize(
    ("module", "kind", "told"),
    [
        (Headless(), "values", "'head', its last layer, is an Identity"),
        (Headless(nn.Dropout(), 0), "values", "num_classes is 0"),
        (Headless(nn.Flatten()), "logits", "may be features, .* --output values"),
        (Headless(nn.LayerNorm(16)), "logits", "may be features"),
        (Headless(nn.Sequential(nn.Linear(16, 4), nn.Identity())), "logits", None),
        (Headless(nn.Sequential(nn.Linear(16, 4), nn.BatchNorm1d(4)), 4), "logits", None),
    ],
)
def test_networks_without_a_classifier_are_recognised(module, kind, told):
    model = Model(settle(module), transform=PLAIN)
    notes = " ".join(model.notes)
    assert model.output_spec.kind == kind
    assert re.search(told, notes) if told else "features" not in notes


def test_class_names_say_that_outputs_are_classes():
    names = [f"class {n}" for n in range(16)]
    model = Model(settle(Headless()), transform=PLAIN, class_names=names)
    assert (model.output_spec.kind, model.output_spec.features) == ("logits", None)
    with pytest.raises(
        ModelError, match=r"3 class names for 16 logits\. The outputs may be features"
    ):
        Model(settle(Headless()), transform=PLAIN, class_names=list("abc")).names  # noqa: B018


@pytest.mark.parametrize(
    ("end", "before"),
    [
        (lambda z: z.sigmoid() * 100, "100-fold sigmoid"),
        (lambda z: 100 * z.softmax(1), "100-fold softmax"),
    ],
)
def test_percentages_are_recognised(end, before):
    model = Model(Ends(end), transform=PLAIN)
    images = torch.rand(4, 3, 32, 32, generator=torch.manual_seed(0))
    found, shown = values(model, images)
    with torch.no_grad():
        assert np.allclose(shown, model.module(images).numpy() / 100, atol=1e-6)
    assert torch.allclose(found, model.module.net(images), atol=1e-5)
    assert any(before in note for note in model.notes)
    with pytest.raises(ModelError, match="percentages"):
        _ = Model(Ends(end), transform=PLAIN, output="probabilities").output_spec


def test_a_multiple_of_a_sigmoid_is_doubtful():
    notes = [n for n in Model(Ends(lambda z: 5 * z.sigmoid()), transform=PLAIN).output_spec.notes()]
    assert any("multiple of a softmax or sigmoid" in note for note in notes)
    said = Model(Ends(lambda z: 5 * z.sigmoid()), transform=PLAIN, output="values").output_spec
    assert said.kind == "values" and not said.doubtful
