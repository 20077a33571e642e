"""One finished cell as one TensorBoard run: where it started, its curves, how it ended.

Everything is in one file that is written once, so a live TensorBoard shows whole cells only, and no
step is ever written twice, whatever was killed in between.
"""

import hashlib
import math
from collections.abc import Mapping
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
# Strides of a lattice that fills a square evenly (1/p and 1/p^2, where p^3 = p + 1), and more.
_STRIDES = (0.7548776662, 0.5698402910, 0.4142135624)


def write_cell(
    directory: Path, cell: Cell, axes: Axes, sweep: str, with_curves: bool = True
) -> Path:
    """Writes a finished cell of the run `sweep` under `directory`, its TensorBoard folder.

    Raises:
      DiskFull: no room.
    """
    finals = hparams.final_scalars(cell)
    ends = curve_events(tuple(finals), np.array([cell["steps"]]), np.array([[*finals.values()]]))
    events = [
        summary_event(hparams.session_start(cell, axes, sweep)),
        *(_curves(cell) if with_curves else ()),
        *ends,
        summary_event(hparams.session_end(cell)),
    ]
    return write_events(directory / run_name(cell), _FILE, events)


def is_written(directory: Path, cell: Cell) -> bool:
    """Whether `write_cell` has written this cell."""
    return events_path(directory / run_name(cell), _FILE).exists()


def write_measures(directory: Path, cell: Cell) -> None:
    """Writes what was measured at a cell's minimum, if anything, unless the latest is the same.

    Raises:
      DiskFull: no room.
    """
    found, folder = hparams.measured_scalars(cell), directory / run_name(cell)
    name = new_name(folder, "measures", found)
    if found and name is not None:
        table = np.array([[*found.values()]])
        write_events(folder, name[0], curve_events(tuple(found), np.array([cell["steps"]]), table))


def new_name(folder: Path, stem: str, content: Mapping[str, Any]) -> tuple[str, int] | None:
    """A name that rises with each new content, and its number; None where it is there already."""
    digest = hashlib.sha256(repr(sorted(content.items())).encode()).hexdigest()[:12]
    earlier = sorted(folder.glob(events_path("", f"{stem}-*").name))
    if earlier and earlier[-1].name.endswith(digest):
        return None
    return f"{stem}-{len(earlier):04d}-{digest}", len(earlier)


def run_name(cell: Cell) -> str:
    """The cell's run in TensorBoard, such as `bs=32,lr=0.1,seed=0`; `replay` takes it too."""
    return spell(cell["cell"]).replace("/", "-")  # a slash would be a folder


def spread_evenly(axes: Axes, most: int) -> set[tuple[Any, ...]] | None:
    """At most `most` points of the grid; None where all of them fit.

    The first seed's whole plane if it fits, then the second's, and of the last an even share along
    each axis. For that every point has a place in [0, 1) on a lattice, and the smallest win:
    strides through the grid's order would favour whole rows or columns.
    """
    names = list(axes)
    if not names:  # a folder of figures alone
        return None
    ranks = np.indices([len(axes[name]) for name in names]).reshape(len(names), -1)
    if ranks.shape[1] <= most:
        return None
    plane = [i for i, name in enumerate(names) if name != "seed"]
    seed = ranks[names.index("seed")] if "seed" in names else np.zeros(ranks.shape[1])
    lattice = (np.resize(_STRIDES, len(plane)) @ ranks[plane]) % 1.0
    chosen = np.lexsort((lattice, seed))[:most]
    return {
        tuple(axes[name][r] for name, r in zip(names, ranks[:, i], strict=True)) for i in chosen
    }


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
