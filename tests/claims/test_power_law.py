import numpy as np
import pytest

from minima.claims.power_law import power_law


@pytest.mark.parametrize("exponent", [-1.5, 0.0, 1.0, 2.0])
def test_a_power_law_is_found_again(exponent):
    x = np.array([1.0, 3.0, 10.0, 200.0])
    found = power_law(x, 7 * x**exponent)
    assert found.exponent == pytest.approx(exponent, abs=1e-12)
    assert found.factor == pytest.approx(7)
    assert found(5.0) == pytest.approx(7 * 5**exponent)


def test_it_is_the_least_squares_line_on_logarithms():
    random = np.random.default_rng(0)
    x = np.geomspace(1, 100, 20)
    y = 2 * x * np.exp(random.normal(size=20))
    slope, start = np.polyfit(np.log(x), np.log(y), 1)
    found = power_law(x, y)
    assert (found.exponent, np.log(found.factor)) == pytest.approx((slope, start))


@pytest.mark.parametrize(
    ("x", "y"), [([1.0], [1.0]), ([2, 2], [1, 3]), ([1, 2], [0, 1]), ([1, 2], [1, np.nan])]
)
def test_what_tells_no_slope_is_refused(x, y):
    with pytest.raises(ValueError, match="exponent needs"):
        power_law(x, y)
