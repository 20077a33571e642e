"""Configuration of overfitting: which sizes, which remedies, how strong, and on which seeds."""

from dataclasses import dataclass, field
from typing import Any, Literal

from minima.runtime.errors import UserError
from minima.sweep.budgets import Budget
from minima.sweep.config import (
    EngineConfig,
    ProcessesConfig,
    RecordConfig,
    TaskConfig,
    TrainingConfig,
)
from minima.sweep.grid import format_ints
from minima.sweep.leaf import seeds_leaf, sizes_leaf
from parts.overfitting.faults import FAULTS

_KINDS = tuple(fault.name for fault in FAULTS)


def _leaf(default: Any, help: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help, **metadata})


def _seeds(default: tuple[int, ...], help: str) -> Any:
    return seeds_leaf(default, help)


def _kinds(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := [name for name in names if name not in _KINDS]:
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(_KINDS)}")
    return tuple(name for name in _KINDS if name in names)


@dataclass(frozen=True)
class RemediesConfig:
    """Remedies, alone and together, over sizes of the training set."""

    train_sizes: tuple[int, ...] = sizes_leaf(
        (200, 500, 3200), "training examples; gains are compared between the first and the last"
    )
    judged_size: int = _leaf(500, "the size at which each remedy must help; also of what is chosen")
    seeds: tuple[int, ...] = _seeds(
        (1, 2, 3, 4, 5, 6, 7, 8), "which report; strengths, rates and widths were settled on 0"
    )
    batch_size: int = _leaf(50, "of all runs but the tickets'")
    rate: float = _leaf(0.003, "learning rate of all runs but the tickets' and the faulty ones'")
    dropout_rate: float = _leaf(0.4, "strength of dropout where it is on")
    l2: float = _leaf(0.01, "strength of L2 where it is on")
    shift: Literal["shift", "shift_flip"] = _leaf("shift", "the augmentation where it is on")
    patience: int = _leaf(5, "evaluations without a lower validation loss until it stops early")


@dataclass(frozen=True)
class ControlsConfig:
    """The ticket classifier, random labels, the choice among many, and runs with known faults."""

    ticket_seeds: tuple[int, ...] = _seeds((1, 2, 3, 4, 5), "of the ticket classifier")
    ticket_epochs: int = _leaf(50, "as long as the log that it is compared with")
    random_examples: int = _leaf(500, "training examples whose labels are drawn at random")
    random_width: int = _leaf(128, "of the network that learns them")
    random_steps: int = _leaf(2000, "updates it has for that")
    choice_steps: int = _leaf(400, "updates of each configuration to choose from")
    fault_seeds: tuple[int, ...] = _seeds(
        (10, 11, 12, 13, 14, 15, 16, 17, 18, 19),
        "of 20 kinds of runs whose fault is known; the rules were settled on 0 to 3",
    )
    fault_steps: int = _leaf(600, "updates of each of them")
    faults: tuple[str, ...] = _leaf(
        _KINDS, "which programs of faulty runs: " + ", ".join(_KINDS), parse=_kinds, format=",".join
    )


@dataclass(frozen=True)
class OverfittingConfig:
    """When training loss falls and validation loss does not."""

    remedies: RemediesConfig = RemediesConfig()
    controls: ControlsConfig = ControlsConfig()
    task: TaskConfig = TaskConfig(
        dataset="mnist1d", test_examples=10_000, model="mlp", width=64, depth=2
    )
    training: TrainingConfig = TrainingConfig(
        optimizer="adam", budget=Budget(steps=800), evaluations=20
    )
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig(snapshots=0)
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what would leave nothing to compare.

        Raises:
          UserError: names the flag.
        """
        remedies, task, training = self.remedies, self.task, self.training
        if remedies.judged_size not in remedies.train_sizes:
            raise UserError(
                f"--judged_size={remedies.judged_size}: must be one of "
                f"--train_sizes={format_ints(remedies.train_sizes)}"
            )
        if len(remedies.train_sizes) < 2:
            raise UserError(
                f"--train_sizes={format_ints(remedies.train_sizes)}: gains are compared between "
                "sizes; use two or more, such as 200,3200"
            )
        if task.validation_fraction == 0:
            raise UserError(
                "--validation_fraction=0: overfitting is seen on validation examples; use a "
                "fraction such as 0.2"
            )
        if task.train_examples:
            raise UserError(
                f"--train_examples={task.train_examples}: --train_sizes says how many; leave it out"
            )
        if task.augmentation != "none":
            raise UserError(
                f"--augmentation={task.augmentation}: is one of the remedies; use --shift for it"
            )
        for name in ("dropout", "weight_decay", "label_noise"):
            if value := getattr(training, name):
                flag = {"dropout": "dropout_rate", "weight_decay": "l2"}.get(name, "")
                raise UserError(
                    f"--{name}={value:g}: the plain network must have none; leave it out"
                    + (f", or use --{flag}" if flag else "")
                )
        for name in ("dropout_rate", "l2"):
            if getattr(remedies, name) <= 0:
                raise UserError(f"--{name}={getattr(remedies, name):g}: must be above 0")
        if training.budget.early_stopping or training.budget.target:
            raise UserError(
                f"--budget={training.budget}: the plain network trains to its end; use steps or "
                "epochs alone"
            )
        if not 1 <= remedies.patience < training.evaluations:
            raise UserError(
                f"--patience={remedies.patience}: must be at least 1 and below "
                f"--evaluations={training.evaluations}"
            )


PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "train_sizes": "100,400",
        "judged_size": 100,
        "seeds": "2",
        "test_examples": 500,
        "width": 16,
        "depth": 1,
        "budget": "100steps",
        "evaluations": 10,
        "patience": 3,
        "ticket_seeds": "1",
        "ticket_epochs": 6,
        "random_examples": 50,
        "random_width": 32,
        "random_steps": 200,
        "choice_steps": 20,
        "fault_seeds": "1",
        "fault_steps": 200,
        "faults": "rate_adam",
    },
    "laptop": {},
    "gpu": {
        "dataset": "cifar10",
        "test_examples": 0,
        "model": "cnn",
        "width": 256,
        "depth": 2,
        "train_sizes": "500,2000,8000,40000",
        "judged_size": 2000,
        "seeds": "10",
        "batch_size": 128,
        "rate": 0.001,
        "shift": "shift_flip",
        "budget": "10000steps",
        "l2": 0.001,
        "random_examples": 10000,
        "random_width": 1024,
        "random_steps": 20000,
        "choice_steps": 4000,
    },
    "pod": {
        "dataset": "cifar100",
        "test_examples": 0,
        "model": "vgg",
        "width": 512,
        "depth": 3,
        "train_sizes": "500,2000,8000,40000",
        "judged_size": 2000,
        "seeds": "30",
        "batch_size": 128,
        "rate": 0.001,
        "shift": "shift_flip",
        "budget": "40000steps",
        "l2": 0.001,
        "random_examples": 40000,
        "random_width": 1024,
        "random_steps": 80000,
        "choice_steps": 10000,
    },
}
