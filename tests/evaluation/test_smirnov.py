"""Kolmogorov-Smirnov distances and p-values: SciPy's, for many features at once."""

import numpy as np
import pytest
from scipy import stats

from minima.evaluation import smirnov


@pytest.mark.parametrize(("n", "m"), [(7, 5), (5, 7), (30, 30), (100, 40), (400, 64)])
def test_both_are_scipys(n, m):
    rng = np.random.default_rng(n)
    first, second = rng.normal(size=(n, 4)), rng.normal(0.2, 1, (m, 4))
    found = smirnov.distances(first, second)
    for k in range(4):
        theirs = stats.ks_2samp(first[:, k], second[:, k], method="exact")
        assert found[k] / (n * m) == pytest.approx(theirs.statistic, abs=1e-12)
        p = smirnov.p_value(n, m, int(found[k]))
        assert p == pytest.approx(theirs.pvalue, rel=1e-9)


def test_ties_are_counted_once():
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second = rng.integers(0, 4, (30, 1)), rng.integers(0, 5, (20, 1))
        theirs = stats.ks_2samp(first[:, 0], second[:, 0]).statistic
        found = smirnov.distances(first.astype(float), second.astype(float))
        assert found[0] / 600 == pytest.approx(theirs, abs=1e-12)


def test_equal_samples_and_disjoint_ones():
    same = np.arange(6.0)[:, None]
    assert smirnov.distances(same, same)[0] == 0
    assert smirnov.p_value(6, 6, 0) == 1.0
    assert smirnov.distances(same, same + 10)[0] == 36
    assert smirnov.p_value(6, 6, 36) == pytest.approx(2 / 924)  # 2 of 12 choose 6 orders


def test_many_examples_are_asymptotic():
    n, m = 20_000, 5_000
    p = smirnov.p_value(n, m, int(0.02 * n * m))
    assert p == pytest.approx(stats.kstwobign.sf(0.02 * np.sqrt(n * m / (n + m))), rel=0.05)
