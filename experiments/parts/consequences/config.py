"""Configuration of consequences: kinds of minima, what they are trained on. Cheap to import."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import tuned
from minima.runtime.errors import UserError
from minima.sweep.budgets import Budget
from minima.sweep.config import (
    EngineConfig,
    ProcessesConfig,
    RecordConfig,
    TaskConfig,
    TrainingConfig,
)
from minima.sweep.grid import format_seeds
from minima.sweep.leaf import AT_LEAST_1, in_range, rates_leaf, seeds_leaf

SMALL, LARGE, TUNED = "small batch", "large batch", "large batch, tuned"
SAM, AVERAGED, AGAIN = "SAM", "averaged", "small batch again"
OTHERS = (LARGE, TUNED, SAM, AVERAGED)  # what is compared with SMALL
KINDS = (SMALL, *OTHERS, AGAIN)
AS_IS, SHORTCUT, NOISY = "as it is", "with a shortcut", "with noisy labels"
WORLDS = (AS_IS, SHORTCUT, NOISY)  # what is trained on
NONE = "none"
AGAIN_APART = 1000  # between a seed and the one of its A/A twin
LEAST_KEPT = 3


def _leaf(default: Any, help: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help, **metadata})


def _positive(value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError("must be above 0")


@dataclass(frozen=True)
class KindsConfig:
    """How the kinds of minima come about."""

    small_batch: int = _leaf(
        32, "batch size of the small-batch minimum, of SAM's and of the average", check=AT_LEAST_1
    )
    large_batch: int = _leaf(256, "batch size of the large-batch minima", check=AT_LEAST_1)
    learning_rates: tuple[float, ...] = rates_leaf(
        (0.00625, 0.0125, 0.025, 0.05, 0.1, 0.2, 0.4), "among which each kind gets its best"
    )
    longer: float = _leaf(
        4.0,
        "times as long does the large batch train at the small batch's rate, where it is slow",
        check=AT_LEAST_1,
    )
    radius: float = _leaf(
        0.2, "how far SAM climbs; settled on seeds 0, 1 and 10 to 12", check=_positive
    )
    climbed: int = _leaf(32, "examples whose gradient it climbs", check=AT_LEAST_1)
    half_life: float = _leaf(
        9600.0, "of averaged weights, in examples, whatever the batch", check=_positive
    )
    tuning_seeds: tuple[int, ...] = seeds_leaf((0, 1, 2), "which choose rates, and do not report")
    seeds: tuple[int, ...] = seeds_leaf(
        tuple(range(200, 216)),
        f"which report; the small batch again, from {AGAIN_APART} more than these, is the A/A "
        "control",
    )

    def __post_init__(self) -> None:
        """Refuses what leaves nothing to compare.

        Raises:
          UserError: names the flag.
        """
        if self.small_batch >= self.large_batch:
            raise UserError(
                f"--small_batch={self.small_batch}: must be below --large_batch={self.large_batch}"
            )
        if self.small_batch % self.climbed:
            raise UserError(
                f"--climbed={self.climbed}: must divide --small_batch={self.small_batch}"
            )
        if len(self.seeds) < 2:
            raise UserError(f"--seeds={format_seeds(self.seeds)}: intervals need 2 or more")
        tuned.check_seeds(self.tuning_seeds, self.seeds)
        if {seed + AGAIN_APART for seed in self.seeds} & {*self.seeds, *self.tuning_seeds}:
            raise UserError(
                f"--seeds={format_seeds(self.seeds)}: some are {AGAIN_APART} more than others, "
                "which are the A/A control's; use seeds that lie closer together"
            )

    @property
    def again(self) -> tuple[int, ...]:
        """Seeds of the A/A control, one for each that reports."""
        return tuple(seed + AGAIN_APART for seed in self.seeds)


@dataclass(frozen=True)
class ConsequencesConfig:
    """What is asked of a minimum beside its accuracy."""

    shortcut: str = _leaf(
        "pulse:mnist1d", "dataset with a planted shortcut; none: no such question"
    )
    noise: float = _leaf(
        0.4,
        "share of labels redrawn at random where networks may memorise; 0: no such question",
        check=in_range(0, 1),
    )
    denser: int = _leaf(
        4,
        "times as many states are kept with noisy labels, where accuracy peaks early",
        check=AT_LEAST_1,
    )
    target: str = _leaf(
        "mnist1d_near", "dataset that features are transferred to; none: no such question"
    )
    labels: int = _leaf(20, "labelled examples per class there", check=AT_LEAST_1)
    corrupted: int = _leaf(
        500, "test examples that go through each corruption and severity", check=AT_LEAST_1
    )
    measured: int = _leaf(1000, "training examples that sharpness is measured on; 0: all")


@dataclass(frozen=True)
class MatterConfig:
    """Kinds of minima, their consequences, and how all of it trains."""

    kinds: KindsConfig = KindsConfig()
    consequences: ConsequencesConfig = ConsequencesConfig()
    task: TaskConfig = TaskConfig(
        dataset="mnist1d", model="mlp", width=64, depth=2, test_examples=8000
    )
    training: TrainingConfig = TrainingConfig(budget=Budget(epochs=40), evaluations=10)
    # Programs of one shape: those of all batch sizes, and of choosing and reporting, compile once.
    engine: EngineConfig = EngineConfig(microbatch=32, lanes=4)
    record: RecordConfig = RecordConfig(snapshots=10)
    processes: ProcessesConfig = ProcessesConfig()

    @property
    def worlds(self) -> tuple[str, ...]:
        """Those of WORLDS that are asked for."""
        asked = {
            AS_IS: True,
            SHORTCUT: self.consequences.shortcut != NONE,
            NOISY: self.consequences.noise > 0,
        }
        return tuple(world for world in WORLDS if asked[world])

    def __post_init__(self) -> None:
        """Refuses what the kinds differ in, and what leaves no course to match on.

        Raises:
          UserError: names the flag.
        """
        training, budget = self.training, self.training.budget
        for name in ("sharpness_aware", "average", "label_noise", "decay", "milestones"):
            default = next(f.default for f in dataclasses.fields(training) if f.name == name)
            if getattr(training, name) != default:
                raise UserError(
                    f"--{name}: kinds of minima differ in it, or are matched at a constant rate; "
                    "leave it out"
                )
        if budget.target or budget.early_stopping:
            raise UserError(
                f"--budget={budget}: kinds are matched along whole courses; use epochs or "
                "examples alone, such as 40epochs"
            )
        kept = min(self.record.snapshots, training.evaluations)
        if kept < LEAST_KEPT:
            raise UserError(
                f"--snapshots={self.record.snapshots}, --evaluations={training.evaluations}: "
                f"accuracies are matched between kept states; use {LEAST_KEPT} or more of both"
            )
        if not self.task.validation_fraction:
            raise UserError(
                "--validation_fraction=0: rates are chosen on validation examples; use a fraction "
                "such as 0.2"
            )


PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "width": 16,
        "budget": "4epochs",
        "evaluations": 8,
        "snapshots": 8,
        "small_batch": 32,
        "large_batch": 128,
        "learning_rates": "0.1",
        "tuning_seeds": "1",
        "seeds": "10,11,12",
        "test_examples": 600,
        "corrupted": 50,
        "measured": 200,
        "labels": 5,
        "noise": 0.0,
        "longer": 2.0,
    },
    "laptop": {},
    "gpu": {
        "dataset": "cifar100",
        "shortcut": "ruler:cifar100",
        "target": "cifar10",
        "test_examples": 0,
        "model": "resnet",
        "norm": "group",
        "width": 32,
        "depth": 3,
        "augmentation": "shift_flip",
        "budget": "100epochs",
        "evaluations": 20,
        "snapshots": 20,
        "denser": 1,
        "small_batch": 128,
        "large_batch": 4096,
        "learning_rates": "0.01:1.28:log8",
        "climbed": 128,
        "half_life": 200_000.0,
        "microbatch": 0,
        "lanes": 0,
        "tuning_seeds": "2",
        "seeds": "10,11,12,13,14,15,16,17",
    },
    "pod": {
        "dataset": "cifar100",
        "shortcut": "ruler:cifar100",
        "target": "cifar10",
        "test_examples": 0,
        "model": "resnet",
        "norm": "group",
        "width": 64,
        "depth": 9,
        "augmentation": "shift_flip",
        "budget": "200epochs",
        "evaluations": 20,
        "snapshots": 20,
        "denser": 1,
        "small_batch": 128,
        "large_batch": 8192,
        "learning_rates": "0.01:2.56:log9",
        "climbed": 128,
        "half_life": 200_000.0,
        "microbatch": 0,
        "lanes": 0,
    },
}
