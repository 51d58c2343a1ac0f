"""The audit on a network with a shortcut in its hand-set weights, and mistakes counted by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from neurflow import Config, Model, audit, debug, discover, load_images
from neurflow.debugging.audit import evidence_of
from neurflow.debugging.result import Signals
from neurflow.debugging.signals import Answers, apart, fixed, mends, raises
from neurflow.errors import ImagesError, ModelError, RequestError
from neurflow.runtime.progress import Silent
from neurflow.stats import Interval
from tests.debugging.conftest import labelled


class Shortcut(nn.Module):
    """Two channels detect a red or a green object, the third a blue corner that also indicates red."""

    def __init__(self):
        super().__init__()
        self.see = nn.Conv2d(3, 3, 1, bias=False)
        self.mix = nn.Conv2d(3, 4, 1, bias=False)
        self.act = nn.ReLU()
        self.head = nn.Linear(4, 2, bias=False)
        self.see.weight.data = torch.eye(3)[:, :, None, None]
        # the fourth channel detects red and blue, so that it is shared
        mix = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.1, 0, 0.1]])
        self.mix.weight.data = mix[:, :, None, None]
        self.head.weight.data = torch.tensor([[4.0, 0, 12, 0], [0, 4.0, 0, 0]])

    def forward(self, x):
        return self.head(self.act(self.mix(self.act(self.see(x)))).mean((2, 3)))


def scene(kind, corner, rng):
    """A red or green square at a random place, with or without a blue corner."""
    image = np.zeros((3, 16, 16), dtype=np.float32)
    top, left = rng.integers(0, 8, 2)
    image[kind, top : top + 5, left : left + 5] = rng.uniform(0.8, 1)
    if corner:
        image[2, 12:, 12:] = 1
    return torch.from_numpy(image)


@pytest.fixture(scope="module")
def planted():
    """(model, circuit of red, labelled pictures of which half have the corner)."""
    rng = np.random.default_rng(0)
    data = [(scene(kind, i % 2, rng), kind) for i in range(24) for kind in (0, 1)]
    model = Model(
        Shortcut(),
        transform=lambda _: torch.zeros(3, 16, 16),
        class_names=["red", "green"],
        layers=["see", "mix", "head"],
    )
    config = Config(tau=4, k=12, steps=8, granularities=(1.0, 0.5), groups=4)
    return model, discover(model, load_images(data, model), "red", config=config), data


def test_the_group_of_the_corner_is_ranked_first(planted):
    model, circuit, data = planted
    report = audit(circuit, model, data)
    first = report.groups[0]
    assert circuit.group(first.id).neurons == (2,)
    assert first.signals.fixes.value == 1
    assert first.signals.cost.value == 0
    assert first.signals.raises.low > 0.05
    assert first.signals.fixed.value > 0.9  # the corner is always at the same place
    red = next(g for g in report.groups if circuit.group(g.id).neurons == (0,))
    assert red.signals.fixes.value == 0
    assert red.signals.fixed.value < 0.5
    assert (report.pictures, report.of_class, report.false_positives) == (48, 24, 12)
    assert [group.rank for group in report.groups] == list(range(1, len(report.groups) + 1))


def test_masking_the_first_group_corrects_the_false_positives(planted):
    model, circuit, data = planted
    first = audit(circuit, model, data).groups[0]
    overall = debug(circuit, model, data, mask=[first.id], draws=0).what_if.overall
    assert overall.accuracy_before == pytest.approx(0.75)
    assert overall.accuracy_after == 1
    assert len(overall.flips) == 12


def test_false_positives_are_explained_by_the_corner(planted):
    model, circuit, data = planted
    mistakes = debug(circuit, model, data, errors=True).mistakes
    assert (mistakes.right, len(mistakes.missed), len(mistakes.taken)) == (24, 0, 12)
    corner = next(c for c in mistakes.why_taken if circuit.group(c.id).neurons == (2,))
    assert mistakes.why_taken[0].evidence == pytest.approx(corner.evidence)
    assert (corner.on_mistakes.value, corner.on_others.value) == (1, 0)
    assert mistakes.why_missed == ()


def test_mistakes_are_where_labels_and_predictions_differ(model, circuit, studied):
    data = labelled(model, studied)
    found = debug(circuit, model, data, errors=True).mistakes
    with torch.no_grad():
        said = model.module(studied).argmax(1).tolist()
    own = circuit.target.neuron
    truth = [label for _, label in data]
    assert found.right == sum(s == t == own for s, t in zip(said, truth, strict=True))
    assert len(found.missed) == sum(t == own != s for s, t in zip(said, truth, strict=True))
    assert len(found.taken) == sum(s == own != t for s, t in zip(said, truth, strict=True))
    for mistake in (*found.missed, *found.taken):
        told = [abs(g.unlike * g.path_weight) for g in mistake.groups]
        assert told == sorted(told)[::-1]
        assert not any(g.id.startswith("head/") for g in mistake.groups)


def test_the_audit_reports_that_there_are_no_false_positives(planted):
    model, circuit, data = planted
    clean = [(image, label) for image, label in data if not image[2].any()]
    report = audit(circuit, model, clean)
    assert report.false_positives == 0
    assert all(group.signals.fixes is None for group in report.groups)
    assert "cannot be measured" in report.notes[0]


def test_pictures_that_are_left_out_are_reported_once(planted):
    model, circuit, data = planted
    strange = [(data[0][0], "blue")] * 5 + [(data[0][0], None)] * 2
    said = []

    class Telling(Silent):
        def note(self, text):
            said.append(text)

    report = audit(circuit, model, [*data, *strange], progress=Telling())
    assert said == [
        "5 images count as unlabelled because the label fits no class of the model: blue (5).",
        "2 of 55 pictures have no label and are left out.",
    ]
    assert len(report.skipped) == 7


def test_fixed_is_the_mean_correlation_of_all_pairs():
    maps = np.random.default_rng(0).random((6, 9))
    slow = [np.corrcoef(maps[i], maps[j])[0, 1] for i in range(6) for j in range(i)]
    found = fixed(maps)
    assert found.value == pytest.approx(np.mean(slow))
    # the jackknife by its definition: leave each picture out
    left = [
        np.mean(
            [
                np.corrcoef(maps[i], maps[j])[0, 1]
                for i in range(6)
                for j in range(i)
                if o not in (i, j)
            ]
        )
        for o in range(6)
    ]
    error = np.sqrt(5 / 6 * ((left - np.mean(left)) ** 2).sum())
    assert found.high - found.value == pytest.approx(1.96 * error, rel=1e-3)
    assert fixed(np.ones((5, 4))) is None


def test_evidence_by_hand():
    def value(x):
        return Interval(x, x, x)

    signals = Signals(
        raises=value(0.1),
        mends=value(0.6),
        fixes=value(0.9),
        cost=value(0.05),
        fixed=value(0.4),
        apart=None,
    )
    assert evidence_of(signals) == pytest.approx(0.1 + 0.6 + 0.04)


def test_the_signal_mends_by_hand():
    # ten pictures: three of class 0, two more predicted as it; masking corrects one and breaks one
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1, 1, 1])
    said = np.array([0, 0, 1, 0, 0, 1, 1, 1, 1, 1])
    after = said.copy()
    after[[3, 9]] = [1, 0]
    before, masked = (Answers(np.eye(2)[each], labels, target=0) for each in (said, after))
    assert mends(before, masked).value == 0
    after[9] = 1
    found = mends(before, before.with_logits(np.eye(2)[after]))
    assert found.value == pytest.approx(1 / 5)
    spread = np.std([1] + [0] * 9, ddof=1) / np.sqrt(10) * 10 / 5
    assert found.high - found.value == pytest.approx(1.96 * spread, rel=1e-3)


def test_one_picture_gives_an_unbounded_interval():
    before = Answers(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1]), target=0)
    after = before.with_logits(np.array([[1.0, 0.0], [-9.0, 1.0]]))
    found = raises(before, after)
    assert found.value == pytest.approx(1 / (1 + np.e), abs=1e-3)
    assert (found.low, found.high) == (-1, 1)


def test_apart_ranges_from_equal_to_opposite_places():
    maps = np.random.default_rng(0).random((4, 9))
    assert apart(maps, 2 * maps + 1).value == pytest.approx(0)
    assert apart(maps, -maps).value == pytest.approx(1)
    assert apart(maps, np.ones((4, 9))) is None


def test_audits_that_are_impossible_are_refused(planted, circuit):
    model, found, data = planted
    with pytest.raises(ImagesError, match="there are none of other classes"):
        audit(found, model, [pair for pair in data if pair[1] == 0])
    with pytest.raises(ImagesError, match="it has no label"):
        audit(found, model, torch.stack([image for image, _ in data]))
    with pytest.raises(ModelError, match="found in another model"):
        audit(circuit, model, data)
    inside = found.model_copy(update={"target": model.target("mix/1")})
    with pytest.raises(RequestError, match="An audit needs the circuit of a class"):
        audit(inside, model, data)
    with pytest.raises(RequestError, match="Mistakes need the circuit of a class"):
        debug(inside, model, data[0][0], errors=True)
