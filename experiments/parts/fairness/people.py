"""Whom is decided about: the rows behind every run, and whether they can be compared at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minima.evaluation.disparity import intersections
from minima.runtime.errors import UserError
from minima.tasks.datasets import open_table
from minima.tasks.datasets.tabular import Rows, Table
from parts.fairness.config import FairnessConfig
from parts.fairness.sweeps import PAST, is_generated, name_of


@dataclass(frozen=True)
class Unit:
    """One draw of people, or one seed where there is one table only.

    Attributes:
      draw: its number.
      sweep: the name of the sweep that learns from its past.
      place: along the sweep's axis of seeds.
      table: the people.
      validation, test: of them, as the run has them.
    """

    draw: int
    sweep: str
    place: int
    table: Table
    validation: Rows
    test: Rows

    @property
    def attribute(self) -> str:
        """What outcomes are compared by, first of all: the table's first attribute."""
        return next(iter(self.test.attributes))

    @property
    def groups(self) -> NDArray[np.str_]:
        """(n,) of the test rows, by that attribute."""
        return self.test.attributes[self.attribute]

    def features(self) -> Mapping[str, NDArray]:
        """(n,) values of the test rows: numbers, or which of its words a feature is."""
        found = {}
        for name in self.table.features:
            columns = self.test.inputs[:, self.table.places(name)]
            found[name] = columns[:, 0] if columns.shape[1] == 1 else columns.argmax(axis=1)
        return found


def units(config: FairnessConfig) -> list[Unit]:
    """All of them.

    Raises:
      UserError: a table is wrong, or has too few people to compare.
    """
    name, fraction, draws = (
        config.task.dataset,
        config.task.validation_fraction,
        config.repairs.draws,
    )
    found = []
    if is_generated(config):
        for draw in draws:
            table = open_table(f"{name}:{draw}", config.task.data_dir)
            _, validation, test = table.splits(fraction)
            found.append(Unit(draw, name_of(PAST, draw), 0, table, validation, test))
    else:
        table = open_table(name, config.task.data_dir)
        _, validation, test = table.splits(fraction)
        found = [Unit(d, PAST, k, table, validation, test) for k, d in enumerate(draws)]
    _check(found[0], name)
    return found


def every_grouping(rows: Rows) -> dict[str, NDArray[np.str_]]:
    """(n,) groups by each attribute, and by all together where there are several."""
    found = dict(rows.attributes)
    if len(found) > 1:
        found[" & ".join(rows.attributes)] = intersections(*rows.attributes.values())
    return found


def _check(unit: Unit, name: str) -> None:
    parts: Sequence[tuple[str, Rows]] = (("validation", unit.validation), ("test", unit.test))
    known = np.unique(unit.validation.attributes[unit.attribute])
    for part, rows in parts:
        of = rows.attributes[unit.attribute]
        if len(np.unique(of)) < 2:
            raise UserError(
                f"--dataset={name}: all {part} rows are of {unit.attribute} {of[0]}; give people "
                "of two groups or more"
            )
        for value in np.unique(of):
            mine = rows.labels[of == value]
            if len(np.unique(mine)) < 2 or value not in known:
                raise UserError(
                    f"--dataset={name}: of {unit.attribute} {value} there are {len(mine):,} {part} "
                    f"rows, {int(mine.sum()):,} with label 1; groups are compared by both labels: "
                    "give more people, or put small groups together"
                )
