"""Configuration of calibration: which networks, which shift, which plane. Cheap to import."""

from dataclasses import dataclass

from minima.runtime.errors import UserError
from minima.sweep.budgets import Budget
from minima.sweep.config import (
    EngineConfig,
    ProcessesConfig,
    RecordConfig,
    TaskConfig,
    TrainingConfig,
)
from minima.sweep.grid import format_floats, format_ints, format_seeds
from minima.sweep.leaf import (
    AT_LEAST_1,
    NOT_NEGATIVE,
    in_range,
    leaf,
    rates_leaf,
    seeds_leaf,
    sizes_leaf,
)


@dataclass(frozen=True)
class NetworksConfig:
    """The networks that are trained for too long, without dropout and with it; and lesser ones."""

    seeds: tuple[int, ...] = seeds_leaf(
        tuple(range(1, 31)), "which report; rates and budgets were settled on 100 and 101"
    )
    members: int = leaf(5, "networks of an ensemble; each is in one", check=in_range(2, 10_000))
    batch_size: int = leaf(64, "of all networks but the plane's", check=AT_LEAST_1)
    rate: float = leaf(0.003, "learning rate of these", check=in_range(0, 1e6, open_low=True))
    dropout_rate: float = leaf(
        0.3, "of the networks for Monte Carlo dropout", check=in_range(0, 1, open_low=True)
    )
    narrow: int = leaf(16, "width of narrower networks; 0: none", check=NOT_NEGATIVE)
    few: int = leaf(1000, "examples that further networks get; 0: none", check=NOT_NEGATIVE)
    compared: int = leaf(
        10,
        "seeds, the first of --seeds, of narrow ones, of few examples, of dropout's draws",
        check=AT_LEAST_1,
    )


@dataclass(frozen=True)
class PlaneConfig:
    """Batch size × learning rate, compared where accuracy is the same."""

    batch_sizes: tuple[int, ...] = sizes_leaf((16, 64, 256), "two or more, such as 16,64,256")
    rates: tuple[float, ...] = rates_leaf((0.001, 0.003, 0.01), "learning rates, two or more")
    plane_seeds: tuple[int, ...] = seeds_leaf(tuple(range(1, 17)), "which report of the plane")
    tuning_seeds: tuple[int, ...] = seeds_leaf(
        (102, 103), "which choose each batch size's learning rate, by validation accuracy"
    )
    plane_epochs: int = leaf(24, "of every cell", check=AT_LEAST_1)
    plane_evaluations: int = leaf(
        12, "of every cell, close enough to see where it crosses a value", check=in_range(2, 10_000)
    )
    matched_accuracy: float = leaf(
        50.0,
        "validation accuracy in %, at whose first crossing cells are compared",
        check=in_range(0, 100, open_low=True),
    )
    matched_loss: float = leaf(
        1.0, "training loss in nats, the same", check=in_range(0, 1e3, open_low=True)
    )


@dataclass(frozen=True)
class LooksConfig:
    """How closely everything is looked at."""

    draws: int = leaf(20, "forward passes of Monte Carlo dropout", check=AT_LEAST_1)
    planted: int = leaf(
        2000, "perfectly calibrated sets of labels, each to land in its null band", check=AT_LEAST_1
    )
    bins: int = leaf(15, "of reliability diagrams and their errors", check=in_range(2, 1000))


@dataclass(frozen=True)
class CalibrationConfig:
    """Confidence against accuracy."""

    networks: NetworksConfig = NetworksConfig()
    plane: PlaneConfig = PlaneConfig()
    looks: LooksConfig = LooksConfig()
    task: TaskConfig = TaskConfig(
        dataset="mnist1d", test_examples=4000, model="mlp", width=64, depth=2
    )
    training: TrainingConfig = TrainingConfig(
        optimizer="adam", budget=Budget(steps=3000), evaluations=10
    )
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig()
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what would leave nothing to compare, or judge where it was fitted.

        Raises:
          UserError: names the flag.
        """
        networks, plane, task, training = self.networks, self.plane, self.task, self.training
        if len(networks.seeds) < networks.members:
            raise UserError(
                f"--members={networks.members}: --seeds={format_seeds(networks.seeds)} are too few "
                "for an ensemble; give more of them, or fewer members"
            )
        if both := sorted({*plane.tuning_seeds} & {*plane.plane_seeds}):
            raise UserError(
                f"--tuning_seeds={format_seeds(plane.tuning_seeds)}: seed {both[0]} is one of "
                f"--plane_seeds={format_seeds(plane.plane_seeds)}, too; choose rates on other "
                "seeds than are reported"
            )
        if len(plane.batch_sizes) < 2:
            raise UserError(
                f"--batch_sizes={format_ints(plane.batch_sizes)}: are compared; give two or more"
            )
        if len(plane.rates) < 2:
            raise UserError(f"--rates={format_floats(plane.rates)}: are compared; give two or more")
        if task.validation_fraction == 0:
            raise UserError(
                "--validation_fraction=0: repairs are fitted on validation examples; use a "
                "fraction such as 0.2"
            )
        if task.train_examples:
            raise UserError(
                f"--train_examples={task.train_examples}: --few says how many the further networks "
                "get, the others get all; leave it out"
            )
        if task.loss != "cross_entropy":
            raise UserError(
                f"--loss={task.loss}: outputs are no probabilities then; use cross_entropy"
            )
        if task.model == "linear":
            raise UserError("--model=linear: has no hidden unit to drop; use another, such as mlp")
        if training.dropout:
            raise UserError(
                f"--dropout={training.dropout:g}: networks are trained with and without; use "
                "--dropout_rate, and leave it out"
            )
        if training.budget.early_stopping or training.budget.target:
            raise UserError(
                f"--budget={training.budget}: networks train to the end and beyond their best; "
                "use steps or epochs alone"
            )
        if training.evaluations < 2:
            raise UserError(
                f"--evaluations={training.evaluations}: calibration is followed over training; use "
                "2 or more"
            )


PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "seeds": "1,2,3,4",
        "members": 2,
        "narrow": 0,
        "few": 0,
        "compared": 2,
        "batch_sizes": "32,128",
        "rates": "0.003,0.01",
        "plane_seeds": "1,2",
        "tuning_seeds": "102,103",
        "plane_epochs": 4,
        "plane_evaluations": 5,
        "matched_accuracy": 20.0,
        "matched_loss": 2.2,
        "draws": 4,
        "planted": 50,
        "width": 16,
        "depth": 1,
        "test_examples": 500,
        "budget": "200steps",
        "evaluations": 4,
    },
    "laptop": {},
    "gpu": {
        "dataset": "cifar10",
        "test_examples": 0,
        "model": "resnet",
        "width": 32,
        "depth": 2,
        "narrow": 8,
        "few": 10000,
        "seeds": "30",
        "batch_size": 128,
        "rate": 0.001,
        "budget": "20000steps",
        "batch_sizes": "64,256,1024",
        "rates": "0.0003,0.001,0.003",
        "matched_accuracy": 75.0,
        "draws": 50,
    },
    "pod": {
        "dataset": "cifar100",
        "test_examples": 0,
        "model": "resnet",
        "width": 32,
        "depth": 3,
        "narrow": 8,
        "few": 10000,
        "seeds": "30",
        "compared": 15,
        "batch_size": 128,
        "rate": 0.001,
        "budget": "50000steps",
        "batch_sizes": "64,256,1024,4096",
        "rates": "0.0003,0.001,0.003,0.01",
        "plane_epochs": 60,
        "matched_accuracy": 45.0,
        "matched_loss": 1.5,
        "draws": 50,
    },
}
