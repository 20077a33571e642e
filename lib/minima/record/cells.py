"""cells.jsonl, the truth of a run: one finished cell per line, as strict JSON.

A cell is a plain dict: `cell` (its hyperparameters), `status`, `steps`, `examples`, the final
metrics, `last_finite` (the last finite evaluation) and `trajectory` (lists of equal length, one
entry per evaluation). Floats keep their bits: Python writes the shortest text that reads back to
the same float64. Strict JSON has no NaN, so non-finite numbers are written null and read as nan.
"""

import json
import logging
import math
import mmap
import os
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from minima.record.files import append_durably
from minima.runtime.errors import UserError

Cell = dict[str, Any]
Axes = Mapping[str, Sequence[Any]]
STATUSES = ("complete", "diverged", "collapsed", "reached_target", "stopped_early")
FAILED = ("diverged", "collapsed")  # left out of means
PENDING = "pending"  # the status of a point of the grid that has no cell yet
MOST_BYTES = 2**26  # of a file whose cells are held in memory: some 50,000 cells
LEADING = ("batch_size", "learning_rate", "seed")

_log = logging.getLogger(__name__)


def key(cell: Cell) -> tuple[tuple[str, Any], ...]:
    """The cell's place in the grid, hashable: its (axis, value) pairs sorted by axis."""
    return tuple(sorted(cell["cell"].items()))


def spell(where: Mapping[str, Any]) -> str:
    """Hyperparameters as one text, such as `bs=32,lr=0.1,seed=0`, which `replay` takes.

    Numbers have the shortest text that no other number has.
    """
    short = {"batch_size": "bs", "learning_rate": "lr"}
    texts = {n: repr(v).removesuffix(".0") if isinstance(v, float) else v for n, v in where.items()}
    return ",".join(f"{short.get(name, name)}={text}" for name, text in texts.items())


def encode(cell: Cell) -> bytes:
    """One line of cells.jsonl, newline included; NumPy and JAX numbers and arrays are welcome.

    Raises:
      ValueError: a hyperparameter is not finite: as null, its cell would not be found again.
    """
    for name, value in cell["cell"].items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"the hyperparameter {name} is {value}")
    return json.dumps(plain(cell), allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Cell:
    """The inverse of `encode`.

    Raises:
      ValueError: the line is not a cell.
    """
    cell = json.loads(line)
    if not isinstance(cell, dict) or not isinstance(cell.get("cell"), dict):
        raise ValueError('no "cell" entry')
    # Among hyperparameters null is a value of its own: None, as in "no clipping".
    return _nan_for_null(cell) | {"cell": cell["cell"]} if b"null" in line else cell


def append(path: Path, cell: Cell) -> None:
    """Appends one line durably; see `files.append_durably` for what a full disk raises."""
    append_durably(path, encode(cell))


def read(path: Path, repair: bool = False) -> Sequence[Cell]:
    """The finished cells in the order they were written; of duplicates the first counts.

    More than fit well into memory stay on disk and are decoded as they are asked for. See `each`
    for a torn last line, and for what is raised.
    """
    if path.exists() and path.stat().st_size > MOST_BYTES:
        return CellFile(path, repair)
    found: dict[Any, Cell] = {}
    for cell in each(path, repair):
        found.setdefault(key(cell), cell)
    return list(found.values())


def repair(path: Path) -> None:
    """Cuts a torn last line off; see `each` for what is raised."""
    for _ in each(path, repair=True):
        pass


class CellFile(Sequence[Cell]):
    """The finished cells of a file, as it is now, decoded as they are asked for.

    What is appended later is not seen.
    """

    def __init__(self, path: Path, repair: bool = False) -> None:
        """Looks at every line once; arguments and errors are those of `read`."""
        seen: set[Any] = set()
        starts, offset = array("q"), 0
        for cell, length in _each(path, repair, "trained"):
            if (place := key(cell)) not in seen:
                seen.add(place)
                starts.append(offset)
            offset += length
        self._starts = starts
        with open(path, "rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Cell: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Cell]: ...

    def __getitem__(self, index: int | slice) -> Cell | Sequence[Cell]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        start = self._starts[index]
        return decode(self._data[start : self._data.find(b"\n", start) + 1])


def read_lines(path: Path, repair: bool, done: str) -> list[Cell]:
    """All that `append` has put into a file; see `each`."""
    return list(each(path, repair, done))


def each(path: Path, repair: bool = False, done: str = "trained") -> Iterator[Cell]:
    """What `append` has put into a file, line by line; nothing where there is no file.

    A torn last line, which a kill in mid-write leaves, is left out. With `repair` it is cut off the
    file too; only the process that holds the run's lock may ask for that. `done` says what a line
    tells of its cell, such as "trained".

    Raises:
      UserError: a line before the last is damaged.
    """
    return (cell for cell, _ in _each(path, repair, done))


def _each(path: Path, repair: bool, done: str) -> Iterator[tuple[Cell, int]]:
    """What `each` gives, each with the bytes of its line."""
    if not path.exists():
        return
    with open(path, "rb") as file:
        size, offset = os.fstat(file.fileno()).st_size, 0
        for number, line in enumerate(file, start=1):
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("no newline")
                cell = decode(line)
            except ValueError as error:
                if offset + len(line) < size:
                    raise UserError(
                        f"{path}: line {number} is damaged ({error}); delete that line, and its "
                        f"cell is {done} again"
                    ) from error
                _log.warning("%s: the last line is torn; its cell counts as not %s", path, done)
                if repair:
                    os.truncate(path, offset)
                return
            yield cell, len(line)
            offset += len(line)


def numbering(axes: Axes) -> Callable[[Mapping[str, Any]], int]:
    """A function from a cell's hyperparameters to its place in grid order.

    It raises ValueError for what is no point of the grid.
    """
    places = {name: {value: i for i, value in enumerate(values)} for name, values in axes.items()}

    def number(where: Mapping[str, Any]) -> int:
        place = 0
        for name, known in places.items():
            at = known.get(where.get(name))
            if at is None:
                raise ValueError(f"cell {dict(where)} is not a point of the grid {dict(axes)}")
            place = place * len(known) + at
        return place

    return number


def seen_axes(cells: Sequence[Cell]) -> dict[str, tuple[Any, ...]]:
    """The smallest grid that holds `cells`, values sorted (as text where they have no order)."""
    names = list(dict.fromkeys(name for cell in cells for name in cell["cell"]))
    ordered = [n for n in LEADING if n in names] + [n for n in names if n not in LEADING]
    return {name: _sorted({cell["cell"].get(name) for cell in cells}) for name in ordered}


def by_place(axes: Axes, cells: Sequence[Cell]) -> dict[int, int]:
    """Where in `cells` each point of the grid is, by its place in grid order.

    Raises:
      ValueError: a cell lies outside the grid.
    """
    number = numbering(axes)
    found: dict[int, int] = {}
    for index, cell in enumerate(cells):
        found.setdefault(number(cell["cell"]), index)
    return found


def last_finite(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    """The cell's last finite evaluation; empty where there was none."""
    last = cell.get("last_finite")  # nan where null was read
    return last if isinstance(last, Mapping) else {}


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


def _sorted(values: set[Any]) -> tuple[Any, ...]:
    try:
        return tuple(sorted(values))
    except TypeError:
        return tuple(sorted(values, key=str))
