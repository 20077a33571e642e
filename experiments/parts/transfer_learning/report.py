"""The findings of transfer: tables, verdicts and pictures."""

import itertools
from collections.abc import Sequence

import numpy as np

from judged import Judged, failures_first
from lesson import Findings
from minima.claims.claims_figure import claims_figure
from minima.record.tables import Table, Value
from minima.statistics.intervals import t_interval
from parts.transfer_learning.config import DESTROYED, FULL, LARGE, PROBE, SAM, SCRATCH
from parts.transfer_learning.curves import Curves
from parts.transfer_learning.figures import figure
from parts.transfer_learning.stages import Arm

_LIMITS = ("low", "high")


def findings(found: Curves, judged: Sequence[Judged], compared: int, run: str) -> Findings:
    """All there is to say."""
    ordered = failures_first(judged)
    claims, verdicts = zip(*ordered, strict=True)
    figures = {"label_efficiency": figure(found, compared, run)}
    if (forest := claims_figure(verdicts, run, claims)) is not None:
        figures["claims"] = forest
    lines = [f"{found.failed} runs on targets failed and count as guessing"] * (found.failed > 0)
    tables = {"curves": _curves_table(found), "pretraining": _pretraining_table(found, compared)}
    return Findings(tables, judged, figures, lines=lines)


def _curves_table(found: Curves) -> Table:
    measured = ("accuracy_percent", "gain_points", "label_factor")
    spread = [f"{name}_{limit}" for name in measured for limit in ("", *_LIMITS)]
    names = [name.removesuffix("_") for name in spread]
    return Table(
        f"Label efficiency: means and 95 % t intervals over {found.seeds} seeds",
        ("target", "labels_per_class", "arm", *names, "bounds_only"),
        [
            _row(found, arm, values)
            for arm, values in found.accuracy.items()
            if arm.source not in (LARGE, SAM)
        ],
        hidden=("accuracy_percent_low", "accuracy_percent_high"),
        notes=(
            "gain: in test accuracy over training from scratch, paired by seed; "
            "label factor: how many times the labels training from scratch needs to be as good; "
            "bounds only: seeds in which its curve ends before",
        ),
    )


def _row(found: Curves, arm: Arm, values: np.ndarray) -> list[Value]:
    here = t_interval(values)
    row: list[Value] = [arm.target, arm.labels, arm.name, *here.limits().values()]
    if arm.name == SCRATCH:
        return [*row, *[None] * 7]
    gain = t_interval(values - found.of(arm.target, arm.labels, SCRATCH))
    factors, bounds = found.factors(arm.target, arm.labels, arm.name, arm.source)
    ratio = t_interval(np.log(factors)).map(lambda x: float(np.exp(x)))
    return [*row, *gain.limits().values(), *ratio.limits().values(), bounds]


def _pretraining_table(found: Curves, compared: int) -> Table:
    rows: list[list[Value]] = []
    intact = [target for target in found.targets if target != DESTROYED]
    for source, own in found.source.items():
        here = t_interval(own).limits().values()
        for target, name in itertools.product(intact, (PROBE, FULL)):
            there = t_interval(found.of(target, compared, name, source)).limits().values()
            rows.append([source, *here, target, name, *there])
    own_names = ("source_accuracy_percent", *(f"source_{limit}" for limit in _LIMITS))
    names = ("target_accuracy_percent", *(f"target_{limit}" for limit in _LIMITS))
    title = f"Pretrainings at {compared} labels per class: means and 95 % t intervals over "
    columns = ("pretraining", *own_names, "target", "arm", *names)
    return Table(f"{title}{found.seeds} seeds", columns, rows)
