"""Configuration of the learning-rate regimes: rates, birds, dips and the picture. Cheap."""

from dataclasses import dataclass
from typing import Any

from minima.runtime.errors import UserError
from minima.sweep.budgets import Budget, parse_budget
from minima.sweep.config import (
    EngineConfig,
    GridConfig,
    ProcessesConfig,
    RecordConfig,
    SweepConfig,
    TaskConfig,
    TrainingConfig,
)
from minima.sweep.grid import (
    format_seeds,
    parse_floats,
)
from minima.sweep.leaf import AT_LEAST_1, NOT_NEGATIVE, in_range, leaf, rates_leaf, seeds_leaf

TANH, RELU, ENTROPY = "tanh", "relu", "cross_entropy"  # sweeps on the full batch
TUTORIAL, BIRDS = "tutorial", "birds"
FULL_BATCH = (TANH, RELU, ENTROPY)
# Activation, hidden layers and loss of each.
_NETWORKS: dict[str, tuple[Any, int, Any]] = {
    TANH: ("tanh", 1, "squared_error"),
    RELU: ("relu", 2, "squared_error"),
    ENTROPY: ("relu", 2, "cross_entropy"),
}


def _rates(default: str, help: str) -> Any:
    return rates_leaf(parse_floats(default), help)


def _seeds(default: tuple[int, ...], help: str) -> Any:
    return seeds_leaf(default, help)


@dataclass(frozen=True)
class FullBatchConfig:
    """Gradient descent on all examples at once: where are the regimes?"""

    dataset: str = leaf("mnist1d", "trained on at every rate")
    dataset_dir: str = leaf("", "folder with its own files, where it needs one")
    train_examples: int = leaf(200, "the full batch", check=AT_LEAST_1)
    width: int = leaf(128, "units of a hidden layer", check=AT_LEAST_1)
    learning_rates: tuple[float, ...] = _rates("1e-4:10:log64", "from too small to too large")
    seeds: tuple[int, ...] = _seeds(
        (1, 2, 3, 4, 5), "how many (5 means 0 to 4), or which; rules were settled on others"
    )
    updates: int = leaf(200, "of every run; the loss is looked at after each", check=AT_LEAST_1)
    sharpness_every: int = leaf(4, "measure where runs end at every n-th rate", check=AT_LEAST_1)


@dataclass(frozen=True)
class BirdsConfig:
    """A tutorial's network and training, taken to spectrograms of bird calls."""

    tutorial: str = leaf("fashion_mnist", "data set of the tutorial")
    data_dir: str = leaf("", "your recordings, SPECIES/*.wav; empty: made-up calls")
    bird_model: str = leaf("cnn", "network of the tutorial")
    bird_batch: int = leaf(16, "its batch size", check=AT_LEAST_1)
    bird_examples: int = leaf(480, "of either data set to train on; 0: all", check=NOT_NEGATIVE)
    bird_budget: Budget = leaf(
        Budget(epochs=5), "how long it trains", parse=parse_budget, format=str
    )
    bird_rates: tuple[float, ...] = _rates("0.01,0.02,0.04,0.08,0.16", "tried on both")
    choosing_seeds: tuple[int, ...] = _seeds((0, 1), "on which rates are chosen")
    reporting_seeds: tuple[int, ...] = _seeds((2, 3, 4, 5, 6), "on which they are judged")


@dataclass(frozen=True)
class DipsConfig:
    """A landscape with a poor dip and a better one."""

    starts: int = leaf(500, "random starts in the poor dip", check=AT_LEAST_1)


@dataclass(frozen=True)
class PictureConfig:
    """Which pairs of rates, one for each layer, train a small network."""

    hidden_width: int = leaf(16, "inputs and tanh units", check=AT_LEAST_1)
    pixels: int = leaf(64, "rates along an axis; a power of two", check=in_range(16, 2**13))
    picture_updates: int = leaf(
        150, "full-batch updates of each network", check=in_range(21, 2**20)
    )
    zooms: int = leaf(2, "pictures further in", check=NOT_NEGATIVE)
    zoom: float = leaf(16.0, "magnification from one to the next", check=in_range(1, 65))
    picture_seeds: tuple[int, ...] = _seeds((1, 2, 3), "networks with data of their own")


@dataclass(frozen=True)
class RegimesConfig:
    """Learning-rate regimes: the full batch, birds, dips, and the picture of trainability."""

    full_batch: FullBatchConfig = FullBatchConfig()
    birds: BirdsConfig = BirdsConfig()
    dips: DipsConfig = DipsConfig()
    picture: PictureConfig = PictureConfig()
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig(snapshots=1)
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what could not be judged.

        Raises:
          UserError: names the flag.
        """
        pixels, birds = self.picture.pixels, self.birds
        if pixels & (pixels - 1):
            raise UserError(f"--pixels={pixels}: boxes are counted by halving; use a power of two")
        if both := set(birds.choosing_seeds) & set(birds.reporting_seeds):
            raise UserError(
                f"--reporting_seeds={format_seeds(birds.reporting_seeds)}: seed {min(both)} is "
                "among --choosing_seeds, too; rates are judged on seeds that did not choose them"
            )
        if len(self.full_batch.learning_rates) < 4:
            raise UserError(
                "--learning_rates: boundaries lie between rates; give 4 or more, such as "
                "1e-4:10:log64"
            )
        if self.record.snapshots < 1:
            raise UserError("--snapshots=0: the largest eigenvalue is measured there; use 1")

    def sweeps(self) -> dict[str, SweepConfig]:
        """The full batch with three networks, and the tutorial's network on two data sets."""
        full, birds = self.full_batch, self.birds
        sweeps = {}
        for name, (activation, depth, loss) in _NETWORKS.items():
            task = TaskConfig(
                dataset=full.dataset,
                data_dir=full.dataset_dir,
                train_examples=full.train_examples,
                validation_fraction=0.0,
                model="mlp",
                width=full.width,
                depth=depth,
                activation=activation,
                loss=loss,
            )
            training = TrainingConfig(
                optimizer="sgd",
                budget=Budget(steps=full.updates),
                evaluations=full.updates,
                divergence_loss=1e6,  # a catapult may go far up, and comes back
            )
            grid = GridConfig((full.train_examples,), full.learning_rates, full.seeds)
            sweeps[name] = self._sweep(task, grid, training)
        for name in (TUTORIAL, BIRDS):
            task = TaskConfig(
                dataset=birds.tutorial if name == TUTORIAL else "chirps",
                data_dir="" if name == TUTORIAL else birds.data_dir,
                train_examples=birds.bird_examples,
                validation_fraction=0.1,
                model=birds.bird_model,
            )
            training = TrainingConfig(optimizer="sgd", budget=birds.bird_budget, evaluations=8)
            seeds = tuple(sorted((*birds.choosing_seeds, *birds.reporting_seeds)))
            grid = GridConfig((birds.bird_batch,), birds.bird_rates, seeds)
            sweeps[name] = self._sweep(task, grid, training)
        return sweeps

    def _sweep(self, task: TaskConfig, grid: GridConfig, training: TrainingConfig) -> SweepConfig:
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
        "train_examples": 50,
        "width": 16,
        "learning_rates": "1e-3:30:log8",
        "seeds": "2",
        "updates": 30,
        "bird_model": "mlp",
        "bird_examples": 32,
        "bird_budget": "1epochs",
        "bird_rates": "0.01,0.3",
        "choosing_seeds": "0,",
        "reporting_seeds": "1,2",
        "starts": 20,
        "hidden_width": 4,
        "pixels": 16,
        "picture_updates": 30,
        "zooms": 1,
        "picture_seeds": "2",
    },
    "laptop": {},
    "gpu": {
        "train_examples": 1000,
        "width": 512,
        "seeds": "20",
        "updates": 1000,
        "bird_examples": 0,
        "bird_budget": "20epochs",
        "bird_rates": "0.0025:0.64:log9",
        "choosing_seeds": "0,1,2",
        "reporting_seeds": "3,4,5,6,7,8,9,10,11,12",
        "pixels": 512,
        "picture_updates": 500,
        "zooms": 3,
        "picture_seeds": "5",
    },
    "pod": {
        "dataset": "cifar10",
        "train_examples": 5000,
        "width": 1024,
        "learning_rates": "1e-5:10:log1024",
        "seeds": "20",
        "updates": 2000,
        "tutorial": "fashion_mnist_full",
        "bird_examples": 0,
        "bird_budget": "20epochs",
        "bird_rates": "0.0025:0.64:log17",
        "choosing_seeds": "0,1,2",
        "reporting_seeds": "3,4,5,6,7,8,9,10,11,12",
        "pixels": 2048,
        "picture_updates": 1000,
        "zooms": 4,
        "picture_seeds": "10",
    },
}
