"""The cells of a grid as an xarray Dataset, ready for netCDF3.

Integers hold -1 and floats NaN where there is nothing yet, or nothing to measure.
"""

import itertools
import json
import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minima.record import measures
from minima.record.cells import PENDING, STATUSES, Axes, Cell, by_point, last_finite

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

Rows = list[tuple[int, Cell]]


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

    found = by_point(axes, cells)
    points = list(itertools.product(*axes.values()))
    row_of = {point: row for row, point in enumerate(points)}
    rows = [(row_of[point], cell) for point, cell in found.items()]
    shape = tuple(len(values) for values in axes.values())
    dims = tuple(axes)

    variables: dict[str, Any] = {"status": (dims, _status(rows, shape), _status_flags())}
    for name, column in _finals(rows, len(points)):
        variables[name] = (dims, column.reshape(shape))
    for name, table in _trajectories(rows, len(points)):
        variables[name] = ((*dims, "eval"), table.reshape(*shape, -1))
    coordinates = {name: _coordinate(values) for name, values in axes.items()}
    return xarray.Dataset(variables, coordinates, _attributes(info))


def _status(rows: Rows, shape: tuple[int, ...]) -> np.ndarray:
    codes = np.full(math.prod(shape), _NOTHING, np.int32)
    for row, cell in rows:
        codes[row] = STATUSES.index(cell["status"])
    return codes.reshape(shape)


def _status_flags() -> dict[str, Any]:
    return {
        "flag_values": np.arange(_NOTHING, len(STATUSES), dtype=np.int32),
        "flag_meanings": " ".join((PENDING, *STATUSES)),
    }


def _finals(rows: Rows, count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Numbers per cell, one column of `count` each."""
    numeric = {n for _, cell in rows for n, v in cell.items() if isinstance(v, numbers.Real)}
    for name in (*_COUNTS, *METRICS, *sorted(numeric - {*_COUNTS, *METRICS})):
        column = np.full(count, np.nan)
        for row, cell in rows:
            column[row] = _number(cell.get(name))
        yield name, _integers(column) if name in _COUNTS else column
    yield from _measured(rows, count)
    for name in LAST_FINITE:
        column = np.full(count, np.nan)
        for row, cell in rows:
            column[row] = _number(last_finite(cell).get(name))
        yield f"last_finite_{name}", _integers(column) if name == "step" else column


def _measured(rows: Rows, count: int) -> Iterator[tuple[str, np.ndarray]]:
    """What was measured at the minima, and its errors."""
    for name in measures.names([cell for _, cell in rows]):
        entries = [(row, cell.get("measured", {}).get(name, {})) for row, cell in rows]
        for field in ("value", *measures.ERRORS):
            column = np.full(count, np.nan)
            for row, entry in entries:
                column[row] = _number(entry.get(field))
            yield name if field == "value" else f"{name}_{field}", column


def _trajectories(rows: Rows, count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Curves per cell, one table of (`count`, evaluations) each, padded to the longest curve."""
    names = {name for _, cell in rows for name in cell.get("trajectory", {})}
    longest = max(
        (len(curve) for _, cell in rows for curve in cell.get("trajectory", {}).values()), default=0
    )
    for name in sorted(names | {"step", "examples", *METRICS[:4]}):
        table = np.full((count, longest), np.nan)
        for row, cell in rows:
            curve = [_number(value) for value in cell.get("trajectory", {}).get(name, ())]
            table[row, : len(curve)] = curve
        yield f"trajectory_{name}", _integers(table) if name in ("step", "examples") else table


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
