"""What the trained sweeps say, as scores: over training, by repair, under shift, over the plane."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minima.evaluation.arrays import Floats
from minima.record import results
from minima.record.snapshots import Snapshots
from minima.runtime.errors import UserError
from minima.sweep.minima import Point
from minima.sweep.run import Prepared
from parts.calibration.arms import PLAIN, Arms, Chosen, measure_arms
from parts.calibration.config import CalibrationConfig
from parts.calibration.courses import States, follow
from parts.calibration.matched import Matched, measure_plane
from parts.calibration.scores import planted_inside
from parts.calibration.sweeps import FEW, MAIN, NARROW, PLANE

PLANTED_SIZE = 300  # examples of a perfectly calibrated set


@dataclass(frozen=True)
class Measured:
    """Everything that is judged.

    Attributes:
      updates: (evaluations,) of the networks without dropout.
      course: all their kept states, seed by seed, evaluation by evaluation.
      stopped: (seeds,) which evaluation had the best validation loss.
      narrow, few: ends of the lesser networks, by seed; None where there are none.
      arms: repairs, ensembles and dropout, on clean and corrupted test sets.
      plane: batch size × learning rate, where cells are compared.
      inside, planted: perfectly calibrated sets inside their null band, and all of them.
      labels: of the test set.
      failed: seeds that are left out since a run of theirs failed.
    """

    updates: Floats
    course: States
    stopped: NDArray[np.intp]
    narrow: States | None
    few: States | None
    arms: Arms
    plane: Matched
    inside: int
    planted: int
    labels: np.ndarray
    failed: int

    @property
    def seeds(self) -> int:
        """How many networks report."""
        return len(self.stopped)

    @property
    def states(self) -> Sequence[States]:
        """All that had a temperature fitted."""
        others = [each for each in (self.narrow, self.few) if each is not None]
        return [self.course, *others, self.plane.states]

    def over_training(self, name: str, scaled: bool = False) -> Floats:
        """(seeds, evaluations) of one of SCORES."""
        table = self.course.scaled if scaled else self.course.raw
        return table[name].reshape(self.seeds, -1)

    def at_stop(self, name: str) -> Floats:
        """(seeds,) where validation loss was best."""
        return self.over_training(name)[np.arange(self.seeds), self.stopped]


def check_data(prepared: Mapping[str, Prepared]) -> None:
    """Refuses data that have no classes to be sure of.

    Raises:
      UserError: names the dataset.
    """
    plan = prepared[MAIN].plan
    data, fraction = plan.dataset, plan.config.task.validation_fraction
    if data.task == "regression" or data.per_position:
        what = "numbers" if data.task == "regression" else "a label at every position"
        raise UserError(
            f"--dataset={data.name}: has {what}; calibration is of one class for each example, as "
            "in mnist1d or fashion_mnist"
        )
    counts = np.bincount(data.validation.labels, minlength=data.num_classes)
    if not counts.all():
        raise UserError(
            f"--validation_fraction={fraction:g}: leaves no validation example of class "
            f"{int(counts.argmin())}, and repairs are fitted to every class; use a larger one"
        )


def measure(prepared: Mapping[str, Prepared], config: CalibrationConfig) -> Measured:
    """Reads all runs, predicts by their kept states, repairs and scores.

    Raises:
      UserError: so many runs failed that no ensemble is left.
    """
    main, bins = prepared[MAIN], config.looks.bins
    run, kept = results.load(main.directory), Snapshots(main.directory)
    fine = _fine(prepared, config.networks.compared)
    seeds, compared = np.flatnonzero(fine), np.flatnonzero(fine[: config.networks.compared])
    if len(seeds) < config.networks.members or not len(compared):
        raise UserError(
            f"--rate={config.networks.rate:g}: {len(seeds)} of {len(fine)} networks end well, an "
            f"ensemble has {config.networks.members}; lower the rate, or give more --seeds"
        )
    best = run.curves("validation_loss")[0, 0, 0][seeds].argmin(axis=1)
    courses = {cell: kept.steps(cell) for cell in map(int, seeds)}  # cells without dropout
    chosen = Chosen(
        last=[(cell, steps[-1]) for cell, steps in courses.items()],
        stopped=[(cell, steps[i]) for (cell, steps), i in zip(courses.items(), best, strict=True)],
        dropout=[_end(kept, int(seed) + len(fine)) for seed in compared],
    )
    arms, times = measure_arms(main, chosen, config), config.looks.planted
    points = [(cell, step) for cell, steps in courses.items() for step in steps]
    return Measured(
        updates=run.curves("step")[0, 0, 0][seeds[0]],
        course=follow(main, points, bins),
        stopped=best,
        narrow=_ends(prepared.get(NARROW), compared, bins),
        few=_ends(prepared.get(FEW), compared, bins),
        arms=arms,
        plane=measure_plane(prepared[PLANE], config),
        inside=planted_inside(arms.examples[PLAIN], bins, times, PLANTED_SIZE),
        planted=times,
        labels=main.plan.dataset.test.labels,
        failed=int((~fine).sum()),
    )


def _fine(prepared: Mapping[str, Prepared], compared: int) -> NDArray[np.bool_]:
    """(seeds,) no network of which failed."""
    fine = np.isfinite(_losses(prepared[MAIN])[0, 0]).all(axis=0)
    for name in (NARROW, FEW):
        if name in prepared:
            fine[:compared] &= np.isfinite(_losses(prepared[name])[0, 0])
    return fine


def _losses(prepared: Prepared) -> Floats:
    return results.load(prepared.directory).table("test_loss")


def _end(kept: Snapshots, cell: int) -> Point:
    return cell, kept.steps(cell)[-1]


def _ends(prepared: Prepared | None, seeds: NDArray[np.intp], bins: int) -> States | None:
    """The ends of a sweep of one cell per seed."""
    if prepared is None:
        return None
    kept = Snapshots(prepared.directory)
    return follow(prepared, [_end(kept, int(seed)) for seed in seeds], bins)
