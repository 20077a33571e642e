"""Configuration of the release audit: the renter case, and how often the audit is tried. Cheap."""

from dataclasses import dataclass, replace

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
from minima.sweep.grid import format_seeds
from minima.sweep.leaf import AT_LEAST_1, in_range, leaf, seeds_leaf

# Mends of the data, one more each time; the last state has honest confidence too.
AS_BUILT = "as built"
STATES = {
    AS_BUILT: "leases",
    "tested where it is used": "leases:cities",
    "without the portal": "leases:cities,portal",
    "with whole files": "leases:cities,portal,files",
}
WHOLE = list(STATES)[-1]
RECALIBRATED = "recalibrated"


@dataclass(frozen=True)
class CaseConfig:
    """Renters, and a model of who defaults."""

    batch_size: int = leaf(32, "of all models", check=AT_LEAST_1)
    learning_rate: float = leaf(
        0.1, "of all models, settled on seeds 0 and 1", check=in_range(0, 10, open_low=True)
    )
    seeds: tuple[int, ...] = seeds_leaf((10, 11, 12, 13, 14), "how many (5 means 0 to 4), or which")
    one_by_one: bool = leaf(True, "mend one fault of the data after the other, or all at once")


@dataclass(frozen=True)
class OperatingConfig:
    """The audit's own error rates, on systems whose faults are known."""

    audited_examples: int = leaf(
        12_000, "test examples of a planted system", check=in_range(1000, 2**24)
    )
    clean_systems: int = leaf(200, "without a fault", check=AT_LEAST_1)
    fault_draws: int = leaf(10, "systems with each planted fault", check=AT_LEAST_1)
    curve_draws: int = leaf(20, "systems of each size of a fault", check=AT_LEAST_1)


@dataclass(frozen=True)
class ReleaseAuditConfig:
    """A model is audited before its release, and so is the audit."""

    case: CaseConfig = CaseConfig()
    operating: OperatingConfig = OperatingConfig()
    task: TaskConfig = TaskConfig(model="mlp", dataset="leases")
    training: TrainingConfig = TrainingConfig(
        budget=Budget(epochs=100.0), evaluations=5, decay="cosine"
    )
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig(snapshots=1)
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what could not be audited.

        Raises:
          UserError: names the flag.
        """
        if self.task.dataset != "leases":
            raise UserError(
                f"--dataset={self.task.dataset}: the case is that of leases; audit your own "
                "predictions with python -m minima audit"
            )
        if self.task.train_examples:
            raise UserError(
                f"--train_examples={self.task.train_examples}: every city has its own; leave it out"
            )
        if not self.task.validation_fraction:
            raise UserError("--validation_fraction=0: confidence is mended on it; use 0.2")
        if len(self.case.seeds) < 2:
            raise UserError(
                f"--seeds={format_seeds(self.case.seeds)}: intervals need 2 or more, such as 10,11"
            )
        if self.record.snapshots < 1:
            raise UserError("--snapshots=0: what models predict is asked of them; use 1 or more")

    def sweeps(self) -> dict[str, SweepConfig]:
        """By state of the data: all seeds of a model, in one program."""
        case = self.case
        grid = GridConfig((case.batch_size,), (case.learning_rate,), case.seeds)
        return {
            state: SweepConfig(
                task=replace(self.task, dataset=dataset),
                grid=grid,
                training=self.training,
                engine=self.engine,
                record=self.record,
                processes=self.processes,
            )
            for state, dataset in STATES.items()
            if case.one_by_one or state in (AS_BUILT, WHOLE)
        }


PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "seeds": "10,11",
        "one_by_one": False,
        "tensorboard": False,
        "evaluations": 1,
        "audited_examples": 4000,
        "clean_systems": 4,
        "fault_draws": 1,
        "curve_draws": 1,
    },
    "laptop": {},
    "gpu": {
        "seeds": ",".join(map(str, range(10, 30))),
        "clean_systems": 2000,
        "fault_draws": 100,
        "curve_draws": 200,
    },
    "pod": {
        "seeds": ",".join(map(str, range(10, 74))),
        "clean_systems": 20_000,
        "fault_draws": 1000,
        "curve_draws": 1000,
    },
}
