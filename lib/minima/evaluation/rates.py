"""Rates of decisions: how often they are yes, and how often they are right, with exact limits.

Names and definitions are scikit-learn's: with labels y and decisions d, the true positive rate is
the share of d = 1 among y = 1, the precision that of y = 1 among d = 1, and so on. A rate over no
example is undefined: NaN, with the reason, never 0.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from minima.evaluation.arrays import Bools, Floats, decisions, same_length, sample_weights
from minima.statistics.intervals import binomial_interval

# name -> (what counts as a hit, among whom, who they are in words), of labels and decisions.
_Definition = tuple[Callable[[Bools, Bools], Bools], Callable[[Bools, Bools], Bools], str]


def _everybody(y: Bools, d: Bools) -> Bools:
    return np.ones(len(y), bool)


RATES: dict[str, _Definition] = {
    "base_rate": (lambda y, d: y, _everybody, "examples"),
    "selection_rate": (lambda y, d: d, _everybody, "examples"),
    "accuracy": (lambda y, d: y == d, _everybody, "examples"),
    "true_positive_rate": (lambda y, d: d, lambda y, d: y, "examples with label 1"),
    "false_negative_rate": (lambda y, d: ~d, lambda y, d: y, "examples with label 1"),
    "true_negative_rate": (lambda y, d: ~d, lambda y, d: ~y, "examples with label 0"),
    "false_positive_rate": (lambda y, d: d, lambda y, d: ~y, "examples with label 0"),
    "precision": (lambda y, d: y, lambda y, d: d, "examples decided 1"),
    "negative_predictive_value": (lambda y, d: ~y, lambda y, d: ~d, "examples decided 0"),
}


@dataclass(frozen=True)
class Rate:
    """A share of examples.

    Attributes:
      value: in [0, 1]; NaN where undefined.
      low, high: 95 % limits: Clopper and Pearson's, exact; with unequal weights, the same at the
        effective number of examples (Kish 1965), which is an approximation. NaN where undefined.
      n: examples that it is a share of.
      reason: why it is undefined, or "".
    """

    value: float
    low: float
    high: float
    n: int
    reason: str = ""

    @property
    def defined(self) -> bool:
        """Whether there is a value."""
        return not self.reason


def rate(
    name: str,
    labels: ArrayLike,
    decided: ArrayLike,
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Rate:
    """One of RATES.

    Args:
      name: a key of RATES.
      labels, decided: (n,) 0 or 1.
      weights: (n,) from 0 up; None for ones.
      confidence: of the limits.

    Raises:
      UserError: arrays that don't fit.
    """
    y, d = decisions(labels, "labels"), decisions(decided)
    same_length(len(y), {"decisions": d})
    return _rate(name, y, d, sample_weights(weights, len(y)), confidence)


def rates(
    labels: ArrayLike,
    decided: ArrayLike,
    weights: ArrayLike | None = None,
    names: Sequence[str] = tuple(RATES),
    confidence: float = 0.95,
) -> dict[str, Rate]:
    """Several of RATES, by name; see `rate`.

    Raises:
      UserError: arrays that don't fit.
    """
    y, d = decisions(labels, "labels"), decisions(decided)
    same_length(len(y), {"decisions": d})
    w = sample_weights(weights, len(y))
    return {name: _rate(name, y, d, w, confidence) for name in names}


def share(hits: Bools, weights: Floats, whom: str = "examples", confidence: float = 0.95) -> Rate:
    """The weighted share of hits (n,), with limits; undefined where nothing has weight."""
    total, counted = float(weights.sum()), int((weights > 0).sum())
    if not total > 0:
        return Rate(math.nan, math.nan, math.nan, 0, f"no {whom}")
    value = float(weights[hits].sum() / total)
    if np.all(weights[weights > 0] == weights[weights > 0][0]):
        found = binomial_interval(int((hits & (weights > 0)).sum()), counted, confidence)
        return Rate(value, found.low, found.high, counted)
    effective = max(1, int(total**2 / float((weights**2).sum())))
    found = binomial_interval(round(value * effective), effective, confidence)
    return Rate(value, min(found.low, value), max(found.high, value), counted)


def _rate(name: str, y: Bools, d: Bools, weights: Floats, confidence: float) -> Rate:
    hit, among, whom = RATES[name]
    chosen = among(y, d)
    return share(hit(y, d)[chosen], weights[chosen], whom, confidence)
