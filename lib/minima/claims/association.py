"""Does a measure of a minimum go with how it generalises? Ranks, environments, confounders.

A measure may agree with the gap over all runs only because both follow a hyperparameter. Jiang 2020
therefore compares runs that differ in one hyperparameter; Dziugaite 2020 looks at the environment
where the measure does worst; partial correlation takes named covariates out of both.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from minima.statistics.intervals import (
    Floats,
    Indices,
    Interval,
    check_confidence,
    checked_pair,
    resampling_interval,
)


@dataclass(frozen=True)
class PartialCorrelation:
    """A correlation with covariates taken out.

    Attributes:
      interval: the coefficient, in [-1, 1].
      p: two-sided, of no partial correlation.
    """

    interval: Interval
    p: float


def kendall_tau(x: ArrayLike, y: ArrayLike) -> float:
    """Kendall's tau-b, in [-1, 1]; NaN where x or y is constant.

    Raises:
      ValueError: x and y are not two finite rows of one length.
    """
    first, second = checked_pair(x, y)
    return float(stats.kendalltau(first, second).statistic)


def granulated_psi(
    measure: ArrayLike, gap: ArrayLike, settings: ArrayLike
) -> tuple[float, tuple[float, ...]]:
    """Granulated Kendall's coefficient Psi (Jiang 2020, arXiv:1912.02178, section 2.2).

    For each hyperparameter, runs that agree in all others form a context; psi is the mean over
    contexts of the mean of sign(difference of measures) sign(difference of gaps) over pairs of the
    context that differ in that hyperparameter, ties counting zero; Psi is the mean of the psis. On
    a full grid with a run per point this is the paper's; several seeds per point make more pairs.

    Args:
      measure: (n,) by run.
      gap: (n,) the generalisation gap by run.
      settings: (n, k) hyperparameters as numbers, compared exactly.

    Returns:
      Psi and the psi of each hyperparameter, NaN for one that never varies alone (Psi leaves it
      out).

    Raises:
      ValueError: shapes that don't match, a value that is not finite, or no pair to compare.
    """
    x, y, table = _checked_runs(measure, gap, settings)
    psis = []
    for factor in range(table.shape[1]):
        others = _labels(np.delete(table, factor, axis=1))
        i, j = _pairs(others, table[:, factor])
        signs = np.sign(x[i] - x[j]) * np.sign(y[i] - y[j])
        totals, counts = np.bincount(others[i], signs), np.bincount(others[i])
        used = counts > 0
        psis.append(float((totals[used] / counts[used]).mean()) if used.any() else math.nan)
    if all(map(math.isnan, psis)):
        raise ValueError("no two runs differ in a single hyperparameter")
    return float(np.nanmean(psis)), tuple(psis)


def sign_errors(
    measure: ArrayLike,
    gap: ArrayLike,
    settings: ArrayLike,
    n_test: int | None = None,
    least_pairs: float = 12.0,
) -> Floats:
    """Sign error of a measure in each environment (Dziugaite 2020, arXiv:2010.11924).

    An environment is a pair of settings that differ in one hyperparameter; its error is the average
    of (1 - sign(difference of measures) sign(difference of gaps))/2 over the pairs of runs. With
    n_test, pairs whose gaps may differ by the luck of the test set weigh less: by
    max(0, w - 1/2), w = max(0, 1 - 2 exp(-n_test d^2 / 2))^2 for gaps d apart (Hoeffding), and
    environments worth fewer than `least_pairs` (sum of weights squared over sum of squares) are
    left out; both as in the authors' code.

    Args:
      measure: (n,) by run; larger should mean a larger gap.
      gap: (n,) the generalisation gap by run, as a difference of error rates.
      settings: (n, k) hyperparameters as numbers, compared exactly; runs of one row are seeds.
      n_test: size of the test set; None weighs all pairs alike.
      least_pairs: effective number of pairs below which an environment says too little; 1 to keep
        all (with three seeds there are 9 pairs).

    Returns:
      (environments,) errors in [0, 1], one per unordered pair of settings. Its maximum is the
      worst-environment sign error; the paper also shows the mean and the 90th percentile.

    Raises:
      ValueError: shapes that don't match, a value that is not finite, or no environment left.
    """
    x, y, table = _checked_runs(measure, gap, settings)
    point = _labels(table)
    errors, weights, squares = (np.zeros((point.max() + 1,) * 2) for _ in range(3))
    for factor in range(table.shape[1]):
        i, j = _pairs(_labels(np.delete(table, factor, axis=1)), table[:, factor])
        error = (1 - np.sign(x[i] - x[j]) * np.sign(y[i] - y[j])) / 2
        weight = np.ones(len(i)) if n_test is None else _hoeffding_weight(y[i] - y[j], n_test)
        where = (np.minimum(point[i], point[j]), np.maximum(point[i], point[j]))
        for total, value in ((errors, weight * error), (weights, weight), (squares, weight**2)):
            np.add.at(total, where, value)
    effective = np.divide(weights**2, squares, out=np.zeros_like(weights), where=squares > 0)
    kept = (weights > 0) & (effective >= least_pairs * (1 - 1e-9))
    if not kept.any():
        raise ValueError(f"no environment has {least_pairs:g} pairs of runs that can be told apart")
    found: Floats = errors[kept] / weights[kept]
    return found


def partial_correlation(
    x: ArrayLike,
    y: ArrayLike,
    covariates: ArrayLike,
    ranks: bool = False,
    confidence: float = 0.95,
) -> PartialCorrelation:
    """Correlation of x and y after a linear regression of both on the covariates.

    p comes from t = r sqrt(df/(1 - r^2)) with df = n - 2 - k, exact for normal errors. The limits
    are Fisher's: atanh r with variance 1/(n - k - 3), times 1.06 for ranks (Fieller, Hartley and
    Pearson 1957, Biometrika 44). Runs of one configuration are not independent: average them first,
    or use `cluster_interval`.

    Args:
      x: (n,), n >= k + 4.
      y: (n,).
      covariates: (n, k) or (n,).
      ranks: correlate ranks (Spearman), of the covariates too.
      confidence: nominal, in (0, 1).

    Raises:
      ValueError: shapes that don't match, too few runs, or x or y determined by the covariates.
    """
    first, second = checked_pair(x, y)
    z = np.asarray(covariates, np.float64)
    z = z[:, None] if z.ndim == 1 else z
    check_confidence(confidence)
    if z.ndim != 2 or len(z) != len(first) or not np.isfinite(z).all():
        raise ValueError("covariates are finite, a row per run")
    n, k = z.shape
    if n < k + 4:
        raise ValueError(f"{k} covariates need at least {k + 4} runs, not {n}")
    if ranks:
        first, second = stats.rankdata(first), stats.rankdata(second)
        z = stats.rankdata(z, axis=0)
    r = _residual_correlation(first, second, z)
    df = n - 2 - k
    t = r * math.sqrt(df / (1 - r**2)) if abs(r) < 1 else math.inf
    centre = math.atanh(max(-1 + 1e-15, min(1 - 1e-15, r)))
    half = float(stats.norm.isf((1 - confidence) / 2)) * math.sqrt(
        (1.06 if ranks else 1) / (df - 1)
    )
    low, high = math.tanh(centre - half), math.tanh(centre + half)
    method = "Fisher z" + (", ranks" if ranks else "")
    interval = Interval(r, low, high, confidence, n, method)
    return PartialCorrelation(interval, float(2 * stats.t.sf(abs(t), df)))


def cluster_interval(
    statistic: Callable[[Indices], float],
    clusters: Sequence[object],
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Bootstrap interval of a statistic of runs, resampling whole clusters of them.

    Runs of one configuration share its hyperparameters, so configurations are the units, not runs.

    Args:
      statistic: of the indices of runs, with repetition; finite.
      clusters: (n,) the configuration of each run.
      resamples: number of bootstrap samples.
      seed: of the resampling.
      confidence: nominal, in (0, 1).

    Raises:
      ValueError: fewer than two clusters, or a statistic that is not finite on a resample.
    """
    members: dict[object, list[int]] = {}
    for run, cluster in enumerate(clusters):
        members.setdefault(cluster, []).append(run)
    groups = [np.array(runs) for runs in members.values()]

    def resampled(picks: Indices) -> Floats:
        values = [statistic(np.concatenate([groups[g] for g in row])) for row in picks]
        if not np.isfinite(values).all():
            raise ValueError("the statistic is not finite on a resample; too few clusters")
        return np.array(values)

    return resampling_interval(resampled, len(groups), resamples, seed, confidence)


def _checked_runs(
    measure: ArrayLike, gap: ArrayLike, settings: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    x, y = checked_pair(measure, gap)
    table = np.asarray(settings, np.float64)
    if table.ndim != 2 or len(table) != len(x) or not np.isfinite(table).all():
        raise ValueError("settings are finite numbers, a row per run and a column per factor")
    return x, y, table


def _labels(rows: Floats) -> Indices:
    """A number per run, equal for equal rows."""
    if rows.shape[1] == 0:
        return np.zeros(len(rows), np.intp)
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)


def _pairs(context: Indices, value: Floats) -> tuple[Indices, Indices]:
    """Pairs i < j of runs in one context whose values differ."""
    apart = (context[:, None] == context) & (value[:, None] != value)
    i, j = np.nonzero(np.triu(apart))
    return i, j


def _hoeffding_weight(difference: Floats, n_test: int) -> Floats:
    certain = np.maximum(0, 1 - 2 * np.exp(-n_test * difference**2 / 2)) ** 2
    weight: Floats = np.maximum(0, certain - 0.5)
    return weight


def _residual_correlation(x: Floats, y: Floats, z: Floats) -> float:
    basis = np.column_stack([np.ones(len(z)), z])
    # Standardised first, so that covariates of very different sizes don't upset the rank.
    basis[:, 1:] = (z - z.mean(0)) / np.where(np.ptp(z, axis=0) > 0, z.std(0), 1)
    rest = []
    for column in (x, y):
        centred = column - column.mean()
        residual = centred - basis @ np.linalg.lstsq(basis, centred)[0]
        constant = np.ptp(column) == 0
        if constant or np.linalg.norm(residual) <= 1e-10 * np.linalg.norm(centred):
            raise ValueError("the covariates determine x or y: nothing is left to correlate")
        rest.append(residual / np.linalg.norm(residual))
    return float(np.clip(rest[0] @ rest[1], -1, 1))
