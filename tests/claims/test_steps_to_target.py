import math

import numpy as np
import pytest

from minima.claims.steps_to_target import hyperbola, local_phases

SIZES = 2.0 ** np.arange(2, 13)


def curve(critical=100.0, fewest=500.0, seeds=8, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    luck = rng.normal(0, noise, (seeds, 1)) + rng.normal(0, noise, (seeds, len(SIZES)))
    return fewest * (1 + critical / SIZES) * np.exp(luck)


@pytest.mark.parametrize("critical", [7.0, 100.0, 3000.0])
@pytest.mark.parametrize("fewest", [1.0, 500.0])
def test_a_hyperbola_is_recovered(critical, fewest):
    found = hyperbola(SIZES, curve(critical, fewest))
    assert found.critical.estimate == pytest.approx(critical, rel=1e-3)
    assert found.fewest_steps.estimate == pytest.approx(fewest, rel=1e-3)
    assert found.r_squared == pytest.approx(1, abs=1e-6)
    assert found.bounded


def test_the_fit_is_least_squares_on_logarithms():
    from scipy.optimize import curve_fit

    steps = curve(noise=0.2, seed=3)
    found = hyperbola(SIZES, steps)
    (critical, fewest), _ = curve_fit(
        lambda b, c, s: s + np.logaddexp(0, c - np.log(b)),
        SIZES,
        np.log(steps).mean(0),
        p0=(5, 5),
    )
    assert found.critical.estimate == pytest.approx(math.exp(critical), rel=1e-3)
    assert found.fewest_steps.estimate == pytest.approx(math.exp(fewest), rel=1e-3)


@pytest.mark.slow
def test_the_planted_critical_batch_size_lies_in_its_interval():
    hits = []
    for seed in range(150):
        found = hyperbola(SIZES, curve(noise=0.1, seeds=10, seed=seed), resamples=300)
        hits.append((found.critical.contains(100), found.fewest_steps.contains(500)))
    assert (np.mean(hits, axis=0) > 0.9).all()


def test_units_scale_through():
    steps = curve(noise=0.1)
    base, other = hyperbola(SIZES, steps), hyperbola(10 * SIZES, 7 * steps)
    assert other.critical.low == pytest.approx(10 * base.critical.low)
    assert other.fewest_steps.high == pytest.approx(7 * base.fewest_steps.high)


@pytest.mark.parametrize("slope", [-1.0, 0.0])
def test_one_phase_alone_does_not_bound_the_critical_batch_size(slope):
    assert not hyperbola(SIZES, np.tile(1e4 * SIZES**slope, (3, 1))).bounded


def test_batch_sizes_that_some_seed_never_brought_there_are_listed():
    steps = curve()
    steps[3, -1] = math.nan
    steps[0, 0] = math.inf
    found = hyperbola(SIZES, steps)
    assert found.unreached == (4.0, 4096.0)
    assert found.critical.estimate == pytest.approx(100, rel=1e-3)


def test_phases_are_named_by_their_slopes():
    steps = np.array([[8000.0, 4000, 2000, 1400, 1400, 1390]])
    sizes = [1, 2, 4, 8, 16, 32]
    phases = local_phases(sizes, np.repeat(steps, 2, axis=0))
    assert [p[3] for p in phases] == ["perfect"] * 2 + ["diminishing"] + ["plateau"] * 2
    assert phases[0][:3] == pytest.approx((1, 2, -1))
    assert phases[2][2] == pytest.approx(math.log2(0.7))


@pytest.mark.parametrize(
    ("sizes", "steps", "message"),
    [
        ([1, 2], np.ones((2, 2)), "needs 3"),
        ([1, 3, 2], np.ones((2, 3)), "ascending"),
        ([0, 1, 2], np.ones((2, 3)), "positive"),
        ([1, 2, 3], np.ones((1, 3)), "2 or more seeds"),
        ([1, 2, 3], np.ones((2, 4)), "by 3 batch sizes"),
        ([1, 2, 3], np.zeros((2, 3)), "steps are positive"),
        ([1, 2, 3], np.full((2, 3), np.nan), "not 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(sizes, steps, message):
    with pytest.raises(ValueError, match=message):
        hyperbola(sizes, steps)
