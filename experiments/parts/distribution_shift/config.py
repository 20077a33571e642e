"""Configuration of distribution_shift: what is trained, corrupted, watched. Cheap to import."""

from dataclasses import dataclass, field, replace
from typing import Any

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
from minima.sweep.grid import format_floats, format_ints, format_seeds
from minima.sweep.leaf import AT_LEAST_1, in_range, rates_leaf, seeds_leaf, sizes_leaf

IMAGES, SIGNALS, DIGITS = "images", "signals", "digits"
DELAY = 1  # months until labels arrive
_RATE = in_range(0, float("inf"), open_low=True)


def _leaf(default: Any, help: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help, **metadata})


@dataclass(frozen=True)
class ShiftConfig:
    """The networks that are launched, and how many examples of each kind they meet."""

    images: str = _leaf("fashion_mnist", "image dataset, corrupted after training")
    image_model: str = _leaf("cnn_small", "network for it")
    image_rate: float = _leaf(0.03, "its learning rate", check=_RATE)
    data_dir: str = _leaf("", "folder with the image dataset's own files; empty: what there is")
    signal_rate: float = _leaf(0.1, "learning rate of the network for MNIST-1D", check=_RATE)
    signal_examples: int = _leaf(5000, "fresh test signals", check=AT_LEAST_1)
    batch_size: int = _leaf(32, "of both networks", check=AT_LEAST_1)
    epochs: float = _leaf(20.0, "of both networks", check=_RATE)
    corrupted: int = _leaf(
        1000, "test examples that are corrupted, in every way", check=in_range(20, 10**6)
    )
    seeds: tuple[int, ...] = seeds_leaf(
        (10, 11, 12, 13, 14), "how many (5 means 0 to 4), or which; rates were settled on 0 and 1"
    )


@dataclass(frozen=True)
class LineConfig:
    """One sweep of many models, by accuracy at home and abroad."""

    home: str = _leaf("digits", "dataset that the sweep trains and is tested on")
    abroad: str = _leaf("digits_uci", "the same training set, tested on shifted examples")
    line_model: str = _leaf("mlp", "network of the sweep")
    line_width: int = _leaf(64, "units of its hidden layers; 0: its own")
    line_batches: tuple[int, ...] = sizes_leaf((16, 64, 256), "batch sizes of the sweep")
    line_rates: tuple[float, ...] = rates_leaf(
        (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3), "its learning rates"
    )
    line_seeds: tuple[int, ...] = seeds_leaf(tuple(range(10, 20)), "its seeds")
    line_epochs: float = _leaf(10.0, "of the sweep", check=_RATE)
    launched_rate: float = _leaf(
        0.1, "of line_rates, at the first batch size: the networks whose confidence is reported"
    )


@dataclass(frozen=True)
class WatchConfig:
    """The monitor: false alarms, power, and what its alerts are good for."""

    null_streams: int = _leaf(
        10_000, "streams without a shift, of each kind", check=in_range(20, 10**7)
    )
    power_streams: int = _leaf(
        40, "shifted streams of each corruption and severity", check=AT_LEAST_1
    )
    window: int = _leaf(50, "examples of a window of those streams", check=in_range(20, 10**6))
    months: int = _leaf(16, "of the drift; it grows from month 7 to 12", check=in_range(4, 100))
    month_examples: int = _leaf(500, "examples that come in every month", check=in_range(50, 1001))
    retraining_steps: int = _leaf(400, "updates of a retraining", check=AT_LEAST_1)
    retraining_rate: float = _leaf(0.03, "learning rate of it", check=_RATE)


@dataclass(frozen=True)
class DistributionShiftConfig:
    """Everything that the experiment depends on."""

    shift: ShiftConfig = ShiftConfig()
    line: LineConfig = LineConfig()
    watch: WatchConfig = WatchConfig()
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig(snapshots=1)
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what would leave nothing to compare.

        Raises:
          UserError: names the flag.
        """
        shift, line = self.shift, self.line
        if line.launched_rate not in line.line_rates:
            raise UserError(
                f"--launched_rate={line.launched_rate:g}: must be one of "
                f"--line_rates={format_floats(line.line_rates)}"
            )
        for name, seeds in (("seeds", shift.seeds), ("line_seeds", line.line_seeds)):
            if len(seeds) < 2:
                raise UserError(f"--{name}={format_seeds(seeds)}: intervals need 2 or more")
        if len(line.line_batches) * len(line.line_rates) < 4:
            raise UserError(
                f"--line_batches={format_ints(line.line_batches)}: a line needs 4 settings or more"
            )
        if shift.signal_examples < max(shift.corrupted, 6 * self.watch.window):
            raise UserError(
                f"--signal_examples={shift.signal_examples}: must be at least "
                f"--corrupted={shift.corrupted} and six times --window={self.watch.window}"
            )
        if not self.record.snapshots:
            raise UserError("--snapshots=0: trained networks are asked; use 1")

    def sweeps(self) -> dict[str, SweepConfig]:
        """What is trained at launch, by name."""
        shift, line = self.shift, self.line
        grid = GridConfig((shift.batch_size,), (shift.image_rate,), shift.seeds)
        images = TaskConfig(dataset=shift.images, data_dir=shift.data_dir, model=shift.image_model)
        signals = TaskConfig(dataset="mnist1d", test_examples=shift.signal_examples, model="cnn1d")
        digits = TaskConfig(dataset=line.home, model=line.line_model, width=line.line_width)
        if line.home == shift.images:
            digits = replace(digits, data_dir=shift.data_dir)
        many = GridConfig(line.line_batches, line.line_rates, line.line_seeds)
        return {
            IMAGES: self._sweep(images, grid, shift.epochs),
            SIGNALS: self._sweep(
                signals, replace(grid, learning_rates=(shift.signal_rate,)), shift.epochs
            ),
            DIGITS: self._sweep(digits, many, line.line_epochs),
        }

    def retraining(self, month: int, launched: str) -> SweepConfig:
        """The launched signal networks, trained on with the labels of one month."""
        grid = GridConfig((self.shift.batch_size,), (self.watch.retraining_rate,), self.shift.seeds)
        task = TaskConfig(dataset=f"mnist1d_month:{month}", model="cnn1d")
        planned = self._sweep(task, grid, 1.0)
        return replace(
            planned,
            training=replace(planned.training, budget=Budget(steps=self.watch.retraining_steps)),
            branch=BranchConfig(
                initial_weights=launched, trunk_learning_rate=self.shift.signal_rate
            ),
            record=replace(self.record, tensorboard=False),  # it is one of many
        )

    def _sweep(self, task: TaskConfig, grid: GridConfig, epochs: float) -> SweepConfig:
        training = TrainingConfig(budget=Budget(epochs=epochs), evaluations=1, decay="cosine")
        return SweepConfig(
            task,
            grid,
            training,
            engine=self.engine,
            record=self.record,
            processes=self.processes,
        )


PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "images": "digits",
        "image_model": "mlp",
        "signal_examples": 1000,
        "epochs": 2.0,
        "corrupted": 60,
        "seeds": "2",
        "line_width": 16,
        "line_batches": "64,256",
        "line_rates": "0.01,0.1",
        "line_seeds": "2",
        "line_epochs": 1.0,
        "null_streams": 20,
        "power_streams": 1,
        "window": 20,
        "months": 5,
        "month_examples": 60,
        "retraining_steps": 20,
    },
    "laptop": {},
    "gpu": {
        "images": "cifar10",
        "image_model": "cnn",
        "image_rate": 0.03,
        "batch_size": 128,
        "epochs": 60.0,
        "corrupted": 5000,
        "seeds": "10",
        "home": "cifar10",
        "abroad": "gaussian_noise3:cifar10",
        "line_model": "cnn_small",
        "line_width": 0,
        "line_batches": "64,256,1024",
        "line_epochs": 20.0,
    },
    "pod": {
        "images": "cifar100",
        "image_model": "resnet",
        "image_rate": 0.1,
        "batch_size": 128,
        "epochs": 200.0,
        "corrupted": 10000,
        "signal_examples": 20000,
        "seeds": "20",
        "home": "cifar10",
        "abroad": "gaussian_noise3:cifar10",
        "line_model": "cnn",
        "line_width": 0,
        "line_batches": "64,256,1024",
        "line_epochs": 60.0,
        "null_streams": 100_000,
        "power_streams": 400,
    },
}
