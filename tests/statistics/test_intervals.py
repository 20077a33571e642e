import math

import numpy as np
import pytest
from scipy import stats

from minima.statistics.intervals import (
    Interval,
    bca_interval,
    binomial_interval,
    expanded_tail,
    paired_interval,
    resampling_interval,
    resampling_intervals,
    t_interval,
)

VALUES = np.random.default_rng(0).gamma(2, size=12)


def limits(interval):
    return interval.low, interval.high


def test_the_t_interval_is_scipys():
    found = t_interval(VALUES, 0.9)
    expected = stats.ttest_1samp(VALUES, 0).confidence_interval(0.9)
    assert limits(found) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert (found.estimate, found.n, found.confidence) == (VALUES.mean(), 12, 0.9)


def test_an_interval_contains_its_limits():
    found = Interval(1.0, 0.0, 2.0, 0.95, 3, "t")
    assert found.contains(0)
    assert found.contains(2)
    assert found.excludes(2.1)
    assert limits(found.map(math.exp)) == (1, math.exp(2))


def test_pairs_are_compared_by_their_differences():
    noise = np.random.default_rng(1).normal(size=12)
    assert paired_interval(VALUES + 1 + noise / 9, VALUES) == t_interval(
        VALUES + 1 + noise / 9 - VALUES
    )
    forth, back = paired_interval(VALUES, noise), paired_interval(noise, VALUES)
    assert limits(forth) == pytest.approx((-back.high, -back.low))


@pytest.mark.parametrize("make", [t_interval, bca_interval])
def test_values_without_spread_give_an_interval_without_width(make):
    found = make([0.1] * 7)
    assert limits(found) == (found.estimate, found.estimate)
    assert found.estimate == pytest.approx(0.1, rel=1e-15)


@pytest.mark.parametrize("make", [t_interval, bca_interval])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0], "at least 2"),
        ([], "at least 2"),
        ([[1.0, 2.0]], "at least 2"),
        ([1.0, math.nan], "not finite"),
        ([1.0, math.inf], "not finite"),
    ],
)
def test_what_has_no_interval_is_refused(make, values, message):
    with pytest.raises(ValueError, match=message):
        make(values)


@pytest.mark.parametrize("confidence", [0, 1, 1.5, math.nan])
def test_confidence_is_a_probability(confidence):
    for make in (t_interval, bca_interval):
        with pytest.raises(ValueError, match="confidence"):
            make(VALUES, confidence=confidence)
    with pytest.raises(ValueError, match="confidence"):
        binomial_interval(1, 2, confidence)


def test_pairs_need_one_length():
    with pytest.raises(ValueError, match="one length"):
        paired_interval([1, 2], [1, 2, 3])


def test_bca_by_its_formula():
    # Efron 1987 by hand, on scipy's own resamples.
    found = bca_interval(VALUES, resamples=4000, seed=5)
    picks = np.random.default_rng(5).integers(0, 12, (4000, 12))
    means, estimate = VALUES[picks].mean(1), VALUES.mean()
    z0 = stats.norm.ppf(((means < estimate).mean() + (means <= estimate).mean()) / 2)
    jackknife = np.array([np.delete(VALUES, k).mean() for k in range(12)])
    u = jackknife.mean() - jackknife
    a = (u**3).sum() / (6 * (u**2).sum() ** 1.5)
    z = z0 + stats.norm.ppf([0.025, 0.975])
    expected = np.quantile(means, stats.norm.cdf(z0 + z / (1 - a * z)))
    assert limits(found) == pytest.approx(tuple(expected), rel=1e-12)
    assert found.method == "BCa"


def test_bca_repeats_itself_and_follows_scale_and_shift():
    base = bca_interval(VALUES, seed=3)
    assert bca_interval(VALUES, seed=3) == base
    assert bca_interval(VALUES, seed=4) != base
    moved = bca_interval(10 * VALUES + 7, seed=3)
    assert limits(moved) == pytest.approx((10 * base.low + 7, 10 * base.high + 7), rel=1e-9)


def test_ties_that_bca_cannot_handle_fall_back_on_percentiles():
    values = [1.0] * 6 + [2.0] * 3
    found = bca_interval(values, np.median)
    assert found.method.startswith("percentile")
    assert limits(found) == (1, 2)
    tied = bca_interval([0.0] * 9 + [1.0])
    assert tied.method == "BCa"
    assert np.isfinite(limits(tied)).all()


def test_resampling_takes_expanded_percentiles():
    found = resampling_interval(lambda picks: VALUES[picks].mean(1), 12, resamples=5000, seed=2)
    means = VALUES[np.random.default_rng(2).integers(0, 12, (5000, 12))].mean(1)
    tail = stats.norm.cdf(-math.sqrt(12 / 11) * stats.t.ppf(0.975, 11))
    assert tail == pytest.approx(expanded_tail(12, 0.95))
    assert limits(found) == pytest.approx(tuple(np.quantile(means, [tail, 1 - tail])))
    assert found.estimate == VALUES.mean()
    # About as long as t's, where the plain percentile interval is 15 % shorter.
    plain = np.diff(np.quantile(means, [0.025, 0.975]))[0]
    width = t_interval(VALUES).high - t_interval(VALUES).low
    assert plain < 0.9 * width
    assert found.high - found.low == pytest.approx(width, rel=0.05)


def test_resampled_statistics_share_their_resamples():
    both = resampling_intervals(lambda picks: [picks.mean(1), -picks.mean(1)], 9)
    assert limits(both[0]) == pytest.approx((-both[1].high, -both[1].low))
    with pytest.raises(ValueError, match="at least 2"):
        resampling_interval(lambda picks: picks.mean(1), 1)


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (5, 5), (3, 10), (950, 1000), (1, 1)])
def test_binomial_limits_are_scipys(hits, n):
    expected = stats.binomtest(hits, n).proportion_ci(method="exact")
    found = binomial_interval(hits, n)
    assert limits(found) == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert found.estimate == hits / n


def test_binomial_limits_never_cover_too_rarely():
    found = [binomial_interval(hits, 20) for hits in range(21)]
    for rate in np.linspace(0.01, 0.99, 99):
        chances = stats.binom.pmf(range(21), 20, rate)
        assert sum(c for c, i in zip(chances, found, strict=True) if i.contains(rate)) >= 0.95


@pytest.mark.parametrize(("hits", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_counts_that_cannot_be_are_refused(hits, n):
    with pytest.raises(ValueError, match="cannot be"):
        binomial_interval(hits, n)
