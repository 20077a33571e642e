"""results.csv and results.nc, derived from the finished cells; `load` reads a run back."""

import csv
import io
import itertools
import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minima.record import cells as cell_lines
from minima.record import measures
from minima.record.cells import (
    FAILED,
    LEADING,
    PENDING,
    Axes,
    Cell,
    by_place,
    last_finite,
    seen_axes,
)
from minima.record.dataset import LAST_FINITE, METRICS, to_dataset
from minima.record.files import write_atomically
from minima.record.mirrored import locate
from minima.record.run_directory import read_info

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Run:
    """A run as it is on disk; `info` is what run.json holds, `cells` are the finished ones."""

    path: Path
    info: dict[str, Any]
    config: dict[str, Any]
    axes: dict[str, tuple[Any, ...]]
    cells: Sequence[Cell]

    @cached_property
    def results(self) -> "xarray.Dataset":
        """The cells as an xarray Dataset (see `to_dataset`), with what was measured of them."""
        return to_dataset(self.axes, self.measured_cells, self.info)

    @cached_property
    def measured_cells(self) -> Sequence[Cell]:
        """The cells, each with what is known of its minimum; see `measures.with_measures`.

        Raises:
          UserError: measures.jsonl is damaged.
        """
        return measures.with_measures(self.cells, measures.read(self.path))

    def table(self, name: str, failed: bool = False) -> np.ndarray:
        """A final number such as "test_loss" of every cell, float64 in the shape of the axes.

        NaN for cells that are not there, and for those that diverged or collapsed unless `failed`.
        """
        table = np.full(self._shape, np.nan)
        for place, index in by_place(self.axes, self.cells).items():
            cell = self.cells[index]
            if (failed or cell["status"] not in FAILED) and cell.get(name) is not None:
                table[np.unravel_index(place, self._shape)] = cell[name]
        return table

    def curves(self, name: str) -> np.ndarray:
        """A column of every cell's trajectory, such as "validation_loss", NaN beyond its end.

        Float64 in the shape of the axes and one more for evaluations; "step" tells when those were.
        """
        places = by_place(self.axes, self.cells)
        rows = {place: self.cells[index]["trajectory"][name] for place, index in places.items()}
        curves = np.full([*self._shape, max(map(len, rows.values()), default=0)], np.nan)
        for place, row in rows.items():
            curves[np.unravel_index(place, self._shape)][: len(row)] = row
        return curves

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(len(values) for values in self.axes.values())


def load(run_dir: Path | str) -> Run:
    """Reads a finished or running run, named by its path or URL; changes nothing, needs no lock.

    Raises:
      UserError: `run_dir` is no run, or a file in it is damaged.
      Unreachable: it is a URL, and the store does not answer.
    """
    path = locate(run_dir)
    info = read_info(path)
    cells = cell_lines.read(path / "cells.jsonl")
    kept = info.get("axes")
    axes = {name: tuple(values) for name, values in kept.items()} if kept else seen_axes(cells)
    return Run(path, info, info.get("config") or {}, axes, cells)


def write_results(directory: Path, axes: Axes, cells: Sequence[Cell]) -> None:
    """Writes results.csv and results.nc, each in one step; the order of `cells` does not matter.

    What was measured at their minima is taken from the directory's measures.jsonl.

    Raises:
      ValueError: a cell lies outside the grid.
      DiskFull: no room; what was there before is intact.
    """
    directory = Path(directory)
    info = read_info(directory) if (directory / "run.json").exists() else {}
    cells = measures.with_measures(cells, measures.read(directory))
    write_atomically(directory / "results.csv", to_csv(axes, cells))
    dataset = to_dataset(axes, cells, info)
    write_atomically(directory / "results.nc", bytes(dataset.to_netcdf(engine="scipy")))


def to_csv(axes: Axes, cells: Sequence[Cell]) -> str:
    """One row per cell of the grid, in grid order; cells that have not run are rows too.

    What was measured comes last, values only; its errors are in the dataset.
    """
    names = [n for n in LEADING if n in axes] + [n for n in axes if n not in LEADING]
    counts = ("steps", "examples")
    last, measured = [f"last_finite_{name}" for name in LAST_FINITE], measures.names(cells)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, "status", *counts, *METRICS, *last, *measured])
    found = by_place(axes, cells)
    for place, point in enumerate(itertools.product(*axes.values())):
        cell = cells[found[place]] if place in found else {}
        last_seen = last_finite(cell)
        values = dict(zip(axes, point, strict=True))
        row = [*(values[n] for n in names), cell.get("status", PENDING)]
        row += [cell.get(name) for name in (*counts, *METRICS)]
        row += [last_seen.get(name) for name in LAST_FINITE]
        known = measures.values(cell)
        row += [known.get(name) for name in measured]
        writer.writerow([_text(value) for value in row])
    return text.getvalue()


def _text(value: Any) -> str:
    if value is None:
        return "nan"
    if isinstance(value, bool | np.bool_ | str):
        return str(value)
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real):
        return repr(float(value)) if math.isfinite(value) else "nan"
    return str(value)
