"""Configuration of the edge of stability: which step sizes, and how all runs train. Cheap."""

import dataclasses
from dataclasses import dataclass, field, replace
from typing import Any

from minima.runtime.errors import UserError
from minima.sweep.budgets import Budget
from minima.sweep.config import (
    EngineConfig,
    GridConfig,
    ProcessesConfig,
    RecordConfig,
    SweepConfig,
    TaskConfig,
    TrainingConfig,
)
from minima.sweep.grid import (
    format_floats,
    format_ints,
    parse_floats,
    parse_ints,
)
from minima.sweep.leaf import seeds_leaf

GD, MOMENTUM, ADAM = "sgd", "momentum", "adam"
LEAST_SNAPSHOTS = 4  # two in either half of training
# What may differ from plain gradient descent on the loss that is measured.
_FREE = ("budget", "evaluations", "momentum", "beta2", "divergence_loss", "label_noise", "dtype")
_PLAIN = TrainingConfig(optimizer=GD)


def _leaf(default: Any, help: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help, **metadata})


def _rates(default: tuple[float, ...], help: str, none: bool = True) -> Any:
    return _leaf(
        default,
        help + ("; none to leave it out" if none else ""),
        parse=lambda text: () if none and text == "none" else parse_floats(text, positive=True),
        format=lambda rates: format_floats(rates) if rates else "none",
    )


@dataclass(frozen=True)
class EdgeConfig:
    """Step sizes on the full batch, and smaller batches for contrast."""

    learning_rates: tuple[float, ...] = _rates(
        (0.08, 0.11, 0.15, 0.2), "step sizes of gradient descent", none=False
    )
    momentum_rates: tuple[float, ...] = _rates((0.15, 0.2, 0.25), "of heavy-ball momentum")
    adam_rates: tuple[float, ...] = _rates((0.001, 0.002, 0.003), "of Adam")
    small_batches: tuple[int, ...] = _leaf(
        (10, 100),
        "batch sizes of stochastic gradient descent at the step sizes of the full batch; none to "
        "leave it out",
        parse=lambda text: () if text == "none" else parse_ints(text),
        format=lambda sizes: format_ints(sizes) if sizes else "none",
    )
    seeds: tuple[int, ...] = seeds_leaf(
        (1, 2, 3), "how many (5 means 0 to 4), or which; step sizes and rules were settled on 0"
    )


@dataclass(frozen=True)
class EosConfig:
    """The edge of stability: three optimisers on one task."""

    edge: EdgeConfig = EdgeConfig()
    task: TaskConfig = TaskConfig(
        dataset="mnist1d",
        train_examples=500,
        validation_fraction=0.0,
        model="mlp",
        width=64,
        depth=3,
        activation="tanh",
        loss="squared_error",
    )
    training: TrainingConfig = TrainingConfig(
        optimizer=GD, budget=Budget(steps=6000), evaluations=200
    )
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig(snapshots=24)
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what would move the edge, or hide it.

        Raises:
          UserError: names the flag.
        """
        self._check_task()
        self._check_training()
        small, full = self.edge.small_batches, self.full_batch
        if small and small[-1] >= full:
            raise UserError(
                f"--small_batches={format_ints(small)}: must be below --train_examples={full}, "
                "the full batch"
            )
        kept = self.record.snapshots
        if not LEAST_SNAPSHOTS <= kept <= self.training.evaluations:
            raise UserError(
                f"--snapshots={kept}: the largest eigenvalue is measured there; use at least "
                f"{LEAST_SNAPSHOTS} and at most --evaluations={self.training.evaluations}"
            )

    def _check_task(self) -> None:
        task = self.task
        if not task.train_examples:
            raise UserError("--train_examples=0: it is the full batch; use a number such as 500")
        plain = {
            "norm": (("default", "none", "layer", "group"), "none"),
            "augmentation": (("none",), "none"),
            "parametrisation": (("standard",), "standard"),
            "trainable": (("all",), "all"),
        }
        for name, (allowed, use) in plain.items():
            if (value := getattr(task, name)) not in allowed:
                raise UserError(
                    f"--{name}={value}: then what is measured is not what was trained; use {use}"
                )

    def _check_training(self) -> None:
        training = self.training
        for leaf in dataclasses.fields(training):
            value, plain = getattr(training, leaf.name), getattr(_PLAIN, leaf.name)
            if leaf.name not in _FREE and value != plain:
                raise UserError(
                    f"--{leaf.name}={value}: the edge is known for plain gradient descent, "
                    "momentum and Adam at a constant rate; leave the flag out"
                )
        if training.budget != Budget(steps=training.budget.steps or 1):
            raise UserError(
                f"--budget={training.budget}: all runs make the same number of updates; use steps "
                "alone, such as 6000steps"
            )

    @property
    def full_batch(self) -> int:
        """Training examples: every update sees all of them."""
        return self.task.train_examples

    def sweeps(self) -> dict[str, SweepConfig]:
        """A plane for each optimiser with step sizes; gradient descent has small batches too."""
        edge, full = self.edge, (self.full_batch,)
        planes = {
            GD: (*edge.small_batches, *full),
            MOMENTUM: full,
            ADAM: full,
        }
        rates = {GD: edge.learning_rates, MOMENTUM: edge.momentum_rates, ADAM: edge.adam_rates}
        return {
            optimizer: self._sweep(optimizer, GridConfig(sizes, rates[optimizer], edge.seeds))
            for optimizer, sizes in planes.items()
            if rates[optimizer]
        }

    def _sweep(self, optimizer: str, grid: GridConfig) -> SweepConfig:
        training = replace(self.training, optimizer=optimizer)
        if optimizer == GD:
            training = replace(training, momentum=None)
        if optimizer != ADAM:
            training = replace(training, beta2=None)
        return SweepConfig(
            self.task,
            grid,
            training,
            engine=self.engine,
            record=self.record,
            processes=self.processes,
        )


PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "train_examples": 100,
        "width": 16,
        "learning_rates": "0.1,0.2",
        "momentum_rates": "0.2",
        "adam_rates": "0.003",
        "small_batches": "10",
        "seeds": "2",
        "budget": "200steps",
        "evaluations": 20,
        "snapshots": 6,
    },
    "laptop": {},
}
