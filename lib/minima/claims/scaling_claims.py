"""What claims about scaling measure: steps to a target and best rates against batch size.

Statistics here are computed from all seeds together. What each seed contributes, for the controls,
are jackknife pseudo-values (Tukey 1958, Annals of Mathematical Statistics 29): S times the whole's
statistic less S - 1 times that without the seed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from minima.claims.choosing import UndecidedError, plane_of
from minima.claims.claim import Measurement
from minima.claims.evidence import Bools, Curves, Evidence, Floats
from minima.claims.scaling import rate_exponent
from minima.claims.steps_to_target import hyperbola
from minima.statistics.intervals import Interval, t_interval

TARGET = 0.9  # of the way from guessing to what every batch size reaches
HALF_WAY = 0.5  # batch sizes that do not come so far are left out
SLOPE_OCTAVES = 3  # at the smallest batch sizes, as science.md 1.6 asks
NEVER = "a seed never reaches the target"
NO_RATE = "at every rate a choosing seed never reaches the target"
AT_ONCE = "at the target by the first evaluation"
_LEAST_SIZES = 4  # a hyperbola has two parameters


@dataclass(frozen=True)
class TargetSteps:
    """Updates that every batch size takes to a common validation accuracy.

    Attributes:
      target: that accuracy.
      batch_sizes: (B,), all of the plane.
      steps: (S, B) of the reporting seeds at the chosen rates; NaN where a seed never gets there
        or no rate could be chosen, an upper bound where it is there by the first evaluation.
      trained: (B,) updates that the longest run of each batch size makes: what "never" means.
      left_out: batch sizes that no fit may use, NEVER, NO_RATE or AT_ONCE.
    """

    target: float
    batch_sizes: Floats
    steps: Floats
    trained: Floats
    left_out: dict[float, str]

    @property
    def kept(self) -> Bools:
        """Which batch sizes a fit may use, (B,)."""
        return ~np.isin(self.batch_sizes, list(self.left_out))

    @property
    def notes(self) -> tuple[str, ...]:
        """The target and what was left out, in words."""
        left_out = (f"batch size {b:g} left out: {why}" for b, why in self.left_out.items())
        return (f"target: validation accuracy {100 * self.target:.1f} %", *left_out)


def target_steps(evidence: Evidence) -> TargetSteps:
    """Updates to a common validation accuracy, at the rate that gets there first.

    Each batch size has a best: the highest mean over choosing seeds, at any rate, of the highest
    accuracy ever shown. The target lies 90 % of the way from guessing to the lowest of these among
    batch sizes that come at least half as far as the best of all; the others are left out. Rates
    are chosen by mean updates of the choosing seeds, all of which must get there. Crossings are
    interpolated between evaluations.

    Raises:
      UndecidedError: no curves, no choosing seeds, or no run that learns.
    """
    plane, curves = plane_of(evidence, "epochs"), evidence.curves
    choosing, reporting = list(evidence.choosing), list(evidence.reporting)
    if curves is None or not choosing or len(reporting) < 2:
        raise UndecidedError("curves, seeds to choose rates on, and 2 or more to report on")
    # A run without a single evaluation shows nothing.
    shown = np.where(np.isnan(curves.validation_accuracy), -math.inf, curves.validation_accuracy)
    above = shown.max(3)[:, :, choosing].mean(2).max(1) - evidence.floor
    if not above.max() > 0:
        raise UndecidedError("runs that learn more than guessing")
    target = evidence.floor + TARGET * float(above[above >= HALF_WAY * above.max()].min())
    steps, early = _crossings(curves, target)
    table = np.full((len(reporting), len(plane.batch_sizes)), np.nan)
    left_out = {}
    for b, size in enumerate(plane.batch_sizes):
        means = steps[b][:, choosing].mean(1)
        if not np.isfinite(means).any():
            left_out[float(size)] = NO_RATE
            continue
        r = int(np.nanargmin(means))
        table[:, b] = steps[b, r, reporting]
        if not np.isfinite(table[:, b]).all():
            left_out[float(size)] = NEVER
        elif early[b, r, reporting].any():
            left_out[float(size)] = AT_ONCE
    sizes = np.array(plane.batch_sizes, np.float64)
    trained = np.nan_to_num(curves.steps).max((1, 2, 3))
    return TargetSteps(target, sizes, table, trained, left_out)


def steps_table(evidence: Evidence) -> tuple[Floats, Floats, tuple[str, ...]]:
    """What fits of `target_steps` may use.

    Returns:
      Batch sizes (K,), updates (S, K) of the reporting seeds, and notes on those left out: because
      a seed never gets there, or is there by the first evaluation, whenever that was.

    Raises:
      UndecidedError: no curves, no choosing seeds, or fewer than 2 batch sizes left.
    """
    found = target_steps(evidence)
    if found.kept.sum() < 2:
        raise UndecidedError("more evaluations or a longer budget: " + "; ".join(found.notes))
    return found.batch_sizes[found.kept], found.steps[:, found.kept], found.notes


def first_slope(evidence: Evidence) -> Measurement:
    """Slope of log updates to target over the 3 smallest octaves of batch size (Shallue 2019)."""
    sizes, steps, notes = steps_table(evidence)
    kept = sizes <= sizes[0] * 2**SLOPE_OCTAVES
    if kept.sum() < 2:
        raise UndecidedError(f"two batch sizes within {SLOPE_OCTAVES} octaves; {'; '.join(notes)}")
    x = np.log(sizes[kept])
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    slopes = np.log(steps[:, kept]) @ weights
    return Measurement(t_interval(slopes), slopes, None, notes)


def hyperbola_misfit(evidence: Evidence) -> Measurement:
    """1 - R^2 of log updates to target under S_min (1 + B_crit/B) (McCandlish 2018)."""
    sizes, steps, notes = steps_table(evidence)
    if len(sizes) < _LEAST_SIZES or len(steps) < 3:
        raise UndecidedError(
            f"{_LEAST_SIZES} batch sizes at which 3 or more seeds reach the target; "
            + "; ".join(notes)
        )

    def misfit(seeds: Floats) -> float:
        return 1 - hyperbola(sizes, seeds, resamples=2).r_squared

    if not math.isfinite(misfit(steps)):
        raise UndecidedError("updates to target that differ between batch sizes")
    interval, pseudo = _jackknife(misfit, steps)
    law = hyperbola(sizes, steps, resamples=1000)
    critical, caveat = law.critical, ""
    inside = sizes[0] <= critical.low and critical.high <= sizes[-1]
    interval = replace(interval, low=max(interval.low, 0.0))  # a share
    said = f"B_crit {critical.estimate:.3g} ({critical.low:.3g} to {critical.high:.3g})"
    if not (law.bounded and inside):
        caveat = (
            f"the law fits, but {said} is not within the batch sizes, so half of it is untested"
        )
    return Measurement(interval, pseudo, None, (said, *notes), caveat)


def sgd_rate_exponent(evidence: Evidence) -> Measurement:
    """Exponent of best rate against batch size, for SGD with or without momentum."""
    return _exponent(evidence, ("sgd", "momentum", "nesterov"))


def adam_rate_exponent(evidence: Evidence) -> Measurement:
    """The same for Adam."""
    return _exponent(evidence, ("adam", "adamw"))


def _exponent(evidence: Evidence, optimizers: tuple[str, ...]) -> Measurement:
    plane = plane_of(evidence, "epochs")
    if evidence.optimizer not in optimizers:
        raise UndecidedError(
            "another update rule: python experiments/batch_size_vs_learning_rate.py "
            f"--optimizer={optimizers[-1]}"
        )
    reporting = list(evidence.reporting)
    if len(reporting) < 3:
        raise UndecidedError("3 or more seeds to report on")
    scores = plane.validation[:, :, reporting].transpose(2, 0, 1)  # (S, B, R)
    rates = [plane.learning_rates] * len(plane.batch_sizes)
    try:
        fit = rate_exponent(plane.batch_sizes, rates, list(scores.transpose(1, 0, 2)), 1000)
    except ValueError as error:
        raise UndecidedError(f"a wider grid of rates or batch sizes: {error}") from error
    kept = [b for b, size in enumerate(plane.batch_sizes) if size not in fit.censored]
    sizes = [plane.batch_sizes[b] for b in kept]

    def exponent(seeds: Floats) -> float:
        planes = list(seeds[:, kept].transpose(1, 0, 2))
        try:
            return rate_exponent(sizes, rates[: len(kept)], planes, 2).exponent.estimate
        except ValueError:  # without this seed an optimum slips to the edge
            return fit.exponent.estimate

    _, pseudo = _jackknife(exponent, scores)
    notes = tuple(
        f"batch size {size:g} left out: its best rate is at the grid's edge"
        for size in fit.censored
    )
    return Measurement(fit.exponent, pseudo, None, notes)


def _jackknife(statistic: Callable[[Floats], float], seeds: Floats) -> tuple[Interval, Floats]:
    """A t interval around the whole's statistic, and the pseudo-values (S,)."""
    whole, count = statistic(seeds), len(seeds)
    without = np.array([statistic(np.delete(seeds, s, axis=0)) for s in range(count)])
    pseudo: Floats = count * whole - (count - 1) * without
    spread = t_interval(pseudo)
    half = spread.high - spread.estimate
    method = "t of jackknife pseudo-values"
    return Interval(whole, whole - half, whole + half, 0.95, count, method), pseudo


def _crossings(curves: Curves, target: float) -> tuple[Floats, Floats]:
    """Updates (B, R, S) at which accuracy first is at target, NaN for never; whether at once."""
    accuracy, steps = curves.validation_accuracy, curves.steps
    there = np.nan_to_num(accuracy, nan=-1.0) >= target
    first = there.argmax(3)[..., None]
    before = np.maximum(first - 1, 0)

    def at(values: Floats, place: np.ndarray) -> Floats:
        found: Floats = np.take_along_axis(values, place, axis=3)[..., 0]
        return found

    low, high = at(accuracy, before), at(accuracy, first)
    share = np.divide(target - low, high - low, out=np.ones_like(low), where=high > low)
    early = first[..., 0] == 0
    crossed = at(steps, before) + np.where(early, 0.0, share) * (
        at(steps, first) - at(steps, before)
    )
    reached = there.any(3)
    return np.where(reached, crossed, np.nan), (early & reached).astype(np.float64)
