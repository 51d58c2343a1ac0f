"""Statistics compared with another library."""

import pytest
from scipy.stats import binomtest

from neurflow.stats import wilson


@pytest.mark.parametrize(
    ("hits", "n"), [(0, 1), (1, 1), (0, 7), (3, 7), (7, 7), (50, 100), (999, 1000)]
)
def test_wilson_equals_scipy(hits, n):
    expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert wilson(hits / n, n) == pytest.approx((hits / n, expected.low, expected.high), abs=1e-12)
