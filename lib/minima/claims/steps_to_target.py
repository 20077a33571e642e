"""Steps to a target against batch size: perfect scaling, diminishing returns, plateau.

Shallue 2019 (arXiv:1811.03600) describes the three phases; McCandlish 2018 (arXiv:1812.06162) has S
= S_min (1 + B_crit/B). Fits are to logarithms of steps averaged over seeds, so that a relative
error counts alike at every batch size; seeds are resampled together. `broken_line` has another fit.
In simulations nominal 95 % intervals of the hyperbola covered 92 to 95 % at 5 and at 10 seeds.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from minima.statistics.intervals import Floats, Indices, Interval, resampling_intervals

PERFECT, DIMINISHING, PLATEAU = "perfect", "diminishing", "plateau"
_WITHIN = 0.1  # of slope -1 or 0: what Shallue's figure counts as straight, by eye
_SPAN, _GRID = 1000.0, 2001  # B_crit is sought this far beyond the batch sizes, on so many points


@dataclass(frozen=True)
class Hyperbola:
    """S = S_min (1 + B_crit/B), so examples E = B S fall to E_min = S_min B_crit.

    Attributes:
      critical: B_crit, a batch size; perfect scaling far below, a plateau far above.
      fewest_steps: S_min.
      r_squared: of log steps.
      bounded: False where the data can't tell B_crit from far beyond the batch sizes: its interval
        then ends where the search did.
      unreached: batch sizes left out because some seed never got to the target.
    """

    critical: Interval
    fewest_steps: Interval
    r_squared: float
    bounded: bool
    unreached: tuple[float, ...]


def hyperbola(
    batch_sizes: ArrayLike,
    steps: ArrayLike,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Hyperbola:
    """Least squares of log S = log S_min + log(1 + B_crit/B) (McCandlish 2018, eq. 2.11).

    B_crit is sought on a fine logarithmic grid and refined by a parabola, to about 1e-4 of itself.

    Args:
      batch_sizes: (K,) > 0, ascending.
      steps: (S, K) updates to the target, S >= 2 seeds; NaN or infinite where it was not reached.
      resamples: number of bootstrap samples.
      seed: of the resampling.
      confidence: nominal, in (0, 1).

    Raises:
      ValueError: shapes that don't match, or fewer than 3 batch sizes that all seeds brought there.
    """
    x, y, unreached = checked_curve(batch_sizes, steps, least=3)
    grid = np.linspace(x[0] - math.log(_SPAN), x[-1] + math.log(_SPAN), _GRID)

    def fitted(picks: Indices) -> tuple[Floats, Floats]:
        return _fit_hyperbola(x, y[picks].mean(1), grid)

    fits = resampling_intervals(fitted, len(y), resamples, seed, confidence)
    means = y.mean(0)
    rest = means - fits[1].estimate - np.logaddexp(0, fits[0].estimate - x)
    spread = float(((means - means.mean()) ** 2).sum())
    r_squared = 1 - float((rest**2).sum()) / spread if spread > 0 else math.nan
    bounded = grid[1] < fits[0].low and fits[0].high < grid[-2]
    critical, fewest = (fit.map(math.exp) for fit in fits)
    return Hyperbola(critical, fewest, r_squared, bool(bounded), unreached)


def local_phases(batch_sizes: ArrayLike, steps: ArrayLike) -> list[tuple[float, float, float, str]]:
    """The slope from each batch size to the next and which phase it belongs to.

    Args:
      batch_sizes: (K,) > 0, ascending.
      steps: (S, K), as for `hyperbola`.

    Returns:
      (batch size, next batch size, slope of log steps, phase); perfect within 0.1 of -1 or steeper,
      plateau within 0.1 of 0 or rising, diminishing between.

    Raises:
      ValueError: shapes that don't match, or fewer than 2 batch sizes that all seeds brought there.
    """
    x, y, _ = checked_curve(batch_sizes, steps, least=2)
    slopes = np.diff(y.mean(0)) / np.diff(x)
    sizes = np.exp(x)
    return [
        (float(sizes[k]), float(sizes[k + 1]), float(slope), _phase(float(slope)))
        for k, slope in enumerate(slopes)
    ]


def checked_curve(
    batch_sizes: ArrayLike, steps: ArrayLike, least: int
) -> tuple[Floats, Floats, tuple[float, ...]]:
    """Log batch sizes (K,), log steps (S, K) where all seeds got there, and the sizes left out.

    Raises:
      ValueError: shapes that don't match, or fewer than `least` batch sizes that all seeds brought
        to the target.
    """
    sizes, table = np.asarray(batch_sizes, np.float64), np.asarray(steps, np.float64)
    if sizes.ndim != 1 or not (sizes > 0).all() or not (np.diff(sizes) > 0).all():
        raise ValueError("batch sizes are a row of positive numbers in ascending order")
    if table.ndim != 2 or table.shape[1] != len(sizes) or len(table) < 2:
        raise ValueError(f"steps need 2 or more seeds by {len(sizes)} batch sizes")
    reached = np.isfinite(table).all(0)
    if reached.sum() < least:
        raise ValueError(
            f"this fit needs {least} batch sizes at which all seeds reach the target, "
            f"not {reached.sum()}"
        )
    if (table[:, reached] <= 0).any():
        raise ValueError("numbers of steps are positive")
    return np.log(sizes[reached]), np.log(table[:, reached]), tuple(sizes[~reached].tolist())


def _phase(slope: float) -> str:
    if slope <= -1 + _WITHIN:
        return PERFECT
    return PLATEAU if slope > -_WITHIN else DIMINISHING


def _fit_hyperbola(x: Floats, y: Floats, grid: Floats) -> tuple[Floats, Floats]:
    """Log B_crit and log S_min for each row of y (m, K)."""
    curves = np.logaddexp(0, grid[:, None] - x)
    flat = curves - curves.mean(1, keepdims=True)  # log S_min takes up the mean
    # The squared errors less that of y alone: rows of y by points of the grid.
    errors = (flat**2).sum(1) - 2 * y @ flat.T
    best = np.clip(errors.argmin(1), 1, len(grid) - 2)
    left, middle, right = (errors[np.arange(len(y)), best + k] for k in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = np.divide(left - right, 2 * bend, out=np.zeros_like(bend), where=bend > 0)
    critical = grid[best] + np.clip(shift, -1, 1) * (grid[1] - grid[0])
    fewest: Floats = (y - np.logaddexp(0, critical[:, None] - x)).mean(1)
    return critical, fewest
