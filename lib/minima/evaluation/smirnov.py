"""The two-sample Kolmogorov-Smirnov distance of many features at once, and its exact p-value.

Distances are whole numbers, in units of 1 / (n m): the p-value of two sizes is then one table, and
a detector that looks ten thousand times at windows of one size computes each entry once.
"""

import functools

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from minima.evaluation.arrays import Floats, Ints

_MOST = 10_000  # examples of either sample up to which the p-value is exact


def distances(first: Floats, second: Floats) -> Ints:
    """The largest |F(x) - G(x)| of every feature, times n m.

    Args:
      first: (n, features), finite.
      second: (m, features), finite.

    Returns:
      (features,) whole numbers from 0 to n m.
    """
    n, m = len(first), len(second)
    both = np.concatenate([first, second])
    order = np.argsort(both, axis=0, kind="stable")
    walk = np.cumsum(np.where(order < n, m, -n), axis=0)
    ranked = np.take_along_axis(both, order, axis=0)
    # Among equal values neither distribution function has risen yet.
    last = np.ones(both.shape, bool)
    last[:-1] = ranked[1:] > ranked[:-1]
    found: Ints = np.where(last, np.abs(walk), 0).max(axis=0)
    return found


@functools.lru_cache(maxsize=100_000)
def p_value(n: int, m: int, distance: int) -> float:
    """The probability that two samples of one continuous distribution lie so far apart or further.

    Exact up to 10,000 examples, by the probabilities of lattice paths that leave the band (Hodges
    1958, Arkiv för Matematik 3); asymptotic beyond.

    Args:
      n, m: sizes of the samples.
      distance: in units of 1 / (n m).
    """
    if distance <= 0:
        return 1.0
    if max(n, m) > _MOST:
        return float(stats.kstwo.sf(distance / (n * m), round(n * m / (n + m))))
    n, m = max(n, m), min(n, m)
    outside = np.zeros(m + 1)  # by how many of the smaller sample are among the first `total`
    j = np.arange(m + 1)
    for total in range(n + m + 1):
        i = total - j
        left = np.abs(i * m - j * n) >= distance
        if total:
            outside = _step(outside, i, j, total)
        outside[left & (i >= 0) & (i <= n)] = 1.0
    return float(outside[m])


def _step(outside: Floats, i: NDArray, j: NDArray, total: int) -> Floats:
    """Of paths with i + j steps, the last was one of the larger sample's in a share i / (i + j)."""
    from_smaller = np.concatenate([[0.0], outside[:-1]])
    stepped: Floats = (np.maximum(i, 0) * outside + j * from_smaller) / total
    return stepped
