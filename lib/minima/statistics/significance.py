"""Permutation tests, exact where enumeration is small, and Holm's correction.

Two-sided or one-sided; a permutation as extreme as the data counts. By Monte Carlo, with m
permutations of which b are as extreme, p = (b + 1)/(m + 1), which keeps the level (Phipson and
Smyth 2010, Statistical Applications in Genetics and Molecular Biology 9).
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from minima.statistics.intervals import Floats, checked

Alternative = Literal["two-sided", "greater", "less"]

MOST_EXACT = 2**16
_CHUNK = 4096  # permutations at a time, to stay small in memory


@dataclass(frozen=True)
class Significance:
    """How surprising the data are if nothing is there.

    Attributes:
      p: the p-value, in (0, 1].
      statistic: the observed mean (difference), in the unit of the values.
      permutations: how many were compared with the data.
      exact: whether those were all there are.
    """

    p: float
    statistic: float
    permutations: int
    exact: bool


def sign_flip_test(
    differences: ArrayLike,
    alternative: Alternative = "two-sided",
    permutations: int = 99_999,
    seed: int = 0,
) -> Significance:
    """Tests that paired differences are symmetric about zero (Fisher 1935, section 21).

    Exact up to 16 pairs; the smallest two-sided p of n pairs is 2/2**n.

    Args:
      differences: (n,), n >= 2, finite, one per seed.
      alternative: "greater" asks whether the mean is above zero.
      permutations: Monte Carlo draws where there are more than 2**16 sign patterns.
      seed: of those draws.

    Raises:
      ValueError: too few values, or one that is not finite.
    """
    d = checked(differences)
    n, exact = len(d), 2 ** len(d) <= MOST_EXACT
    rng = np.random.default_rng(seed)

    def flipped(start: int, stop: int) -> Floats:
        if exact:
            signs = 1 - 2 * ((np.arange(start, stop)[:, None] >> np.arange(n)) & 1)
        else:
            signs = 1 - 2 * rng.integers(0, 2, (stop - start, n))
        means: Floats = signs @ d / n
        return means

    count = 2**n if exact else permutations
    scale = float(np.abs(d).mean())
    return _compare(float(d.mean()), flipped, count, exact, alternative, scale)


def permutation_test(
    a: ArrayLike,
    b: ArrayLike,
    alternative: Alternative = "two-sided",
    permutations: int = 99_999,
    seed: int = 0,
) -> Significance:
    """Tests that two independent samples share one distribution, by the difference of their means.

    Exact where there are at most 2**16 ways to deal the values out. Runs that share a seed are
    paired: use `sign_flip_test`.

    Args:
      a: (n,), n >= 2, finite.
      b: (m,), m >= 2, finite.
      alternative: "greater" asks whether the mean of a is above that of b.
      permutations: Monte Carlo draws where there are too many ways to enumerate.
      seed: of those draws.

    Raises:
      ValueError: too few values, or one that is not finite.
    """
    first, second = checked(a), checked(b)
    pool, n = np.concatenate([first, second]), len(first)
    ways = math.comb(len(pool), n)
    exact = ways <= MOST_EXACT
    rng = np.random.default_rng(seed)
    deals = itertools.combinations(range(len(pool)), n)

    def dealt(start: int, stop: int) -> Floats:
        if exact:
            chosen = np.array(list(itertools.islice(deals, stop - start)))
        else:
            order = np.broadcast_to(np.arange(len(pool)), (stop - start, len(pool)))
            chosen = rng.permuted(order, axis=1)[:, :n]
        sums = pool[chosen].sum(1)
        means: Floats = sums / n - (pool.sum() - sums) / len(second)
        return means

    observed = float(first.mean() - second.mean())
    scale = float(np.abs(pool - pool.mean()).mean())
    return _compare(observed, dealt, ways if exact else permutations, exact, alternative, scale)


def holm(p_values: ArrayLike) -> Floats:
    """Adjusted p-values that hold for all hypotheses together (Holm 1979, Scand. J. Stat. 6).

    Rejecting where the adjusted value is at most alpha keeps the chance of any false rejection
    below alpha, whatever the dependence.

    Args:
      p_values: (k,) in [0, 1].

    Returns:
      (k,) in the same order, each at least the raw value and at most 1.

    Raises:
      ValueError: a value outside [0, 1], or another shape.
    """
    p = np.asarray(p_values, np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p-values are a row of numbers between 0 and 1")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def _compare(
    observed: float,
    draw: Callable[[int, int], Floats],
    count: int,
    exact: bool,
    alternative: Alternative,
    scale: float,
) -> Significance:
    if alternative not in ("two-sided", "greater", "less"):
        raise ValueError(f"alternative is two-sided, greater or less, not {alternative!r}")
    # Sums in another order round differently; what is equal in exact numbers must count as equal.
    slack = 1e-10 * max(scale, abs(observed))
    extreme = 0
    for start in range(0, count, _CHUNK):
        drawn = draw(start, min(start + _CHUNK, count))
        if alternative == "two-sided":
            hits = np.abs(drawn) >= abs(observed) - slack
        elif alternative == "greater":
            hits = drawn >= observed - slack
        else:
            hits = drawn <= observed + slack
        extreme += int(hits.sum())
    p = extreme / count if exact else (extreme + 1) / (count + 1)
    return Significance(p, observed, count, exact)
