"""The time estimate before the work: its arithmetic and its text, without a clock."""

import pytest

from neurflow import Config
from neurflow.method.estimate import (
    SEARCH_CROPS,
    Cost,
    duration,
    estimate_lines,
    expected_cores,
    expected_seconds,
    expected_targets,
)

COSTS = [
    Cost("fc", "c", 0.02, 0.0, 1000, 10),
    Cost("c", "b", 0.01, 0.03, 1000, 100),
    Cost("b", "a", 0.01, 0.09, 1000, 20),
]


def test_expected_targets_share_core_neurons_and_do_not_exceed_those_that_fire():
    assert expected_targets(COSTS, 3) == [1, 3, 6]
    assert expected_targets(COSTS, 16) == [1, 16, 20]
    assert expected_targets([COSTS[0], Cost("c", "b", 1.0, 0.0, 9, 2)], 16) == [1, 2]


@pytest.mark.parametrize(
    ("above", "alive", "found"),
    [(16, 512, 99), (99, 256, 178), (178, 256, 204), (16, 512, 120), (120, 256, 196)],
)
def test_the_expected_core_neurons_are_near_those_of_resnet18(above, alive, found):
    assert expected_cores(above, 16, alive) == pytest.approx(found, rel=0.2)


def test_targets_share_the_work_of_a_crop():
    cost = Cost("c", "b", 0.01, 1.0, 100, 1000)
    one, many = cost.seconds(1, 50), cost.seconds(100, 50)
    assert one == pytest.approx(0.01 * (50 + SEARCH_CROPS) + 100 * (1 - 0.5655), rel=1e-3)
    assert many == pytest.approx(100 * 0.01 * (50 + SEARCH_CROPS) + 100)
    assert expected_seconds([cost], 16, 50) == [one]


def test_the_estimate_has_time_per_layer_and_faster_options():
    time, shorter = estimate_lines(COSTS, Config(tau=16, k=50))
    assert time == (
        "This will take about 2 min. Layer by layer, about: fc → c 1 s (1 neuron), "
        "c → b 27 s (16 neurons), b → a 73 s (20 neurons)."
    )
    assert shorter.startswith("It would be shorter with --preset quick (about ")
    assert shorter.endswith("or --layers b,c,fc (about 28 s).")


def test_useless_options_and_short_estimates_are_omitted():
    _, *shorter = estimate_lines([Cost("fc", "c", 2.0, 0.0, 9, 10)], Config(tau=16))
    assert not shorter
    assert not estimate_lines([Cost("fc", "c", 0.1, 0.0, 9, 10)], Config(tau=16))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (98, "98 s"), (100, "2 min"), (5940, "99 min"), (6300, "1 h 45 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
