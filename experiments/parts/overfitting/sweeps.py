"""Everything that is trained: a sweep for each program. Cheap: no NumPy, no JAX."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from minima.sweep.budgets import Budget
from minima.sweep.config import GridConfig, SweepConfig, TaskConfig, TrainingConfig
from parts.overfitting import faults
from parts.overfitting.config import OverfittingConfig

TICKETS, INFINITE, RANDOM, CHOICES = "tickets", "infinite_data", "random_labels", "choices"

# The ticket classifier: settled on seed 0 such that it takes a dozen epochs to its best.
TICKET_TASK = TaskConfig(
    dataset="tickets", model="transformer", width=32, depth=1, validation_fraction=1 / 3
)
TICKET_BATCH, TICKET_RATE = 20, 0.001
# What there is to choose among: 24 configurations that a search might try.
CHOICE_RATES = (0.001, 0.003, 0.01)
CHOICE_AXES = (("dropout", (0.0, 0.2, 0.4, 0.6)), ("weight_decay", (0.0, 0.003)))


def factorial_name(size: int, augmented: bool, stopped: bool) -> str:
    """Of the sweep of one training-set size with or without what is compiled in."""
    return f"n{size}" + "_augmented" * augmented + "_stopped" * stopped


def sweeps(config: OverfittingConfig) -> dict[str, SweepConfig]:
    """All of them by name, the first one first: its run keeps what is found."""
    parts = itertools.chain(_tickets(config), _factorial(config), _controls(config))
    found = dict(parts)
    controls = config.controls
    for fault in faults.chosen(controls.faults):
        found[f"fault_{fault.name}"] = faults.sweep_of(
            fault, controls.fault_seeds, controls.fault_steps
        )
    return {name: _placed(config, name, each) for name, each in found.items()}


def _tickets(config: OverfittingConfig) -> Iterator[tuple[str, SweepConfig]]:
    epochs = config.controls.ticket_epochs
    training = TrainingConfig(optimizer="adam", budget=Budget(epochs=epochs), evaluations=epochs)
    grid = GridConfig((TICKET_BATCH,), (TICKET_RATE,), config.controls.ticket_seeds)
    yield TICKETS, SweepConfig(TICKET_TASK, grid, training)


def _factorial(config: OverfittingConfig) -> Iterator[tuple[str, SweepConfig]]:
    """Dropout × L2 are lanes of one program; augmentation and early stopping are compiled in."""
    remedies = config.remedies
    axes = (("dropout", (0.0, remedies.dropout_rate)), ("weight_decay", (0.0, remedies.l2)))
    stopping = replace(config.training.budget, early_stopping=remedies.patience)
    for size, augmented, stopped in itertools.product(
        remedies.train_sizes, (False, True), (False, True)
    ):
        task = replace(
            config.task, train_examples=size, augmentation=remedies.shift if augmented else "none"
        )
        budget = stopping if stopped else config.training.budget
        sweep = SweepConfig(task, _grid(config, axes=axes), replace(config.training, budget=budget))
        yield factorial_name(size, augmented, stopped), sweep


def _controls(config: OverfittingConfig) -> Iterator[tuple[str, SweepConfig]]:
    controls, task, training = config.controls, config.task, config.training
    if task.dataset == "mnist1d":
        infinite = replace(task, dataset="mnist1d_infinite")
        yield INFINITE, SweepConfig(infinite, _grid(config), training)
    random = replace(task, train_examples=controls.random_examples, width=controls.random_width)
    budget = Budget(steps=controls.random_steps)
    noisy = replace(training, budget=budget, label_noise=1.0)
    yield RANDOM, SweepConfig(random, _grid(config), noisy)
    small = replace(task, train_examples=config.remedies.judged_size)
    short = replace(training, budget=Budget(steps=controls.choice_steps))
    yield CHOICES, SweepConfig(small, _grid(config, CHOICE_RATES, CHOICE_AXES), short)


def _grid(
    config: OverfittingConfig, rates: tuple[float, ...] = (), axes: tuple[Any, ...] = ()
) -> GridConfig:
    remedies = config.remedies
    return GridConfig((remedies.batch_size,), rates or (remedies.rate,), remedies.seeds, axes)


def _placed(config: OverfittingConfig, name: str, sweep: SweepConfig) -> SweepConfig:
    """Recorded where the user wants it; states are kept only of what is looked at again."""
    # The second keeps some too, so that one executable does for both.
    again = (CHOICES, factorial_name(config.remedies.judged_size, False, False))
    kept = max(1, config.record.snapshots) if name in again else config.record.snapshots
    record = replace(config.record, snapshots=kept)
    return replace(sweep, engine=config.engine, record=record, processes=config.processes)
