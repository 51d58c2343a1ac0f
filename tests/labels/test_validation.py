"""Validation separates right from wrong labels, and its intervals have their coverage."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import average_precision_score

import neurflow
from neurflow.circuit import Circuit
from neurflow.circuit.evidence import Rivals
from neurflow.demo.network import demo_model
from neurflow.demo.pictures import picture
from neurflow.errors import WorkError
from neurflow.labels import (
    JudgeRequest,
    LabelAnswer,
    LabelFailed,
    LabelRequest,
    Settings,
    summary,
)
from neurflow.labels.sampling import SAMPLE_SIZE
from neurflow.labels.validation import (
    Trial,
    average_precision,
    chance,
    gain,
    probability_by_guessing,
    wilson,
)
from neurflow.runtime.progress import Silent
from neurflow.stats import Z
from tests.labels.oracle import Oracle, Shuffled
from tests.reference import validation as reference

ROUNDING = 1e-12
TRIAL = Trial(kinds=(12, 10, 10), population=(100, 200, 100))


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 4), st.sampled_from((0.5, 1.0, 7.0))),
        min_size=1,
        max_size=30,
    )
)
def test_average_precision_equals_the_definition_and_scikit_learn(crops):
    truth = np.array([yes for yes, *_ in crops])
    scores = np.array([score / 4 for _, score, _ in crops])
    weights = [weight for *_, weight in crops]
    truth[0] = True
    found = average_precision(truth, scores)
    assert found == pytest.approx(reference.average_precision(truth, scores), abs=ROUNDING)
    assert found == pytest.approx(average_precision_score(truth, scores), abs=ROUNDING)
    weighted = average_precision(truth, scores, np.array(weights))
    known = reference.average_precision(truth, scores, weights)
    assert weighted == pytest.approx(known, abs=ROUNDING)
    by_library = average_precision_score(truth, scores, sample_weight=weights)
    assert weighted == pytest.approx(by_library, abs=ROUNDING)


def test_average_precision_by_hand_and_of_many_at_once():
    truth = np.array([[True, False, True, False], [False, False, True, True]])
    scores = np.array([0.9, 0.8, 0.8, 0.1])
    # first: 1/1 at 0.9, then both of 0.8: 2/3. second: 1/3 at 0.8, then 2/4.
    assert average_precision(truth, scores) == pytest.approx([(1 + 2 / 3) / 2, (1 / 3 + 1 / 2) / 2])
    assert average_precision(truth[0], np.full(4, 0.5)) == 0.5


@given(st.floats(0, 1), st.integers(1, 200))
def test_wilson_solves_its_equation(share, n):
    value, low, high = wilson(share, n)
    expected = reference.wilson(share, n, Z)
    assert (low, high) == pytest.approx(expected, abs=1e-9)
    assert 0 <= low <= value + ROUNDING and value <= high + ROUNDING <= 1 + 2 * ROUNDING
    assert high - low > 0


@pytest.mark.parametrize("own", [50, 100, 400])
@pytest.mark.parametrize("distance", [0.5, 1.5, 2.5])
def test_the_interval_of_the_auprc_covers_the_truth(distance, own):
    """Judges of known power: scores of the group and of other crops have two normal distributions."""
    rng = np.random.default_rng(0)
    trial = Trial(TRIAL.kinds, (own, *TRIAL.population[1:]))
    many = np.arange(40_000) < 40_000 * trial.share
    power = average_precision(many, rng.normal(size=many.size) + distance * many)
    scores = rng.normal(size=(500, len(trial.truth))) + distance * trial.truth
    values = average_precision(trial.truth, scores, trial.weights)
    found = [wilson(float(value), trial.effective_size) for value in values]
    assert np.mean([low <= power <= high for _, low, high in found]) >= 0.95


def test_random_judges_beat_chance_at_the_nominal_rate():
    rng = np.random.default_rng(0)
    beaten = []
    for _ in range(300):
        scores = rng.random(len(TRIAL.truth))
        reached = average_precision(TRIAL.truth, scores, TRIAL.weights)
        beaten.append(reached > chance(TRIAL, scores, rng).high)
    assert np.mean(beaten) == pytest.approx(0.025, abs=0.025)


def test_no_gain_is_found_if_there_is_none():
    rng = np.random.default_rng(1)
    count = len(TRIAL.truth)
    found = [gain(TRIAL, rng.random(count), rng.random(count), rng).low > 0 for _ in range(300)]
    assert np.mean(found) < 0.08
    certain = gain(TRIAL, TRIAL.truth.astype(float), np.full(count, 0.5), rng)
    assert certain == pytest.approx((0.75, 0.75, 0.75))


def test_an_oracle_scores_near_one_and_shuffled_labels_near_chance(planted, drawn):
    """With planted parts, the judge knows only which part is in a crop."""
    right = neurflow.label(planted, Oracle(drawn))
    told = {g.id: g.label for layer in right.layers for g in layer.groups}
    assert [told[f"early/{i}"] for i in range(3)] == ["wheel", "petal", "cap"]
    assert told["late/0"] == "stamp"
    figures = summary(right)
    assert figures["auprc"].value > 0.98
    assert figures["beat_chance"] == figures["beat_constant"] == figures["validated"] == 7
    assert figures["beat_others"] == figures["undoubted"] == 7
    for layer in right.layers:
        for group in layer.groups:
            found = group.evidence.validation
            assert found.auprc.low > 0.5 > found.chance.value
            assert found.constant.text == "taxi"

    ids = list(told)
    moved = {id: told[other] for id, other in zip(ids, ids[1:] + ids[:1], strict=True)}
    moved["head/0"] = "gills"  # its neighbour is also a wheel
    wrong = neurflow.label(planted, Shuffled(drawn, moved))
    figures = summary(wrong)
    assert figures["beat_chance"] == 0
    assert figures["auprc"].value < figures["chance"].value + 0.05
    doubts = {g.evidence.doubt for layer in wrong.layers for g in layer.groups}
    assert doubts == {"does not beat chance"}


def test_on_the_demo_network_the_oracle_beats_shuffled_labels():
    """Groups of a trained network, whose meanings are less pure than planted ones."""
    drawn = [picture("taxi", seed) for seed in range(24)]
    circuit = neurflow.discover(
        demo_model(),
        [one.image for one in drawn],
        "taxi",
        layers=["block3", "block4", "head"],
        config=neurflow.Config(tau=8, k=30, steps=16),
    )
    drawn = [drawn[int(ref.name.removeprefix("image-"))] for ref in circuit.images]
    labelled = neurflow.label(circuit, Oracle(drawn))
    told = {g.id: g.label for layer in labelled.layers for g in layer.groups}
    moved = np.random.default_rng(0).permutation(list(told.values())).tolist()
    mixed = neurflow.label(circuit, Shuffled(drawn, dict(zip(told, moved, strict=True))))
    right, wrong = summary(labelled), summary(mixed)
    assert right["auprc"].value > 0.6
    assert right["auprc"].low > wrong["auprc"].high
    assert right["auprc"].low > right["chance"].high
    assert wrong["auprc"].low < wrong["chance"].high
    assert right["beat_chance"] > 3 * wrong["beat_chance"]


class Fixed:
    """A judge that gives all crops of a list the same scores for any label."""

    name, source = "fixed", "model"

    def __init__(self, score: float) -> None:
        self.score = score
        self.judged: list[JudgeRequest] = []

    def label(self, request: LabelRequest) -> LabelAnswer:
        return LabelAnswer(label="anything")

    def judge(self, request: JudgeRequest) -> tuple[float, ...]:
        self.judged.append(request)
        return (self.score,) * len(request.pictures)


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_a_judge_with_constant_scores_is_at_chance(planted: Circuit, score):
    circuit = neurflow.label(planted, Fixed(score), groups=["late/0"])
    found = circuit.group("late/0").evidence.validation
    assert found.auprc.value == pytest.approx(found.share)
    assert found.found == float(score >= 0.5)
    assert found.random_rejected == found.hard_rejected == float(score < 0.5)
    assert not found.beats_chance and not found.beats_constant
    assert found.doubt == "does not beat chance"


def test_the_judge_gets_only_the_label_and_crops_in_random_order(planted: Circuit):
    judge = Fixed(0.5)
    neurflow.label(planted, Fixed(0.5), judge=judge, groups=["late/0"])
    first, constant = judge.judged
    assert (first.label, first.caption, constant.label) == ("anything", None, "taxi")
    assert first.pictures == constant.pictures
    of_group = [p.data in of(planted, "late/0") for p in first.pictures]
    assert len(of_group) == SAMPLE_SIZE and 10 <= sum(of_group) <= 12
    assert of_group != sorted(of_group, reverse=True)


def of(circuit: Circuit, id: str) -> set[bytes]:
    return {circuit.thumbnails[crop] for crop in circuit.group(id).crops}


@pytest.mark.parametrize(
    "scores, answer",
    [
        ((), "0 scores"),
        ((0.5,), "1 scores"),
        ((2.0,) * 32, "from 2 to 2"),
        ((float("nan"),) * 32, "from nan"),
    ],
)
def test_a_judge_without_scores_is_an_error(planted: Circuit, scores, answer):
    judge = Fixed(0.5)
    judge.judge = lambda request: scores  # type: ignore[method-assign]
    with pytest.raises(WorkError, match=f"fixed must return .* 32 crops, .* {answer}"):
        neurflow.label(planted, judge, groups=["late/0"], settings=Settings(constant=False))


def test_a_group_with_few_crops_is_labelled_without_validation(planted: Circuit):
    few = planted.model_copy(
        update={"thumbnails": {c: planted.thumbnails[c] for c in planted.group("late/0").crops[:1]}}
    )
    group = neurflow.label(few, Fixed(1.0), groups=["late/0"]).group("late/0")
    assert group.label == "anything"
    assert group.evidence.doubt == "not validated"


def test_labels_without_a_judge_are_noted_as_unvalidated(planted: Circuit):
    class Mute:
        name, source = "mute", "model"

        def label(self, request: LabelRequest) -> LabelAnswer:
            return LabelAnswer(label="anything")

    notes: list[str] = []
    listener = Silent()
    listener.note = notes.append  # type: ignore[method-assign]
    circuit = neurflow.label(planted, Mute(), groups=["late/0"], progress=listener)
    assert circuit.group("late/0").evidence.doubt == "not validated"
    assert notes == ["mute cannot judge labels, so none is validated. Give a judge."]
    judged = neurflow.label(planted, Mute(), judge=Fixed(0.5), groups=["late/0"])
    assert judged.group("late/0").evidence.validation.judge == "fixed"


class AtOnce(Oracle):
    """The oracle as a judge that compares all other labels in one request."""

    def __init__(self, drawn, also: str | None = None, fails: bool = False) -> None:
        super().__init__(drawn)
        self.also, self.fails = also, fails
        self.compared: list[list[str]] = []

    def compare(self, labels, pictures):
        self.compared.append(list(labels))
        if self.fails:
            raise LabelFailed("too many numbers")
        seen = {label: self.seen(label, pictures) for label in labels}
        if self.also in seen:  # another label fits as well as the group's own
            seen[self.also] = self.seen("wheel", pictures)
        return [seen[label].tolist() for label in labels]


def test_a_judge_with_compare_gets_one_request_per_group(planted, drawn):
    judge, plain = AtOnce(drawn), Oracle(drawn)
    ids = ["early/0", "early/1"]
    circuit = neurflow.label(planted, Oracle(drawn), judge=judge, groups=ids)
    one_by_one = neurflow.label(planted, Oracle(drawn), judge=plain, groups=ids)
    assert sorted(map(sorted, judge.compared)) == [["petal", "taxi", "wheel"]] * 2
    for id in ids:
        found, known = (c.group(id).evidence.validation for c in (circuit, one_by_one))
        assert (found.auprc, found.others) == (known.auprc, known.others)
        assert found.constant.auprc == known.constant.auprc


def test_a_label_must_beat_the_other_labels(planted, drawn):
    judge = AtOnce(drawn, also="taxi")
    found = neurflow.label(planted, Oracle(drawn), judge=judge, groups=["early/0", "early/1"])
    wheel = found.group("early/0").evidence.validation
    assert wheel.beats_chance and wheel.constant.gain == pytest.approx((0, 0, 0))
    judge = AtOnce(drawn, also="petal")
    found = neurflow.label(planted, Oracle(drawn), judge=judge, groups=["early/0", "early/1"])
    assert found.group("early/0").evidence.doubt == "does not beat other labels"


def test_a_judge_that_cannot_compare_leaves_the_label_in_doubt(planted, drawn):
    judge = AtOnce(drawn, fails=True)
    found = neurflow.label(planted, Oracle(drawn), judge=judge, groups=["early/0"])
    evidence = found.group("early/0").evidence
    assert evidence.validation.auprc.value > 0.9
    assert evidence.doubt == "not compared with other labels"


class LooksAlike:
    """A judge of random features: similar pictures have similar scores for any label."""

    name, source = "looks alike", "model"

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def label(self, request: LabelRequest) -> LabelAnswer:
        return LabelAnswer(label=f"thing {zlib.crc32(request.group.encode())}")

    def judge(self, request: JudgeRequest) -> tuple[float, ...]:
        rng = np.random.default_rng([self.seed, zlib.crc32(request.label.encode())])
        small = [Image.open(io.BytesIO(p.data)).resize((4, 4)) for p in request.pictures]
        looks = np.stack([np.asarray(each, dtype=float).ravel() for each in small])
        similarity = (looks - looks.mean(0)) @ rng.normal(size=looks.shape[1])
        return tuple((1 / (1 + np.exp(-similarity / similarity.std()))).tolist())


def test_the_chance_of_a_guessing_judge_by_hand():
    """Two groups with one other label, one with three: 1/2, 1/2, 1/4."""
    won, lost = (Rivals(count=1, as_good=n, best="a", auprc=0.5) for n in (0, 1))
    third = Rivals(count=3, as_good=0, best="a", auprc=0.5)
    assert probability_by_guessing([won, won, third]) == pytest.approx(1 / 16)
    assert probability_by_guessing([won, lost, third]) == pytest.approx(
        1 / 16 + 2 * (1 / 4) * (1 / 4) + 3 / 16
    )
    assert probability_by_guessing([lost]) == probability_by_guessing([]) == 1


def test_no_label_passes_with_a_judge_of_random_features(planted):
    """Some labels beat chance and the other labels, as often as with a judge that guesses."""
    notes: list[str] = []
    listener = Silent()
    listener.note = notes.append  # type: ignore[method-assign]
    for seed in (3, 4, 7):  # without the test of the judge, six of 21 labels would pass
        labelled = neurflow.label(planted, LooksAlike(seed), progress=listener)
        assert summary(labelled)["undoubted"] == 0
    assert sum("looks alike cannot distinguish labels" in note for note in notes) == 3
