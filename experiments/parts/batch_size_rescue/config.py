"""The rescue's configuration: two patients and how all runs train. Cheap to import."""

import math
from dataclasses import dataclass, field
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
from minima.sweep.leaf import seeds_leaf, sizes_leaf


def _positive(value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError("must be above 0")


def _leaf(default: Any, help: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help, **metadata})


@dataclass(frozen=True)
class PatientsConfig:
    """Two sick runs, and the batch size that is to cure them."""

    large_batch: int = _leaf(1024, "batch size of both patients", check=_positive)
    small_batch: int = _leaf(32, "batch size of the treatments", check=_positive)
    unstable_rate: float = _leaf(3.2, "learning rate of the unstable patient", check=_positive)
    timid_rate: float = _leaf(0.1, "learning rate of the undertrained patient", check=_positive)
    seeds: tuple[int, ...] = seeds_leaf(
        tuple(range(30, 40)),
        "how many (5 means 0 to 4), or which; rates and rules were settled on 0 to 29",
    )

    def __post_init__(self) -> None:
        """Refuses a treatment that is none.

        Raises:
          UserError: the small batch isn't smaller.
        """
        if self.small_batch >= self.large_batch:
            raise UserError(
                f"--small_batch={self.small_batch}: must be below --large_batch={self.large_batch}"
            )

    @property
    def factor(self) -> float:
        """Large over small batch size."""
        return self.large_batch / self.small_batch


@dataclass(frozen=True)
class MemoryConfig:
    """What the memory of an update is measured for."""

    memory_batch_sizes: tuple[int, ...] = sizes_leaf(
        tuple(2**k for k in range(4, 13)), "batch sizes, three or more; nothing is trained"
    )


@dataclass(frozen=True)
class RescueConfig:
    """Patients, and how they and their treatments train."""

    patients: PatientsConfig = PatientsConfig()
    task: TaskConfig = TaskConfig(dataset="mnist1d", test_examples=10_000)
    training: TrainingConfig = TrainingConfig(budget=Budget(epochs=40))
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig()
    processes: ProcessesConfig = ProcessesConfig()
    memory: MemoryConfig = MemoryConfig()

    def __post_init__(self) -> None:
        """Refuses what would make treatments incomparable.

        Raises:
          UserError: names the flag.
        """
        training = self.training
        budget = training.budget
        if budget.steps or budget.target or budget.early_stopping:
            raise UserError(
                f"--budget={budget}: treatments are compared after the same examples; use epochs "
                "or examples alone, such as 40epochs"
            )
        if training.learning_rate_scaling != "none":
            raise UserError(
                f"--learning_rate_scaling={training.learning_rate_scaling}: scaling the rate is a "
                "treatment here; leave the flag out"
            )
        if not self.record.snapshots:
            raise UserError("--snapshots=0: the test set is predicted from them; use 1 or more")
        if len(self.memory.memory_batch_sizes) < 3:
            raise UserError("--memory_batch_sizes: growth needs 3 or more, such as 16:4096:x2")

    def sweep(self) -> SweepConfig:
        """One plane that holds every patient and every treatment."""
        sick, k = self.patients, self.patients.factor
        rates = {sick.unstable_rate * k**-power for power in (0, 0.5, 1)}
        rates |= {sick.timid_rate * k**power for power in (-1, -0.5, 0, 0.5, 1)}
        grid = GridConfig(
            batch_sizes=(sick.small_batch, sick.large_batch),
            learning_rates=tuple(sorted({rounded(rate) for rate in rates})),
            seeds=sick.seeds,
        )
        return SweepConfig(
            self.task,
            grid,
            self.training,
            engine=self.engine,
            record=self.record,
            processes=self.processes,
        )


def rounded(rate: float) -> float:
    """To six digits, so that two ways to one rate meet."""
    return float(f"{rate:.6g}")


PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "seeds": "5",
        "large_batch": 256,
        "small_batch": 16,
        "unstable_rate": 3.2,
        "budget": "2epochs",
        "evaluations": 2,
        "test_examples": 1000,
        "memory_batch_sizes": "16,64,256",
    },
    "laptop": {},
}
