"""Slow drift over months: a network that is never, always, or on an alert trained on.

At the end of a month its inputs are known, and the labels of the month before. What is trained then
learns from the newest labelled month, and serves from the next month on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minima import sweep
from minima.evaluation import monitor
from minima.evaluation.calibration import Floats
from minima.evaluation.monitor import Examples, Rules
from minima.sweep.run import Prepared
from minima.tasks import datasets
from parts.distribution_shift.config import DELAY, DistributionShiftConfig
from parts.distribution_shift.networks import PERCENT, alive, logits
from parts.distribution_shift.streams import observed

NEVER, ALERT, ALWAYS = "never", "on an alert", "always"
POLICIES = (NEVER, ALERT, ALWAYS)
LAUNCHED = 0  # in the place of the month whose labels a network learned from


@dataclass(frozen=True)
class Course:
    """What one policy leads to.

    Attributes:
      accuracy: percent, (seeds, months).
      retrainings: months at whose end it trained, one tuple a seed.
      first_alerts: (seeds,) month of the first alert, 0 for none; of ALERT alone.
      captured: (seeds,) errors whose label arrived.
    """

    accuracy: Floats
    retrainings: tuple[tuple[int, ...], ...]
    first_alerts: tuple[int, ...]
    captured: tuple[int, ...]


def prepare(config: DistributionShiftConfig, launched: Prepared, name: str) -> dict[int, Prepared]:
    """The retrainings that some policy may ask for, by the month that they learn from.

    Raises:
      UserError: see `sweep.prepare`.
    """
    last = config.watch.months - 1 - DELAY
    return {
        month: sweep.prepare(config.retraining(month, str(launched.directory)), name)
        for month in range(1, last + 1)
    }


def measure(
    config: DistributionShiftConfig, launched: Prepared, trained: Mapping[int, Prepared]
) -> dict[str, Course]:
    """Plays all policies over the same months, from the same networks."""
    count, months = config.watch.month_examples, range(1, config.watch.months + 1)
    cells = alive(launched, "signal_rate")
    streams = {m: datasets.load(f"mnist1d_month:{m}", validation_fraction=0) for m in months}
    networks = {LAUNCHED: launched, **trained}
    seen: dict[tuple[int, int], list[Examples]] = {}
    for learned, prepared in networks.items():
        serves = [m for m in months if not learned or m > learned + DELAY]
        for month in serves:
            test = streams[month].test
            found = logits(prepared, test.inputs[:count], cells)
            seen[learned, month] = [observed(each, test.labels[:count]) for each in found]
    held_out = {k: _held_out(prepared, cells) for k, prepared in networks.items()}
    courses = [
        {policy: _play(policy, months, seen, held_out, seed, count) for policy in POLICIES}
        for seed in range(len(cells))
    ]
    return {
        policy: Course(
            PERCENT * np.array([each[policy][0] for each in courses]),
            tuple(each[policy][1] for each in courses),
            tuple(each[policy][2] for each in courses),
            tuple(each[policy][3] for each in courses),
        )
        for policy in POLICIES
    }


def _held_out(prepared: Prepared, cells: Sequence[int]) -> list[Examples]:
    """Launch examples of a network: labelled, from the month it learned from, not learned."""
    split = prepared.plan.dataset.validation
    found = logits(prepared, split.inputs, cells)
    return [observed(each, split.labels) for each in found]


def _play(
    policy: str,
    months: range,
    seen: Mapping[tuple[int, int], list[Examples]],
    held_out: Mapping[int, list[Examples]],
    seed: int,
    count: int,
) -> tuple[list[float], tuple[int, ...], int, int]:
    """Accuracy by month, months of retraining, month of the first alert, errors captured."""
    serving, since, first, captured = LAUNCHED, 0, 0, 0
    accuracy, retrainings = [], []
    due = _due(policy, months, seen, held_out, seed, count, serving, since)
    for month in months:
        errors = seen[serving, month][seed].errors
        assert errors is not None
        accuracy.append(float(1 - errors.mean()))
        captured += int(errors.sum()) * (month + DELAY <= months[-1])
        if month == due and month < months[-1] and month > DELAY:
            serving, since = month - DELAY, month
            retrainings.append(month)
            first = first or month
            due = _due(policy, months, seen, held_out, seed, count, serving, since)
    return accuracy, tuple(retrainings), first, captured


def _due(
    policy: str,
    months: range,
    seen: Mapping[tuple[int, int], list[Examples]],
    held_out: Mapping[int, list[Examples]],
    seed: int,
    count: int,
    serving: int,
    since: int,
) -> int:
    """The month at whose end the policy trains next; 0 for none."""
    rest = range(since + 1, months[-1] + 1)
    if policy == NEVER or not rest:
        return 0
    if policy == ALWAYS:
        return max(since, DELAY) + 1
    stream = _joined([seen[serving, month][seed] for month in rest])
    log = monitor.watch(held_out[serving][seed], stream, Rules(count, delay=DELAY), True)
    alarmed = log.first_alert
    return 0 if alarmed is None else max(since + 1 + alarmed, DELAY + 1)


def _joined(parts: Sequence[Examples]) -> Examples:
    def together(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return Examples(together("features"), parts[0].names, together("errors"), together("predicted"))
