"""Reads anyone's training log: a run of minima, or a table that a training loop wrote.

Tables are CSV (or tab-separated) with a line of names: Keras's CSVLogger, PyTorch Lightning's
metrics.csv and most people's own. Names are compared without case and punctuation. Lightning writes
training and validation into rows of their own: rows of one epoch are put together, each column's
mean over what it holds there. TensorBoard's scalars are read as such a table, too.
"""

import csv
import io
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from minima.claims.diagnosis import Curves
from minima.claims.event_log import holds_events, read_events
from minima.record import results
from minima.record.cells import Cell, spell
from minima.record.remote import is_url
from minima.runtime.errors import UserError

# What columns are called, the likeliest first; letters and digits only.
_WHERE = (
    "epoch",
    "epochs",
    "step",
    "steps",
    "globalstep",
    "iteration",
    "iter",
    "update",
    "updates",
)
_TRAIN = (
    *("trainloss", "trainingloss", "losstrain", "trainlossepoch", "lossepoch", "loss"),
    *("trainlossstep", "trainepochloss"),
)
_VALIDATION = (
    *("valloss", "validationloss", "lossval", "lossvalidation", "validloss", "vallossepoch"),
    *("evalloss", "devloss", "lossvalid", "validationepochloss"),
)
_TEST = ("testloss", "losstest", "testlossepoch")
_UNITS = {"epochs": "epoch", "steps": "step", "globalstep": "step", "iter": "iteration"}
_UNITS |= {"updates": "update"}
_WANTED = "epoch or step, train_loss (or loss) and val_loss"

Logs = Mapping[str, Curves]


def read(log: str, classes: int | None = None) -> Logs:
    """Every course in a log, by name: a table's one, or that of every cell of a run.

    Args:
      log: a CSV file, TensorBoard's folder or file, or the directory or URL of a run.
      classes: that the network tells apart, where the log does not say so.

    Raises:
      UserError: it can't be read, lacks a column, holds words for numbers, or has too few rows.
      Unreachable: it is a URL, and the store does not answer.
    """
    is_run = is_url(log) or os.path.isfile(os.path.join(log, "run.json"))
    if is_run or (os.path.isdir(log) and not holds_events(log)):
        return _read_run(log, classes)
    return {os.path.basename(os.path.normpath(log)): _read_table(log, classes)}


def of_cell(cell: Cell, classes: int | None) -> Curves:
    """A finished cell's course; `ValueError` where it has too few evaluations."""
    course = cell["trajectory"]
    train, validation, where = (
        np.asarray(course[name], np.float64) for name in ("train_loss", "validation_loss", "step")
    )
    if cell["status"] == "diverged":  # where that was seen is no row of the trajectory
        where = np.append(where, cell["steps"])
        train, validation = np.append(train, np.nan), np.append(validation, np.nan)
    if not np.isfinite(validation).any() and np.isfinite(train).any():
        raise ValueError("no validation loss; train with a --validation_fraction")
    test = cell.get("test_loss")
    if test is not None and not math.isfinite(test):
        test = None
    return Curves(
        where,
        train,
        validation,
        "update",
        test=test,
        validated=None if test is None else float(cell["validation_loss"]),
        classes=classes,
    )


def _read_run(run_dir: str, classes: int | None) -> Logs:
    run = results.load(run_dir)
    if not run.cells:
        raise UserError(f"{run_dir}: no cell is finished yet; diagnose it later")
    if run.config.get("task", {}).get("loss", "cross_entropy") == "cross_entropy":
        classes = classes or run.info.get("classes")  # runs of old don't say
    else:
        classes = None
    logs = {}
    for cell in sorted(run.cells, key=lambda cell: tuple(cell["cell"].values())):
        name = spell(cell["cell"])
        try:
            logs[name] = of_cell(cell, classes)
        except ValueError as error:
            raise UserError(
                f"{run_dir}: cell {name} has {error}; train it with more --evaluations"
                if "rows" in str(error)
                else f"{run_dir}: cell {name} has {error}"
            ) from error
    return logs


def _read_table(path: str, classes: int | None) -> Curves:
    names, rows = read_events(path) if holds_events(path) else _rows(path)
    wanted = []
    known = {"epoch or step": _WHERE, "train_loss": _TRAIN, "val_loss": _VALIDATION}
    for what, spellings in known.items():
        if (column := _column(names, spellings)) is None:
            raise UserError(
                f"{path}: has no column for {what} among {', '.join(names)[:200]}; a log needs "
                f"{_WANTED}"
            )
        wanted.append(column)
    test = _column(names, _TEST)
    wanted += [] if test is None else [test]
    numbers = np.array([[_number(path, names, line, row, i) for i in wanted] for line, row in rows])
    merged = _merged(path, numbers)
    unit = re.sub(r"[^a-z]", "", names[wanted[0]].lower())
    tests = [] if test is None else [row[3] for row in numbers if not np.isnan(row[3])]
    try:
        return Curves(
            merged[:, 0],
            merged[:, 1],
            merged[:, 2],
            _UNITS.get(unit, unit),
            test=float(tests[-1]) if len(tests) else None,
            classes=classes,
        )
    except ValueError as error:
        raise UserError(f"{path}: {error} with both losses") from error


def _rows(path: str) -> tuple[Sequence[str], list[tuple[int, list[str]]]]:
    """Column names, and the number and cells of every line below that holds anything."""
    if not os.path.isfile(path):
        raise UserError(f"{path}: is neither a run nor a file; give a run's folder or a CSV log")
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not a text that can be read; give a CSV log") from error
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise UserError(f"{path}: is not a CSV log ({error})") from error
    if not lines or not any(lines[0]):
        raise UserError(f"{path}: is empty; a log needs {_WANTED}")
    found = [(i, row) for i, row in enumerate(lines[1:], 2) if any(cell.strip() for cell in row)]
    for line, row in found:
        if len(row) != len(lines[0]):
            raise UserError(
                f"{path}: line {line} has {len(row)} values under {len(lines[0])} names; mend it"
            )
    return [name.strip() for name in lines[0]], found


def _column(names: Sequence[str], known: Sequence[str]) -> int | None:
    """The column with the likeliest of these names."""
    spelled = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
    return next((spelled.index(name) for name in known if name in spelled), None)


def _number(path: str, names: Sequence[str], line: int, row: Sequence[str], column: int) -> float:
    """A cell's number; NaN where it is empty, infinite where the loss was not a number."""
    text = row[column].strip()
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        raise UserError(
            f"{path}: line {line} has {text[:40]!r} under {names[column]}, where a number belongs"
        ) from None
    return value if math.isfinite(value) else math.inf


def _merged(path: str, numbers: np.ndarray) -> np.ndarray:
    """One row for each epoch or step in which both losses were written; means over its rows."""
    if not len(numbers):
        raise UserError(f"{path}: has names and no rows; a log needs {_WANTED}")
    places = _filled(numbers[:, 0])
    if np.isnan(places).any() or np.isinf(places).any() or (np.diff(places) < 0).any():
        raise UserError(
            f"{path}: epochs or steps are missing, or fall; a log rises from row to row"
        )
    kept = []
    for place in np.unique(places):
        rows = numbers[places == place, 1:3]
        if not np.isnan(rows).all(axis=0).any():
            kept.append([place, *(np.mean(column[~np.isnan(column)]) for column in rows.T)])
    return np.array(kept).reshape(-1, 3)


def _filled(places: np.ndarray) -> np.ndarray:
    """Where a row does not say which epoch it is of, it is of the one above."""
    given = ~np.isnan(places)
    above = np.maximum.accumulate(np.where(given, np.arange(len(places)), -1))
    return np.where(above >= 0, places[above], np.nan)
