"""Two straight lines that meet: where perfect scaling of steps with batch size ends.

Log steps to a target against log batch size (Shallue 2019, arXiv:1811.03600, figure 1): slope -1,
then less. The fit is to logarithms averaged over seeds, with a break at a critical batch size.
In simulations nominal 95 % intervals covered 93 to 95 % at 10 seeds, 89 to 94 % at 5 (the break the
least).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from minima.claims.steps_to_target import checked_curve
from minima.statistics.intervals import Floats, Indices, Interval, resampling_intervals

_NOTHING = 1e-20  # a share of the squared spread that is rounding

# Log batch size at the break, log steps there, slope below, slope above, squared error; (m,) each.
_Fit = tuple[Floats, Floats, Floats, Floats, Floats]


@dataclass(frozen=True)
class BrokenLine:
    """Two straight lines that meet, log steps against log batch size.

    Attributes:
      critical: the batch size where they meet.
      steps: at that batch size.
      below: slope at smaller batch sizes; -1 is perfect scaling.
      above: slope at larger ones; 0 is a plateau.
      p: of a single straight line against this fit; see `broken_line`.
      unreached: batch sizes left out because some seed never got to the target.
    """

    critical: Interval
    steps: Interval
    below: Interval
    above: Interval
    p: float
    unreached: tuple[float, ...]


def broken_line(
    batch_sizes: ArrayLike,
    steps: ArrayLike,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> BrokenLine:
    """Least squares over both slopes and the break, exactly (Hudson 1966, JASA 61).

    The break is where the lines fitted to the two sides cross, if that is between the sides, or
    else a batch size; all candidates are tried. The test of no break can't use F's table, since a
    line has no break to estimate; instead the F statistic is compared with simulated straight lines
    with normal errors, whose distribution depends on the batch sizes only; p = (b + 1)/(m + 1).

    Args:
      batch_sizes: (K,) > 0, ascending.
      steps: (S, K) updates to the target, S >= 2 seeds; NaN or infinite where it was not reached.
      resamples: number of bootstrap samples, and of simulated lines.
      seed: of both.
      confidence: nominal, in (0, 1).

    Raises:
      ValueError: shapes that don't match, or fewer than 5 batch sizes that all seeds brought there.
    """
    x, y, unreached = checked_curve(batch_sizes, steps, least=5)

    def fitted(picks: Indices) -> list[Floats]:
        return list(_fit_broken(x, y[picks].mean(1))[:4])

    place, level, below, above = resampling_intervals(fitted, len(y), resamples, seed, confidence)
    p = _p_of_no_break(x, y.mean(0), resamples, seed)
    return BrokenLine(place.map(math.exp), level.map(math.exp), below, above, p, unreached)


def _fit_broken(x: Floats, y: Floats) -> _Fit:
    """The best broken line for each row of y (m, K)."""
    best = tuple(np.full(len(y), np.inf) for _ in range(5))
    for candidate in (*_crossings(x, y), *_knots(x, y)):
        better = candidate[4] < best[4]
        for kept, new in zip(best, candidate, strict=True):
            kept[better] = new[better]
    return best[0], best[1], best[2], best[3], best[4]


def _crossings(x: Floats, y: Floats) -> Iterator[_Fit]:
    """Lines fitted to both sides of each gap, where they cross within the gap."""
    for k in range(2, len(x) - 1):
        level_left, below, error_left = _line(x[:k], y[:, :k], x[k])
        level_right, above, error_right = _line(x[k:], y[:, k:], x[k])
        turn = above - below
        back = np.divide(
            level_right - level_left, turn, out=np.full_like(turn, -1.0), where=turn != 0
        )
        place = x[k] - back
        inside = (x[k - 1] < place) & (place < x[k])
        error = np.where(inside, error_left + error_right, np.inf)
        yield place, level_left - below * back, below, above, error


def _knots(x: Floats, y: Floats) -> Iterator[_Fit]:
    """Broken lines with the break at one of the inner batch sizes."""
    for place in x[1:-1]:
        design = np.column_stack(
            [np.ones_like(x), np.minimum(x - place, 0), np.maximum(x - place, 0)]
        )
        found = np.linalg.lstsq(design, y.T)[0]
        error = ((y.T - design @ found) ** 2).sum(0)
        yield np.full(len(y), place), found[0], found[1], found[2], error


def _line(x: Floats, y: Floats, at: float) -> tuple[Floats, Floats, Floats]:
    """Least squares for each row of y: the level at a place, the slope, the squared error."""
    centred = x - x.mean()
    slope = y @ centred / (centred**2).sum()
    middle = y.mean(1)
    error = ((y - middle[:, None] - slope[:, None] * centred) ** 2).sum(1)
    return middle + slope * (at - x.mean()), slope, error


def _p_of_no_break(x: Floats, means: Floats, resamples: int, seed: int) -> float:
    noise = np.random.default_rng(seed).standard_normal((resamples, len(x)))
    spread = float(((means - means.mean()) ** 2).sum())
    straight = float(_line(x, means[None], 0.0)[2][0])
    if straight <= _NOTHING * spread:
        return 1.0
    # The share of a straight line's squared error that a break leaves: small where there is one.
    simulated = _fit_broken(x, noise)[4] / _line(x, noise, 0.0)[2]
    observed = float(_fit_broken(x, means[None])[4][0]) / straight
    return float(((simulated <= observed).sum() + 1) / (resamples + 1))
