"""Configuration of the briefs: whose data, how much of it, how candidates train. Cheap."""

from dataclasses import dataclass
from typing import Any, Literal

import tuned
from minima.runtime.errors import UserError
from minima.sweep.budgets import Budget
from minima.sweep.config import (
    BranchConfig,
    EngineConfig,
    GridConfig,
    ProcessesConfig,
    RecordConfig,
    SweepConfig,
    TaskConfig,
    TrainingConfig,
)
from minima.sweep.grid import (
    format_ints,
)
from minima.sweep.leaf import AT_LEAST_1, leaf, rates_leaf, seeds_leaf, sizes_leaf

CHURN, CHEST, ROADS = "churn", "chest", "roads"
BRIEFS = {CHURN: "A", CHEST: "B", ROADS: "C"}
FEW = 100  # labels up to which transfer is claimed to help
SOURCES = ("chest_findings", "fashion_mnist")


def _parse_briefs(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if unknown := set(names) - set(BRIEFS):
        raise ValueError(f"{sorted(unknown)[0]!r} is none of {', '.join(BRIEFS)}")
    return tuple(name for name in BRIEFS if name in names)


def _steps(default: int, brief: str) -> Any:
    return leaf(default, f"updates of every candidate of {brief}", check=AT_LEAST_1)


@dataclass(frozen=True)
class DataConfig:
    """Whose data; without a path, stand-ins that say so."""

    briefs: tuple[str, ...] = leaf(
        tuple(BRIEFS), "which, of churn, chest and roads", parse=_parse_briefs, format=",".join
    )
    churn: str = leaf("", "npz of x_train (customers, weeks), y_train, x_test, y_test")
    chest: str = leaf("", "PneumoniaMNIST's npz: train_images, train_labels, …")
    roads: str = leaf("", "npz of xy (n, 2) and edges (m, 2); traffic is simulated on it")
    pretrained_on: Literal[SOURCES] = leaf(  # type: ignore[valid-type]
        SOURCES[0], "what the chest's networks have seen before: phantoms, or photos of clothes"
    )
    labels: tuple[int, ...] = sizes_leaf((FEW, 1600), "sizes of the chest's training set")


@dataclass(frozen=True)
class RunsConfig:
    """Which runs choose, which are reported, and how long they are."""

    learning_rates: tuple[float, ...] = rates_leaf(
        (0.003, 0.01), "to choose from, for each candidate"
    )
    tuning_seeds: tuple[int, ...] = seeds_leaf((100,), "that choose the rate")
    seeds: tuple[int, ...] = seeds_leaf(
        (0, 1, 2, 3, 4), "that are reported: how many (5 means 0 to 4), or which"
    )
    batch_size: int = leaf(32, "customers or images of an update", check=AT_LEAST_1)
    roads_batch_size: int = leaf(16, "states of traffic of an update", check=AT_LEAST_1)
    churn_steps: int = _steps(300, "churn")
    chest_steps: int = _steps(300, "chest")
    roads_steps: int = _steps(400, "roads")
    width: int = leaf(32, "of sequence and graph networks", check=AT_LEAST_1)


@dataclass(frozen=True)
class BriefsConfig:
    """Three briefs, each to a recommendation."""

    data: DataConfig = DataConfig()
    runs: RunsConfig = RunsConfig()
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig(snapshots=1)
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what could not be compared.

        Raises:
          UserError: names the flag.
        """
        tuned.check_seeds(self.runs.tuning_seeds, self.runs.seeds)
        if self.runs.width % 16:
            raise UserError(f"--width={self.runs.width}: a transformer needs a multiple of 16")
        if CHEST in self.data.briefs and self.data.labels[0] > FEW:
            raise UserError(
                f"--labels={format_ints(self.data.labels)}: what is claimed of transfer is claimed "
                f"of {FEW} labels or fewer; add such a number"
            )
        if self.record.snapshots < 1:
            raise UserError("--snapshots=0: fine-tuning starts from what is kept; use 1")
        for name in BRIEFS:
            if getattr(self.data, name) and name not in self.data.briefs:
                raise UserError(f"--{name}={getattr(self.data, name)}: add {name} to --briefs")

    def sweep(
        self,
        task: TaskConfig,
        steps: int,
        branch: BranchConfig | None = None,
        seeds: tuple[int, ...] | None = None,
        batch_size: int = 0,
    ) -> SweepConfig:
        """A grid of rates and reporting seeds of one candidate, or of the seeds and batch given."""
        runs = self.runs
        return SweepConfig(
            task,
            GridConfig((batch_size or runs.batch_size,), runs.learning_rates, seeds or runs.seeds),
            TrainingConfig(
                optimizer="adam",
                budget=Budget(steps=steps),
                evaluations=min(5, steps),
                clip_norm=1.0,
                decay="linear",
            ),
            branch=branch or BranchConfig(),
            engine=self.engine,
            record=self.record,
            processes=self.processes,
        )

    def source(self, name: str, form: str = "") -> str:
        """The dataset of a brief, in one of its forms: the user's own or the stand-in."""
        path = getattr(self.data, name)
        return f"{form or name}:{path}" if path else form or name


_LARGE = {
    "learning_rates": "0.0003,0.001,0.003,0.01",
    "tuning_seeds": "100,101,102",
    "seeds": "10",
    "churn_steps": 4000,
    "chest_steps": 4000,
    "roads_steps": 6000,
    "width": 128,
}
PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "seeds": "2",
        "churn_steps": 10,
        "chest_steps": 10,
        "roads_steps": 10,
        "width": 16,
        "labels": "50",
    },
    "laptop": {},
    "gpu": _LARGE,
    "pod": {**_LARGE, "seeds": "20", "width": 256},
}
