import math

import numpy as np
import pytest

from minima.claims.broken_line import broken_line

SIZES = 2.0 ** np.arange(2, 13)


def curve(critical=100.0, above=0.0, seeds=8, noise=0.0, seed=0):
    """Perfect scaling up to `critical`, then slope `above`; 1,000 steps at the break."""
    rng = np.random.default_rng(seed)
    past = np.log(SIZES / critical)
    logs = math.log(1000) - np.minimum(past, 0) + above * np.maximum(past, 0)
    return np.exp(logs + noise * rng.normal(size=(seeds, len(SIZES))))


@pytest.mark.parametrize("critical", [20.0, 64.0, 100.0, 1000.0])
@pytest.mark.parametrize("above", [0.0, -0.4])
def test_a_broken_line_is_recovered(critical, above):
    found = broken_line(SIZES, curve(critical, above), resamples=200)
    assert found.critical.estimate == pytest.approx(critical, rel=1e-9)
    assert found.steps.estimate == pytest.approx(1000, rel=1e-9)
    assert found.below.estimate == pytest.approx(-1)
    assert found.above.estimate == pytest.approx(above, abs=1e-9)
    assert found.critical.high == pytest.approx(critical, rel=1e-9)
    assert found.p == pytest.approx(1 / 201)


@pytest.mark.parametrize("seed", range(6))
def test_no_break_anywhere_fits_better(seed):
    # Brute force over a fine grid of breaks, on noise that has no structure to help.
    steps = np.exp(np.random.default_rng(seed).normal(size=(2, 8)))
    sizes = np.array([1.0, 2, 4, 8, 20, 50, 60, 200])
    x, y = np.log(sizes), np.log(steps).mean(0)

    def error(place):
        design = np.column_stack([np.ones(8), np.minimum(x - place, 0), np.maximum(x - place, 0)])
        return np.linalg.norm(y - design @ np.linalg.lstsq(design, y)[0])

    grid = np.linspace(x[1], x[-2], 4000)
    errors = [error(place) for place in grid]
    found = broken_line(sizes, steps, resamples=10)
    assert error(math.log(found.critical.estimate)) <= min(errors) + 1e-9
    place = math.log(found.critical.estimate)
    lines = np.where(x < place, found.below.estimate, found.above.estimate) * (x - place)
    rest = np.linalg.norm(y - math.log(found.steps.estimate) - lines)
    assert rest == pytest.approx(error(place), rel=1e-6)


@pytest.mark.slow
def test_planted_values_lie_in_their_intervals():
    hits = []
    for seed in range(200):
        steps = curve(noise=0.1, seeds=10, seed=seed)
        found = broken_line(SIZES, steps, resamples=300)
        hits.append(
            [found.critical.contains(100), found.below.contains(-1), found.above.contains(0)]
        )
    assert (np.mean(hits, axis=0) > 0.9).all()


@pytest.mark.slow
def test_a_straight_line_is_called_broken_as_rarely_as_it_says():
    values = []
    for seed in range(300):
        straight = 1e4 * SIZES**-0.7
        noise = np.random.default_rng(seed).normal(0, 0.1, (4, len(SIZES)))
        values.append(broken_line(SIZES, straight * np.exp(noise), resamples=199, seed=seed).p)
    assert 0.02 < np.mean(np.array(values) <= 0.05) < 0.085
    assert np.mean(values) == pytest.approx(0.5, abs=0.06)


def test_an_exact_straight_line_has_no_break():
    assert broken_line(SIZES, np.tile(1e4 / SIZES, (3, 1)), resamples=50).p == 1


def test_units_scale_through():
    steps = curve(noise=0.1)
    base, other = broken_line(SIZES, steps), broken_line(10 * SIZES, 7 * steps)
    assert other.critical.low == pytest.approx(10 * base.critical.low)
    assert other.steps.high == pytest.approx(7 * base.steps.high)
    assert (other.below.low, other.p) == pytest.approx((base.below.low, base.p))


def test_batch_sizes_that_some_seed_never_brought_there_are_listed():
    steps = curve()
    steps[3, -1] = math.nan
    found = broken_line(SIZES, steps, resamples=20)
    assert found.unreached == (4096.0,)
    assert found.critical.estimate == pytest.approx(100)


def test_five_batch_sizes_are_needed():
    with pytest.raises(ValueError, match="needs 5"):
        broken_line([1, 2, 4, 8], np.ones((3, 4)))
