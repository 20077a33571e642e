"""A user's own table: `--dataset table:PATH`, a CSV file whose head says what columns are.

`label` is what is decided, 0 or 1. `group`, or `group_sex`, `group_age` and so on, are what
outcomes are compared by, and no features. `truth`, if it is there, is what came of it. All other
columns are features, numbers or words.
"""

import os

import numpy as np
from numpy.typing import NDArray

from minima.record.columns import head_of, read_columns
from minima.runtime.errors import UserError
from minima.tasks.datasets.tabular import Rows, Table, Text, Values, encoded

LABEL, TRUTH, GROUP = "label", "truth", "group"
_TEST_SHARE = 1 / 3
_SEED = 0  # of the split into training and test rows


def own_table(path: str) -> Table:
    """The table in a CSV file; a seeded third of its rows are for testing.

    Raises UserError if the file can't be read, or lacks labels, groups or features, or a column
    doesn't fit.
    """
    where = f"--dataset 'table:{path}'"
    head, columns = _read(os.path.expanduser(path), where)
    groups = [name for name in head if name == GROUP or name.startswith(f"{GROUP}_")]
    if not groups:
        raise UserError(
            f"{where}: has no column {GROUP}, or {GROUP}_sex and the like; name the columns that "
            "outcomes are compared by"
        )
    features = [name for name in head if name not in (LABEL, TRUTH, *groups)]
    if not features:
        raise UserError(f"{where}: has no columns beside {LABEL} and groups; add features")
    labels = _binary(columns[LABEL], LABEL, where)
    truth = _binary(columns[TRUTH], TRUTH, where) if TRUTH in head else labels
    attributes = {_named(name): _attribute(columns[name], name, where) for name in groups}
    values = {name: _feature(columns[name], name, where) for name in features}
    order = np.random.RandomState(_SEED).permutation(len(labels))
    held = round(_TEST_SHARE * len(labels))
    parts = [np.sort(order[held:]), np.sort(order[:held])]
    if any(len(np.unique(labels[part])) < 2 for part in parts):
        raise UserError(f"{where}: has too few rows of either label; give more")
    split = [{name: column[part] for name, column in values.items()} for part in parts]
    inputs, others, names = encoded(split[0], split[1], where)
    train, test = (
        Rows(x, labels[part], truth[part], {k: v[part] for k, v in attributes.items()})
        for part, x in zip(parts, (inputs, others), strict=True)
    )
    return Table(
        f"table:{path}",
        train,
        test,
        names,
        knows_truth=TRUTH in head,
        licence="not stated",
        source=os.path.basename(path),
        stand_in=False,
    )


def _read(file: str, where: str) -> tuple[list[str], dict[str, NDArray]]:
    try:
        head = list(dict.fromkeys(head_of(file)))
        return head, read_columns(file, (LABEL, *head))
    except UserError as error:
        raise UserError(f"{where}: {str(error).removeprefix(f'{file}: ')}") from error


def _named(column: str) -> str:
    return column.removeprefix(f"{GROUP}_")


def _binary(column: NDArray, name: str, where: str) -> NDArray[np.int32]:
    if not np.isin(column, (0.0, 1.0)).all():
        raise UserError(f"{where}: {name} is neither 0 nor 1 in some rows; it must be in all")
    if len(np.unique(column)) < 2:
        raise UserError(f"{where}: {name} is {column[0]:g} everywhere; it must have 0 and 1")
    return column.astype(np.int32)


def _attribute(column: NDArray, name: str, where: str) -> Text:
    if column.dtype.kind == "f":
        column = np.array(["" if x != x else f"{x:g}" for x in column.tolist()])
    if (column == "").any():
        raise UserError(f"{where}: {name} is missing in some rows; give that group a name")
    if len(np.unique(column)) < 2:
        raise UserError(
            f"{where}: all rows are of {name} {column[0]}; give two groups or more to compare"
        )
    return column


def _feature(column: NDArray, name: str, where: str) -> Values:
    """Numbers, or words; a few words among many numbers are a mistake."""
    if column.dtype.kind == "f":
        if not np.isfinite(column).all():
            raise UserError(f"{where}: {name} has no number in some rows; fill them in")
        return column
    is_number = np.array([_is_number(value) for value in column.tolist()])
    if is_number.mean() > 0.5:
        row = int(np.flatnonzero(~is_number)[0])
        # The value stays unsaid: it may be somebody's name, and this line may end in a log.
        raise UserError(f"{where}: {name} holds words in row {row + 1}, where a number belongs")
    return column


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
