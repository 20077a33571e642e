"""Planted curves get the name that they were planted for."""

import math

import numpy as np
import pytest

from minima.claims.regimes import (
    COLLAPSED,
    DIVERGED,
    FROZEN,
    LAZY,
    UNSTABLE,
    classify,
    constant_loss,
    limit,
    onset,
    rises,
)

CONSTANT = 0.45
FALLING = np.geomspace(3.0, 0.1, 50)
SPIKE = np.concatenate([[3.0, 2.0, 40.0, 8.0], np.full(40, CONSTANT)])


@pytest.mark.parametrize(
    ("losses", "status", "regime"),
    [
        (np.geomspace(3.0, 2.9, 50), "complete", FROZEN),
        (np.geomspace(3.0, 2.9, 50), "collapsed", FROZEN),  # it never moved: no collapse
        (FALLING, "complete", LAZY),
        (np.concatenate([[3.0, 30.0], FALLING]), "complete", UNSTABLE),
        (SPIKE, "collapsed", COLLAPSED),
        (SPIKE, "complete", COLLAPSED),  # a few outputs still move, to no end
        (np.concatenate([[3.0, 30.0], FALLING]), "collapsed", COLLAPSED),
        (np.array([3.0, 1e9]), "diverged", DIVERGED),
        (np.array([math.nan, math.nan]), "diverged", DIVERGED),
    ],
)
def test_a_planted_curve_gets_its_name(losses, status, regime):
    assert classify(losses, status, CONSTANT) == regime
    padded = np.concatenate([losses, np.full(9, np.nan)])  # as curves of unequal length come
    assert classify(padded, status, CONSTANT) == regime


def test_a_rise_is_more_than_rounding():
    assert not rises([1.0, 0.5, 0.504])
    assert rises([1.0, 0.5, 0.506])
    assert not rises(FALLING)


def test_a_curve_without_losses_is_an_error():
    with pytest.raises(ValueError, match="without a finite loss"):
        classify([math.nan], "complete", CONSTANT)


def test_the_loss_of_a_constant_is_the_least_that_any_constant_has():
    labels = np.array([0] * 5 + [1] * 3 + [2] * 2)
    shares, targets = np.array([0.5, 0.3, 0.2]), np.eye(3)[labels]
    squared = constant_loss(labels, 3, "squared_error")
    assert squared == pytest.approx(0.5 * np.mean(np.sum((targets - shares) ** 2, axis=1)))
    entropy = constant_loss(labels, 4, "cross_entropy")  # the fourth class never occurs
    assert entropy == pytest.approx(-np.mean(np.log(shares)[labels]))
    for moved in ([0.51, 0.29, 0.2], [0.5, 0.31, 0.19]):
        assert 0.5 * np.mean(np.sum((targets - moved) ** 2, axis=1)) > squared


def test_boundaries_lie_between_neighbouring_rates():
    rates = (1.0, 4.0, 16.0, 64.0, 256.0)
    regimes = [FROZEN, LAZY, UNSTABLE, COLLAPSED, DIVERGED]
    assert onset(rates, regimes) == pytest.approx(8.0)
    assert limit(rates, regimes) == pytest.approx(32.0)
    assert limit(rates, [LAZY, UNSTABLE, DIVERGED, UNSTABLE, DIVERGED]) == pytest.approx(128.0)


def test_a_boundary_that_was_not_crossed_is_unknown():
    assert math.isnan(onset((1.0, 2.0), [LAZY, LAZY]))
    assert math.isnan(onset((1.0, 2.0), [UNSTABLE, DIVERGED]))
    assert math.isnan(limit((1.0, 2.0), [LAZY, UNSTABLE]))
    assert math.isnan(limit((1.0, 2.0), [FROZEN, DIVERGED]))
