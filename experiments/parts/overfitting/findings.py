"""Tables and figures of what was measured, for `lesson.present`."""

import math

import numpy as np

from lesson import Findings
from minima.claims.evidence import Floats
from minima.claims.seeded import Judged
from minima.record.tables import Table, Value
from minima.statistics.intervals import t_interval
from parts.overfitting import figures
from parts.overfitting.config import OverfittingConfig
from parts.overfitting.factorial import REMEDIES, all_effects, alone, together
from parts.overfitting.faults import FAULTS, NAMES
from parts.overfitting.measured import Measured
from parts.overfitting.peeking import Peeking, peek

PEEKED = (100, 200, 400, 800, 1600)  # sizes of the set peeked at
CHOICES = (2, 6, 24)


def judged_peeking(found: Measured) -> Peeking:
    """On as many test examples as usually validate, or half of what there is; from all choices."""
    count, _, examples = found.hits.shape
    return peek(found.hits, found.validated, min(800, examples // 2), count)


def findings(
    found: Measured, judged: list[Judged], peeking: Peeking, config: OverfittingConfig
) -> Findings:
    """What to print, and which files to write."""
    count, _, examples = found.hits.shape
    every = [
        peek(found.hits, found.validated, size, choices)
        for choices in (*(c for c in CHOICES if c < count), count)
        for size in PEEKED
        if 2 * size <= examples
    ]
    return Findings(
        tables={
            "remedies": _remedies(found),
            "effects": _effects(found),
            "diagnoses": _confusion(found),
            "faults": _faults(found),
            "peeking": _peeking([*every, *([] if every else [peeking])]),
            "misread": _misread(found),
        },
        judged=judged,
        figures={
            "tickets": figures.tickets(found),
            "remedies": figures.remedies(found, config.remedies.judged_size),
            "controls": figures.controls(found, config.remedies.judged_size, every),
            "diagnosis": figures.diagnosis(found),
        },
        facts={"train_sizes": list(config.remedies.train_sizes)},
    )


def _remedies(found: Measured) -> Table:
    rows: list[list[Value]] = []
    for size, losses in found.losses.items():
        plain = losses[0, 0, 0, 0]
        rows.append([size, "none", float(plain.mean()), *[None] * 4])
        for i, name in enumerate(REMEDIES):
            rows.append([size, name, *_changed(plain, alone(losses, i))])
        rows.append([size, "all four", *_changed(plain, together(losses))])
    seeds = next(iter(found.losses.values())).shape[-1]
    return Table(
        f"test loss in nats with a remedy alone, n = {seeds} seeds, paired 95 % t intervals",
        ("train_examples", "remedy", "test_loss", "change", "change_low", "change_high", "p"),
        rows,
    )


def _changed(plain: Floats, change: Floats) -> list[Value]:
    return [float((plain + change).mean()), *_interval(change), _p(change)]


def _effects(found: Measured) -> Table:
    return Table(
        "main effects and interactions on test loss in nats (2⁴ factorial), paired by seed",
        ("train_examples", "effect", "change", "change_low", "change_high", "p"),
        [
            [size, name, *_interval(values), _p(values)]
            for size, losses in found.losses.items()
            for name, values in all_effects(losses)
        ],
    )


def _confusion(found: Measured) -> Table:
    rows: list[list[Value]] = []
    for truth in NAMES:
        mine = [each for each in found.diagnosed if each.truth == truth]
        told = [sum(each.found == name for each in mine) for name in NAMES]
        alone_right = sum(each.alone == truth for each in mine)
        rows.append([truth, len(mine), *told, alone_right])
    return Table(
        "runs by what is wrong with them (rows) and what their log was taken for",
        ("truth", "runs", *(f"taken_for_{name}" for name in NAMES), "right_by_curves_alone"),
        rows,
    )


def _faults(found: Measured) -> Table:
    rows: list[list[Value]] = []
    for fault in FAULTS:
        for rate, truth in fault.truth.items():
            mine = [d for d in found.diagnosed if (d.fault, d.rate) == (fault.name, rate)]
            right = sum(d.found == truth for d in mine)
            if mine:
                rows.append([fault.why, rate, truth, len(mine), right])
    return Table("the runs with known faults", ("what", "rate", "truth", "runs", "right"), rows)


def _peeking(found: list[Peeking]) -> Table:
    return Table(
        "choosing on test examples: points of accuracy, means over seeds, 95 % t intervals",
        (
            *("choices", "examples", "optimism", "optimism_low", "optimism_high"),
            *("truly_gained", "gained_low", "gained_high", "by_validation"),
        ),
        [
            [
                *(each.choices, each.peeked),
                *_interval(each.optimism),
                *_interval(each.gained),
                float(each.honest.mean()),
            ]
            for each in found
        ],
        notes=(
            "optimism: accuracy reported of the best less its true one; truly gained: its true "
            "accuracy less that of validation's choice",
            "by_validation: the reported less the true accuracy of validation's choice",
        ),
    )


def _misread(found: Measured) -> Table:
    columns = ("fault", "rate", "seed", "truth", "found", "by_curves_alone", "update", "evidence")
    wrong = [d for d in found.diagnosed if not d.found == d.alone == d.truth]
    return Table(
        f"{len(wrong)} of {len(found.diagnosed)} runs are taken for what they are not, by all that "
        "their log holds or by curves alone",
        columns,
        [[d.fault, d.rate, d.seed, d.truth, d.found, d.alone, d.where, d.evidence] for d in wrong],
    )


def _interval(values: Floats) -> list[float]:
    if len(values) < 2 or not np.isfinite(values).all():
        return [float(np.mean(values)), float("nan"), float("nan")]
    interval = t_interval(values)
    return [interval.estimate, interval.low, interval.high]


def _p(values: Floats) -> float:
    """Of Student's paired test, two-sided."""
    from scipy import stats

    count = len(values)
    if count < 2 or not np.isfinite(values).all() or np.ptp(values) == 0:
        return float("nan")
    t = values.mean() / (values.std(ddof=1) / math.sqrt(count))
    return float(2 * stats.t.sf(abs(t), count - 1))
