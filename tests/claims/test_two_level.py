import numpy as np
import pytest

from minima.claims.two_level import (
    crossed_bootstrap_interval,
    crossed_interval,
    largest_disagreement,
    two_level_interval,
)
from minima.statistics.intervals import Interval, paired_interval, t_quantile

SEEDS, EXAMPLES = 10, 400


def world(rng, difference=0.8):
    """Correctness of two treatments, (SEEDS, EXAMPLES) each, whose true accuracies are equal.

    Examples are hard or easy for both, and some harder for one; which are drawn is chance. Seeds
    differ in skill, the same for both treatments.
    """
    hard = rng.normal(1.5, 1.5, EXAMPLES)
    skill = rng.normal(0, 0.1, (SEEDS, 1))
    pair = []
    for _ in range(2):
        logit = hard + skill + difference * rng.normal(size=EXAMPLES)
        logit = logit + 0.1 * rng.normal(size=(SEEDS, 1))
        pair.append((rng.random((SEEDS, EXAMPLES)) < 1 / (1 + np.exp(-logit))).astype(float))
    return pair


def coverages(difference, simulations=2000):
    """How often each interval contains the true difference, zero."""
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(simulations):
        x, y = world(rng, difference)
        a, b = x.mean(1), y.mean(1)
        found = [
            paired_interval(a, b),
            two_level_interval(a, b, EXAMPLES),
            two_level_interval(a, b, EXAMPLES, float((x != y).mean())),
            crossed_interval(x - y),
        ]
        hits.append([interval.contains(0) for interval in found])
    return np.mean(hits, axis=0)


@pytest.mark.slow
def test_the_seeds_alone_miss_the_luck_of_the_test_set():
    seeds, independent, known, crossed = coverages(0.8)
    assert 0.85 < seeds < 0.92
    assert min(independent, known) >= 0.99
    assert 0.935 <= crossed <= 0.965


@pytest.mark.slow
def test_without_such_luck_all_of_them_hold():
    seeds, independent, known, crossed = coverages(0.0)
    assert 0.935 <= seeds <= 0.965
    assert min(independent, known) >= 0.99
    assert 0.935 <= crossed <= 0.975


@pytest.mark.slow
def test_the_crossed_bootstrap_is_conservative():
    rng = np.random.default_rng(4)
    hits = []
    for _ in range(300):
        x, y = world(rng)
        hits.append(crossed_bootstrap_interval(x - y, resamples=400).contains(0))
    assert np.mean(hits) >= 0.97


def test_the_bound_by_its_formula():
    a, b, n = np.array([0.8, 0.82, 0.81]), np.array([0.7, 0.74, 0.71]), 5
    found = two_level_interval(a, b, n)
    of_seeds = (a - b).var(ddof=1) / 3
    p, q = a.mean(), b.mean()
    of_examples = (p * (1 - p) + q * (1 - q)) / n
    df = (of_seeds + of_examples) ** 2 / (of_seeds**2 / 2 + of_examples**2 / (n - 1))
    half = t_quantile(0.95, df) * np.sqrt(of_seeds + of_examples)
    assert found.estimate == pytest.approx((a - b).mean())
    assert found.high - found.estimate == pytest.approx(half)
    assert found.estimate - found.low == pytest.approx(half)


def test_independent_errors_are_what_is_assumed_where_disagreement_is_unknown():
    a, b = [0.8, 0.82], [0.7, 0.74]
    p, q = np.mean(a), np.mean(b)
    known = two_level_interval(a, b, 100, p * (1 - q) + q * (1 - p))
    assert known.low == pytest.approx(two_level_interval(a, b, 100).low)
    worst = two_level_interval(a, b, 100, largest_disagreement(p, q))
    least = two_level_interval(a, b, 100, abs(p - q))
    assert worst.low < known.low < least.low


def test_many_test_examples_leave_the_seeds_interval():
    a, b = np.random.default_rng(0).uniform(0.6, 0.9, (2, 8))
    many, seeds = two_level_interval(a, b, 10**12), paired_interval(a, b)
    assert (many.low, many.high) == pytest.approx((seeds.low, seeds.high), rel=1e-6)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("q", [0.2, 0.8, 0.95])
def test_the_largest_disagreement_by_linear_programming(p, q):
    from scipy.optimize import linprog

    # Shares of examples: both right, first only, second only, neither.
    found = linprog([0, -1, -1, 0], A_eq=[[1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1]], b_eq=[p, q, 1])
    assert largest_disagreement(p, q) == pytest.approx(-found.fun)


def test_the_crossed_interval_is_t_over_seeds_where_examples_do_not_differ():
    by_seed = np.array([0.1, 0.3, 0.2, 0.6])
    d = np.repeat(by_seed[:, None], 5, axis=1)
    found, expected = crossed_interval(d), paired_interval(by_seed, np.zeros(4))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    # And over examples where seeds don't differ: the two ways are symmetric.
    turned = crossed_interval(d.T)
    assert turned.estimate == pytest.approx(0.3)
    assert turned.high - turned.low == pytest.approx(found.high - found.low)


def test_the_crossed_interval_by_its_mean_squares():
    d = np.array([[1.0, 0, 0, 2], [0, 1, 0, 3], [1, 1, 1, 3]])
    rest = d - d.mean(1, keepdims=True) - d.mean(0) + d.mean()
    of_seed, of_example = d.mean(1).var(ddof=1) / 3, d.mean(0).var(ddof=1) / 4
    of_rest = (rest**2).sum() / 6 / 12
    variance = of_seed + of_example - of_rest
    df = variance**2 / (of_seed**2 / 2 + of_example**2 / 3 + of_rest**2 / 6)
    found = crossed_interval(d)
    assert found.high - d.mean() == pytest.approx(t_quantile(0.95, df) * np.sqrt(variance))
    assert d.mean() - found.low == pytest.approx(t_quantile(0.95, df) * np.sqrt(variance))


def test_a_negative_variance_of_examples_counts_as_none():
    d = np.array([[1.0, 0, 0.1], [0.1, 1.1, 0.0]])  # examples alike, seeds and the rest not
    expected = paired_interval(d.mean(1), np.zeros(2))
    assert d.mean(0).var(ddof=1) / 3 < ((d - d.mean(0)) ** 2).sum() / 12
    assert crossed_interval(d).high == pytest.approx(expected.high)


def test_the_crossed_variance_has_the_right_expectation():
    # E of the squared half-width over t^2 is the variance of the mean, for normal components.
    rng = np.random.default_rng(5)
    var_seed, var_example, var_rest, s, n = 0.5, 2.0, 1.0, 6, 30
    truth = var_seed / s + var_example / n + var_rest / (s * n)
    means, spreads = [], []
    for _ in range(4000):
        d = np.sqrt(var_seed) * rng.normal(size=(s, 1)) + np.sqrt(var_example) * rng.normal(size=n)
        d = d + np.sqrt(var_rest) * rng.normal(size=(s, n))
        means.append(d.mean())
        by_seed, by_example = d.mean(1).var(ddof=1) / s, d.mean(0).var(ddof=1) / n
        rest = d - d.mean(1, keepdims=True) - d.mean(0) + d.mean()
        spreads.append(by_seed + by_example - (rest**2).sum() / ((s - 1) * (n - 1)) / (s * n))
    assert np.var(means) == pytest.approx(truth, rel=0.07)
    assert np.mean(spreads) == pytest.approx(truth, rel=0.05)
    half = crossed_interval(d).high - crossed_interval(d).estimate
    ratio = half**2 / spreads[-1]
    # Between t of the most and of the fewest degrees of freedom.
    assert t_quantile(0.95, n + s) ** 2 < ratio < t_quantile(0.95, s - 1) ** 2 * 1.001


def test_the_pigeonhole_bootstrap_spreads_as_owen_computed():
    # Its exact variance: mean squares of rows and columns without Bessel's correction, and theirs.
    rng = np.random.default_rng(6)
    d = rng.normal(size=(5, 1)) + rng.normal(size=12) + rng.normal(size=(5, 12))
    rows, columns = d.mean(1).var() / 5, d.mean(0).var() / 12
    rest = (d - d.mean(1, keepdims=True) - d.mean(0) + d.mean()).var() / 60
    sigma = np.sqrt(rows + columns + rest)
    found = crossed_bootstrap_interval(d, resamples=20_000, confidence=0.5)
    from scipy.stats import norm

    from minima.statistics.intervals import expanded_tail

    expected = 2 * norm.isf(expanded_tail(5, 0.5)) * sigma
    assert found.high - found.low == pytest.approx(expected, rel=0.05)


def test_treatments_that_never_differ_have_an_interval_without_width():
    found = crossed_interval(np.zeros((3, 4)))
    assert (found.low, found.high) == (0, 0)
    assert two_level_interval([1.0, 1.0], [1.0, 1.0], 50).high == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.1, 1.2], [0.1, 0.2], 9), "between 0 and 1"),
        (([0.1, 0.2], [0.1], 9), "at least 2"),
        (([0.1, 0.2], [0.1, 0.2, 0.3], 9), "one length"),
        (([0.1, 0.2], [0.1, 0.2], 1), "2 test examples"),
        (([0.9, 0.9], [0.5, 0.5], 9, 0.3), "disagree on"),
        (([0.9, 0.9], [0.5, 0.5], 9, 0.7), "disagree on"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        two_level_interval(*arguments)


@pytest.mark.parametrize("make", [crossed_interval, crossed_bootstrap_interval])
def test_a_matrix_is_needed(make):
    assert isinstance(make(np.eye(3)), Interval)
    for bad in (np.zeros(3), np.zeros((1, 5)), np.zeros((5, 1)), np.full((2, 2), np.nan)):
        with pytest.raises(ValueError, match=r"seeds by|not finite"):
            make(bad)
