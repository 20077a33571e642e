"""What no repair gives at once, where groups differ in how often the label is 1.

Equal precision and equal error rates are at odds for decisions (Chouldechova 2017,
arXiv:1703.00056); calibration and equal mean scores for either label are for scores (Kleinberg,
Mullainathan and Raghavan 2017, arXiv:1609.05807). Both follow from an identity; how far one is from
having everything is a frontier.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minima.evaluation import arrays
from minima.evaluation.arrays import Floats
from minima.evaluation.disparity import false_positive_rate_of
from minima.evaluation.rates import rates
from minima.runtime.errors import UserError


@dataclass(frozen=True)
class Balance:
    """One group's scores.

    Attributes:
      n: examples.
      base_rate: share of labels 1.
      mean_score: of everybody; the base rate where scores are calibrated.
      positives, negatives: mean score of those with label 1 and 0; NaN where there are none.
    """

    n: int
    base_rate: float
    mean_score: float
    positives: float
    negatives: float

    @property
    def residual(self) -> float:
        """Of p · positives + (1 - p) · negatives = p: rounding alone, for calibrated scores."""
        p = self.base_rate
        return p * self.positives + (1 - p) * self.negatives - p


@dataclass(frozen=True, eq=False)
class Pairs:
    """What every pair of thresholds does, one for each of two groups: arrays (pairs,).

    Attributes:
      groups: their names.
      precision, false_negative_rate, false_positive_rate: the first group's less the second's.
      accuracy: of both together.
      thresholds: (pairs, 2).
    """

    groups: tuple[str, str]
    precision: Floats
    false_negative_rate: Floats
    false_positive_rate: Floats
    accuracy: Floats
    thresholds: Floats

    @property
    def odds(self) -> Floats:
        """(pairs,) the larger of the two gaps in error rates."""
        return np.maximum(abs(self.false_negative_rate), abs(self.false_positive_rate))

    def affordable(self, price: float) -> arrays.Bools:
        """(pairs,) which are at most so much less accurate than the best."""
        return self.accuracy >= self.accuracy.max() - price

    def least(self, price: float) -> float:
        """The least that the largest of the three gaps can be, at a price in accuracy."""
        worst = np.maximum(abs(self.precision), self.odds)
        return float(worst[self.affordable(price)].min())

    def frontier(self, price: float) -> tuple[Floats, Floats]:
        """Gaps in precision, rising, and the least gap in error rates that goes with each."""
        kept = self.affordable(price)
        x, y = abs(self.precision[kept]), self.odds[kept]
        order = np.lexsort((y, x))
        x, y = x[order], y[order]
        lowest = np.minimum.accumulate(y)
        first = np.concatenate([[True], lowest[1:] < lowest[:-1]])
        return x[first], lowest[first]


def balance(
    labels: ArrayLike, scores: ArrayLike, groups: Sequence[object] | ArrayLike
) -> dict[str, Balance]:
    """Mean scores by group and label.

    Raises:
      UserError: arrays that don't fit.
    """
    y, s = arrays.decisions(labels, "labels"), arrays.finite(scores, "scores")
    arrays.same_length(len(y), {"scores": s})
    of = arrays.groups(groups, len(y)).astype(str)
    found = {}
    for name in np.unique(of):
        mine, label = s[of == name], y[of == name]
        means = (
            float(part.mean()) if len(part) else math.nan for part in (mine[label], mine[~label])
        )
        found[str(name)] = Balance(len(mine), float(label.mean()), float(mine.mean()), *means)
    return found


def calibrated_within(
    labels: ArrayLike,
    scores: ArrayLike,
    groups: Sequence[object] | ArrayLike,
    bins: int = 20,
) -> Floats:
    """(n,) scores made exactly calibrated in every group: the share of labels 1 in their bin.

    Bins are equally full. On the same examples, which is what an identity is checked on.

    Raises:
      UserError: arrays that don't fit.
    """
    y, s = arrays.decisions(labels, "labels"), arrays.finite(scores, "scores")
    arrays.same_length(len(y), {"scores": s})
    of = arrays.groups(groups, len(y)).astype(str)
    made = np.empty(len(y))
    for name in np.unique(of):
        inside = of == name
        edges = np.unique(np.quantile(s[inside], np.linspace(0, 1, bins + 1)[1:-1]))
        code = np.searchsorted(edges, s[inside], "right")
        counts = np.bincount(code, minlength=len(edges) + 1)
        hits = np.bincount(code, y[inside], len(edges) + 1)
        made[inside] = (hits / np.maximum(counts, 1))[code]
    return made


def unbalance(base_rates: tuple[float, float], positives: float) -> float:
    """How far apart two groups' mean scores of label 0 are, where all else is as one would like.

    With calibrated scores of mean base rate, and the same mean score for label 1 in both groups,
    (1 - positives) · (p / (1 - p) - q / (1 - q)) (Kleinberg et al. 2017): 0 only for equal base
    rates or perfect prediction.
    """
    p, q = base_rates
    return (1 - positives) * (p / (1 - p) - q / (1 - q))


def chouldechovas_residual(labels: ArrayLike, decided: ArrayLike) -> float:
    """By how much one group's rates miss the identity: 0 but for rounding; NaN if undefined."""
    names = ("base_rate", "precision", "false_negative_rate", "false_positive_rate")
    found = rates(labels, decided, names=names)
    p, precision, missed, false = (found[name].value for name in names)
    if not all(map(math.isfinite, (p, precision, missed, false))) or p == 1 or precision == 0:
        return math.nan
    return false_positive_rate_of(p, precision, missed) - false


def threshold_pairs(
    labels: ArrayLike,
    scores: ArrayLike,
    groups: Sequence[object] | ArrayLike,
    steps: int = 60,
) -> Pairs:
    """All pairs of thresholds of the two largest groups, at quantiles of each one's scores.

    Pairs where nobody of a group is decided 1 have no precision there, and are left out.

    Raises:
      UserError: arrays that don't fit, or one group only.
    """
    y, s = arrays.decisions(labels, "labels"), arrays.finite(scores, "scores")
    arrays.same_length(len(y), {"scores": s})
    of = arrays.groups(groups, len(y)).astype(str)
    names, counts = np.unique(of, return_counts=True)
    if len(names) < 2:
        raise UserError(f"groups: all examples are of group {names[0]}; give two groups or more")
    pair = sorted(str(name) for name in names[np.argsort(-counts, kind="stable")[:2]])
    curves = [_curve(y[of == name], s[of == name], steps) for name in pair]
    n = [int((of == name).sum()) for name in pair]
    first, second = (
        np.repeat(np.arange(len(curves[0]["at"])), len(curves[1]["at"])),
        np.tile(np.arange(len(curves[1]["at"])), len(curves[0]["at"])),
    )

    def apart(rate: str) -> Floats:
        return curves[0][rate][first] - curves[1][rate][second]

    accuracy = n[0] * curves[0]["accuracy"][first] + n[1] * curves[1]["accuracy"][second]
    return Pairs(
        (pair[0], pair[1]),
        apart("precision"),
        apart("false_negative_rate"),
        apart("false_positive_rate"),
        accuracy / sum(n),
        np.stack([curves[0]["at"][first], curves[1]["at"][second]], axis=1),
    )


def _curve(y: NDArray[np.bool_], s: Floats, steps: int) -> Mapping[str, Floats]:
    """Rates of one group at thresholds from its lowest score up; at each somebody is decided 1."""
    if len(np.unique(y)) < 2:
        raise UserError("groups: a group has one label only, so its error rates are undefined")
    at = np.unique(np.quantile(s, np.linspace(0, 1, steps), method="higher"))
    found = {name: np.empty(len(at)) for name in _RATES}
    for k, threshold in enumerate(at):
        here = rates(y, s >= threshold, names=_RATES)
        for name in _RATES:
            found[name][k] = here[name].value
    return found | {"at": at}


_RATES = ("precision", "false_negative_rate", "false_positive_rate", "accuracy")
