"""N is raised if more targets can then share the work on a crop."""

from itertools import combinations

import numpy as np

from neurflow.attribution.equal_steps import RUN, equal_steps


def cost(steps, crops):
    """The documented cost: a pair costs its cells, and a run of a crop at an N costs ``RUN``."""
    runs = {(n, crop) for a, n in steps.items() for crop in crops[a]}
    return RUN * len(runs) + sum(n * len(crops[a]) for a, n in steps.items())


def test_only_targets_with_shared_crops_get_the_same_n():
    same, other = np.arange(10), np.arange(10, 20)
    assert equal_steps({3: 8, 5: 12}, {3: same, 5: same}) == {3: 12, 5: 12}
    assert equal_steps({3: 8, 5: 12}, {3: same, 5: other}) == {3: 8, 5: 12}
    # a run of a crop costs less than that many cells
    assert equal_steps({3: 8, 5: 8 + 2 * RUN}, {3: same, 5: same}) == {3: 8, 5: 8 + 2 * RUN}


def test_the_choice_has_the_lowest_cost():
    rng = np.random.default_rng(0)
    values = (8, 10, 14, 20, 48)
    for _ in range(20):
        steps = {a: int(rng.choice(values)) for a in range(12)}
        crops = {a: rng.choice(30, 6, replace=False) for a in range(12)}
        found = equal_steps(steps, crops)
        assert all(found[a] >= n for a, n in steps.items())
        present = sorted(set(steps.values()))
        costs = [
            cost({a: min(n for n in levels if n >= each) for a, each in steps.items()}, crops)
            for count in range(1, len(present) + 1)
            for levels in combinations(present, count)
            if levels[-1] == present[-1]
        ]
        assert cost(found, crops) == min(costs)
