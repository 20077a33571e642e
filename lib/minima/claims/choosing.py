"""Learning rates chosen on some seeds, results reported on others.

The best of many rates looks better than it is on the seeds that chose it. So `evidence.choosing`
seeds choose, by mean validation accuracy, and `evidence.reporting` seeds say how good the choice
is, by test accuracy. A rate at which any choosing seed failed is never chosen: a mean over the
survivors would flatter it. A reporting seed that failed at the chosen rate counts as guessing
(`evidence.floor`) instead of being dropped, and how many did is kept beside the accuracy.
"""

from dataclasses import dataclass

import numpy as np

from minima.claims.evidence import Evidence, Floats, Plane

POINTS = 100.0  # percentage points in an accuracy of 1


class UndecidedError(ValueError):
    """The evidence can't answer, whatever its numbers are; the message says what would."""


@dataclass(frozen=True)
class Chosen:
    """A learning rate, chosen for one batch size of one plane.

    Attributes:
      batch_size: of the runs.
      row, column: indices of batch size and rate in the plane.
      rate: the learning rate.
      edge: "" where the grid has worse rates on both sides (a rate that fails is worse); otherwise
        which end of the grid the choice is at, and the best rate may lie beyond.
      failed: reporting seeds that failed at this rate; they count as guessing.
      reporting: how many reporting seeds there are.
    """

    batch_size: int
    row: int
    column: int
    rate: float
    edge: str
    failed: int
    reporting: int

    def notes(self, plane: str) -> tuple[str, ...]:
        """What a verdict must say about this choice made in the named plane."""
        where = f"{plane}: batch size {self.batch_size} at rate {self.rate:.3g}"
        notes = []
        if self.edge:
            notes.append(f"{where} is at the grid's {self.edge} end; the best may lie beyond")
        if self.failed:
            notes.append(f"{where} failed for {self.failed} of {self.reporting} reporting seeds")
        return tuple(notes)


def plane_of(evidence: Evidence, name: str) -> Plane:
    """The plane of a budget.

    Raises:
      UndecidedError: that budget was not run.
    """
    if name not in evidence.planes:
        raise UndecidedError(f'a run of the budget "{name}"')
    return evidence.planes[name]


def choose(evidence: Evidence, name: str, row: int) -> Chosen:
    """The rate with the best mean validation accuracy over choosing seeds; ties to the smaller.

    Args:
      evidence: all planes, and which seeds choose.
      name: of the plane.
      row: index of the batch size; negative from the end.

    Raises:
      UndecidedError: no such plane, no choosing seeds, or some choosing seed fails at every rate.
    """
    plane = plane_of(evidence, name)
    row %= len(plane.batch_sizes)
    if not evidence.choosing:
        raise UndecidedError("seeds to choose rates on, beside those to report on")
    scores = plane.validation[row][:, list(evidence.choosing)].mean(1)  # NaN where one failed
    if not np.isfinite(scores).any():
        raise UndecidedError(
            f'rates at which batch size {plane.batch_sizes[row]} survives in "{name}": at every '
            "one a choosing seed failed"
        )
    return at_rate(evidence, name, row, int(np.nanargmax(scores)))


def at_rate(evidence: Evidence, name: str, row: int, column: int) -> Chosen:
    """A cell of a plane that needed no choice, in the same words."""
    plane = plane_of(evidence, name)
    row %= len(plane.batch_sizes)
    last = len(plane.learning_rates) - 1
    edge = "lower" if column == 0 else "upper" if column == last else ""
    edge = edge if last else ""  # one rate is no grid
    failed = int(np.isnan(plane.test[row, column, list(evidence.reporting)]).sum())
    size, rate = plane.batch_sizes[row], plane.learning_rates[column]
    return Chosen(size, row, column, rate, edge, failed, len(evidence.reporting))


def nearest_rate(plane: Plane, rate: float, within: float = 1.3) -> int:
    """The column of the rate nearest to `rate` in ratio.

    Raises:
      UndecidedError: none is within that factor.
    """
    off = np.abs(np.log(np.asarray(plane.learning_rates) / rate))
    column = int(off.argmin())
    if off[column] > np.log(within):
        raise UndecidedError(
            f"a learning rate within a factor {within:g} of {rate:.3g} in the grid"
        )
    return column


def reported_hits(evidence: Evidence, name: str, row: int, column: int) -> Floats:
    """Correctness of the reporting seeds, (S, num_test) in points: 0 or 100.

    Failed seeds have 100 times `floor` at every example.
    """
    plane = plane_of(evidence, name)
    seeds = list(evidence.reporting)
    right = plane.hits(row % len(plane.batch_sizes), column)[seeds]
    hits = np.where(right, POINTS, 0.0)
    failed = np.isnan(plane.test[row, column, seeds])
    hits[failed] = POINTS * evidence.floor
    return hits


def reported_accuracy(evidence: Evidence, name: str, row: int, column: int) -> Floats:
    """Test accuracy of the reporting seeds, (S,) in points; failed seeds have that of guessing."""
    plane = plane_of(evidence, name)
    test = plane.test[row, column, list(evidence.reporting)]
    return np.asarray(POINTS * np.where(np.isnan(test), evidence.floor, test), np.float64)
