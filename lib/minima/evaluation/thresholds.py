"""A threshold for every group, after training (Hardt, Price and Srebro 2016, arXiv:1610.02413).

Fitted on held-out people, whose groups must be known there and at every decision since. Where no
single threshold gives the rate that all groups are to share, two are drawn between at random.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minima.evaluation import arrays
from minima.evaluation.arrays import Floats
from minima.runtime.errors import UserError

# What all groups shall share, and the rate that makes it so.
CRITERIA = {
    "demographic_parity": "selection_rate",
    "equal_opportunity": "true_positive_rate",
    "equalized_odds": "false_positive_rate",  # and the true positive rate
}
GRID = 1000  # steps between 0 and 1 in which the shared rate is searched


@dataclass(frozen=True)
class Rule:
    """How the people of one group are decided about.

    Attributes:
      thresholds: two; scores from them up mean 1.
      weight: probability of the first.
      ignored: probability that the score is not looked at.
      constant: probability of 1 in that case.
    """

    thresholds: tuple[float, float]
    weight: float
    ignored: float = 0.0
    constant: float = 0.0

    def chances(self, scores: Floats) -> Floats:
        """(n,) probability of 1."""
        first, second = (scores >= threshold for threshold in self.thresholds)
        looked = self.weight * first + (1 - self.weight) * second
        return self.ignored * self.constant + (1 - self.ignored) * looked


@dataclass(frozen=True)
class GroupThresholds:
    """A rule for each group.

    Attributes:
      criterion: a key of CRITERIA.
      rules: by group.
      shared: the rate that all groups have in common, among those it was fitted on.
      accuracy: expected, of those.
    """

    criterion: str
    rules: Mapping[str, Rule]
    shared: float
    accuracy: float

    def chances(self, scores: ArrayLike, groups: Sequence[object] | ArrayLike) -> Floats:
        """(n,) probability that somebody is decided 1.

        Raises:
          UserError: arrays that don't fit, or a group that it was not fitted on.
        """
        s = arrays.finite(scores, "scores")
        of = arrays.groups(groups, len(s)).astype(str)
        found = np.empty(len(s))
        for value in np.unique(of):
            if value not in self.rules:
                raise UserError(f"groups: {value} has no threshold; fit it on people of all groups")
            found[of == value] = self.rules[value].chances(s[of == value])
        return found

    def decide(
        self, scores: ArrayLike, groups: Sequence[object] | ArrayLike, seed: int = 0
    ) -> NDArray[np.bool_]:
        """(n,) decisions; the seed is of what is left to chance.

        Raises:
          UserError: see `chances`.
        """
        chances = self.chances(scores, groups)
        return np.random.default_rng(seed).random(len(chances)) < chances


def fit_thresholds(
    labels: ArrayLike,
    scores: ArrayLike,
    groups: Sequence[object] | ArrayLike,
    criterion: str = "equal_opportunity",
) -> GroupThresholds:
    """The rules of best accuracy among those under which all groups share a rate.

    As fairlearn's ThresholdOptimizer: along the upper hull of each group's curve, for each value of
    the rate on a grid; equal odds are where the lowest of all groups' hulls lies.

    Args:
      labels: (n,) 0 or 1, of held-out people.
      scores: (n,) the higher, the rather 1.
      groups: (n,).
      criterion: a key of CRITERIA.

    Raises:
      UserError: arrays that don't fit, one group only, or a group with labels of one kind.
    """
    if criterion not in CRITERIA:
        raise UserError(f"criterion {criterion!r}: use one of {', '.join(CRITERIA)}")
    y, s = arrays.decisions(labels, "labels"), arrays.finite(scores, "scores")
    arrays.same_length(len(y), {"scores": s})
    of = arrays.groups(groups, len(y)).astype(str)
    names = np.unique(of)
    if len(names) < 2:
        raise UserError(f"groups: all examples are of group {names[0]}; give two groups or more")
    for name in names:
        if len(np.unique(y[of == name])) < 2:
            raise UserError(f"groups: all examples of {name} have one label; both are needed")
    odds = criterion == "equalized_odds"
    hulls = {
        str(name): _Hull(y[of == name], s[of == name], CRITERIA[criterion], odds) for name in names
    }
    grid = np.linspace(0, 1, GRID + 1)
    curves = {name: hull.at(grid) for name, hull in hulls.items()}
    if odds:
        lowest = np.min(list(curves.values()), axis=0)
        accuracy = y.mean() * lowest + (1 - y.mean()) * (1 - grid)
    else:
        shares = {name: float((of == name).mean()) for name in hulls}
        accuracy = np.sum([shares[name] * curve for name, curve in curves.items()], axis=0)
    best = int(np.argmax(np.round(accuracy, 15)))
    shared = float(grid[best])
    rules = {
        name: hull.rule(shared, float(lowest[best]) if odds else None)
        for name, hull in hulls.items()
    }
    return GroupThresholds(criterion, rules, shared, float(accuracy[best]))


class _Hull:
    """The upper hull of what one group's thresholds give: a rate across, a goal up."""

    def __init__(self, y: arrays.Bools, s: Floats, rate: str, odds: bool) -> None:
        kinds, code = np.unique(s, return_inverse=True)
        # From the threshold that nobody reaches down to the one that everybody does.
        positive = np.concatenate([[0], np.cumsum(np.bincount(code, y)[::-1])])
        negative = np.concatenate([[0], np.cumsum(np.bincount(code, ~y)[::-1])])
        thresholds = np.concatenate([[np.inf], kinds[::-1]])
        across = {
            "selection_rate": (positive + negative) / len(y),
            "true_positive_rate": positive / y.sum(),
            "false_positive_rate": negative / (~y).sum(),
        }[rate]
        right = positive / y.sum() if odds else (positive + (~y).sum() - negative) / len(y)
        kept = _upper_hull(across, right)
        self._x, self._y, self._thresholds = across[kept], right[kept], thresholds[kept]

    def at(self, x: Floats) -> Floats:
        """How high it is."""
        return np.interp(x, self._x, self._y)

    def rule(self, x: float, height: float | None) -> Rule:
        """The mixture at x, brought down to a height along the diagonal where one is given."""
        right = int(np.clip(np.searchsorted(self._x, x), 1, len(self._x) - 1))
        low, high = self._x[right - 1], self._x[right]
        weight = float((high - x) / (high - low))
        pair = float(self._thresholds[right - 1]), float(self._thresholds[right])
        if height is None:
            return Rule(pair, weight)
        mine = float(self.at(np.array([x]))[0])
        ignored = (mine - height) / (mine - x) if mine > x else 0.0
        return Rule(pair, weight, ignored, x)


def _upper_hull(x: Floats, y: Floats) -> list[int]:
    """Which points make it, from left to right (Andrew's monotone chain); x rises."""
    kept: list[int] = []
    for i in range(len(x)):
        if kept and x[i] == x[kept[-1]]:
            if y[i] <= y[kept[-1]]:
                continue
            kept.pop()
        while len(kept) > 1:
            a, b = kept[-2], kept[-1]
            if (x[b] - x[a]) * (y[i] - y[a]) < (y[b] - y[a]) * (x[i] - x[a]):
                break
            kept.pop()
        kept.append(i)
    return kept
