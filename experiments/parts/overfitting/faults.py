"""Training runs whose fault is known, because it was put there. Cheap: no NumPy, no JAX."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from minima.sweep.budgets import Budget
from minima.sweep.config import GridConfig, SweepConfig, TaskConfig, TrainingConfig

# As `claims.diagnosis` names them.
HEALTHY, OVERFIT, UNDERFIT = "healthy", "overfit", "underfit"
UNSTABLE, LEAKING = "unstable", "leaking"
NAMES = (UNSTABLE, LEAKING, OVERFIT, UNDERFIT, HEALTHY)

EVALUATIONS = 25
BATCH_SIZE = 50


@dataclass(frozen=True)
class Fault:
    """Runs of one program.

    Attributes:
      name: of the program, which --faults takes.
      task: data and network.
      optimizer: the update rule.
      truth: by learning rate, what is wrong with runs at it.
      why: in words.
    """

    name: str
    task: TaskConfig
    optimizer: str
    truth: Mapping[float, str]
    why: str


def _task(dataset: str, **options: Any) -> TaskConfig:
    size: dict[str, Any] = {"model": "mlp", "width": 64, "depth": 2}
    return TaskConfig(dataset=dataset, test_examples=1000, **(size | options))


FAULTS = (
    Fault(
        "rate_adam",
        _task("mnist1d_infinite"),
        "adam",
        {1e-5: UNDERFIT, 3e-3: HEALTHY, 1e-2: HEALTHY, 0.5: UNSTABLE, 1.0: UNSTABLE},
        "fresh examples without end; too small a rate, two good ones, two too large",
    ),
    Fault(
        "rate_momentum",
        _task("mnist1d_infinite"),
        "momentum",
        {1e-4: UNDERFIT, 0.03: HEALTHY, 0.1: HEALTHY, 3.0: UNSTABLE, 10.0: UNSTABLE},
        "the same with momentum",
    ),
    Fault(
        "small_model",
        _task("mnist1d", model="linear", width=0, depth=0),
        "adam",
        {3e-3: UNDERFIT, 1e-2: UNDERFIT},
        "a linear model of what is not linear",
    ),
    Fault(
        "small_data",
        _task("mnist1d", train_examples=150),
        "adam",
        {1e-3: OVERFIT, 2e-3: OVERFIT, 4e-3: OVERFIT, 8e-3: OVERFIT},
        "150 examples",
    ),
    Fault(
        "copied_rows",
        _task("mnist1d_copied"),
        "adam",
        {3e-3: LEAKING, 6e-3: LEAKING},
        "validation rows are training rows too",
    ),
    Fault(
        "label_in_input",
        _task("mnist1d_labelled"),
        "adam",
        {3e-3: LEAKING, 6e-3: LEAKING},
        "a feature gives the label away, and is empty in the test set",
    ),
)


def chosen(names: tuple[str, ...]) -> list[Fault]:
    """The programs with these names."""
    return [fault for fault in FAULTS if fault.name in names]


def sweep_of(fault: Fault, seeds: tuple[int, ...], steps: int) -> SweepConfig:
    """The runs with this fault: one cell a rate and seed."""
    return SweepConfig(
        fault.task,
        GridConfig((BATCH_SIZE,), tuple(fault.truth), seeds),
        TrainingConfig(
            optimizer=fault.optimizer, budget=Budget(steps=steps), evaluations=EVALUATIONS
        ),
    )
