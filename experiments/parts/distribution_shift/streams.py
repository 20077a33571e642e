"""How often the monitor alarms: on streams where nothing changes, and on corrupted ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minima.evaluation import drift, monitor
from minima.evaluation.calibration import Floats
from minima.evaluation.monitor import Examples, Rules
from minima.sweep.run import Prepared
from minima.tasks.datasets.corruptions import SEVERITIES
from parts.distribution_shift.networks import logits
from parts.distribution_shift.robustness import corrupted_inputs

WINDOWS = 3  # of a stream
FEATURES = 3  # of the streams of noise that each detector is tried on alone
LAUNCH = 3  # windows' worth of examples from launch
WATCHED = ("noise", "shear", "gain", "gaps", "time_warp")  # corruptions of the power curve
DETECTORS = (monitor.KS, monitor.MMD, monitor.PRIORS, monitor.CUSUM)
WHOLE = "the whole monitor"
_RATE, _WORSE = 0.2, 0.3  # of errors, for the cumulative sum alone


@dataclass(frozen=True)
class Alarms:
    """Streams with an alarm, of all."""

    hits: int
    trials: int


def null_by_detector(count: int, window: int) -> dict[str, Alarms]:
    """Each detector alone at drift.LEVEL on noise: independent features, classes, errors."""
    n = LAUNCH * window
    cusum = drift.make_cusum(_RATE, _WORSE, WINDOWS * window)
    hits = dict.fromkeys(DETECTORS, 0)
    rng = np.random.default_rng(1)
    for number in range(count):
        before, now = rng.normal(size=(n, FEATURES)), rng.normal(size=(window + 1, FEATURES))
        hits[monitor.KS] += drift.kolmogorov_smirnov(before, now).alarms()
        found = drift.maximum_mean_discrepancy(before, now, 199, number, enough=20)
        hits[monitor.MMD] += found.alarms()
        classes = rng.integers(0, 4, (n + window))
        hits[monitor.PRIORS] += drift.chi_squared(classes[:n], classes[n:], 4).alarms()
        errors = rng.random(WINDOWS * window) < _RATE
        hits[monitor.CUSUM] += cusum.first_alarm(errors) is not None
    return {name: Alarms(each, count) for name, each in hits.items()}


def observed(of_logits: Floats, labels: np.ndarray) -> Examples:
    """What a monitor sees of a network: its logits, classes, and errors."""
    predicted = of_logits.argmax(axis=1)
    return monitor.make_examples(of_logits, predicted != labels, predicted)


def null_of_monitor(pool: Examples, count: int, window: int) -> dict[str, Alarms]:
    """The whole monitor on streams drawn from one pool of examples, launch and all."""
    hits, rng = dict.fromkeys((WHOLE, *DETECTORS), 0), np.random.default_rng(2)
    for number in range(count):
        launch, stream = _split(pool, rng, window)
        log = monitor.watch(launch, stream, Rules(window, seed=number, reference=2 * window))
        hits[WHOLE] += bool(log.alerts)
        for name in {look.test.detector for look in log.alerts}:
            hits[name] += 1
    return {name: Alarms(each, count) for name, each in hits.items()}


def power(
    prepared: Prepared, cell: int, pool: Examples, corrupted: int, count: int, window: int
) -> dict[str, list[Alarms]]:
    """By detector, alarms on streams that are corrupted from their start, by severity from 0."""
    data, rng = prepared.plan.dataset, np.random.default_rng(3)
    labels = data.test.labels[:corrupted]
    found: dict[str, list[Alarms]] = {name: [] for name in (WHOLE, *DETECTORS)}
    for severity in (0, *SEVERITIES):
        logs = []
        for name in WATCHED:
            shifted = pool[:corrupted]
            if severity:
                inputs = corrupted_inputs(data, name, severity, corrupted)
                shifted = observed(logits(prepared, inputs, [cell])[0], labels)
            logs += list(_watched(pool, shifted, rng, count, window))
        for name, rows in found.items():
            hits = sum(bool(log) if name == WHOLE else name in log for log in logs)
            rows.append(Alarms(hits, len(logs)))
    return found


def _watched(
    pool: Examples, shifted: Examples, rng: np.random.Generator, count: int, window: int
) -> Iterator[set[str]]:
    for number in range(count):
        launch, _ = _split(pool, rng, window)
        rows = rng.choice(len(shifted), min(len(shifted), WINDOWS * window), replace=False)
        rules = Rules(min(window, len(rows)), seed=number, reference=2 * window)
        log = monitor.watch(launch, _picked(shifted, rows), rules)
        yield {look.test.detector for look in log.alerts}


def _split(pool: Examples, rng: np.random.Generator, window: int) -> tuple[Examples, Examples]:
    chosen = rng.choice(len(pool), (LAUNCH + WINDOWS) * window, replace=False)
    return _picked(pool, chosen[: LAUNCH * window]), _picked(pool, chosen[LAUNCH * window :])


def _picked(pool: Examples, rows: Sequence[int] | np.ndarray) -> Examples:
    assert pool.errors is not None
    assert pool.predicted is not None
    return Examples(pool.features[rows], pool.names, pool.errors[rows], pool.predicted[rows])
