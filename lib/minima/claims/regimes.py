"""What a learning rate did to a run, told from its loss curve by one rule; and where it changes.

Lewkowycz et al. 2020 (arXiv:2003.02218) name the lazy and the catapult phase, Cohen et al. 2021
(arXiv:2103.00065) the edge of stability. The rule, whichever comes first:

    diverged   the run's status says so
    frozen     the loss never rises, and ends no lower than a constant output's
    lazy       the loss never rises otherwise
    collapsed  it rose, and the run predicts one class for all (the status "collapsed"), or ends no
               more than 5 % below a constant output's loss
    unstable   it rose, and trains all the same: catapult, or edge of stability

A loss rises where it is more than 1 % above its lowest value so far.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

FROZEN, LAZY, UNSTABLE = "frozen", "lazy", "unstable"
COLLAPSED, DIVERGED = "collapsed", "diverged"
REGIMES = (FROZEN, LAZY, UNSTABLE, COLLAPSED, DIVERGED)
TRAINS = (LAZY, UNSTABLE)
_RISE = 0.01  # above the lowest loss so far: more than rounding makes
_CONSTANT = 0.05  # below a constant output's loss: what a few outputs that still move can gain
_TAIL = 10  # looks whose mean is the loss at the end


def classify(losses: ArrayLike, status: str, constant_loss: float) -> str:
    """The regime of one run, one of REGIMES.

    Args:
      losses: (looks,) training loss, the first before any update; NaN beyond the run's end.
      status: of the run, such as "complete" or "collapsed".
      constant_loss: of the best output that does not look at the input; see `constant_loss`.

    Raises:
      ValueError: there is no loss to look at.
    """
    curve = np.asarray(losses, np.float64)
    curve = curve[np.isfinite(curve)]
    if status == "diverged":
        return DIVERGED
    if not len(curve):
        raise ValueError("a run without a finite loss that did not diverge")
    end = curve[-_TAIL:].mean()
    if not rises(curve):
        return FROZEN if end >= constant_loss else LAZY
    stuck = status == "collapsed" or end > (1 - _CONSTANT) * constant_loss
    return COLLAPSED if stuck else UNSTABLE


def rises(losses: ArrayLike) -> bool:
    """Whether a curve is anywhere more than 1 % above its lowest value so far."""
    curve = np.asarray(losses, np.float64)
    return bool(np.any(curve > (1 + _RISE) * np.minimum.accumulate(curve)))


def constant_loss(labels: ArrayLike, classes: int, loss: str) -> float:
    """The least mean loss of an output that is the same for every example.

    Args:
      labels: (n,) classes.
      classes: how many there are.
      loss: "cross_entropy": the entropy of the labels; "squared_error", half the squared distance
        from one-hot targets: half their variance.
    """
    shares = np.bincount(np.asarray(labels), minlength=classes) / np.size(labels)
    if loss == "squared_error":
        return float(0.5 * (1 - np.sum(shares**2)))
    seen = shares[shares > 0]
    return float(-np.sum(seen * np.log(seen)))


def onset(rates: Sequence[float], regimes: Sequence[str]) -> float:
    """The rate at which the loss begins to rise: between the first that does and the one below.

    The geometric mean of the two; NaN where no rate or the lowest one is unstable.
    """
    first = next((i for i, name in enumerate(regimes) if name not in (FROZEN, LAZY)), 0)
    return math.sqrt(rates[first - 1] * rates[first]) if first else math.nan


def limit(rates: Sequence[float], regimes: Sequence[str]) -> float:
    """The largest rate that trains: between it and the next; NaN if none or the last one does."""
    last = max((i for i, name in enumerate(regimes) if name in TRAINS), default=-1)
    if not 0 <= last < len(rates) - 1:
        return math.nan
    return math.sqrt(rates[last] * rates[last + 1])
