"""A cell's curve as measurements.csv in the schema of Shallue et al. 2019.

Rows are evaluations; their training columns are means since the row before. The row of the cell's
minimum has its final metrics on all three splits, and is the only one with test columns. What
wasn't measured is empty. A cell without an evaluation has one empty row: over a table without rows
their loader would turn the columns of every trial into objects.
"""

import csv
import io
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from minima.record.cells import Cell

COLUMNS = tuple(
    f"{split}/{metric}_error"
    for split in ("train", "val", "test")
    for metric in ("cross_entropy", "classification")
)
_SPLITS = ("train", "validation", "test")  # in the order of COLUMNS


def to_csv(cell: Cell, early_stopping: bool) -> str:
    """The text of measurements.csv; a cell that hasn't run is an empty dict.

    With `early_stopping` a cell's final metrics are those of its best validated parameters, and
    stand at that step. Numbers are the shortest text that reads back to the same float64.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", *COLUMNS])
    for step, values in sorted(_rows(cell, early_stopping).items()):
        writer.writerow([step, *("" if math.isnan(v) else repr(v) for v in values)])
    return text.getvalue()


def _rows(cell: Cell, early_stopping: bool) -> dict[int, list[float]]:
    """The values of `COLUMNS` by step."""
    curve = cell.get("trajectory", {})
    rows = {
        step: _errors({name: values[i] for name, values in curve.items()})
        for i, step in enumerate(curve.get("step", []))
    }
    if cell.get("status", "diverged") != "diverged":
        rows[_minimum_step(cell, early_stopping)] = _errors(cell)
    return rows or {cell.get("steps", 0): _errors({})}


def _minimum_step(cell: Cell, early_stopping: bool) -> int:
    """Where the final metrics were measured; of equal validation losses the first is kept."""
    curve = cell["trajectory"]
    losses = zip(curve["validation_loss"], curve["step"], strict=True)
    validated = [(loss, step) for loss, step in losses if not math.isnan(loss)]
    return min(validated)[1] if early_stopping and validated else cell["steps"]


def _errors(metrics: Mapping[str, Any]) -> list[float]:
    values = []
    for split in _SPLITS:
        loss, accuracy = (metrics.get(f"{split}_{name}", math.nan) for name in ("loss", "accuracy"))
        # In decimals: 1 - 0.9 is 0.1, not 0.09999999999999998, which would pass a goal of 0.1.
        values += [float(loss), float(1 - Decimal(repr(float(accuracy))))]
    return values
