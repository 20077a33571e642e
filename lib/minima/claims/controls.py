"""Controls of a verdict: could the effect have been found, and is nothing found where nothing is?

Both resample the seeds and the test examples of the very runs that a verdict rests on, and count
how often an interval excludes zero; the count has exact binomial limits (99.9 %).

* planted: an effect of the claimed size is added to the residuals of the contrast. Residuals of
  seeds, examples and the rest are shrunk or stretched to the estimated variance components first
  (Carpenter, Goldstein and Rasbash 2003, Applied Statistics 52), since raw ones would count the
  rest twice.
* A/A: differences between pairs of seeds of one condition, in random order, so that the true
  difference is zero and the spread is that of real runs.

The smallest effect found with 80 % power comes from the same draws as the planted one. With a
thousand draws a control takes some hundredths of a second: examples on which all seeds behaved
alike are one column with a count.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from minima.claims.power import seeds_needed
from minima.statistics.intervals import (
    Floats,
    Indices,
    Interval,
    binomial_interval,
    check_confidence,
)

LEAST_SEEDS = 5  # of four, A/A draws repeat each other so often that 6 % are flagged
FOUND, POWER = 0.9, 0.8
_MOST_PAIRS = 200  # more are a sample of themselves
_LIMITS = 0.999  # of the exact limits: with a dozen claims at 95 % one A/A in four would look bad


@dataclass(frozen=True)
class Controls:
    """What simulated runs of the same design find.

    Attributes:
      effect: the planted effect, in the unit of the contrast.
      planted: share of draws in which it was found.
      same: share of A/A draws in which a difference was found; nominally 1 - confidence.
      detectable: the smallest effect found with 80 % power.
      confidence: of the intervals that do the finding.
    """

    effect: float
    planted: Interval
    same: Interval
    detectable: float
    confidence: float

    @property
    def sound(self) -> bool:
        """Whether A/A differences are found no more often than they may be, within its limits."""
        return self.same.low <= 1 - self.confidence + 1e-12

    @property
    def sensitive(self) -> bool:
        """Whether the planted effect is found in 90 % of draws."""
        return self.planted.estimate >= FOUND


@dataclass(frozen=True)
class Components:
    """Mean squares of a contrast (S, n) and the variances they estimate; see `two_level`.

    Attributes:
      of_seed, of_example, of_rest: variances of alpha, beta and gamma; negative ones as zero. With
        one column everything is of_seed.
      squares: the three mean squares.
    """

    of_seed: float
    of_example: float
    of_rest: float
    squares: tuple[float, float, float]


def components(contrast: ArrayLike) -> Components:
    """Variance components of a contrast (S, n) or (S,), S >= 2."""
    d = _matrix(contrast)
    seeds, n = d.shape
    mean, rows, columns = d.mean(), d.mean(1, keepdims=True), d.mean(0, keepdims=True)
    by_seed = n * float(((rows - mean) ** 2).sum()) / (seeds - 1)
    if n == 1:
        return Components(by_seed, 0.0, 0.0, (by_seed, 0.0, 0.0))
    by_example = seeds * float(((columns - mean) ** 2).sum()) / (n - 1)
    rest = float(((d - rows - columns + mean) ** 2).sum()) / ((seeds - 1) * (n - 1))
    of_seed, of_example = max(0.0, by_seed - rest) / n, max(0.0, by_example - rest) / seeds
    return Components(of_seed, of_example, rest, (by_seed, by_example, rest))


def run_controls(
    contrast: ArrayLike,
    effect: float,
    arm: ArrayLike | None = None,
    confidence: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> Controls:
    """Plants an effect, compares like with like, and says what could have been found.

    Args:
      contrast: (S, n) per seed and test example, or (S,) per seed, S >= 5; its mean is judged.
      effect: to plant, in the contrast's unit, > 0.
      arm: (S, n) or (S,) results of one condition, of the contrast's shape, whose seeds are
        compared with each other; the contrast itself where there is no such thing.
      confidence: of the interval that the verdict uses.
      draws: simulated runs for each of the two.
      seed: of the simulation.

    Raises:
      ValueError: fewer than 5 seeds, shapes that differ, or an effect that is not positive.
    """
    d = _matrix(contrast)
    same = d if arm is None else _matrix(arm)
    check_confidence(confidence)
    if len(d) < LEAST_SEEDS or same.shape != d.shape or not effect > 0:
        raise ValueError(f"controls need {LEAST_SEEDS} seeds, an arm of their shape, an effect > 0")
    rng = np.random.default_rng(seed)
    means, halves = simulate(_reflated(d), len(d), rng, draws, confidence)
    found = int((np.abs(means + effect) > halves).sum())
    detectable = float(np.quantile(halves - means, POWER))
    couples = np.array(list(itertools.combinations(range(len(d)), 2)))
    if len(couples) > _MOST_PAIRS:
        couples = rng.choice(couples, _MOST_PAIRS, replace=False)
    pairs = same[couples[:, 0]] - same[couples[:, 1]]
    signs = rng.choice([-1.0, 1.0], (draws, len(d)))
    means, halves = simulate(pairs, len(d), rng, draws, confidence, signs)
    flagged = int((np.abs(means) > halves).sum())
    limits = [binomial_interval(count, draws, _LIMITS) for count in (found, flagged)]
    return Controls(effect, limits[0], limits[1], max(detectable, 0.0), confidence)


def simulate(
    pool: Floats,
    seeds: int,
    rng: np.random.Generator,
    draws: int,
    confidence: float,
    signs: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Means and half widths of `crossed_interval` (or t, for one column) of resampled contrasts.

    Args:
      pool: (P, n) rows to draw seeds from, with replacement; columns are drawn likewise.
      seeds: rows of each draw.
      rng: of the draws.
      draws: how many.
      confidence: of the intervals.
      signs: (draws, seeds) factors of the rows drawn; None for 1.
    """
    n = pool.shape[1]
    picks = rng.integers(0, len(pool), (draws, seeds))
    factor = np.ones((draws, seeds)) if signs is None else signs
    columns, counts = np.unique(pool, axis=1, return_counts=True)
    if n == 1:
        values = factor * pool[picks, 0]
        sd = np.where(np.ptp(values, axis=1) == 0, 0.0, values.std(1, ddof=1))
        half = stats.t.isf((1 - confidence) / 2, seeds - 1) * sd / math.sqrt(seeds)
        return values.mean(1), half
    weights = rng.multinomial(n, counts / n, draws).astype(np.float64)
    rows = factor * _gathered(weights @ columns.T / n, picks)  # (draws, seeds)
    total = _gathered(weights @ (columns**2).T, picks).sum(1)
    drawn = np.zeros((draws, len(pool)))
    np.add.at(drawn, (np.arange(draws)[:, None], picks), factor)
    mean = rows.mean(1)
    by_column = drawn @ columns / seeds - mean[:, None]
    squares_seed = n * ((rows - mean[:, None]) ** 2).sum(1)
    squares_example = seeds * (weights * by_column**2).sum(1)
    squares_rest = total - seeds * n * mean**2 - squares_seed - squares_example
    dfs = (seeds - 1, n - 1, (seeds - 1) * (n - 1))
    squares = (squares_seed, squares_example, np.maximum(squares_rest, 0.0))
    terms = [square / df / (seeds * n) for square, df in zip(squares, dfs, strict=True)]
    return mean, _half_widths(terms, dfs, confidence)


def enough(contrast: ArrayLike, effect: float, confidence: float = 0.95) -> tuple[int, int]:
    """Seeds and test examples with which an effect is found with 80 % power, from the components.

    Test examples are raised only where their luck alone would take more than half of the variance
    allowed; then seeds make up the rest. For one column the second number is 1.

    Args:
      contrast: (S, n) or (S,), S >= 2.
      effect: the difference to find, or the distance to tell apart, > 0.
      confidence: of the interval that is to find it.
    """
    alpha = 1 - confidence
    errors = float(stats.norm.isf(alpha / 2) + stats.norm.ppf(POWER))  # standard ones to see it
    d, found = _matrix(contrast), components(contrast)
    allowed = (effect / errors) ** 2
    n = max(d.shape[1], math.ceil(2 * found.of_example / allowed))
    left = allowed - found.of_example / n
    sd = math.sqrt(found.of_seed + found.of_rest / n)
    reach = errors * math.sqrt(left)
    return (2 if sd <= 1e-9 * reach else seeds_needed(reach, sd, POWER, alpha)), n


def _half_widths(terms: list[Floats], dfs: tuple[int, ...], confidence: float) -> Floats:
    """Satterthwaite's, as in `two_level.crossed_interval`, for many draws at once."""
    of_seed, of_example, of_rest = terms
    more = of_example > of_rest
    variance = of_seed + np.where(more, of_example - of_rest, 0.0)
    crossed = of_example**2 / dfs[1] + of_rest**2 / dfs[2]
    spread = of_seed**2 / dfs[0] + np.where(more, crossed, 0.0)
    df = np.divide(variance**2, spread, out=np.ones_like(spread), where=spread > 0)
    half: Floats = stats.t.isf((1 - confidence) / 2, df) * np.sqrt(variance)
    return half


def _reflated(d: Floats) -> Floats:
    """Residuals whose seeds, examples and rest vary as much as the components say."""
    seeds, n = d.shape
    mean, rows, columns = d.mean(), d.mean(1, keepdims=True), d.mean(0, keepdims=True)
    found, stretch = components(d), math.sqrt(seeds / (seeds - 1))
    if n == 1:
        return stretch * (d - mean)
    by_seed, by_example, _ = found.squares
    seed_part = math.sqrt(found.of_seed * n / by_seed) if by_seed else 0.0
    example_part = math.sqrt(found.of_example * seeds / by_example) if by_example else 0.0
    rest = stretch * (d - rows - columns + mean)
    pool: Floats = stretch * seed_part * (rows - mean) + example_part * (columns - mean) + rest
    return pool


def _gathered(values: Floats, picks: Indices) -> Floats:
    found: Floats = np.take_along_axis(values, picks, axis=1)
    return found


def _matrix(contrast: ArrayLike) -> Floats:
    d = np.asarray(contrast, np.float64)
    d = d[:, None] if d.ndim == 1 else d
    if d.ndim != 2 or len(d) < 2 or not np.isfinite(d).all():
        raise ValueError(f"a contrast is (S,) or (S, n), finite, S >= 2, not {d.shape}")
    return d
