"""Configuration of sharp_vs_flat: what is compared, and how all of it trains. Cheap to import."""

from dataclasses import dataclass, field, replace
from typing import Any

from minima.runtime.errors import UserError
from minima.sweep.budgets import Budget
from minima.sweep.config import (
    EngineConfig,
    ProcessesConfig,
    RecordConfig,
    TaskConfig,
    TrainingConfig,
)
from minima.sweep.leaf import rates_leaf, seeds_leaf


def _positive(value: float) -> None:
    if not value > 0:
        raise ValueError("must be above 0")


def _probability(value: float) -> None:
    if not 0 < value < 1:
        raise ValueError("must be above 0 and below 1")


def _leaf(default: Any, help: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help, **metadata})


def _numbers(default: tuple[float, ...], help: str) -> Any:
    return rates_leaf(default, help)


@dataclass(frozen=True)
class ArmsConfig:
    """What is compared."""

    small_batch: int = _leaf(32, "batch size of the small-batch runs", check=_positive)
    large_batch: int = _leaf(512, "batch size of all other runs", check=_positive)
    learning_rates: tuple[float, ...] = _numbers(
        (0.03125, 0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0),
        "among which either batch size gets its best",
    )
    rhos: tuple[float, ...] = _numbers((0.05, 0.1, 0.2), "radii among which SAM gets its best")
    asam_rhos: tuple[float, ...] = _numbers((0.5, 1.0, 2.0), "the same for ASAM")
    climbed: int = _leaf(
        32, "examples whose gradient SAM and ASAM climb: m of m-sharpness", check=_positive
    )
    seeds: tuple[int, ...] = seeds_leaf(
        tuple(range(14)),
        "how many (5 means 0 to 4), or which; the first 3 in 10 choose rates and radii",
    )

    def __post_init__(self) -> None:
        """Refuses what can't be compared.

        Raises:
          UserError: names the flag.
        """
        if self.small_batch >= self.large_batch:
            raise UserError(
                f"--small_batch={self.small_batch}: must be below --large_batch={self.large_batch}"
            )
        for name in ("small_batch", "large_batch"):
            if getattr(self, name) % self.climbed:
                raise UserError(
                    f"--climbed={self.climbed}: must divide --{name}={getattr(self, name)}"
                )


@dataclass(frozen=True)
class ControlsConfig:
    """What the verdict is checked by, and what measuring costs."""

    noise: float = _leaf(
        0.4, "share of training labels redrawn where SAM is to help", check=_probability
    )
    noise_rhos: tuple[float, ...] = _numbers(
        (0.1, 0.2, 0.4),
        "radii among which SAM gets its best there, at SGD's best rate and a quarter",
    )
    noise_climbed: int = _leaf(8, "examples whose gradient SAM climbs there", check=_positive)
    memorised_share: float = _leaf(
        0.1, "share of the training set learnt with random labels", check=_probability
    )
    memorised_rate: float = _leaf(0.02, "learning rate of that", check=_positive)
    memorised_epochs: int = _leaf(300, "over which it is", check=_positive)
    measured_examples: int = _leaf(1000, "training examples in a measure; 0: all")
    surface_points: int = _leaf(25, "points along a side of a drawn surface", check=_positive)


@dataclass(frozen=True)
class SharpConfig:
    """Runs, controls, and how they train."""

    arms: ArmsConfig = ArmsConfig()
    controls: ControlsConfig = ControlsConfig()
    task: TaskConfig = TaskConfig(dataset="mnist1d", test_examples=10_000)
    training: TrainingConfig = TrainingConfig(budget=Budget(epochs=40))
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig()
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what would make runs incomparable.

        Raises:
          UserError: names the flag.
        """
        training, budget = self.training, self.training.budget
        if budget.target or budget.early_stopping:
            raise UserError(
                f"--budget={budget}: minima are compared after the same examples; use epochs or "
                "examples alone, such as 40epochs"
            )
        if training.decay != "none" or training.milestones:
            raise UserError(
                "--decay, --milestones: runs are switched halfway, which needs a constant rate; "
                "leave them out"
            )
        for name, neutral in (("sharpness_aware", "none"), ("label_noise", 0.0)):
            value = getattr(training, name)
            if value != neutral:
                raise UserError(
                    f"--{name}={value}: is what some of the runs here differ in; leave it out"
                )
        if self.arms.small_batch % self.controls.noise_climbed:
            raise UserError(
                f"--noise_climbed={self.controls.noise_climbed}: must divide "
                f"--small_batch={self.arms.small_batch}"
            )
        if self.record.snapshots != 2:
            raise UserError(
                f"--snapshots={self.record.snapshots}: halfway and the end are kept here; leave "
                "it out"
            )

    def quiet(self) -> RecordConfig:
        """How stages beside the first are kept."""
        return replace(self.record, tensorboard=False)


PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "seeds": "7",
        "small_batch": 16,
        "large_batch": 128,
        "climbed": 16,
        "learning_rates": "0.1,0.3",
        "rhos": "0.1",
        "asam_rhos": "1",
        "noise_rhos": "0.2",
        "budget": "2epochs",
        "evaluations": 2,
        "test_examples": 1000,
        "memorised_epochs": 10,
        "measured_examples": 200,
        "surface_points": 5,
    },
    "laptop": {},
    "gpu": {
        "dataset": "fashion_mnist",
        "model": "cnn",
        "test_examples": 0,
        "large_batch": 2048,
        "learning_rates": "0.001:1:log10",
        "seeds": "20",
        "budget": "100epochs",
        "measured_examples": 0,
    },
}
