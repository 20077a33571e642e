import math

import numpy as np
import pytest
from scipy import stats

from minima.record.intervals import interval


def test_the_interval_is_students():
    values = np.random.default_rng(0).normal(3, 2, 7)
    found = interval(values)
    low, high = stats.t.interval(0.95, 6, values.mean(), stats.sem(values))
    assert found.mean == pytest.approx(values.mean())
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high))
    assert found.n == 7


def test_one_value_has_no_interval_and_none_is_no_number():
    assert interval([0.5]).describe(100, unit=" %") == "50.0 % (n = 1)"
    assert interval([]).describe() == "no values"
    assert math.isnan(interval([math.nan, math.inf]).mean)
    assert interval([math.nan]).describe() == "no values"
    assert interval([1.0, 1.0]).describe(sign="+") == "+1.0 ± 0.0 (n = 2)"


def test_the_interval_covers_as_often_as_it_says():
    draws = np.random.default_rng(1).normal(size=(2000, 3))
    hits = [abs(found.mean) <= found.half for found in map(interval, draws)]
    assert 0.93 < np.mean(hits) < 0.97
