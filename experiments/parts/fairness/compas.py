"""ProPublica's table, of a user's copy of their file: seven columns are read, counts are kept.

The file has names and dates of birth. They are never read into an array, written or printed.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from minima.evaluation.disparity import Group, by_group
from minima.record.columns import as_numbers, read_columns
from minima.runtime.errors import UserError

RACE, SCORE, DECILE, AGAIN = "race", "score_text", "decile_score", "two_year_recid"
DAYS, KNOWN, DEGREE = "days_b_screening_arrest", "is_recid", "c_charge_degree"
GROUPS = ("African-American", "Caucasian")
EVERYBODY = "everybody"
ALL_ROWS, FILTERED = "all rows", "ProPublica's filter"
_MOST_DAYS = 30  # between the arrest and the score, in their notebook


def propublicas_table(path: str) -> dict[str, list[Group]]:
    """Rates of everybody and of the two largest groups, with all rows and under their own filter.

    Decided 1 are those scored Medium or High; label 1 is another charge within two years; the area
    under the ROC curve is the decile score's.

    Raises:
      UserError: the file can't be read, lacks a column, or a group.
    """
    where = f"--compas={path}"
    try:
        columns = read_columns(path, (RACE, SCORE, DECILE, AGAIN, DAYS, KNOWN, DEGREE))
    except UserError as error:
        raise UserError(f"--compas: {error}") from error
    again = _numbers(columns, AGAIN, where)
    if not np.isin(again, (0, 1)).all():
        raise UserError(f"{where}: {AGAIN} is neither 0 nor 1 in some rows; it must be in all")
    if columns[SCORE].dtype.kind != "U" or columns[RACE].dtype.kind != "U":
        raise UserError(f"{where}: {SCORE} or {RACE} holds numbers; words such as Low belong there")
    days, known = _numbers(columns, DAYS, where), _numbers(columns, KNOWN, where)
    decile = _numbers(columns, DECILE, where)
    if not np.isfinite(decile).all():
        raise UserError(f"{where}: {DECILE} is empty in some rows; give the whole file")
    decided = columns[SCORE] != "Low"
    kept = (abs(days) <= _MOST_DAYS) & (known != -1) & (columns[DEGREE] != "O")
    kept &= columns[SCORE] != ""
    found = {}
    for name, rows in ((ALL_ROWS, np.ones(len(kept), bool)), (FILTERED, kept)):
        if missing := set(GROUPS) - set(columns[RACE][rows].tolist()):
            raise UserError(f"{where}: has no rows of {RACE} {min(missing)}; give the whole file")
        everybody = np.full(len(rows), EVERYBODY)
        inside = rows & np.isin(columns[RACE], GROUPS)
        found[name] = [
            group
            for whom, of in ((rows, everybody), (inside, columns[RACE]))
            for group in by_group(again[whom], decided[whom], of[whom], scores=decile[whom])
        ]
    return found


def _numbers(columns: Mapping[str, NDArray], name: str, where: str) -> NDArray[np.float64]:
    try:
        return as_numbers(columns[name], name)
    except UserError:
        # Without the value, which stands in somebody's row.
        raise UserError(f"{where}: {name} holds words where numbers belong") from None
