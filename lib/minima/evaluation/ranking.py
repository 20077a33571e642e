"""How well scores rank: of one example with label 1 and one with 0, how often the first leads."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from minima.evaluation.arrays import Floats, decisions, finite, same_length, sample_weights
from minima.evaluation.rates import Rate
from minima.runtime.errors import UserError
from minima.statistics.intervals import binomial_interval


def auc(
    labels: ArrayLike,
    scores: ArrayLike,
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Rate:
    """The area under the ROC curve: the weighted share of pairs of both labels in the right order.

    Ties count half, so it is Mann and Whitney's U over its largest value, and scikit-learn's
    `roc_auc_score`. The limits are DeLong, DeLong & Clarke-Pearson's (Biometrics 44, 1988) on the
    scale of the logit. Where all pairs agree, or a label has one example, their variance says
    nothing: the limits are then Clopper and Pearson's for as many pairs as the rarer label has
    examples.

    Args:
      labels: (n,) 0 or 1.
      scores: (n,) finite numbers, the higher the rather 1.
      weights: (n,) from 0 up; None for ones.
      confidence: of the limits.

    Returns:
      The share, its n the examples with weight; undefined where one label has no example.

    Raises:
      UserError: arrays that don't fit.
    """
    y, s = decisions(labels, "labels"), finite(scores, "scores")
    if s.ndim != 1:
        raise UserError(f"scores: has shape {s.shape}; give one per example, that of label 1")
    same_length(len(y), {"scores": s})
    w = sample_weights(weights, len(y))
    kept = w > 0
    y, s, w = y[kept], s[kept], w[kept]
    for label in (1, 0):
        if not (y == label).any():
            return Rate(math.nan, math.nan, math.nan, 0, f"no examples with label {label}")
    # Of each example: the share of the other label's weight that it stands to rightly.
    ahead, behind = _below(s[y], s[~y], w[~y]), 1 - _below(s[~y], s[y], w[y])
    value = float(np.average(ahead, weights=w[y]))
    variance = _variance_of_mean(ahead, w[y]) + _variance_of_mean(behind, w[~y])
    low, high = _limits(value, variance, int(min(y.sum(), (~y).sum())), confidence)
    return Rate(value, low, high, len(y))


def _below(scores: Floats, others: Floats, weights: Floats) -> Floats:
    """(n,) share of the others' weight that is below each score, ties half."""
    order = np.argsort(others)
    total = np.concatenate(([0.0], np.cumsum(weights[order])))
    under, upto = (
        total[np.searchsorted(others[order], scores, side)] for side in ("left", "right")
    )
    return np.asarray((under + upto) / (2 * total[-1]), np.float64)


def _variance_of_mean(values: Floats, weights: Floats) -> float:
    """Of a weighted mean of independent values, unbiased for equal weights; NaN for one value."""
    if len(values) < 2:
        return math.nan
    share = weights / weights.sum()
    return float(share**2 @ (values - share @ values) ** 2) / (1 - float(share @ share))


def _limits(value: float, variance: float, rarer: int, confidence: float) -> tuple[float, float]:
    if not (variance > 0 and 0 < value < 1):
        exact = binomial_interval(round(value * rarer), rarer, confidence)
        return min(exact.low, value), max(exact.high, value)
    half = special.ndtri((1 + confidence) / 2) * math.sqrt(variance) / (value * (1 - value))
    low, high = special.expit(special.logit(value) + np.array([-half, half]))
    return float(low), float(high)
