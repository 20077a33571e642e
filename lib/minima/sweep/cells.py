"""What is kept of a finished cell: one plain dict, one line of cells.jsonl."""

from typing import Any

import numpy as np

from minima.sweep.budgets import METRICS, Status
from minima.sweep.lane import FINALS
from minima.sweep.plan import Plan
from minima.sweep.program import Report
from minima.sweep.timeline import Timeline

# Up to here a float32 quotient still tells which whole number of hits it came from.
_EXACT_HITS = 4_000_000


def cell_record(plan: Plan, index: int, report: Report) -> dict[str, Any]:
    """The record of one finished cell.

    Args:
      plan: the plan the cell belongs to.
      index: its place in `plan.cells`.
      report: its lane's report, host arrays without a lane axis.

    Returns:
      cell (hyperparameters), status, steps, examples, the six final metrics (NaN if diverged),
      last_finite (the last evaluation with finite numbers: step and the trajectory's metrics) and
      trajectory (step, examples, metrics; lists of equal length).
    """
    cell = plan.cells[index]
    status, timeline = Status(int(report.status)), plan.timeline(cell)
    trajectory = _trajectory(plan, timeline, report)
    final = np.full(len(FINALS), np.nan) if status == Status.DIVERGED else report.final
    weights = [getattr(plan.dataset, name.rpartition("_")[0]).labels.size for name in FINALS]
    finals = [_number(n, v, w) for n, v, w in zip(FINALS, final, weights, strict=True)]
    return {
        "cell": cell,
        "status": status.label,
        "steps": int(report.step),
        "examples": timeline.examples(int(report.step)),
        **dict(zip(FINALS, finals, strict=True)),
        "last_finite": _last_finite(trajectory),
        "trajectory": trajectory,
    }


def _trajectory(plan: Plan, timeline: Timeline, report: Report) -> dict[str, list[Any]]:
    steps = [int(step) for step in report.trajectory_step[: report.evaluations]]
    rows = report.trajectory[: report.evaluations]
    # The training columns are means over the labels seen since the last row.
    labels, examples = plan.dataset.train.labels, [timeline.examples(step) for step in steps]
    seen = np.diff([0, *examples]) * (labels.size // len(labels))
    validated = np.full(len(steps), plan.dataset.validation.labels.size)
    weights = {"train": seen, "validation": validated}
    columns: dict[str, list[Any]] = {"step": steps, "examples": examples}
    for name, column in zip(METRICS, rows.T, strict=True):
        counts = weights[name.rpartition("_")[0]]
        columns[name] = [_number(name, v, n) for v, n in zip(column, counts, strict=True)]
    return columns


def _last_finite(trajectory: dict[str, list[Any]]) -> dict[str, Any]:
    names = ("step", *METRICS)
    for row in reversed(list(zip(*(trajectory[name] for name in names), strict=True))):
        # Without a validation set its columns are NaN from the start; they say nothing here.
        if np.isfinite(row[1]):
            return dict(zip(names, row, strict=True))
    return {}


def _number(name: str, value: Any, weight: int) -> float:
    """The shortest float64 that stands for a metric; accuracies as exact ratios of hits."""
    if name.endswith("accuracy") and np.isfinite(value) and 0 < weight <= _EXACT_HITS:
        return round(float(value) * int(weight)) / int(weight)
    return float(str(value))
