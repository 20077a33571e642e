"""A monitor: what was so at launch, what comes in now, and when that is no longer the same.

    baseline = make_examples(features, errors, predicted, names=("age", "rent"))
    log = watch(baseline, make_examples(...), Rules(window=200, delay=2))
    log.alerts, log.captured

The stream is looked at window by window. A share `level` of streams that stay as at launch alarms,
or fewer: each detector has an equal part of it, and every window an equal part of its detector's
(Bonferroni's inequality, which holds however windows and detectors depend on each other).
"""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from minima.evaluation import arrays, drift
from minima.evaluation.arrays import Floats, Ints
from minima.evaluation.drift import LEVEL, Cusum, Test
from minima.runtime.errors import UserError
from minima.statistics.intervals import binomial_interval

KS, MMD, PRIORS, CUSUM = (
    "kolmogorov_smirnov",
    "maximum_mean_discrepancy",
    "chi_squared",
    "cusum",
)
_ENOUGH = 10  # permutations above the statistic that end the search for a small p-value
_MOST_PERMUTATIONS = 9_999
_SURE = 0.9  # two-sided, of the error rate at launch, whose upper limit is watched


@dataclass(frozen=True)
class Examples:
    """What is known of examples, in the order in which they came.

    Attributes:
      features: (n, d) float64; d may be 0.
      names: of the features.
      errors: (n,) 1 where the model was wrong, 0 where it was right, NaN where nobody knows; or
        None.
      predicted: (n,) classes that the model gave, or None.
    """

    features: Floats
    names: tuple[str, ...]
    errors: Floats | None
    predicted: Ints | None

    def __len__(self) -> int:
        """How many there are."""
        return len(self.features)

    def __getitem__(self, part: slice) -> "Examples":
        """A stretch of them."""
        errors = None if self.errors is None else self.errors[part]
        predicted = None if self.predicted is None else self.predicted[part]
        return Examples(self.features[part], self.names, errors, predicted)


def make_examples(
    features: ArrayLike | None = None,
    errors: ArrayLike | None = None,
    predicted: ArrayLike | None = None,
    names: Sequence[str] = (),
    classes: int = 2**31,
) -> Examples:
    """Checks what is known of examples: features, errors, predicted classes, or some of them.

    Args:
      features: (n, d) or (n,) finite numbers.
      errors: (n,) of 0, 1 and NaN.
      predicted: (n,) whole numbers from 0.
      names: of the features; numbers from 0 where there are none.
      classes: predicted ones are below.

    Raises:
      UserError: arrays that don't fit, or nothing.
    """
    given = {"features": features, "errors": errors, "predicted": predicted}
    sizes = {name: len(np.asarray(each)) for name, each in given.items() if each is not None}
    if not sizes:
        raise UserError("nothing to watch: give features, errors or predicted classes")
    n = next(iter(sizes.values()))
    for name, size in sizes.items():
        if size != n:
            raise UserError(f"{name}: has {size:,} examples where the others have {n:,}")
    wrong = None
    if errors is not None:
        wrong = arrays.numbers(errors, "errors")
        if not np.isin(wrong[~np.isnan(wrong)], (0, 1)).all():
            raise UserError("errors: holds other values than 0, 1 and NaN (no label yet)")
    found = np.zeros((n, 0))
    if features is not None:
        found = arrays.finite(features, "features").reshape(n, -1)
    named = tuple(names) or tuple(map(str, range(found.shape[1])))
    if len(named) != found.shape[1]:
        raise UserError(f"names: {len(named)} for {found.shape[1]} features")
    guessed = None if predicted is None else arrays.class_labels(predicted, classes, "predicted")
    return Examples(found, named, wrong, guessed)


@dataclass(frozen=True)
class Rules:
    """When to alarm, fixed at launch.

    Attributes:
      window: examples that are looked at together.
      level: share of streams without a shift that may alarm.
      rise: of the error rate that is to be found soonest.
      delay: windows until labels arrive.
      reference: launch examples that the kernel test looks at; its time grows with the square.
      seed: of permutations and simulations.
    """

    window: int = 200
    level: float = LEVEL
    rise: float = 0.1
    delay: int = 0
    reference: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what can't be watched by.

        Raises:
          UserError: names the field.
        """
        for name, low in (("window", 2), ("delay", 0), ("reference", 2)):
            if getattr(self, name) < low:
                raise UserError(f"{name}={getattr(self, name)}: must be {low} or more")
        for name in ("level", "rise"):
            if not 0 < getattr(self, name) < 1:
                raise UserError(f"{name}={getattr(self, name):g}: must be above 0 and below 1")


@dataclass(frozen=True)
class Look:
    """One test of one window.

    Attributes:
      window: counted from 0; for errors, that in which the deciding label arrived.
      test: what came out.
      limit: of p, or for a cumulative sum of the statistic; see `alarms`.
      row: the first example of the stream that it is about.
    """

    window: int
    test: Test
    limit: float
    row: int

    @property
    def alarms(self) -> bool:
        """Whether it is an alert."""
        if self.test.detector == CUSUM:
            return self.test.statistic > self.limit
        return self.test.p <= self.limit


@dataclass(frozen=True)
class Log:
    """What a monitor saw.

    Attributes:
      windows: that it looked at.
      detectors: those that had something to look at.
      looks: every test, in order of time.
      captured: (k,) rows of the stream whose label arrived and was missed: what to look into, and
        to learn from.
    """

    windows: int
    detectors: tuple[str, ...]
    looks: tuple[Look, ...]
    captured: Ints

    @property
    def alerts(self) -> tuple[Look, ...]:
        """Looks that alarm, in order of time; a cumulative sum's first one alone."""
        return tuple(look for look in self.looks if look.alarms)

    @property
    def first_alert(self) -> int | None:
        """The window of the first alert."""
        return min((look.window for look in self.alerts), default=None)


def watch(
    baseline: Examples, stream: Examples, rules: Rules | None = None, until_alert: bool = False
) -> Log:
    """Looks at a stream window by window; examples after the last whole window are left out.

    Args:
      baseline: from launch.
      stream: in order.
      rules: fixed at launch.
      until_alert: stop looking at windows after one that alarms; what was found so far is the same.

    Raises:
      UserError: launch and stream don't have the same features, or there is no whole window.
    """
    rules = rules or Rules()
    windows = len(stream) // rules.window
    if not windows:
        raise UserError(
            f"window={rules.window}: the stream has {len(stream):,} examples; use a smaller window"
        )
    if stream.names != baseline.names:
        raise UserError(
            f"the stream has the features {', '.join(stream.names) or 'none'} where launch has "
            f"{', '.join(baseline.names) or 'none'}"
        )
    detectors = _detectors(baseline, stream)
    share = rules.level / len(detectors)
    looks: list[Look] = []
    for window in range(windows):
        row = window * rules.window
        now = stream[row : row + rules.window]
        for test in _tests(baseline, now, detectors, share / windows, rules, window):
            looks.append(Look(window, test, share / windows, row))
        if until_alert and any(look.alarms for look in looks):
            break
    captured = np.zeros(0, np.int64)
    if stream.errors is not None:
        arrived = stream.errors[: max(0, windows - rules.delay) * rules.window]
        captured = np.flatnonzero(arrived == 1)
        if CUSUM in detectors:
            looks += _errors(baseline, arrived, share, rules)
    looks.sort(key=lambda look: look.window)
    return Log(windows, detectors, tuple(looks), captured)


def _detectors(baseline: Examples, stream: Examples) -> tuple[str, ...]:
    found = [KS, MMD] if baseline.names else []
    if baseline.predicted is not None and stream.predicted is not None:
        found.append(PRIORS)
    if baseline.errors is not None and stream.errors is not None:
        found.append(CUSUM)
    if not found:
        raise UserError("launch and stream have nothing in common that could be watched")
    return tuple(found)


def _tests(
    baseline: Examples,
    now: Examples,
    detectors: tuple[str, ...],
    level: float,
    rules: Rules,
    window: int,
) -> Iterator[Test]:
    if KS in detectors:
        yield drift.kolmogorov_smirnov(baseline.features, now.features, baseline.names)
    if MMD in detectors:
        permutations = max(
            math.ceil(1 / level), min(_MOST_PERMUTATIONS, math.ceil(_ENOUGH / level))
        )
        chosen = _chosen(len(baseline), rules.reference, rules.seed)
        both = np.concatenate([baseline.features[chosen], now.features])
        # In one unit, found without regard to which is which, so that permuting stays exact.
        both = (both - both.mean(axis=0)) / np.where(np.ptp(both, axis=0) > 0, both.std(axis=0), 1)
        before, after = both[: len(chosen)], both[len(chosen) :]
        seed = rules.seed + window
        yield drift.maximum_mean_discrepancy(before, after, permutations, seed, _ENOUGH)
    if PRIORS in detectors:
        assert baseline.predicted is not None
        assert now.predicted is not None
        classes = 1 + max(int(baseline.predicted.max()), int(now.predicted.max()))
        yield drift.chi_squared(baseline.predicted, now.predicted, classes)


def _errors(baseline: Examples, arrived: Floats, level: float, rules: Rules) -> Iterator[Look]:
    """The cumulative sum at the end of every window, and where it first was too high."""
    assert baseline.errors is not None
    known = baseline.errors[~np.isnan(baseline.errors)]
    rows = np.flatnonzero(~np.isnan(arrived))
    if not len(rows):
        return
    if not len(known):
        raise UserError("errors: launch has no label; an error rate can't be compared with nothing")
    upper = _upper(int(known.sum()), len(known))
    if upper >= 1:
        raise UserError("errors: at launch all were wrong; it can't get worse")
    # To a thousandth, upwards: streams of one kind share a simulation.
    rate = min(math.ceil(1000 * upper) / 1000, (1 + upper) / 2)
    cusum = _cusum(rate, min(rate + rules.rise, (1 + rate) / 2), len(rows), level, rules.seed)
    path = cusum.path(arrived[rows])
    over = np.flatnonzero(path > cusum.threshold)
    stop = len(rows) if not len(over) else int(over[0]) + 1
    seen = range(0, len(rows), rules.window)
    ends = [end for start in seen if (end := min(start + rules.window, len(rows))) < stop]
    for end in [*ends, stop]:
        row = int(rows[end - 1])
        test = Test(CUSUM, math.nan, float(path[end - 1]))
        yield Look(row // rules.window + rules.delay, test, cusum.threshold, row)


@functools.lru_cache(maxsize=4096)
def _upper(wrong: int, known: int) -> float:
    return binomial_interval(wrong, known, _SURE).high


@functools.lru_cache(maxsize=4096)
def _cusum(rate: float, worse: float, horizon: int, level: float, seed: int) -> Cusum:
    draws = int(min(10_000, max(2_000, 2**28 // horizon)))
    return drift.make_cusum(rate, worse, horizon, level, draws, seed)


@functools.lru_cache(maxsize=64)
def _chosen(count: int, most: int, seed: int) -> Ints:
    chosen: Ints = np.random.default_rng(seed).permutation(count)[:most]
    return chosen
