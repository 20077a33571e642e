"""How sharp networks are along training: every kept state of every run, measured."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from minima.claims.evidence import Floats
from minima.claims.readings import Reading
from minima.landscape.measured_run import show
from minima.landscape.panels import PANELS
from minima.landscape.result import Measured
from minima.landscape.run_measures import Progress, measure_points
from minima.landscape.stability import critical_sharpness
from minima.record.cells import FAILED
from minima.sweep.hyperparameters import hyperparameters
from minima.sweep.run import Prepared
from parts.edge_of_stability.config import GD

_PANEL, _VALUE = PANELS["preconditioned"], "preconditioned_lambda_max"
_NOTHING = Measured(math.nan)


@dataclass(frozen=True)
class Course:
    """One optimiser at one batch size and step size: its seeds on their way.

    Attributes:
      optimizer, batch_size, rate: of its runs; `full` where the batch is the training set.
      edge: the sharpness at which it becomes unstable.
      updates: (K,) at which states were kept and measured, rising.
      sharpness: (seeds, K) largest eigenvalue of the Hessian of the training loss, for Adam of the
        preconditioned one; NaN for runs that failed.
      residuals: (seeds, K) how far the nearest true eigenvalue is at most, as a share of it.
      looks: (E,) updates between which losses are means.
      losses: (seeds, E) training loss, NaN beyond a run's end.
      accuracy: (seeds,) on the test set in %, NaN for runs that failed.
    """

    optimizer: str
    batch_size: int
    rate: float
    full: bool
    edge: float
    updates: Floats
    sharpness: Floats
    residuals: Floats
    looks: Floats
    losses: Floats
    accuracy: Floats

    @property
    def factor(self) -> float:
        """The edge in units of 1 / step size: 2 for gradient descent."""
        return self.edge * self.rate

    @property
    def failed(self) -> int:
        """Runs that diverged or collapsed."""
        return int(np.isnan(self.accuracy).sum())

    @cached_property
    def scaled(self) -> Floats:
        """(seeds, K) sharpness times step size."""
        return self.sharpness * self.rate

    @property
    def unconverged(self) -> int:
        """How many eigenvalues have a residual above 1 %."""
        return int(np.sum(self.residuals > 0.01))

    @property
    def late(self) -> Floats:
        """(seeds,) the median of `scaled` over the last half of training."""
        return np.median(self.scaled[:, self.updates > self.updates[-1] / 2], axis=1)

    @property
    def rises(self) -> Floats:
        """(seeds,) in how many % of looks in the last half the training loss is above the last."""
        late = self.losses[:, self.looks > self.looks[-1] / 2]
        return 100 * np.mean(np.diff(late, axis=1) > 0, axis=1)

    @property
    def fall(self) -> Floats:
        """(seeds,) how often the training loss halves in the last half, as means of its ends."""
        late = self.losses[:, self.looks > self.looks[-1] / 2]
        share = max(1, late.shape[1] // 5)
        return np.log2(late[:, :share].mean(axis=1) / late[:, -share:].mean(axis=1))


def courses(prepared: Mapping[str, Prepared], progress: Progress | None = None) -> list[Course]:
    """Measures what is not yet measured of finished runs, and reads all of it."""
    return [course for each in prepared.values() for course in _courses(each, progress)]


def _courses(prepared: Prepared, progress: Progress | None) -> Iterator[Course]:
    plan, full = prepared.plan, len(prepared.plan.dataset.train)
    mesh = plan.layout.make_mesh()
    reading = Reading(plan, prepared.directory, mesh)
    sound = [n for n, record in reading.records.items() if record["status"] not in FAILED]
    points = [(n, step) for n in sorted(sound) for step in plan.snapshot_steps(plan.cells[n])]
    found = measure_points(
        plan, prepared.directory, points, _PANEL, examples=0, mesh=mesh, progress=progress
    )
    show(prepared.directory)  # in results.csv, too
    measured = {point: each[_VALUE] for point, each in zip(points, found, strict=True)}
    losses, accuracy = reading.curve("train_loss"), reading.plane().test
    for b, size in enumerate(reading.axes[0]):
        for r, rate in enumerate(reading.axes[1]):
            cells = [reading.number(b, r, s) for s in range(len(reading.seeds))]
            updates = plan.snapshot_steps(plan.cells[cells[0]])
            table = [[measured.get((n, step), _NOTHING) for step in updates] for n in cells]
            hyper = hyperparameters(plan.config.training, plan.cells[cells[0]])
            optimizer = plan.config.training.optimizer
            looks = plan.timeline(plan.cells[cells[0]]).evaluations
            yield Course(
                optimizer=optimizer,
                batch_size=size,
                rate=rate,
                full=size == full,
                edge=critical_sharpness(optimizer, rate, hyper["momentum"]),
                updates=np.array(updates, np.float64),
                sharpness=np.array([[m.value for m in row] for row in table]),
                residuals=np.array([[m.residual / m.value for m in row] for row in table]),
                looks=np.array(looks, np.float64),
                losses=losses[b, r, :, : len(looks)],
                accuracy=100 * accuracy[b, r],
            )


def full_batch(found: Sequence[Course], optimizer: str = GD) -> list[Course]:
    """One optimiser's courses on the full batch, by rising step size."""
    return [course for course in found if course.full and course.optimizer == optimizer]


def small_batch(found: Sequence[Course]) -> dict[int, list[Course]]:
    """Gradient descent on smaller batches, by batch size and rising step size."""
    sizes = sorted({course.batch_size for course in found if not course.full})
    return {size: [c for c in found if c.batch_size == size and not c.full] for size in sizes}
