"""The same rates for every group, and how far apart groups are.

Differences and ratios are fairlearn's (0.15): between the largest and the smallest group, or
against the whole. Which of them ought to be small is for people to say; that not all can be, see
`false_positive_rate_of`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minima.evaluation import arrays
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
      low, high: limits of the difference, by the basic bootstrap over examples within groups; NaN
        where not asked for.
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
) -> list[Group]:
    """Rates of each group, in the order of their names.

    Args:
      labels, decided: (n,) 0 or 1.
      groups: (n,) values; see `intersections` for several attributes.
      weights: (n,) from 0 up; None for ones.
      least: examples below which a group is marked as small; it is reported all the same.
      names: which rates.

    Raises:
      UserError: arrays that don't fit.
    """
    y, d = arrays.decisions(labels, "labels"), arrays.decisions(decided)
    arrays.same_length(len(y), {"decisions": d})
    w, of = arrays.sample_weights(weights, len(y)), arrays.groups(groups, len(y))
    found = []
    for value in np.unique(of):
        inside = of == value
        n = int(inside.sum())
        mine = rates(y[inside], d[inside], w[inside] if w[inside].any() else None, names)
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
    resamples: int = 999,
    seed: int = 0,
    confidence: float = 0.95,
) -> Gap:
    """How far apart groups are in one rate.

    The maximum over groups less the minimum is never negative, and above 0 by chance alone where
    groups are small: the limits of equal groups need not hold 0. `exceeds_chance` asks that.

    Args:
      rate: a key of `rates.RATES`.
      labels, decided, groups, weights: see `by_group`.
      resamples: of the bootstrap for the limits; 0 for none.
      seed: of those.
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
    low = high = math.nan
    if resamples:
        low, high = spread.limits(resamples, seed, confidence)
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
    return gap("selection_rate", labels, decided, groups, weights, resamples=0).difference


def demographic_parity_ratio(
    labels: ArrayLike, decided: ArrayLike, groups: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """The smallest selection rate over the largest; 0.8 is the four-fifths rule's line."""
    return gap("selection_rate", labels, decided, groups, weights, resamples=0).ratio


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
    return gap("true_positive_rate", labels, decided, groups, weights, resamples=0).difference


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
        self._plain = bool(np.all(w == 1))

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

    def limits(self, resamples: int, seed: int, confidence: float) -> tuple[float, float]:
        """The basic bootstrap's limits: redrawn within groups, the range is larger by its bias."""
        rng = np.random.default_rng(seed)
        drawn = self._redrawn(rng, resamples) if self._plain else self._picked(rng, resamples)
        finite = drawn[np.isfinite(drawn).sum(axis=1) > 1]
        if not len(finite):
            return math.nan, math.nan
        apart = np.nanmax(finite, axis=1) - np.nanmin(finite, axis=1)
        tail = (1 - confidence) / 2
        low, high = 2 * self.difference(self.values()) - np.quantile(apart, [1 - tail, tail])
        return max(0.0, float(low)), float(high)

    def _redrawn(self, rng: np.random.Generator, resamples: int) -> arrays.Floats:
        """(resamples, groups) rates, by counts: a bootstrap of equal examples is multinomial."""
        columns = []
        for g in range(len(self.names)):
            mine = self._code == g
            n, among, hits = mine.sum(), self._among[mine].sum(), self._hits[mine].sum()
            parts = np.array([hits, among - hits, n - among]) / n
            counts = rng.multinomial(n, parts, resamples)
            with np.errstate(divide="ignore", invalid="ignore"):
                columns.append(counts[:, 0] / (counts[:, 0] + counts[:, 1]))
        return np.stack(columns, axis=1)

    def _picked(self, rng: np.random.Generator, resamples: int) -> arrays.Floats:
        """(resamples, groups) rates, example by example, each with its weight."""
        order = np.argsort(self._code, kind="stable")
        sizes = np.bincount(self._code)
        starts = np.cumsum(sizes) - sizes
        lowest, counts = np.repeat(starts, sizes), np.repeat(sizes, sizes)
        rows = []
        for _ in range(resamples):
            index = order[rng.integers(lowest, lowest + counts)]
            rows.append(self._ratio(self._code[index], self._among[index], self._hits[index]))
        return np.array(rows)

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
    found = [getattr(gap(name, labels, decided, groups, weights, 0), field) for name in both]
    defined = [value for value in found if not math.isnan(value)]
    return choose(defined) if defined else math.nan
