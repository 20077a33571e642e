"""cells.jsonl, the truth of a run: one finished cell per line, as strict JSON.

A cell is a plain dict: `cell` (its hyperparameters), `status`, `steps`, `examples`, the final
metrics, `last_finite` (the last finite evaluation) and `trajectory` (lists of equal length, one
entry per evaluation). Floats keep their bits: Python writes the shortest text that reads back to
the same float64. Strict JSON has no NaN, so non-finite numbers are written null and read as nan.
"""

import json
import logging
import math
import os
from pathlib import Path
from typing import Any

from minima.record.files import append_durably
from minima.runtime.errors import UserError

Cell = dict[str, Any]
STATUSES = ("complete", "diverged", "collapsed", "reached_target", "stopped_early")

_log = logging.getLogger(__name__)


def key(cell: Cell) -> tuple[tuple[str, Any], ...]:
    """The cell's place in the grid, hashable: its (axis, value) pairs sorted by axis."""
    return tuple(sorted(cell["cell"].items()))


def encode(cell: Cell) -> bytes:
    """One line of cells.jsonl, newline included; NumPy and JAX numbers and arrays are welcome."""
    return json.dumps(plain(cell), allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Cell:
    """The inverse of `encode`.

    Raises:
      ValueError: the line is not a cell.
    """
    cell = json.loads(line)
    if not isinstance(cell, dict) or not isinstance(cell.get("cell"), dict):
        raise ValueError('no "cell" entry')
    return _nan_for_null(cell) if b"null" in line else cell


def append(path: Path, cell: Cell) -> None:
    """Appends one line durably; see `files.append_durably` for what a full disk raises."""
    append_durably(path, encode(cell))


def read(path: Path, repair: bool = False) -> list[Cell]:
    """The finished cells in the order they were written; of duplicates the first counts.

    A torn last line, which a kill in mid-write leaves, is left out. With `repair` it is cut off the
    file too; only the process that holds the run's lock may ask for that.

    Raises:
      UserError: a line before the last is damaged.
    """
    if not path.exists():
        return []
    data = path.read_bytes()
    cells: dict[Any, Cell] = {}
    offset = 0
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        is_last = offset + len(line) == len(data)
        try:
            if not line.endswith(b"\n"):
                raise ValueError("no newline")
            cell = decode(line)
        except ValueError as error:
            if not is_last:
                raise UserError(
                    f"{path}: line {number} is damaged ({error}); delete that line, and its cell "
                    "is trained again"
                ) from error
            _drop_tail(path, offset, repair)
            break
        cells.setdefault(key(cell), cell)
        offset += len(line)
    return list(cells.values())


def plain(value: Any) -> Any:
    """`value` as JSON has it: lists for tuples and arrays, null for what is not finite."""
    if isinstance(value, dict):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "tolist"):  # NumPy and JAX arrays and scalars
        return plain(value.tolist())
    return value


def _nan_for_null(value: Any) -> Any:
    if value is None:
        return math.nan
    if isinstance(value, dict):
        return {name: _nan_for_null(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_nan_for_null(entry) for entry in value]
    return value


def _drop_tail(path: Path, length: int, repair: bool) -> None:
    _log.warning("%s: the last line is torn; its cell counts as not trained", path)
    if repair:
        os.truncate(path, length)
