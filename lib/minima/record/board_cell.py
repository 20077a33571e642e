"""One finished cell as one TensorBoard run: where it started, its curves, how it ended.

Everything is in one file that is written once, so a live TensorBoard shows whole cells only, and no
step is ever written twice, whatever was killed in between.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from minima.record import hparams
from minima.record.cells import Axes, Cell, spell
from minima.record.dataset import METRICS
from minima.record.tensorboard import curve_events, events_path, summary_event, write_events

MOST_POINTS = 200  # a curve; TensorBoard's memory and its charts suffer from more
CURVES = "curves"  # the group of their tags; before "final" in the alphabet, and so on the page
_BLOWN_UP = 1000.0  # in a diverged cell, a loss above this is drawn as NaN, as a triangle
_FILE = "cell"
# Powers of 1/1.2207 (the root of x^4 = x + 1): steps of a lattice that fills a cube evenly.
_STRIDES = (0.8191725134, 0.6710436067, 0.5497004779)


def write_cell(directory: Path, cell: Cell, axes: Axes, with_curves: bool = True) -> Path:
    """Writes a finished cell under `directory`, a sweep's TensorBoard folder.

    Raises:
      DiskFull: no room.
    """
    finals = hparams.final_scalars(cell)
    ends = curve_events(tuple(finals), np.array([cell["steps"]]), np.array([[*finals.values()]]))
    events = [
        summary_event(hparams.session_start(cell, axes)),
        *(_curves(cell) if with_curves else ()),
        *ends,
        summary_event(hparams.session_end(cell)),
    ]
    return write_events(directory / run_name(cell), _FILE, events)


def is_written(directory: Path, cell: Cell) -> bool:
    """Whether `write_cell` has written this cell."""
    return events_path(directory / run_name(cell), _FILE).exists()


def run_name(cell: Cell) -> str:
    """The cell's run in TensorBoard, such as `bs=32,lr=0.1,seed=0`; `replay` takes it too."""
    return spell(cell["cell"]).replace("/", "-")  # a slash would be a folder


def spread_evenly(axes: Axes, most: int) -> set[tuple[Any, ...]] | None:
    """At most `most` points of the grid, spread evenly along each of its axes; None where all fit.

    A lattice point per cell and the smallest values win: strides through the grid's order would
    favour whole rows or columns.
    """
    ranks = np.indices([len(values) for values in axes.values()]).reshape(len(axes), -1)
    if ranks.shape[1] <= most:
        return None
    strides = np.resize(_STRIDES, len(axes)) / (1 + np.arange(len(axes)) // len(_STRIDES))
    chosen = np.argsort((strides @ ranks) % 1.0, kind="stable")[:most]
    names = list(axes)
    return {tuple(axes[names[a]][ranks[a, i]] for a in range(len(axes))) for i in chosen}


def thinned(count: int, most: int = MOST_POINTS) -> np.ndarray:
    """Which of `count` points of a curve to keep: evenly spread, the first and the last always."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _curves(cell: Cell) -> list[bytes]:
    curve = cell.get("trajectory") or {}
    # A metric that is never a number, such as validation without a validation set, has no curve.
    names = [n for n in METRICS if any(_is_number(value) for value in curve.get(n, ()))]
    if not names:
        return []
    kept = thinned(len(curve["step"]))
    values = np.array([curve[name] for name in names], float).T
    if cell["status"] == "diverged":  # one such number would flatten all other curves of a chart
        values[values > _BLOWN_UP] = math.nan
    tags = [f"{CURVES}/{name}" for name in names]
    return curve_events(tags, np.array(curve["step"])[kept], values[kept])


def _is_number(value: Any) -> bool:
    return value is not None and math.isfinite(value)
