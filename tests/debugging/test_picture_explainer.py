"""Groups that fire, where they fire and how they are reached, compared with slow definitions."""

import numpy as np
import pytest
import torch

from neurflow import audit, debug
from neurflow.circuit import GroupEdge
from neurflow.circuit.scores import group_scores
from neurflow.debugging.chain import chain, path_weights
from neurflow.debugging.picture_explainer import heat, robust_distance, threshold
from neurflow.debugging.pictures import true_class
from neurflow.errors import ResultError
from neurflow.method.surroundings import spatial_map
from neurflow.model import Layer
from tests.debugging.conftest import pictures
from tests.reference.debugging import activation, image_score


def test_a_groups_score_by_hand():
    # two neurons at 2 and 8 times their means: the geometric mean is 4; a silent one gives √ε
    scores = group_scores(np.array([[2.0, 8.0], [1.0, 1.0], [-3.0, 1.0]]), np.array([1.0, 1.0]))
    assert scores == pytest.approx([4.0, 1.0, 1e-3], rel=1e-3)


def test_scores_equal_the_slow_reference(model, circuit, studied):
    image = pictures(1, seed=5)[0]
    (picture,) = debug(circuit, model, image).pictures
    for layer in circuit.layers[:-1]:
        for group in layer.groups:
            slow = image_score(model, circuit, group, studied, image)
            assert picture.group(group.id).score == pytest.approx(slow, rel=1e-4)


def test_usual_scores_are_those_on_the_concept_set(model, circuit, studied):
    group = circuit.layers[1].groups[0]
    number = 3
    slow = image_score(model, circuit, group, studied, studied[number])
    assert group.calibration.image_scores[number] == pytest.approx(slow, rel=1e-4)


def test_a_layers_means_are_over_all_crops(model, circuit, studied):
    from neurflow.pictures.crops import crop_boxes, crop_pixels

    boxes = crop_boxes(32, 32, circuit.config.granularities)
    found = [
        activation(model, "block2", crop)
        for image in studied
        for crop in crop_pixels(image, boxes, (32, 32))
    ]
    assert circuit.layer("block2").means == pytest.approx(np.mean(found, axis=0), rel=1e-4)


def test_firing_and_missing_follow_the_rules(model, circuit):
    (picture,) = debug(circuit, model, pictures(1, seed=9)[0]).pictures
    for reading in picture.groups:
        group = circuit.group(reading.id)
        limit = sorted(group.calibration.crop_scores)[int(0.25 * (len(group.crops) - 1))]
        share = np.mean(np.array(group.calibration.image_scores) >= limit)
        assert reading.threshold == pytest.approx(limit)
        assert reading.fires == (reading.score >= limit)
        assert reading.frequency == pytest.approx(share)
        assert reading.missing == (share >= 2 / 3 and not reading.fires)
        assert [c.score for c in reading.crops] == sorted(c.score for c in reading.crops)[::-1]
    assert all(g.fires for g in picture.firing)
    assert not any(g.fires for g in picture.missing)


def test_a_group_fires_on_most_of_its_own_crops(circuit):
    for layer in circuit.layers:
        for group in layer.groups:
            scores = np.array(group.calibration.crop_scores)
            assert (scores >= threshold(group.calibration)).mean() >= 0.75


def test_heat_is_the_feature_map_relative_to_exemplars(model, circuit):
    image = pictures(1, seed=5)[0]
    (picture,) = debug(circuit, model, image).pictures
    group = circuit.layer("block2").groups[0]
    with torch.no_grad():
        maps = model.module.block2(model.module.block1(image[None]))[0]
    means = torch.tensor(group.calibration.means).abs() + 1e-6
    expected = (maps[list(group.neurons)] / means[:, None, None]).mean(0)
    assert np.array(picture.group(group.id).heat) == pytest.approx(expected.numpy(), rel=1e-2)


def test_tokens_are_arranged_as_a_square():
    tokens = np.arange(5 * 2, dtype=float).reshape(5, 2)  # a class token and two by two
    found = spatial_map(tokens, Layer("block", (5, 2), 2))
    assert found[..., 0].tolist() == [[2, 4], [6, 8]]
    assert spatial_map(np.zeros(7), Layer("head", (7,), 1)) is None
    last = spatial_map(np.zeros((3, 4, 6)), Layer("swin", (3, 4, 6), 3))
    assert last.shape == (3, 4, 6)
    assert spatial_map(np.zeros((6, 3, 4)), Layer("conv", (6, 3, 4), 1)).shape == (3, 4, 6)


def test_units_of_linear_layers_have_no_heat(circuit):
    assert heat(None, circuit.layers[0].groups[0]) == ()


def test_reached_by_and_chain_by_hand(circuit):
    first, second, third, top = (layer.groups[0].id for layer in circuit.layers)
    edges = (
        GroupEdge(upper=top, lower=third, weight=0.5),
        GroupEdge(upper=third, lower=second, weight=-0.5),
        GroupEdge(upper=third, lower=circuit.layers[1].groups[1].id, weight=0.2),
        GroupEdge(upper=second, lower=first, weight=1.0),
    )
    small = circuit.model_copy(update={"edges": edges})
    found = path_weights(small)
    assert found[third] == pytest.approx(0.5 * found[top])
    assert found[first] == found[second] == pytest.approx(-0.25 * found[top])
    weaker = circuit.layers[1].groups[1].id
    assert chain(small, top, {third, second, weaker}) == (
        third,
        weaker,
    )  # never along a negative edge
    assert chain(small, top, set()) == ()


def test_unlike_is_in_robust_standard_deviations():
    over = np.exp([-0.2, -0.1, 0.0, 0.1, 0.2])
    assert robust_distance(1.0, over) == pytest.approx(0, abs=1e-4)
    assert robust_distance(float(np.exp(0.3)), over) == pytest.approx(0.3 / 0.14826, rel=1e-3)
    assert robust_distance(2.0, np.ones(5)) == pytest.approx(np.log(2) / 0.1, rel=1e-3)


@pytest.mark.parametrize(
    ("label", "found"),
    [("bee", 1), ("n01234567_BEE", 1), ("3", 3), ("9", None), ("moth", None), (None, None)],
)
def test_labels_name_classes(model, label, found):
    assert true_class(label, model) == found


def test_an_earlier_result_is_refused(model, circuit):
    def without(layer):
        groups = tuple(g.model_copy(update={"calibration": None}) for g in layer.groups)
        return layer.model_copy(update={"groups": groups})

    old = circuit.model_copy(update={"layers": tuple(map(without, circuit.layers))})
    with pytest.raises(ResultError, match="Create it again with neurflow discover"):
        debug(old, model, pictures(1)[0])
    with pytest.raises(ResultError, match="Create it again with neurflow discover"):
        audit(old, model, pictures(1))
