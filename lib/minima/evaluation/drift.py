"""Detectors of shift: does this window of inputs, or of errors, still look like launch?

Every detector holds its false-alarm rate by construction, not by tuning: by p-values that are valid
for any distribution, or a threshold simulated for the very stream that is watched.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special
from scipy.spatial import distance

from minima.evaluation import arrays, smirnov
from minima.evaluation.arrays import Floats
from minima.runtime.errors import UserError

LEVEL = 0.05
_BATCH = 32  # permutations drawn at a time


@dataclass(frozen=True)
class Test:
    """A window beside the baseline.

    Attributes:
      detector: its name.
      p: valid under no shift: at most α in a share α of windows, or fewer.
      statistic: what it rests on.
      where: which feature speaks loudest, or "".
    """

    __test__ = False  # not one of pytest's
    detector: str
    p: float
    statistic: float
    where: str = ""

    def alarms(self, level: float = LEVEL) -> bool:
        """Whether it is shift, at this rate of false alarms."""
        return self.p <= level


def kolmogorov_smirnov(baseline: ArrayLike, window: ArrayLike, names: tuple[str, ...] = ()) -> Test:
    """Each feature's two-sample Kolmogorov-Smirnov test, Bonferroni's correction over features.

    Rabanser et al. 2019 (arXiv:1810.11953). Exact up to 10,000 examples; ties only make it
    conservative.

    Args:
      baseline: (n, features) or (n,), from launch.
      window: (m, features) or (m,), from now.
      names: of the features, for `where`.

    Raises:
      UserError: arrays that don't fit.
    """
    first, second = _pair(baseline, window)
    steps = smirnov.distances(first, second)
    least = int(steps.argmax())
    p = smirnov.p_value(len(first), len(second), int(steps[least])) * len(steps)
    where = names[least] if names else (str(least) if len(steps) > 1 else "")
    distance = float(steps[least]) / (len(first) * len(second))
    return Test("kolmogorov_smirnov", min(1.0, p), distance, where)


def chi_squared(baseline: ArrayLike, window: ArrayLike, classes: int) -> Test:
    """Whether classes (of labels, or predicted) come as often as at launch: a test of two samples.

    Cells with fewer than 5 expected are pooled. For a shift of class priors.

    Raises:
      UserError: arrays that don't fit.
    """
    first = arrays.class_labels(baseline, classes, "baseline")
    second = arrays.class_labels(window, classes, "window")
    table = np.stack([np.bincount(each, minlength=classes) for each in (first, second)])
    table = _pooled(table[:, table.sum(axis=0) > 0])
    if table.shape[1] < 2:
        return Test("chi_squared", 1.0, 0.0)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    p = special.chdtrc(table.shape[1] - 1, ((table - expected) ** 2 / expected).sum())
    share = np.abs(table[0] / table[0].sum() - table[1] / table[1].sum()).max()
    return Test("chi_squared", float(p), float(share))


def maximum_mean_discrepancy(
    baseline: ArrayLike,
    window: ArrayLike,
    permutations: int = 199,
    seed: int = 0,
    enough: int | None = None,
) -> Test:
    """The kernel two-sample test (Gretton et al. 2012, JMLR 13) with a Gaussian kernel.

    Its width is the median distance in both samples together; p by permuting which is which, exact
    whatever the sizes. Memory grows with the square of n + m: give 1,000 or so.

    Args:
      baseline, window: (n, features) or (n,), from launch and from now.
      permutations: at most so many; p is never below 1 / (permutations + 1).
      seed: of them.
      enough: after so many permutations that reach the statistic no more are drawn: p is as exact,
        and cheap where nothing is there (Besag & Clifford 1991, Biometrika 78).

    Raises:
      UserError: arrays that don't fit.
    """
    first, second = _pair(baseline, window)
    both = np.concatenate([first, second])
    squared = distance.pdist(both, "sqeuclidean")  # of each pair once
    kernel = distance.squareform(np.exp(-squared / (np.median(squared) or 1.0)))
    truth = np.zeros((1, len(both)))
    truth[0, len(first) :] = 1
    statistic = float(_mmd(kernel, truth)[0])
    rng, reached = np.random.default_rng(seed), np.zeros(0, bool)
    while len(reached) < permutations:
        count = min(permutations - len(reached), permutations if enough is None else _BATCH)
        drawn = _mmd(kernel, _sides(rng, count, len(both), len(second)))
        reached = np.append(reached, drawn >= statistic - 1e-12)
        if enough is not None and reached.sum() >= enough:
            p = enough / (1 + int(np.flatnonzero(reached)[enough - 1]))
            return Test("maximum_mean_discrepancy", p, statistic)
    p = (1 + int(reached.sum())) / (permutations + 1)
    return Test("maximum_mean_discrepancy", p, statistic)


@dataclass(frozen=True)
class Cusum:
    """Page's (1954) cumulative sum: alarms as soon as errors come more often than at launch.

    S_t = max(0, S_{t-1} + log-likelihood ratio of error t under `worse` against `rate`).

    Attributes:
      rate: of errors at launch, in (0, 1).
      worse: the rate that is to be found soonest, above it.
      threshold: of S; see `make_cusum`.
    """

    rate: float
    worse: float
    threshold: float

    def path(self, errors: ArrayLike) -> Floats:
        """(..., T) the sums along errors (..., T) of 0 and 1, in order."""
        wrong = np.asarray(errors, np.float64)
        up = math.log(self.worse / self.rate)
        down = math.log((1 - self.worse) / (1 - self.rate))
        walk = np.cumsum(np.where(wrong > 0, up, down), axis=-1)
        start = np.zeros((*wrong.shape[:-1], 1))
        lowest = np.minimum.accumulate(np.concatenate([start, walk], axis=-1), axis=-1)[..., 1:]
        return walk - np.minimum(lowest, 0)

    def first_alarm(self, errors: ArrayLike) -> int | None:
        """How many errors and hits it took, or None for no alarm."""
        over = np.flatnonzero(self.path(errors) > self.threshold)
        return int(over[0]) + 1 if len(over) else None


def make_cusum(
    rate: float,
    worse: float,
    horizon: int,
    level: float = LEVEL,
    draws: int = 10_000,
    seed: int = 0,
) -> Cusum:
    """A sum whose threshold, simulated, lets a share `level` of streams at the launch rate alarm.

    Args:
      rate: of errors at launch; where it was estimated, use its upper limit, or alarms come more
        often than said.
      worse: the rate to be found soonest.
      horizon: labels that a stream brings.
      level: share of streams with a false alarm within the horizon.
      draws, seed: of the simulation.

    Raises:
      UserError: rates that are none, or not in order.
    """
    if not 0 < rate < worse < 1:
        raise UserError(
            f"rates {rate:g} and {worse:g}: the one to be found is above that at launch, and both "
            "lie between 0 and 1"
        )
    plain = Cusum(rate, worse, math.inf)
    rng, highest = np.random.default_rng(seed), []
    chunk = max(1, 2**22 // horizon)
    for start in range(0, draws, chunk):
        drawn = rng.random((min(chunk, draws - start), horizon)) < rate
        highest.append(plain.path(drawn).max(axis=1))
    # S takes few values: the next one above is needed for the rate not to be exceeded.
    peaks = np.sort(np.concatenate(highest))
    threshold = peaks[min(draws - 1, math.ceil((1 - level) * draws) - 1)]
    return Cusum(rate, worse, float(threshold))


def class_priors(confusion: ArrayLike, predicted: ArrayLike) -> Floats:
    """Class frequencies behind predictions, if only the priors have shifted: black box estimation.

    Lipton et al. 2018 (arXiv:1802.03916): solves C q = predicted with C[i, j] = P(predicts i |
    class j), by non-negative least squares, then scales to sum 1.

    Args:
      confusion: (classes, classes) counts, predicted class by true class, on held-out examples.
      predicted: (classes,) counts or shares of classes predicted now.

    Raises:
      UserError: arrays that don't fit, or a class without held-out examples.
    """
    counts, now = arrays.finite(confusion, "confusion"), arrays.finite(predicted, "predicted")
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or now.shape != counts.shape[:1]:
        raise UserError(
            f"confusion: has shape {counts.shape}, predicted {now.shape}; give (classes, classes) "
            "and (classes,)"
        )
    totals = counts.sum(axis=0)
    if (totals == 0).any():
        raise UserError(f"confusion: class {int((totals == 0).argmax())} has no held-out example")
    found, _ = optimize.nnls(counts / totals, now / now.sum())
    return found / found.sum()


def _pair(baseline: ArrayLike, window: ArrayLike) -> tuple[Floats, Floats]:
    first, second = arrays.finite(baseline, "baseline"), arrays.finite(window, "window")
    first, second = (each.reshape(len(each), -1) for each in (first, second))
    if first.shape[1] != second.shape[1]:
        raise UserError(
            f"window: has {second.shape[1]} features where the baseline has {first.shape[1]}"
        )
    for name, each in (("baseline", first), ("window", second)):
        if len(each) < 2:
            raise UserError(f"{name}: has one example; give two or more")
    return first, second


def _sides(rng: np.random.Generator, count: int, n: int, m: int) -> Floats:
    """(count, n) rows with m ones in random places."""
    drawn = rng.random((count, n))
    return (drawn <= np.partition(drawn, m - 1, axis=1)[:, m - 1 : m]).astype(np.float64)


def _mmd(kernel: Floats, sides: Floats) -> Floats:
    """(draws,) unbiased estimates of a kernel without its diagonal.

    Rows of `sides`, (draws, n + m), are 1 where an example is of the window.
    """
    m = sides.sum(axis=1)
    n = sides.shape[1] - m
    rows = sides @ kernel
    within = (rows * sides).sum(axis=1)
    across = (rows * (1 - sides)).sum(axis=1)
    rest = kernel.sum() - within - 2 * across
    return within / (m * (m - 1)) + rest / (n * (n - 1)) - 2 * across / (m * n)


def _pooled(table: np.ndarray) -> np.ndarray:
    """Columns with fewer than 5 expected in a row, together with the next smallest."""
    columns = list(table.T[np.argsort(table.sum(axis=0))])
    shares = table.sum(axis=1) / table.sum()
    while len(columns) > 1 and columns[0].sum() * shares.min() < 5:
        merged = columns[0] + columns[1]
        columns = sorted([merged, *columns[2:]], key=lambda column: column.sum())
    return np.stack(columns, axis=1)
