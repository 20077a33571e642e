"""`python -m minima audit PREDICTIONS`: the four questions before release, of a user's file.

Exit codes: 0 SIGN OFF, 1 BLOCKED or NOT ANSWERABLE, 2 a mistake in the call.
"""

import argparse
from pathlib import Path

import numpy as np

from minima.evaluation import arrays, audit_figures, audit_report
from minima.evaluation.audit import SIGN_OFF, Evidence, audit, make_evidence
from minima.evaluation.limits import Limits
from minima.record.columns import as_numbers, head_of, read_columns
from minima.runtime.errors import UserError

_MOST_VALUES = 20  # of a column of numbers that is read as names: months, grades


def run(options: argparse.Namespace) -> int:
    """Reads, asks, prints, writes; returns the exit code."""
    limits = _limits(options)
    evidence = read_evidence(options)
    found = audit(evidence, limits, options.seed)
    figures = {"Confidence against accuracy": audit_figures.reliability_figure(evidence)}
    if (by_group := audit_figures.groups_figure(evidence)) is not None:
        figures["Outcomes by group"] = by_group
    for line in audit_report.lines(found):
        print(line)
    about = Path(options.predictions).name
    try:
        paths = audit_report.write_report(Path(options.report), found, about, figures)
    except OSError as error:
        raise UserError(f"--report={options.report}: {error.strerror}") from error
    for path in paths:
        print(f"report: {path}")
    return 0 if found.verdict == SIGN_OFF else 1


def read_evidence(options: argparse.Namespace) -> Evidence:
    """The columns that were named, and no other.

    Raises:
      UserError: a file or a column doesn't fit.
    """
    asked = (*options.groups, *options.cues, *options.covered)
    head = head_of(options.predictions)
    scores = options.score
    if scores == ("score",) and "score" not in head:
        scores = tuple(name for name in head if name.startswith("p_")) or scores
    columns = read_columns(options.predictions, (options.label, *scores, *asked))
    probabilities = np.stack([as_numbers(columns[name], name) for name in scores], axis=1)
    if probabilities.shape[1] == 1:
        probabilities = probabilities[:, 0]
    deployed = {}
    if options.deployment is not None:
        if not options.covered:
            raise UserError(
                f"--deployment={options.deployment}: say with --covered which columns to compare"
            )
        deployed = read_columns(options.deployment, options.covered)
    covered = {name: columns[name] for name in options.covered}
    for name in deployed:
        covered[name], deployed[name] = _alike(covered[name], deployed[name])
    return make_evidence(
        as_numbers(columns[options.label], options.label),
        probabilities,
        threshold=options.threshold,
        groups={name: _named(columns[name]) for name in options.groups},
        cues={name: _named(columns[name]) for name in options.cues},
        covered=covered,
        deployed=deployed,
    )


def _limits(options: argparse.Namespace) -> Limits:
    given = {name: getattr(options, name) for name in Limits().__dict__ if name != "confidence"}
    for name, value in given.items():
        if not value > 0 or (name != "least" and value >= 1):
            raise UserError(
                f"--{name}={value:g}: must be above 0" + " and below 1" * (name != "least")
            )
    return Limits(**given)


def _alike(here: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as numbers, or both as names: few different numbers are names."""
    numeric = here.dtype.kind in "fiu" and there.dtype.kind in "fiu"
    if numeric and len(np.unique(np.concatenate([here, there]))) > _MOST_VALUES:
        return arrays.finite(here, "covered"), arrays.finite(there, "deployment")
    return _named(here), _named(there)


def _named(column: np.ndarray) -> np.ndarray:
    """A column as names: 1.0 is "1", NaN stays missing."""
    if column.dtype.kind not in "fiub":
        return column
    return np.array(["" if value != value else f"{float(value):g}" for value in column.tolist()])
