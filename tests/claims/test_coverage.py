"""What the table at the head of `minima.statistics.intervals` says, by simulation."""

import numpy as np
import pytest
from scipy import stats

from minima.statistics.intervals import (
    bca_interval,
    expanded_tail,
    resampling_interval,
    t_interval,
    t_quantile,
)

N, SIMULATIONS, RESAMPLES = 10, 10_000, 2000

# Coverage in %: of t, of BCa, of expanded percentiles.
TABLE = {
    "normal": (94.9, 89.9, 94.7),
    "t with 3 degrees": (96.3, 86.7, 94.6),
    "gamma, shape 2": (92.4, 89.0, 92.6),
    "lognormal": (84.3, 83.0, 85.9),
    "lognormal less lognormal": (97.1, 83.4, 93.9),
}
CHANCE = (
    1.0  # of a coverage: three standard errors are 0.6 to 1.1 points, common resamples add some
)


def draw(name, rng):
    """Samples (SIMULATIONS, N) and their true mean."""
    shape = (SIMULATIONS, N)
    match name:
        case "normal":
            return rng.normal(size=shape), 0.0
        case "t with 3 degrees":
            return rng.standard_t(3, size=shape), 0.0
        case "gamma, shape 2":
            return rng.gamma(2, size=shape), 2.0
        case "lognormal":
            return rng.lognormal(size=shape), np.exp(0.5)
    return rng.lognormal(size=shape) - rng.lognormal(size=shape), 0.0


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE)
def test_intervals_cover_as_often_as_the_table_says(name):
    samples, truth = draw(name, np.random.default_rng(7))
    half = t_quantile(0.95, N - 1) * samples.std(1, ddof=1) / np.sqrt(N)
    t = np.stack([samples.mean(1) - half, samples.mean(1) + half])
    rng = np.random.default_rng(0)
    found = stats.bootstrap(
        (samples,), np.mean, axis=-1, n_resamples=RESAMPLES, batch=100, rng=rng, method="BCa"
    )
    bca = np.stack([found.confidence_interval.low, found.confidence_interval.high])
    tail = expanded_tail(N, 0.95)
    percentile = np.quantile(found.bootstrap_distribution, [tail, 1 - tail], axis=-1)
    check_against_the_library(samples[:3], t, bca, percentile)
    measured = [
        100 * np.mean((low <= truth) & (truth <= high)) for low, high in (t, bca, percentile)
    ]
    assert measured == pytest.approx(TABLE[name], abs=CHANCE)
    within = [93.5 <= coverage <= 96.5 for coverage in measured]
    assert within[0] == (name in ("normal", "t with 3 degrees"))
    assert not within[1]


def check_against_the_library(samples, *expected):
    """What was vectorised above is what the library computes, one sample at a time."""
    for row, values in enumerate(samples):
        found = [
            t_interval(values),
            bca_interval(values, resamples=RESAMPLES),
            resampling_interval(lambda picks, v=values: v[picks].mean(1), N, resamples=RESAMPLES),
        ]
        for interval, limits in zip(found, expected, strict=True):
            assert (interval.low, interval.high) == pytest.approx(tuple(limits[:, row]))
