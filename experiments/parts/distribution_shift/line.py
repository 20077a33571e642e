"""Accuracy on the line: how far accuracy at home foretells accuracy after a shift.

Miller et al. 2021 (arXiv:2107.04649): over many models the probits of both lie on a line.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from minima.evaluation.calibration import Floats
from minima.record import results
from minima.statistics.intervals import Interval, resampling_intervals
from minima.sweep.run import Prepared
from parts.distribution_shift.networks import logits

LEAST = 0.2  # accuracy at home from which on a model counts: below, it has learned next to nothing


@dataclass(frozen=True)
class Line:
    """Models of one sweep.

    Attributes:
      home, abroad: accuracies of those that count, (models,).
      setting: which batch size and rate each has, (models,) from 0.
      left_out: models that failed, or count for nothing.
      unexplained: share of the variance of the probits abroad that those at home leave open; its
        interval is over settings, whose seeds stay together.
      slope: in probits per probit.
    """

    home: Floats
    abroad: Floats
    setting: np.ndarray
    left_out: int
    unexplained: Interval
    slope: Interval


def measure(prepared: Prepared, abroad: np.ndarray, labels: np.ndarray) -> Line:
    """All minima of the sweep, on the plan's test set and on inputs from abroad.

    Raises:
      ValueError: fewer than 2 settings count.
    """
    accuracy = results.load(prepared.directory).table("test_accuracy")
    seeds, flat = accuracy.shape[-1], accuracy.reshape(-1)
    counted = np.flatnonzero(np.nan_to_num(flat) >= LEAST)
    there = logits(prepared, abroad, counted.tolist()).argmax(axis=-1) == labels
    home, away = flat[counted], there.mean(axis=1)
    x = probits(home, len(prepared.plan.dataset.test))
    y = probits(away, len(labels))
    names, setting = np.unique(counted // seeds, return_inverse=True)
    members = [np.flatnonzero(setting == k) for k in range(len(names))]

    def fits(picks: np.ndarray) -> list[Floats]:
        found = []
        for row in picks:
            index = np.concatenate([members[k] for k in row])
            found.append(_fit(x[index], y[index]))
        unexplained, slope = np.array(found).T
        return [unexplained, slope]

    unexplained, slope = resampling_intervals(fits, len(members))
    return Line(home, away, setting, len(flat) - len(counted), unexplained, slope)


def probits(accuracy: Floats, n: int) -> Floats:
    """Normal quantiles of accuracies on n examples, kept half an example from 0 and 1."""
    kept: Floats = stats.norm.ppf(np.clip(accuracy, 0.5 / n, 1 - 0.5 / n))
    return kept


def _fit(x: Floats, y: Floats) -> tuple[float, float]:
    """Unexplained share of the variance, and the slope, of least squares."""
    spread = x.var()
    if not spread > 0 or not y.var() > 0:
        return 1.0, 0.0
    slope = float(((x - x.mean()) * (y - y.mean())).mean() / spread)
    return float(1 - slope**2 * spread / y.var()), slope
