"""What the trained sweeps hold, as arrays: read from their runs, and predicted from kept states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minima.claims import diagnosis, logs
from minima.claims.evidence import Floats
from minima.record import results
from minima.record.results import Run
from minima.record.snapshots import Snapshots
from minima.sweep.minima import predict_test_set
from minima.sweep.run import Prepared
from parts.overfitting.config import OverfittingConfig
from parts.overfitting.factorial import assembled
from parts.overfitting.faults import Fault, chosen
from parts.overfitting.sweeps import CHOICES, INFINITE, RANDOM, TICKETS, factorial_name


@dataclass(frozen=True)
class Course:
    """Learning curves of one condition: (seeds, evaluations), and where those were, in updates."""

    step: Floats
    train: Floats
    validation: Floats

    @property
    def rise(self) -> Floats:
        """(seeds,) how far validation loss ends above its best, in nats."""
        return self.validation[:, -1] - self.validation.min(axis=1)


@dataclass(frozen=True)
class Diagnosed:
    """One run with a known fault, and what its log was taken for.

    Attributes:
      fault, rate, seed: which run.
      truth: what is wrong with it.
      found: by all that the run's log holds, as `python -m minima diagnose RUN` reads it.
      alone: by the two loss curves alone, as anyone's CSV has them.
      where: the update that the diagnosis names.
      evidence: in words.
    """

    fault: str
    rate: float
    seed: int
    truth: str
    found: str
    alone: str
    where: float
    evidence: str


@dataclass(frozen=True)
class Measured:
    """Everything that is judged.

    Attributes:
      tickets: courses of the ticket classifier.
      epochs: it trained for.
      losses: by training-set size, test losses (2, 2, 2, 2, seeds); see `factorial`.
      plain: by size, courses without any remedy.
      infinite: the course on fresh examples; None where the data can't be drawn.
      memorised, chance_test: (seeds,) accuracy in % on random labels, and on the test set.
      classes: of the task.
      hits: (configurations, seeds, test examples) of what there was to choose from.
      validated: (configurations, seeds) their validation accuracies.
      diagnosed: runs with known faults.
    """

    tickets: Course
    epochs: int
    losses: Mapping[int, Floats]
    plain: Mapping[int, Course]
    infinite: Course | None
    memorised: Floats
    chance_test: Floats
    classes: int
    hits: NDArray[np.bool_]
    validated: Floats
    diagnosed: Sequence[Diagnosed]


def measure(prepared: Mapping[str, Prepared], config: OverfittingConfig) -> Measured:
    """Reads all runs, and predicts the test set by every configuration there is to choose from."""
    runs = {name: results.load(each.directory) for name, each in prepared.items()}
    sizes, random = config.remedies.train_sizes, runs[RANDOM]
    hits, validated = _choices(prepared[CHOICES], runs[CHOICES])
    return Measured(
        tickets=_course(runs[TICKETS]),
        epochs=config.controls.ticket_epochs,
        losses={size: _losses(runs, size) for size in sizes},
        plain={size: _course(runs[factorial_name(size, False, False)]) for size in sizes},
        infinite=_course(runs[INFINITE]) if INFINITE in runs else None,
        memorised=100 * random.table("train_accuracy", failed=True).reshape(-1),
        chance_test=100 * random.table("test_accuracy", failed=True).reshape(-1),
        classes=prepared[RANDOM].plan.dataset.num_classes,
        hits=hits,
        validated=validated,
        diagnosed=[
            each
            for fault in chosen(config.controls.faults)
            for each in _diagnosed(fault, runs[f"fault_{fault.name}"])
        ],
    )


def _losses(runs: Mapping[str, Run], size: int) -> Floats:
    return assembled(
        {
            (augmented, stopped): runs[factorial_name(size, augmented, stopped)].table(
                "test_loss", failed=True
            )[0, 0]
            for augmented in (False, True)
            for stopped in (False, True)
        }
    )


def _course(run: Run) -> Course:
    """Of the cells without further axes on: their first values."""
    columns = (run.curves(name) for name in ("step", "train_loss", "validation_loss"))
    step, train, validation = (_plain(column) for column in columns)
    return Course(step[0], train, validation)


def _plain(column: Floats) -> Floats:
    """(seeds, evaluations) of an array whose axes before those are taken at their first value."""
    while column.ndim > 2:
        column = column[0]
    return column


def _choices(prepared: Prepared, run: Run) -> tuple[NDArray[np.bool_], Floats]:
    plan = prepared.plan
    snapshots, seeds = Snapshots(prepared.directory), run.table("test_loss").shape[-1]
    points = [(cell, snapshots.steps(cell)[-1]) for cell in range(len(plan.cells))]
    mesh = plan.layout.make_mesh()
    hits = predict_test_set(plan, snapshots, points, mesh) == plan.dataset.test.labels
    validated = run.table("validation_accuracy", failed=True).reshape(-1, seeds)
    return hits.reshape(-1, seeds, hits.shape[-1]), validated


def _diagnosed(fault: Fault, run: Run) -> list[Diagnosed]:
    found = []
    for cell in run.cells:
        curves = logs.of_cell(cell, run.info.get("classes"))
        whole = diagnosis.diagnose(curves)
        alone = diagnosis.diagnose(
            diagnosis.Curves(curves.where, curves.train, curves.validation, curves.unit)
        )
        rate, seed = float(cell["cell"]["learning_rate"]), int(cell["cell"]["seed"])
        told = (fault.truth[rate], whole.name, alone.name, whole.where, whole.evidence)
        found.append(Diagnosed(fault.name, rate, seed, *told))
    return sorted(found, key=lambda each: (each.rate, each.seed))
