"""Kinds of minima at one clean accuracy: where on its course each run has it.

A run is kept at several points of its course. On one half of the test examples its accuracy there
is found; the target is the highest that nine in ten runs of every kind reach. Between the first
kept state that has it and the one before, everything is read in proportion. The other half of the
examples reports, and what is left of the difference there is shown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minima.claims.crossing import first_crossing
from minima.claims.evidence import Floats
from minima.record import results
from minima.record.cells import FAILED
from minima.record.snapshots import Snapshots
from minima.sweep.minima import Point, predict_test_set
from minima.sweep.run import Prepared

POINTS = 100.0
_SPLIT_SEED = 0
_UNREACHED = 0.1  # share of a kind's runs that may not reach the target
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Course:
    """One run's kept states.

    Attributes:
      steps: updates after which they were kept, rising; none for a run that failed.
      accuracy: (states,) on the examples that match, in percent.
    """

    steps: tuple[int, ...]
    accuracy: Floats


@dataclass(frozen=True)
class Between:
    """A place on a course: `share` of the way from one kept state to the next."""

    before: int
    after: int
    share: float

    def read(self, first: float, second: float) -> float:
        """What lies there, of values at the two states."""
        return (1 - self.share) * first + self.share * second

    @property
    def step(self) -> float:
        """In updates."""
        return self.read(self.before, self.after)


def halves(n: int) -> tuple[Index, Index]:
    """Which of n test examples match, and which report: a seeded half each."""
    order = np.random.RandomState(_SPLIT_SEED).permutation(n)
    return np.sort(order[: n // 2]), np.sort(order[n // 2 :])


def courses(prepared: Prepared) -> list[Course]:
    """Of every cell of a sweep, in grid order, judged on the half that matches."""
    plan, snapshots = prepared.plan, Snapshots(prepared.directory)
    points: list[Point] = []
    steps: list[tuple[int, ...]] = [()] * len(plan.cells)
    for record in results.load(prepared.directory).cells:
        if record["status"] not in FAILED:
            number = plan.grid.index(record["cell"])
            steps[number] = snapshots.steps(number)
    points = [(number, step) for number, each in enumerate(steps) for step in each]
    predicted = predict_test_set(plan, snapshots, points, plan.layout.make_mesh())
    matching, _ = halves(len(plan.dataset.test))
    right = predicted[:, matching] == plan.dataset.test.labels[matching]
    accuracy = iter(POINTS * right.mean(axis=1))
    return [Course(each, np.array([next(accuracy) for _ in each])) for each in steps]


def common_target(of_all: Iterable[Sequence[Course]]) -> float:
    """The highest accuracy that nine in ten runs of every kind reach; failed ones do not count.

    Not all runs: a single one that is stuck would set it for all others.
    """
    peaks = [[course.accuracy.max() for course in each if course.steps] for each in of_all]
    reached = [np.quantile(each, _UNREACHED, method="lower") for each in peaks if each]
    return float(min(reached)) if reached else float("nan")


def crossing(course: Course, target: float) -> Between | None:
    """Where a course first has the target; None where that is nowhere known.

    So it is for a run that failed, that never has it, or that is past it at its first kept state.
    """
    if not course.steps or course.accuracy[0] > target:
        return None
    place = first_crossing(course.accuracy, target)
    if np.isnan(place):
        return None
    after = int(np.ceil(place))
    before = max(after - 1, 0)
    share = place - before if after else 1.0
    return Between(course.steps[before], course.steps[after], share)


def end_of(course: Course) -> Between | None:
    """Where a course ends; None for a run that failed."""
    return Between(course.steps[-1], course.steps[-1], 1.0) if course.steps else None
