"""Columns of a user's CSV or npz file: those that were asked for, and no other is ever kept."""

import csv
import difflib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from minima.runtime.errors import UserError

MISSING = ("", "na", "nan", "null", "none")


def read_columns(path: Path | str, names: Sequence[str]) -> dict[str, NDArray]:
    """(n,) arrays by name: float64 where every value is a number, else text.

    A column may come twice where both have the same values, as in ProPublica's file.

    Args:
      path: a .csv file with a head line, or an .npz file with an array for each name.
      names: which columns.

    Raises:
      UserError: the file can't be read, lacks a column, has two that differ of one name, or rows
        of several lengths.
    """
    where = Path(path)
    wanted = list(dict.fromkeys(names))
    found = _from_npz(where, wanted) if where.suffix == ".npz" else _from_csv(where, wanted)
    sizes = {name: len(column) for name, column in found.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
        raise UserError(f"{where}: columns differ in length: {listed}")
    if not next(iter(sizes.values()), 1):
        raise UserError(f"{where}: has no rows")
    return found


def head_of(path: Path | str) -> list[str]:
    """The names of a file's columns.

    Raises:
      UserError: it can't be read.
    """
    where = Path(path)
    if where.suffix == ".npz":
        with _open_npz(where) as archive:
            return list(archive.files)
    with _open_csv(where) as file:
        return [name.strip() for name in next(csv.reader(file), [])]


def as_numbers(column: NDArray, name: str) -> NDArray[np.float64]:
    """The column as numbers.

    Raises:
      UserError: names the first row that has text where a number belongs.
    """
    if column.dtype.kind in "biuf":
        return column.astype(np.float64)
    for row, value in enumerate(column.tolist(), 1):
        try:
            float(value)
        except ValueError:
            raise UserError(f"{name}: row {row} holds {value!r}, which is no number") from None
    return column.astype(np.float64)


def _from_csv(path: Path, names: list[str]) -> dict[str, NDArray]:
    with _open_csv(path) as file:
        reader = csv.reader(file)
        head = [name.strip() for name in next(reader, [])]
        places = [_places(name, head, path) for name in names]
        columns: list[list[str]] = [[] for _ in names]
        try:
            for number, row in enumerate(reader, 2):
                if not row:
                    continue
                if len(row) != len(head):
                    counts = f"{len(row)} values where the head has {len(head)}"
                    raise UserError(f"{path}: line {number} has {counts}")
                for name, column, mine in zip(names, columns, places, strict=True):
                    first, *again = (row[place].strip() for place in mine)
                    if any(value != first for value in again):
                        raise UserError(
                            f"{path}: the column {name} comes twice, and line {number} differs "
                            "between them; rename one"
                        )
                    column.append(first)
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{path}: is no CSV in UTF-8 ({error})") from error
    return {name: _typed(column) for name, column in zip(names, columns, strict=True)}


def _from_npz(path: Path, names: list[str]) -> dict[str, NDArray]:
    with _open_npz(path) as archive:
        found = {}
        for name in names:
            _places(name, archive.files, path)
            try:
                array = archive[name]
            except ValueError as error:
                raise UserError(f"{path}: {name} is pickled; give plain arrays") from error
            if array.ndim != 1:
                raise UserError(f"{path}: {name} has shape {array.shape}; give one row of values")
            found[name] = array
    return found


def _open_csv(path: Path) -> TextIO:
    try:
        return open(path, newline="", encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def _open_npz(path: Path) -> np.lib.npyio.NpzFile:
    try:
        return np.load(path, allow_pickle=False)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: is no npz archive ({error})") from error


def _places(name: str, head: Sequence[str], path: Path) -> list[int]:
    if name not in head:
        near = difflib.get_close_matches(name, head, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(head[:12]) or 'none'}"
        raise UserError(f"{path}: has no column {name}; {hint}")
    return [place for place, other in enumerate(head) if other == name]


def _typed(values: list[str]) -> NDArray:
    """Numbers where all are, text otherwise; a missing number is NaN, a missing text empty."""
    text = ["" if value.lower() in MISSING else value for value in values]
    try:
        return np.array([float(value) if value else np.nan for value in text])
    except ValueError:
        return np.array(text, dtype=str)
