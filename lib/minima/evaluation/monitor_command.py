"""`python -m minima monitor STREAM --launch LAUNCH`: does what comes in look as at launch?

Exit codes: 0 no alert, 1 an alert, 2 a mistake in the call; so `… || retrain` retrains on an alert.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minima.evaluation import arrays, monitor_report
from minima.evaluation.monitor import Examples, Rules, make_examples, watch
from minima.record.columns import read_columns
from minima.runtime.errors import UserError


def run(options: argparse.Namespace) -> int:
    """Reads, watches, prints, writes; returns the exit code."""
    rules = _rules(options)
    if bool(options.label) != bool(options.prediction) and options.label:
        raise UserError(f"--label={options.label}: errors need --prediction too; give both")
    if not options.features and not options.prediction:
        raise UserError("--features: name the columns to watch, or --prediction, or both")
    classes = options.classes or _classes(options)
    launch, stream = (_read(path, options, classes) for path in (options.launch, options.stream))
    if len(stream) < rules.window:
        raise UserError(
            f"--window={rules.window}: {options.stream} has {len(stream):,} rows; use a smaller one"
        )
    log = watch(launch, stream, rules)
    for line in monitor_report.lines(log, rules):
        print(line)
    about = f"{Path(options.stream).name}: {len(stream):,} rows; launch: {len(launch):,} rows"
    try:
        paths = monitor_report.write(Path(options.report), log, rules, about)
    except OSError as error:
        raise UserError(f"--report={options.report}: {error.strerror}") from error
    for path in paths:
        print(f"report: {path}")
    return 1 if log.alerts else 0


def _rules(options: argparse.Namespace) -> Rules:
    names = ("window", "level", "rise", "delay", "seed")
    try:
        return Rules(**{name: getattr(options, name) for name in names})
    except UserError as error:
        raise UserError(f"--{error}") from None


def _read(path: str, options: argparse.Namespace, classes: int) -> Examples:
    """The columns that were named, and no other.

    Raises:
      UserError: a file or a column doesn't fit.
    """
    asked = [name for name in (options.label, options.prediction) if name]
    columns = read_columns(path, (*options.features, *asked))
    try:
        features = [arrays.finite(_numbers(columns[name], name), name) for name in options.features]
        predicted = errors = None
        if options.prediction:
            predicted = _class_column(columns[options.prediction], options.prediction, classes)
        if options.label and predicted is not None:
            labels = _numbers(columns[options.label], options.label)
            known = ~np.isnan(labels)
            if known.any():  # labels come late
                _class_column(labels[known], options.label, classes)
            errors = np.where(known, labels != predicted, np.nan)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    inputs = np.stack(features, axis=1) if features else None
    return make_examples(inputs, errors, predicted, options.features)


def _numbers(column: NDArray, name: str) -> arrays.Floats:
    """A column as numbers; what stands there instead is not said, as it may be somebody's."""
    if column.dtype.kind not in "biuf":
        raise UserError(f"{name}: holds text where numbers belong; name another column")
    return column.astype(np.float64)


def _class_column(column: NDArray, name: str, classes: int) -> arrays.Ints:
    numbers = _numbers(column, name)
    try:
        return arrays.class_labels(numbers, classes, name)
    except UserError:
        raise UserError(
            f"{name}: holds what is no class; classes are whole numbers from 0 to {classes - 1}, "
            "see --classes"
        ) from None


def _classes(options: argparse.Namespace) -> int:
    """One more than the largest class in the launch file; what is wrong there is said later."""
    asked = [name for name in (options.label, options.prediction) if name]
    columns = read_columns(options.launch, asked) if asked else {}
    numbers = [each for each in columns.values() if each.dtype.kind in "biuf"]
    largest = [float(np.nanmax(each)) for each in numbers if np.isfinite(each).any()]
    return 1 + int(max([0.0, *(each for each in largest if each < 2**31)]))
