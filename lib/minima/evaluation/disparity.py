"""The same rates for every group, and how far apart groups are.

Differences and ratios are fairlearn's (0.15): between the largest and the smallest group, or
against the whole. Which of them ought to be small is for people to say; that not all can be, see
`false_positive_rate_of`.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from minima.evaluation import arrays
from minima.evaluation.ranking import auc
from minima.evaluation.rates import RATES, Rate, rates
from minima.runtime.errors import UserError

LEAST = 30  # examples of a group below which its rates say little


@dataclass(frozen=True)
class Group:
    """One group's rates.

    Attributes:
      name: its value, or values of an intersection joined by " & ".
      n: examples.
      rates: by name; see `rates.RATES`.
      small: whether it has fewer examples than were asked for.
    """

    name: str
    n: int
    rates: dict[str, Rate]
    small: bool


@dataclass(frozen=True)
class Gap:
    """How far apart groups are in one rate.

    Attributes:
      rate: its name.
      difference: the largest less the smallest value; NaN where fewer than two are defined.
      ratio: the smallest over the largest; NaN likewise, or where both are 0.
      low, high: limits of the true difference; see `newcombe` and `_Spread.limits`.
      smallest, largest: which groups.
      reason: why it is undefined, or "".
    """

    rate: str
    difference: float
    ratio: float
    low: float
    high: float
    smallest: str
    largest: str
    reason: str = ""


def by_group(
    labels: ArrayLike,
    decided: ArrayLike,
    groups: Sequence[object] | ArrayLike,
    weights: ArrayLike | None = None,
    least: int = LEAST,
    names: Sequence[str] = tuple(RATES),
    scores: ArrayLike | None = None,
) -> list[Group]:
    """Rates of each group, in the order of their names; with scores their AUC, too.

    Args:
      labels, decided: (n,) 0 or 1.
      groups: (n,) values; see `intersections` for several attributes.
      weights: (n,) from 0 up; None for ones.
      least: examples below which a group is marked as small; it is reported all the same.
      names: which rates.
      scores: (n,) finite, the higher the rather 1; `ranking.auc` of them becomes the rate "auc".

    Raises:
      UserError: arrays that don't fit.
    """
    y, d = arrays.decisions(labels, "labels"), arrays.decisions(decided)
    arrays.same_length(len(y), {"decisions": d})
    s = None if scores is None else arrays.finite(scores, "scores")
    if s is not None:
        arrays.same_length(len(y), {"scores": s})
    w, of = arrays.sample_weights(weights, len(y)), arrays.groups(groups, len(y))
    found = []
    for value in np.unique(of):
        inside = of == value
        n = int(inside.sum())
        weighted = w[inside] if w[inside].any() else None
        mine = rates(y[inside], d[inside], weighted, names)
        if s is not None:
            mine["auc"] = auc(y[inside], s[inside], weighted)
        found.append(Group(str(value), n, mine, n < least))
    return found


def intersections(*attributes: Sequence[object] | ArrayLike) -> NDArray[np.str_]:
    """(n,) names of the groups that several attributes (n,) make together.

    Raises:
      UserError: none are given, or their lengths differ.
    """
    if not attributes:
        raise UserError("groups: give one attribute or more")
    columns = [np.asarray(values).astype(str) for values in attributes]
    for place, column in enumerate(columns[1:], 2):
        arrays.same_length(len(columns[0]), {f"attribute {place}": column})
    return np.array([" & ".join(values) for values in zip(*columns, strict=True)])


def gap(
    rate: str,
    labels: ArrayLike,
    decided: ArrayLike,
    groups: Sequence[object] | ArrayLike,
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Gap:
    """How far apart groups are in one rate.

    The maximum over groups less the minimum is above 0 by chance alone: whether it is further than
    that, `exceeds_chance` asks.

    Args:
      rate: a key of `rates.RATES`.
      labels, decided, groups, weights: see `by_group`.
      confidence: of the limits.

    Raises:
      UserError: arrays that don't fit, or one group only.
    """
    y, d, of, w = _checked(labels, decided, groups, weights)
    spread = _Spread(rate, y, d, of, w)
    values = spread.values()
    defined = np.isfinite(values)
    if defined.sum() < 2:
        reason = f"{rate} is defined for {int(defined.sum())} of {len(values)} groups"
        return Gap(rate, math.nan, math.nan, math.nan, math.nan, "", "", reason)
    smallest, largest = int(np.nanargmin(values)), int(np.nanargmax(values))
    low, high = spread.limits(confidence)
    top, bottom = float(values[largest]), float(values[smallest])
    return Gap(
        rate,
        top - bottom,
        bottom / top if top > 0 else math.nan,
        low,
        high,
        spread.names[smallest],
        spread.names[largest],
    )


def newcombe(
    first: float, n: float, second: float, m: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Limits of a difference of two shares, `first` of n less `second` of m.

    Wilson's score limits of both, put together (Newcombe 1998, method 10, Statistics in Medicine
    17): good for small samples and shares near 0 and 1.
    """
    z = float(stats.norm.isf((1 - confidence) / 2))

    def wilson(p: float, n: float) -> tuple[float, float]:
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return centre - half, centre + half

    (l1, u1), (l2, u2) = wilson(first, n), wilson(second, m)
    apart = first - second
    return apart - math.hypot(first - l1, u2 - second), apart + math.hypot(u1 - first, second - l2)


def exceeds_chance(
    rate: str,
    labels: ArrayLike,
    decided: ArrayLike,
    groups: Sequence[object] | ArrayLike,
    permutations: int = 999,
    seed: int = 0,
) -> float:
    """How often groups drawn at random are as far apart as these, p in (0, 1].

    Group names are permuted, which keeps their sizes (Phipson and Smyth 2010 for the + 1).

    Raises:
      UserError: arrays that don't fit, or one group only.
    """
    y, d, of, w = _checked(labels, decided, groups, None)
    spread, rng = _Spread(rate, y, d, of, w), np.random.default_rng(seed)
    observed = spread.difference(spread.values())
    if math.isnan(observed):
        return math.nan
    hits = 0
    for _ in range(permutations):
        drawn = spread.difference(spread.values(rng.permutation(len(y))))
        hits += drawn >= observed - 1e-12
    return (hits + 1) / (permutations + 1)


def worst_group(found: Sequence[Group], rate: str = "accuracy") -> Group | None:
    """The group whose rate is lowest, among those where it is defined."""
    defined = [group for group in found if group.rates[rate].defined]
    return min(defined, key=lambda group: group.rates[rate].value, default=None)


def demographic_parity_difference(
    labels: ArrayLike, decided: ArrayLike, groups: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """How far apart selection rates are (fairlearn's function of this name)."""
    return gap("selection_rate", labels, decided, groups, weights).difference


def demographic_parity_ratio(
    labels: ArrayLike, decided: ArrayLike, groups: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """The smallest selection rate over the largest; 0.8 is the four-fifths rule's line."""
    return gap("selection_rate", labels, decided, groups, weights).ratio


def equalized_odds_difference(
    labels: ArrayLike, decided: ArrayLike, groups: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """The larger of the gaps in true and in false positive rates (Hardt et al. 2016).

    NaN where neither is defined.
    """
    return _largest(max, "difference", labels, decided, groups, weights)


def equalized_odds_ratio(
    labels: ArrayLike, decided: ArrayLike, groups: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """The smaller of the two ratios of true and of false positive rates."""
    return _largest(min, "ratio", labels, decided, groups, weights)


def equal_opportunity_difference(
    labels: ArrayLike, decided: ArrayLike, groups: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """How far apart true positive rates are (Hardt et al. 2016)."""
    return gap("true_positive_rate", labels, decided, groups, weights).difference


def false_positive_rate_of(base_rate: float, precision: float, false_negative_rate: float) -> float:
    """The false positive rate that the other three leave no choice about.

    FPR = p / (1 - p) · (1 - PPV) / PPV · (1 - FNR) (Chouldechova 2017, equation 2.6). So where
    base rates p differ, groups of equal precision and false negative rate have different false
    positive rates: no repair gives all three.
    """
    return base_rate / (1 - base_rate) * (1 - precision) / precision * (1 - false_negative_rate)


class _Spread:
    """One rate of all groups at once, for many drawings of the same examples."""

    def __init__(
        self, rate: str, y: arrays.Bools, d: arrays.Bools, of: NDArray, w: arrays.Floats
    ) -> None:
        values, self._code = np.unique(of, return_inverse=True)
        self.names = [str(value) for value in values]
        hit, among, _ = RATES[rate]
        chosen = among(y, d)
        self._among, self._hits = w * chosen, w * (chosen & hit(y, d))

    def values(self, order: NDArray[np.intp] | None = None) -> arrays.Floats:
        """(groups,) the rate, of examples in another order where one is given; NaN if undefined."""
        among, hits = self._among, self._hits
        if order is not None:
            among, hits = among[order], hits[order]
        return self._ratio(self._code, among, hits)

    @staticmethod
    def difference(values: arrays.Floats) -> float:
        """The largest less the smallest that is defined."""
        finite = values[np.isfinite(values)]
        return float(np.ptp(finite)) if len(finite) > 1 else math.nan

    def limits(self, confidence: float) -> tuple[float, float]:
        """Of the true range: some pair is at least so far apart, and no pair further.

        The lower one holds for all pairs at once (Bonferroni), the upper one for the pair that is
        furthest apart, whichever that is.
        """
        rates, n = self.values(), self._effective()
        defined = np.flatnonzero(np.isfinite(rates))
        pairs = len(defined) * (len(defined) - 1) // 2
        low, high = 0.0, 0.0
        for i, j in itertools.permutations(defined, 2):
            pair = rates[i], n[i], rates[j], n[j]
            high = max(high, newcombe(*pair, confidence)[1])
            low = max(low, newcombe(*pair, 1 - (1 - confidence) / pairs)[0])
        return low, high

    def _effective(self) -> arrays.Floats:
        """(groups,) how many equal examples would tell as much (Kish 1965)."""
        total = np.bincount(self._code, self._among, len(self.names))
        with np.errstate(invalid="ignore"):
            return total**2 / np.bincount(self._code, self._among**2, len(self.names))

    def _ratio(self, code: NDArray, among: arrays.Floats, hits: arrays.Floats) -> arrays.Floats:
        total = np.bincount(code, among, len(self.names))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.bincount(code, hits, len(self.names)) / total


def _checked(
    labels: ArrayLike,
    decided: ArrayLike,
    groups: Sequence[object] | ArrayLike,
    weights: ArrayLike | None,
) -> tuple[arrays.Bools, arrays.Bools, NDArray, arrays.Floats]:
    y, d = arrays.decisions(labels, "labels"), arrays.decisions(decided)
    arrays.same_length(len(y), {"decisions": d})
    of = arrays.groups(groups, len(y))
    if len(np.unique(of)) < 2:
        raise UserError(f"groups: all examples are of group {of[0]}; give two groups or more")
    return y, d, of, arrays.sample_weights(weights, len(y))


def _largest(
    choose: Callable[..., float],
    field: str,
    labels: ArrayLike,
    decided: ArrayLike,
    groups: ArrayLike,
    weights: ArrayLike | None,
) -> float:
    both = ("true_positive_rate", "false_positive_rate")
    found = [getattr(gap(name, labels, decided, groups, weights), field) for name in both]
    defined = [value for value in found if not math.isnan(value)]
    return choose(defined) if defined else math.nan
