"""The cells of a grid as an xarray Dataset, ready for netCDF3.

Integers hold -1 and floats NaN where there is nothing yet, or nothing to measure.
"""

import json
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minima.record import measures
from minima.record.cells import PENDING, STATUSES, Axes, Cell, by_place, last_finite

if TYPE_CHECKING:
    import xarray

METRICS = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
)
LAST_FINITE = ("step", *METRICS[:4])
_COUNTS = ("steps", "examples")
_NOTHING = -1

Tables = dict[str, tuple[np.ndarray, bool]]


def to_dataset(axes: Axes, cells: Sequence[Cell], info: Mapping[str, Any]) -> "xarray.Dataset":
    """The cells as an xarray Dataset, ready for netCDF3 (no 64-bit integers, no booleans).

    Variables over the axes: `status` (int32, CF flags, -1 pending), `steps` and `examples` (int32,
    or float64 where that is too small; -1 pending), every final number of a cell, what was measured
    at its minimum with `*_standard_error`, `*_residual` and `*_converged` (1 or 0), and
    `last_finite_*` (all float64, NaN where missing). Over the axes and `eval`, padded to the
    longest: `trajectory_step`, `trajectory_examples` (-1), `trajectory_*` (float64, NaN). `info`
    goes to the attributes, as JSON where it is nested.

    Raises:
      ValueError: a cell lies outside the grid.
    """
    import xarray

    shape = tuple(len(values) for values in axes.values())
    dims = tuple(axes)
    variables: dict[str, Any] = {}
    for name, (table, integer) in _tables(axes, cells).items():
        along = dims if table.ndim == 1 else (*dims, "eval")
        values = _integers(table) if integer else table
        variables[name] = (along, values.reshape(*shape, *table.shape[1:]))
    status = variables["status"][1].astype(np.int32)
    variables["status"] = (dims, status, _status_flags())
    coordinates = {name: _coordinate(values) for name, values in axes.items()}
    return xarray.Dataset(variables, coordinates, _attributes(info))


def _status_flags() -> dict[str, Any]:
    return {
        "flag_values": np.arange(_NOTHING, len(STATUSES), dtype=np.int32),
        "flag_meanings": " ".join((PENDING, *STATUSES)),
    }


def _tables(axes: Axes, cells: Sequence[Cell]) -> Tables:
    """Columns and curves by variable, float64, and whether they hold whole numbers.

    Cells are gone through twice, never held: they may be a million on disk.
    """
    places, names = by_place(axes, cells), _Names(cells)
    count = math.prod(len(values) for values in axes.values())
    tables: Tables = {"status": (np.full(count, math.nan), True)}
    for name in names.finals:
        tables[name] = (np.full(count, math.nan), name in _COUNTS)
    for name in names.measured:
        for error in ("", *(f"_{error}" for error in measures.ERRORS)):
            tables[name + error] = (np.full(count, math.nan), False)
    for name in LAST_FINITE:
        tables[f"last_finite_{name}"] = (np.full(count, math.nan), name == "step")
    for name in names.curves:
        table = np.full((count, names.longest), math.nan)
        tables[f"trajectory_{name}"] = (table, name in ("step", "examples"))
    for place, index in places.items():
        _fill(tables, place, cells[index], names)
    return tables


def _fill(tables: Tables, place: int, cell: Cell, names: "_Names") -> None:
    """Puts one cell into its place."""
    tables["status"][0][place] = STATUSES.index(cell["status"])
    for name in names.finals:
        tables[name][0][place] = _number(cell.get(name))
    for name, entry in cell.get("measured", {}).items():
        tables[name][0][place] = _number(entry.get("value"))
        for error in measures.ERRORS:
            tables[f"{name}_{error}"][0][place] = _number(entry.get(error))
    last = last_finite(cell)
    for name in LAST_FINITE:
        tables[f"last_finite_{name}"][0][place] = _number(last.get(name))
    for name, curve in cell.get("trajectory", {}).items():
        # As float64, None becomes NaN.
        tables[f"trajectory_{name}"][0][place, : len(curve)] = np.asarray(curve, np.float64)


class _Names:
    """Which numbers some cell has, in the order of the variables; and the length of curves."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        numeric: set[str] = set()
        measured: set[str] = set()
        curves = {"step", "examples", *METRICS[:4]}
        self.longest = 0
        for cell in cells:
            numeric.update(n for n, v in cell.items() if isinstance(v, numbers.Real))
            measured.update(cell.get("measured", ()))
            trajectory = cell.get("trajectory", {})
            curves.update(trajectory)
            self.longest = max(self.longest, *map(len, trajectory.values()), 0)
        self.finals = (*_COUNTS, *METRICS, *sorted(numeric - {*_COUNTS, *METRICS}))
        self.measured = measures.ordered(measured)
        self.curves = sorted(curves)


def _integers(values: np.ndarray) -> np.ndarray:
    """int32, -1 for NaN; float64 where a count passes 2^31, since netCDF3 has nothing between."""
    whole = np.where(np.isnan(values), _NOTHING, values)
    fits = not whole.size or whole.max() <= np.iinfo(np.int32).max
    return whole.astype(np.int32) if fits else whole


def _coordinate(values: Sequence[Any]) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind in "iu" and np.abs(array).max(initial=0) <= np.iinfo(np.int32).max:
        return array.astype(np.int32)
    if array.dtype.kind in "iuf":
        return array.astype(np.float64)
    return np.asarray([str(value) for value in values])


def _attributes(info: Mapping[str, Any]) -> dict[str, str | int | float]:
    plain = {n: v if isinstance(v, str | int | float) else json.dumps(v) for n, v in info.items()}
    return {n: _attribute(v) for n, v in plain.items()}


def _attribute(value: str | int | float) -> str | int | float:
    """What netCDF3 holds: no booleans, and no integers of more than 32 bits."""
    if isinstance(value, str | float):
        return value
    return int(value) if abs(value) <= np.iinfo(np.int32).max else float(value)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
