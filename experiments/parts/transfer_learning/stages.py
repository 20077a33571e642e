"""The sweeps of transfer: pretrainings, then every arm on every target, by number of labels."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from minima import sweep
from minima.runtime.errors import UserError
from minima.sweep.budgets import Budget
from minima.sweep.config import BranchConfig, GridConfig, SweepConfig, TrainingConfig
from minima.sweep.run import Prepared
from minima.tasks import datasets
from minima.tasks.datasets import Dataset
from parts.transfer_learning.config import (
    DESTROYED,
    FULL,
    LARGE,
    OUTSIDE,
    PARTIAL,
    PROBE,
    SAM,
    SCRATCH,
    SMALL,
    TRAINABLE,
    TransferConfig,
)


@dataclass(frozen=True, order=True)
class Arm:
    """One way to train on one target; its fields name it in tables.

    Attributes:
      target: near, far or destroyed.
      labels: per class.
      name: of the arm, a key of TRAINABLE.
      source: which pretraining it starts from; "" for none.
    """

    target: str
    labels: int
    name: str
    source: str = ""


def pretrainings(config: TransferConfig) -> dict[str, SweepConfig]:
    """The same network on all of the source: small batches, large ones, and SAM on small ones."""
    asked, training = config.sources, config.training
    sam = replace(training, sharpness_aware="sam", rho=asked.pretraining_rho)
    small, large = (asked.small_batch, asked.small_rate), (asked.large_batch, asked.large_rate)
    kinds = {SMALL: (*small, training), LARGE: (*large, training), SAM: (*small, sam)}
    return {
        name: _sweep(config, GridConfig((batch,), (rate,), config.targets.seeds), how)
        for name, (batch, rate, how) in kinds.items()
    }


def arms(config: TransferConfig) -> list[Arm]:
    """Every arm: the curves from one pretraining, and the others where they are compared."""
    asked = config.targets
    curves = {SCRATCH: "", PROBE: SMALL, PARTIAL: SMALL, FULL: SMALL}
    if config.sources.initial_weights:
        curves[OUTSIDE] = OUTSIDE
    found = [
        Arm(target, count, name, source)
        for target in asked.datasets
        for count in asked.labels
        for name, source in curves.items()
    ]
    return found + [
        Arm(target, asked.compared_labels, name, source)
        for target in asked.datasets
        if target != DESTROYED
        for name in (PROBE, FULL)
        for source in (LARGE, SAM)
    ]


def check_targets(config: TransferConfig, source: Dataset) -> dict[str, int]:
    """The number of classes of every target.

    Raises:
      UserError: a target holds other inputs than the source, or too few examples.
    """
    classes = {}
    for target, name in config.targets.datasets.items():
        data = _load(config, name)
        if (data.kind, data.input_shape) != (source.kind, source.input_shape):
            raise UserError(
                f"--{target}={name}: holds {_shape(data)} {data.kind} data, which a network for "
                f"the {_shape(source)} {source.kind} data of --dataset={source.name} can't read; "
                f"use another, or --{target}=none"
            )
        if data.task != source.task:
            raise UserError(
                f"--{target}={name}: is a task of another kind ({data.task}) than --dataset="
                f"{source.name} ({source.task})"
            )
        most = len(data.train) // data.num_classes
        if config.targets.labels[-1] > most or data.generator is not None:
            raise UserError(
                f"--labels={config.targets.labels[-1]}: --{target}={name} has {len(data.train):,} "
                f"training examples of {data.num_classes} classes; use at most {most}"
            )
        classes[target] = data.num_classes
    return classes


def prepare_arm(
    config: TransferConfig, arm: Arm, classes: dict[str, int], runs: dict[str, str], name: str
) -> Prepared:
    """The sweep of an arm, planned; `runs` are directories of pretrainings by name.

    Raises:
      UserError: see `sweep.prepare`.
    """
    asked, examples = config.targets, arm.labels * classes[arm.target]
    batch = min(asked.target_batch, examples)
    updates = max(asked.least_updates, round(asked.target_epochs * examples / batch))
    task = replace(
        config.task,
        dataset=asked.datasets[arm.target],
        train_examples=examples,
        trainable=TRAINABLE[arm.name],
        test_examples=0,
    )
    branch = BranchConfig()
    if arm.source:
        branch = BranchConfig(initial_weights=runs[arm.source], fresh_weights="head")
    if arm.source == OUTSIDE:
        branch = replace(branch, weight_map=config.sources.weight_map)
    grid = GridConfig((batch,), (asked.rate(arm.name),), asked.seeds)
    training = replace(config.training, budget=Budget(steps=updates), evaluations=1)
    planned = replace(_sweep(config, grid, training), task=task, branch=branch)
    planned = replace(
        planned, record=replace(config.record, tensorboard=False)
    )  # it is one of many
    return sweep.prepare(planned, name)


def foreseen(config: TransferConfig, classes: dict[str, int]) -> Iterator[str]:
    """What comes after pretraining, in words."""
    asked, count = config.targets, len(arms(config))
    for target, name in asked.datasets.items():
        yield f"target     {target}: {name}, {classes[target]} classes"
    labels = ", ".join(f"{each:,}" for each in asked.labels)
    yield f"arms       {count} sweeps of {len(asked.seeds)} seeds: {labels} labels per class"


def _load(config: TransferConfig, name: str) -> Dataset:
    task = config.task
    return datasets.load(
        name,
        data_dir=task.data_dir if name in datasets.DATA_DIR else "",
        validation_fraction=task.validation_fraction,
        window=task.window,
    )


def _shape(data: Dataset) -> str:
    return "×".join(map(str, data.input_shape))


def _sweep(config: TransferConfig, grid: GridConfig, training: TrainingConfig) -> SweepConfig:
    return SweepConfig(
        config.task,
        grid,
        training,
        engine=config.engine,
        record=config.record,
        processes=config.processes,
    )
