"""The best learning rate and how it grows with the batch size: linearly, by the square root?

All fits are on logarithms. Seeds are resampled together for all rates and batch sizes, since they
share data order and initial weights. In simulations nominal 95 % intervals of the best rate covered
93 to 95 %, of the exponent 96 %, at 5 and at 10 seeds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minima.statistics.intervals import Floats, Indices, Interval, resampling_interval


@dataclass(frozen=True)
class BestRate:
    """Where the seeds' mean score peaks.

    Attributes:
      rate: the learning rate, with an interval by resampling seeds. It knows nothing of the grid's
        coarseness beyond the parabola.
      bounded_by: "both" where worse rates lie on both sides. "failures" where a neighbouring rate
        failed for some seed: then the best grid rate itself is the estimate, right to within a grid
        step. "nothing below" or "nothing above" where the grid ends: then the estimate is a bound.
    """

    rate: Interval
    bounded_by: str

    @property
    def censored(self) -> bool:
        """Whether the optimum lies beyond the grid for all we know."""
        return self.bounded_by.startswith("nothing")


@dataclass(frozen=True)
class RateExponent:
    """The exponent k of best rate ~ batch size ** k: 1 is linear scaling, 1/2 the square root.

    Attributes:
      exponent: by least squares on logarithms, over the batch sizes whose optimum is not censored.
      optima: by batch size.
      censored: the batch sizes left out because their optimum is at the edge of the grid. Leaving
        out is not neutral: if large batches are missing, the exponent speaks of small ones only.
    """

    exponent: Interval
    optima: dict[float, BestRate]
    censored: tuple[float, ...]


def best_rate(
    rates: ArrayLike,
    scores: ArrayLike,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> BestRate:
    """The vertex of the parabola through the best mean score and its neighbours, in log rate.

    A rate at which any seed failed can't be the best: a mean over the survivors would flatter it.

    Args:
      rates: (R,) > 0, ascending, R >= 3.
      scores: (S, R), S >= 2 seeds; larger is better (pass -loss); NaN or infinite where a run
        failed.
      resamples: number of bootstrap samples.
      seed: of the resampling.
      confidence: nominal, in (0, 1).

    Raises:
      ValueError: shapes that don't match, rates that don't ascend, or failures at every rate.
    """
    logs, table = _checked_plane(rates, scores)
    usable = _usable(table)

    def located(picks: Indices) -> Floats:
        return _log_best(logs, table, usable, picks)

    found = resampling_interval(located, len(table), resamples, seed, confidence)
    top = int(_tops(table[:, usable].mean(0)[None])[0])
    return BestRate(found.map(math.exp), _bounded_by(usable, int(np.flatnonzero(usable)[top])))


def rate_exponent(
    batch_sizes: ArrayLike,
    rates: Sequence[ArrayLike],
    scores: Sequence[ArrayLike],
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> RateExponent:
    """Fits best rate against batch size and resamples seeds through the whole pipeline.

    Which optima are censored is decided on all seeds; in a resample an optimum that slips to the
    edge counts at the edge.

    Args:
      batch_sizes: (K,) > 0, K >= 2, all different.
      rates: K rows as for `best_rate`; grids may differ between batch sizes.
      scores: K planes (S, R_k) with the same S seeds in the same order.
      resamples: number of bootstrap samples.
      seed: of the resampling.
      confidence: nominal, in (0, 1).

    Raises:
      ValueError: what `best_rate` refuses, or fewer than two batch sizes with a located optimum.
    """
    sizes = np.asarray(batch_sizes, np.float64)
    if sizes.ndim != 1 or not len(sizes) == len(rates) == len(scores) or not (sizes > 0).all():
        raise ValueError("give one row of rates and one plane of scores for each batch size")
    planes = [_checked_plane(r, s) for r, s in zip(rates, scores, strict=True)]
    if len({len(table) for _, table in planes}) > 1:
        raise ValueError("every batch size needs the same seeds")
    pairs = zip(rates, scores, strict=True)
    fits = [best_rate(r, s, resamples, seed, confidence) for r, s in pairs]
    kept = [k for k, fit in enumerate(fits) if not fit.censored]
    if len(set(sizes[kept])) < 2:
        raise ValueError(
            f"only {len(kept)} batch sizes have an optimum inside the grid; widen the rates"
        )
    x = np.log(sizes[kept])
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()  # of the least-squares slope

    def slope(picks: Indices) -> Floats:
        located = [
            _log_best(logs, table, _usable(table), picks)
            for logs, table in (planes[k] for k in kept)
        ]
        slopes: Floats = weights @ np.array(located)
        return slopes

    exponent = resampling_interval(slope, len(planes[0][1]), resamples, seed, confidence)
    censored = tuple(float(sizes[k]) for k, fit in enumerate(fits) if fit.censored)
    return RateExponent(exponent, dict(zip(sizes.tolist(), fits, strict=True)), censored)


def _checked_plane(rates: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    row, table = np.asarray(rates, np.float64), np.asarray(scores, np.float64)
    if row.ndim != 1 or len(row) < 3 or not (row > 0).all() or not (np.diff(row) > 0).all():
        raise ValueError("a best rate needs 3 or more positive rates in ascending order")
    if table.ndim != 2 or table.shape[1] != len(row) or len(table) < 2:
        raise ValueError(f"scores need 2 or more seeds by {len(row)} rates, not {table.shape}")
    if not np.isfinite(table).all(0).any():
        raise ValueError("some seed failed at every rate")
    return np.log(row), table


def _usable(table: Floats) -> NDArray[np.bool_]:
    """Rates at which no seed failed."""
    return np.asarray(np.isfinite(table).all(0))


def _tops(means: Floats) -> Indices:
    """The place of each row's maximum; among equals the middle one, for a plateau's sake."""
    equal = means == means.max(1, keepdims=True)
    ranks = equal.cumsum(1)
    middle = (ranks[:, -1:] + 1) // 2
    return np.argmax(equal & (ranks == middle), axis=1)


def _log_best(logs: Floats, table: Floats, usable: NDArray[np.bool_], picks: Indices) -> Floats:
    """Log of the best rate for each resample of the seeds, (m,)."""
    x = logs[usable]
    means = table[:, usable][picks].mean(1)
    top = _tops(means)
    best: Floats = x[top].copy()
    places = np.flatnonzero(usable)[top]
    # A parabola needs both neighbours of the grid; next to a failure the score has no smooth top.
    padded = np.concatenate([[False], usable, [False]])
    inner = padded[places] & padded[places + 2]
    row, middle = np.flatnonzero(inner), top[inner]
    left, right = x[middle] - x[middle - 1], x[middle + 1] - x[middle]
    down = (means[row, middle] - means[row, middle - 1]) / left
    up = (means[row, middle + 1] - means[row, middle]) / right
    # Slopes at the midpoints of the two intervals; the parabola's slope is linear between them.
    bend = down - up
    share = np.divide(down, bend, out=np.full_like(down, 0.5), where=bend > 0)
    best[row] += -left / 2 + share * (left + right) / 2
    return best


def _bounded_by(usable: NDArray[np.bool_], place: int) -> str:
    if place == 0:
        return "nothing below"
    if place == len(usable) - 1:
        return "nothing above"
    return "both" if usable[place - 1] and usable[place + 1] else "failures"
