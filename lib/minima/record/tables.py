"""A table that is read twice: by people in the terminal, by programs as CSV."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Table:
    """Rows under named columns.

    Attributes:
      title: what it shows, with n and the kind of interval.
      columns: names, also of the CSV file: what and in which unit, such as "test_accuracy_percent".
      rows: a value for each column; NaN and None are empty.
      hidden: columns for the file alone.
      notes: lines under it in the terminal.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Value]]
    hidden: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses rows that don't fit.

        Raises:
          ValueError: a row has another number of values, or a hidden column is none.
        """
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row of {self.title!r} does not have {len(self.columns)} values")
        if missing := set(self.hidden) - set(self.columns):
            raise ValueError(f"{self.title!r} has no column {', '.join(sorted(missing))}")

    def lines(self) -> Iterator[str]:
        """The table in text: numbers to four digits and to the right, words to the left."""
        shown = [i for i, name in enumerate(self.columns) if name not in self.hidden]
        head = [self.columns[i].replace("_", " ") for i in shown]
        body = [[_text(row[i]) for i in shown] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        words = [any(isinstance(row[i], str) for row in self.rows) for i in shown]
        yield self.title
        for cells in (head, *body):
            padded = [
                cell.ljust(width) if is_word else cell.rjust(width)
                for cell, width, is_word in zip(cells, widths, words, strict=True)
            ]
            yield ("  " + "  ".join(padded)).rstrip()
        yield from (f"  {note}" for note in self.notes)

    def csv(self) -> str:
        """The table as CSV, numbers in full."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([["" if _is_empty(x) else x for x in row] for row in self.rows])
        return text.getvalue()


def _is_empty(value: Value) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _text(value: Value) -> str:
    if _is_empty(value):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
