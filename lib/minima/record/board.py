"""A sweep's TensorBoard folder, kept up while the sweep runs.

The run `all_cells` has heat maps, texts and the columns of the HParams table; each cell has its
own (see `board_cell`). A live TensorBoard keeps following the files it knows, so none is ever
written again: what changes gets a file of a new name, and what is there is left alone.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from minima.record import board_cell, board_sweep, hparams
from minima.record.cells import Axes, Cell
from minima.record.run_directory import read_info
from minima.record.tensorboard import (
    events_path,
    image_values,
    summary_event,
    text_values,
    write_events,
)

FOLDER = "tensorboard"
MOST_CURVES = 500
MOST_ROWS = 20_000  # of the HParams table: each is a folder; in a larger grid, cells with curves
_CURVES = {"trajectory", "last_finite"}
_SHARE = 0.01  # of the time, at most, goes into drawing
_SNAPSHOTS = 20  # of the heat maps during a sweep: each is a file that TensorBoard keeps open


class Board:
    """Writes `<run directory>/tensorboard`; the caller holds the run's lock."""

    def __init__(
        self,
        directory: Path,
        axes: Axes,
        most_curves: int = MOST_CURVES,
        every: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Writes nothing yet.

        Args:
          directory: the run's directory.
          axes: the grid.
          most_curves: how many cells get curves; every cell is a row of the HParams table, up to
            MOST_ROWS.
          every: seconds between heat maps, at least.
          clock: tells them.
        """
        self._directory, self._axes = directory, axes
        self._folder = directory / FOLDER
        self._sweep = self._folder / board_sweep.RUN
        self._cells: list[Cell] = []
        self._total = math.prod(len(values) for values in axes.values())
        self._with_curves = board_cell.spread_evenly(axes, most_curves)
        self._every, self._clock = every, clock
        self._drawn = (clock(), 0)  # when, and with how many cells

    def start(self, cells: Sequence[Cell] = ()) -> None:
        """Describes the sweep, and writes whichever of the finished `cells` a kill left out.

        Raises:
          DiskFull: no room.
        """
        if not events_path(self._sweep, "overview").exists():
            info = read_info(self._directory)
            curves = self._total if self._with_curves is None else len(self._with_curves)
            texts = board_sweep.about(self._directory, info, self._axes, curves)
            values = [*hparams.experiment(self._axes), *board_sweep.layout(), *text_values(texts)]
            write_events(self._sweep, "overview", [summary_event(values)])
        for cell in cells:
            self._write(cell)
        self._drawn = (self._drawn[0], len(self._cells))

    def add(self, cell: Cell) -> None:
        """Writes a cell that has just finished, and now and then the heat maps.

        Raises:
          DiskFull: no room.
        """
        self._write(cell)
        then, count = self._drawn
        grown = len(self._cells) - count
        if self._clock() - then >= self._every and grown * _SNAPSHOTS >= self._total:
            self._draw()

    def finish(self) -> None:
        """Writes the heat maps and the outcome as they stand.

        Raises:
          DiskFull: no room.
        """
        if self._cells:
            self._draw()

    def add_figures(self, images: Mapping[str, bytes], group: str = "figures") -> None:
        """Shows figures (PNG files, by tag) of the sweep, unless the latest of the group are these.

        Raises:
          DiskFull: no room.
        """
        name = board_cell.new_name(self._sweep, group, images)
        if name is not None:
            # Numbered, so that names rise, and TensorBoard's latest step is the latest file.
            write_events(self._sweep, name[0], [summary_event(image_values(images), name[1])])

    def add_measures(self, cells: Sequence[Cell]) -> None:
        """Shows what was measured at the cells' minima; see `measures.with_measures`.

        Raises:
          DiskFull: no room.
        """
        for cell in cells:
            board_cell.write_measures(self._folder, cell)

    def _write(self, cell: Cell) -> None:
        # What is drawn of all cells; a million curves would fill the memory.
        self._cells.append({name: x for name, x in cell.items() if name not in _CURVES})
        point = tuple(cell["cell"].get(name) for name in self._axes)
        chosen = self._with_curves is None or point in self._with_curves
        if (chosen or self._total <= MOST_ROWS) and not board_cell.is_written(self._folder, cell):
            board_cell.write_cell(self._folder, cell, self._axes, self._directory.name, chosen)

    def _draw(self) -> None:
        step, begin = len(self._cells), self._clock()
        if not events_path(self._sweep, f"plane-{step:07d}").exists():
            images = image_values(board_sweep.heat_maps(self._axes, self._cells))
            texts = text_values(board_sweep.outcome(self._axes, self._cells))
            write_events(self._sweep, f"plane-{step:07d}", [summary_event([*images, *texts], step)])
        end = self._clock()
        self._every = max(self._every, (end - begin) / _SHARE)
        self._drawn = (end, step)
