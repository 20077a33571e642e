"""Limits of the calibration error hold the true one, and the audit reads them."""

import numpy as np
import pytest
from scipy import stats

from minima.evaluation import calibration


def sigmoid(t):
    return 1 / (1 + np.exp(-t))


@pytest.mark.parametrize("slope", [1.0, 0.5])
def test_limits_hold_the_true_error(slope):
    rng, runs, held = np.random.default_rng(0), 200, 0
    z = rng.normal(0, 2.2, 200_000)
    truth = np.sqrt(np.mean((sigmoid(z) - sigmoid(slope * z)) ** 2))
    for _ in range(runs):
        z = rng.normal(0, 2.2, 2000)
        right = rng.random(2000) < sigmoid(slope * z)
        low, high = calibration.calibration_limits(sigmoid(z), right)
        held += low <= truth <= high
        assert low <= calibration.debiased_ece(sigmoid(z), right) <= high
    assert held >= stats.binom.ppf(0.001, runs, 0.95)


def test_more_examples_and_a_lower_level_narrow_them():
    rng = np.random.default_rng(1)

    def width(n, level):
        z = rng.normal(0, 2.2, n)
        limits = calibration.calibration_limits(
            sigmoid(z), rng.random(n) < sigmoid(z / 2), level=level
        )
        return limits[1] - limits[0]

    assert width(20_000, 0.95) < width(2000, 0.95)
    assert width(2000, 0.8) < width(2000, 0.999)


def test_where_all_are_right_there_are_limits_all_the_same():
    low, high = calibration.calibration_limits(np.full(300, 0.99), np.ones(300, bool))
    assert low == 0
    assert 0.005 < high < 0.05
