"""Arms of sharp_vs_flat: cells of trained sweeps, what they predict, and what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minima.claims.choosing import POINTS, Chosen, UndecidedError, choose
from minima.claims.evidence import Evidence, Floats
from minima.claims.protocol import split_seeds
from minima.claims.readings import Reading
from minima.landscape.panels import Panel
from minima.landscape.result import Measured
from minima.landscape.run_measures import measure_points
from minima.record.cells import FAILED

Point = tuple[int, int]  # (cell, updates)


@dataclass(frozen=True)
class Arm:
    """Runs that differ in their seed alone.

    Attributes:
      name: such as "large, tuned".
      about: batch size, rate and radius in words.
      reading: of the sweep that holds them.
      row, column: of its plane.
      reporting: places of the seeds that report.
    """

    name: str
    about: str
    reading: Reading
    row: int
    column: int
    reporting: tuple[int, ...]

    @property
    def place(self) -> tuple[int, float]:
        """Batch size and rate."""
        return self.reading.axes[0][self.row], self.reading.axes[1][self.column]

    def points(self) -> list[Point | None]:
        """Where reporting seeds ended; None for one that failed."""
        found: list[Point | None] = []
        for seed in self.reporting:
            number = self.reading.number(self.row, self.column, seed)
            record = self.reading.records.get(number)
            failed = record is None or record["status"] in FAILED
            found.append(None if failed or record is None else (number, record["steps"]))
        return found

    def final(self, name: str) -> Floats:
        """A final number of reporting seeds, (S,), NaN where one failed."""
        records = [
            self.reading.records.get(self.reading.number(self.row, self.column, seed), {})
            for seed in self.reporting
        ]
        failed = [record.get("status") in (*FAILED, None) for record in records]
        values = [np.nan if f else r[name] for f, r in zip(failed, records, strict=True)]
        return np.array(values, np.float64)

    def hits(self) -> Floats:
        """(reporting seeds, test examples) in points; a failed seed has what guessing has."""
        floor = POINTS / self.reading.plan.dataset.num_classes
        points = self.points()
        hits = np.where(self.reading.hits_at(points), POINTS, 0.0)
        hits[[point is None for point in points]] = floor
        return hits


@dataclass(frozen=True)
class Minima:
    """An arm with what was measured at its ends.

    Attributes:
      arm: which.
      hits: (S, tests) in points.
      values: by measure, (S,), NaN where a seed failed or the measure could not be taken.
      unsure: by measure, (S,) bool: taken, but not converged.
    """

    arm: Arm
    hits: Floats
    values: Mapping[str, Floats]
    unsure: Mapping[str, np.ndarray]

    @property
    def name(self) -> str:
        """Of the arm."""
        return self.arm.name


def measured(arm: Arm, panel: Panel, examples: int, points: Sequence[Point | None] = ()) -> Minima:
    """Measures an arm at its ends, or at other points of the same seeds."""
    at = list(points) or arm.points()
    taken = [point for point in at if point is not None]
    reading = arm.reading
    rows = measure_points(
        reading.plan, reading.run.path, taken, panel, examples=examples, mesh=reading.mesh
    )
    by_place = dict(zip([i for i, p in enumerate(at) if p is not None], rows, strict=True))
    names = list(rows[0]) if rows else []
    empty = Measured(np.nan, converged=False)
    table = {name: [by_place.get(i, {}).get(name, empty) for i in range(len(at))] for name in names}
    return Minima(
        arm,
        arm.hits(),
        {name: np.array([m.value for m in column]) for name, column in table.items()},
        {name: np.array([not m.converged for m in column]) for name, column in table.items()},
    )


def unmeasured(arm: Arm) -> Minima:
    """An arm of which only the accuracy counts."""
    return Minima(arm, arm.hits(), {}, {})


def best_rate(reading: Reading, row: int) -> Chosen:
    """By validation accuracy of the choosing seeds.

    Raises:
      UndecidedError: at every rate one of them failed.
    """
    choosing, reporting = split_seeds(reading.seeds)
    evidence = Evidence({"plane": reading.plane()}, None, choosing, reporting, "")
    return choose(evidence, "plane", row)


def best_of(arms: Sequence[Arm]) -> Arm:
    """The arm with the best mean validation accuracy over choosing seeds; ties to the first.

    Raises:
      UndecidedError: in every one a choosing seed failed.
    """
    scores = []
    for arm in arms:
        choosing = list(split_seeds(arm.reading.seeds)[0])
        scores.append(arm.reading.plane().validation[arm.row, arm.column, choosing].mean())
    if not np.isfinite(scores).any():
        names = ", ".join(arm.about for arm in arms)
        raise UndecidedError(f"an arm without failures among the choosing seeds of {names}")
    return arms[int(np.nanargmax(scores))]


def arm_at(name: str, reading: Reading, row: int, column: int, more: str = "") -> Arm:
    """An arm of a plane, described by its batch size and rate."""
    size, rate = reading.axes[0][row], reading.axes[1][column]
    about = f"batch {size}, rate {rate:.3g}{more}"
    return Arm(name, about, reading, row, column, split_seeds(reading.seeds)[1])


def nearest_in_loss(arm: Arm, loss: Floats) -> list[Point | None]:
    """The kept states of reporting seeds whose training loss is nearest in ratio to `loss` (S,)."""
    steps, losses = arm.reading.curve("step"), arm.reading.curve("train_loss")
    found: list[Point | None] = []
    for seed, wanted in zip(arm.reporting, loss, strict=True):
        number = arm.reading.number(arm.row, arm.column, seed)
        at = steps[arm.row, arm.column, seed]
        with np.errstate(divide="ignore", invalid="ignore"):
            off = np.abs(np.log(losses[arm.row, arm.column, seed] / wanted))
        off[~np.isin(at, arm.reading.snapshots.steps(number))] = np.nan
        finite = np.isfinite(off).any()
        found.append((number, int(at[np.nanargmin(off)])) if finite else None)
    return found
