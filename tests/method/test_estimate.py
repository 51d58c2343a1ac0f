"""The time estimate before the work: its arithmetic and its text, without a clock."""

import pytest

from neurflow import Config
from neurflow.method.estimate import Cost, duration, estimate_lines, most_targets, seconds

COSTS = [
    Cost("fc", "c", 1.0, 10),
    Cost("c", "b", 2.0, 100),
    Cost("b", "a", 4.0, 20),
]


def test_a_layer_has_at_most_tau_targets_for_each_above_and_no_more_than_fire():
    assert most_targets(COSTS, 3) == [1, 3, 9]
    assert most_targets(COSTS, 8) == [1, 8, 20]
    assert seconds(COSTS, 8) == [1.0, 16.0, 80.0]


def test_the_estimate_has_time_per_layer_and_faster_options():
    time, shorter = estimate_lines(COSTS, Config(tau=16))
    assert time == (
        "This will take at most 2 min. Layer by layer, at most: fc → c 1 s (1 neuron), "
        "c → b 32 s (16 neurons), b → a 80 s (20 neurons)."
    )
    assert shorter == (
        "It would be shorter with --preset quick (at most 97 s), or --tau 8 (at most 97 s), "
        "or --layers b,c,fc (at most 33 s)."
    )


def test_useless_options_and_short_estimates_are_omitted():
    _, *shorter = estimate_lines([Cost("fc", "c", 90.0, 10)], Config(tau=16))
    assert not shorter
    assert not estimate_lines([Cost("fc", "c", 1.0, 10)], Config(tau=16))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (98, "98 s"), (100, "2 min"), (5940, "99 min"), (6300, "1 h 45 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
