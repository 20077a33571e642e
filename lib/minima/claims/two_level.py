"""Differences of accuracies, counting the luck of the test set beside that of the seeds.

All seeds are tested on the same examples, so averaging over seeds never averages out which examples
were drawn; the spread over seeds can't show it. With d[s, i] in {-1, 0, 1} the difference in
correctness at seed s and example i, and crossed random effects
d[s, i] = mu + alpha_s + beta_i + gamma_si,

    Var(mean of d) = var_alpha / S + var_beta / n + var_gamma / (S n).

The seeds' squared standard error estimates the first and the last term together, without bias. What
it misses is var_beta / n, where beta_i is the seed-averaged difference at example i, less mu.

With accuracies alone var_beta can only be bounded. By the law of total variance it is at most the
variance of d over examples at one seed, which is P(d != 0) - (p - q)^2 with accuracies p and q:

    var_beta <= disagreement - (p - q)^2,

where disagreement is how often exactly one of the two is right. If that isn't known, errors are
taken as independent, p (1 - q) + q (1 - p), which makes the bound p (1 - p) + q (1 - q), the
variance of two separate test sets. It is conservative as long as examples hard for one tend to be
hard for the other. `largest_disagreement` assumes nothing.

Both bounds are wide, since one seed's variance over examples is mostly var_gamma, which averages
out over seeds. With correctness per example `crossed_interval` estimates all three terms. Coverage
in %, nominal 95, with 10 seeds, 400 examples and accuracies near 0.73 in `test_two_level`'s worlds,
where no examples, some, or many are harder for one treatment than for the other:

    paired by seed alone            95     88     77
    two_level_interval             100    100    100    (1.9 to 2.7 times as long as crossed)
    crossed_interval                96     95     95
    crossed_bootstrap_interval      99    100     99    (1.4 to 1.5 times as long as crossed)
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from minima.statistics.intervals import (
    Floats,
    Interval,
    check_confidence,
    checked_pair,
    expanded_tail,
    t_quantile,
)


def two_level_interval(
    a: ArrayLike,
    b: ArrayLike,
    n_test: int,
    disagreement: float | None = None,
    confidence: float = 0.95,
) -> Interval:
    """A conservative interval for the mean of a - b over seeds and test examples.

    The variance is that of the seeds plus the bound above over n_test; degrees of freedom are
    Welch's and Satterthwaite's (1946, Biometrics Bulletin 2), with n_test - 1 for the bound.

    Args:
      a: (S,) accuracies in [0, 1] by seed, S >= 2, all on the same n_test examples.
      b: (S,) accuracies of the other treatment, in the same order of seeds.
      n_test: number of test examples, >= 2.
      disagreement: share of examples which exactly one of a pair gets right, averaged over seeds;
        None for independent errors.
      confidence: nominal, in (0, 1).

    Raises:
      ValueError: accuracies outside [0, 1], samples that don't pair, a disagreement that the
        accuracies rule out, or n_test < 2.
    """
    first, second = checked_pair(a, b)
    if min(first.min(), second.min()) < 0 or max(first.max(), second.max()) > 1:
        raise ValueError("accuracies lie between 0 and 1")
    if n_test < 2:
        raise ValueError(f"an interval needs at least 2 test examples, not {n_test}")
    n, difference = len(first), first - second
    of_seeds = float(difference.var(ddof=1)) / n
    bound = _example_variance(float(first.mean()), float(second.mean()), disagreement)
    of_examples = bound / n_test
    half = _half(of_seeds + of_examples, [(of_seeds, n - 1), (of_examples, n_test - 1)], confidence)
    mean = float(difference.mean())
    return Interval(mean, mean - half, mean + half, confidence, n, "t, test examples bounded")


def largest_disagreement(p: float, q: float) -> float:
    """The most that models of accuracies p and q can disagree: min(p + q, 2 - p - q)."""
    return min(p + q, 2 - p - q)


def crossed_interval(differences: ArrayLike, confidence: float = 0.95) -> Interval:
    """An interval for the mean of d[s, i] over seeds and test examples, by analysis of variance.

    Variance components of the crossed design without replication (Searle, Casella and McCulloch
    1992, Variance Components, section 4.7) with Satterthwaite's degrees of freedom; a negative
    estimate of var_beta counts as zero.

    Args:
      differences: (S, n), S >= 2 seeds by n >= 2 test examples shared by all: correctness of one
        treatment less that of the other, or any linear combination of such matrices.
      confidence: nominal, in (0, 1).

    Raises:
      ValueError: another shape, or a value that is not finite.
    """
    d = _checked_matrix(differences)
    seeds, examples = d.shape
    mean, by_seed, by_example = d.mean(), d.mean(1, keepdims=True), d.mean(0, keepdims=True)
    squares = np.array(
        [
            examples * ((by_seed - mean) ** 2).sum() / (seeds - 1),
            seeds * ((by_example - mean) ** 2).sum() / (examples - 1),
            ((d - by_seed - by_example + mean) ** 2).sum() / ((seeds - 1) * (examples - 1)),
        ]
    )
    of_seed, of_example, of_rest = (squares / d.size).tolist()
    dfs = (seeds - 1, examples - 1, (seeds - 1) * (examples - 1))
    terms = [(of_seed, dfs[0])]
    if of_example > of_rest:
        terms += [(of_example, dfs[1]), (-of_rest, dfs[2])]
    half = _half(sum(term for term, _ in terms), terms, confidence)
    centre = float(mean)
    method = "t, seeds crossed with test examples"
    return Interval(centre, centre - half, centre + half, confidence, seeds, method)


def crossed_bootstrap_interval(
    differences: ArrayLike, resamples: int = 2000, seed: int = 0, confidence: float = 0.95
) -> Interval:
    """The same by resampling seeds and examples independently.

    Owen 2007 (Annals of Applied Statistics 1, "The pigeonhole bootstrap"). Its variance counts
    var_gamma / (S n) three times, which for correctness (0 or 1) is a large part, so it is longer
    than `crossed_interval` and covers more than nominal: a second opinion that assumes no
    distribution. Percentiles are expanded for S seeds, as in `resampling_interval`.

    Args:
      differences: (S, n), as for `crossed_interval`.
      resamples: number of bootstrap samples.
      seed: of the resampling.
      confidence: nominal, in (0, 1).

    Raises:
      ValueError: another shape, or a value that is not finite.
    """
    d = _checked_matrix(differences)
    seeds, examples = d.shape
    rng = np.random.default_rng(seed)
    rows = rng.multinomial(seeds, np.full(seeds, 1 / seeds), resamples) / seeds
    means = np.empty(resamples)
    for r in range(resamples):  # one resample of the examples at a time, to stay small in memory
        picked = np.bincount(rng.integers(0, examples, examples), minlength=examples)
        means[r] = rows[r] @ (d @ (picked / examples))
    tail = expanded_tail(seeds, confidence)
    low, high = np.quantile(means, [tail, 1 - tail]).tolist()
    method = "expanded percentile, seeds crossed with test examples"
    return Interval(float(d.mean()), low, high, confidence, seeds, method)


def _example_variance(p: float, q: float, disagreement: float | None) -> float:
    gap = abs(p - q)
    if disagreement is None:
        return p * (1 - p) + q * (1 - q)
    # A rounding of either mean is no contradiction.
    if not gap - 1e-9 <= disagreement <= largest_disagreement(p, q) + 1e-9:
        raise ValueError(
            f"models of accuracy {p:g} and {q:g} disagree on {gap:g} to "
            f"{largest_disagreement(p, q):g} of the examples, not {disagreement:g}"
        )
    return max(disagreement - gap**2, 0.0)


def _half(variance: float, terms: list[tuple[float, int]], confidence: float) -> float:
    """Half an interval whose variance is a sum of mean squares: (signed term, its df)."""
    if variance <= 0:
        check_confidence(confidence)
        return 0.0
    # Divided first, so that the squares of tiny variances don't underflow.
    df = 1 / sum((term / variance) ** 2 / df for term, df in terms)
    return t_quantile(confidence, df) * math.sqrt(variance)


def _checked_matrix(differences: ArrayLike) -> Floats:
    d = np.asarray(differences, np.float64)
    if d.ndim != 2 or min(d.shape) < 2:
        raise ValueError(f"needs 2 or more seeds by 2 or more examples, not shape {d.shape}")
    if not np.isfinite(d).all():
        raise ValueError("a value is not finite; leave failed runs out and report how many failed")
    return d
