"""Configuration of learned_features: three ways from pixels to classes, probes, planted faults."""

from dataclasses import dataclass, field, replace
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
from minima.sweep.grid import (
    format_seeds,
)
from minima.sweep.leaf import rates_leaf, seeds_leaf, sizes_leaf
from parts.learned_features.faults import FAULTS, Fault, fault_sweep, parse_faults

NETWORK, ENGINEERED, PIXELS = "network", "engineered", "pixels"
DEEP = "deep"  # the second network that is probed


def _leaf(default: Any, help: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help, **metadata})


def _rates(default: tuple[float, ...], help: str) -> Any:
    return rates_leaf(default, help)


def _seeds(default: tuple[int, ...], help: str) -> Any:
    return seeds_leaf(default, help)


def _positive(value: int) -> None:
    if value < 1:
        raise ValueError("must be at least 1")


@dataclass(frozen=True)
class Arm:
    """One way from pixels to classes: a model, what it reads, and rates to choose among."""

    name: str
    model: str
    reads: str
    rates: tuple[float, ...]


@dataclass(frozen=True)
class FeaturesConfig:
    """Learned features against engineered ones, over training-set sizes."""

    sizes: tuple[int, ...] = sizes_leaf((100, 300, 1000, 4000), "training examples")
    draws: tuple[int, ...] = _seeds(
        (1, 2, 3, 4, 5), "which random draws of so many examples report: how many, or which"
    )
    choosing_draws: tuple[int, ...] = _seeds((100,), "which draws choose learning rates")
    starts: int = _leaf(1, "networks from each reporting draw", check=_positive)
    network_rates: tuple[float, ...] = _rates((0.001, 0.003), "among which --model gets its best")
    engineered_rates: tuple[float, ...] = _rates(
        (0.0001, 0.0003, 0.001, 0.01),
        "the same for the linear model on engineered features",
    )
    pixel_rates: tuple[float, ...] = _rates(
        (0.0001, 0.0003, 0.001, 0.003), "the same for the linear model on raw pixels"
    )
    batch_size: int = _leaf(32, "of all runs", check=_positive)
    deep_layers: int = _leaf(
        4, "hidden layers of the MLP that is probed beside --model", check=_positive
    )
    probe_examples: int = _leaf(
        2000, "training examples, at most, that linear probes are fitted to", check=_positive
    )


@dataclass(frozen=True)
class FaultsConfig:
    """Systems with a broken ingredient, all on MNIST-1D."""

    faults: tuple[str, ...] = _leaf(
        tuple(fault.name for fault in FAULTS),
        "which systems to build, healthy ones among them",
        parse=parse_faults,
        format=",".join,
    )
    fault_seeds: tuple[int, ...] = _seeds(
        tuple(range(10)), "of each; the diagnosis was settled on 100 to 102"
    )
    fault_steps: int = _leaf(2000, "updates of each", check=_positive)


@dataclass(frozen=True)
class LearnedFeaturesConfig:
    """Everything that the experiment depends on."""

    features: FeaturesConfig = FeaturesConfig()
    faults: FaultsConfig = FaultsConfig()
    task: TaskConfig = TaskConfig(dataset="fashion_mnist", model="cnn")
    training: TrainingConfig = TrainingConfig(
        optimizer="adam", budget=Budget(steps=1000, epochs=100), evaluations=2
    )
    engine: EngineConfig = EngineConfig(lanes=1)
    record: RecordConfig = RecordConfig(snapshots=1)
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what would leave a comparison without one side.

        Raises:
          UserError: names the flag.
        """
        if self.task.train_examples:
            raise UserError(
                f"--train_examples={self.task.train_examples}: --sizes says how many; leave it out"
            )
        if not self.task.validation_fraction:
            raise UserError(
                "--validation_fraction=0: learning rates and probes are chosen on the validation "
                "set; use e.g. 0.2"
            )
        if self.task.model in ("default", "linear"):
            raise UserError(
                f"--model={self.task.model}: its hidden layers are what is learned; use e.g. cnn "
                "or mlp"
            )
        both = sorted(set(self.features.draws) & set(self.features.choosing_draws))
        if both:
            raise UserError(
                f"--choosing_draws={format_seeds(self.features.choosing_draws)}: draw {both[0]} "
                "also reports; choose on others"
            )
        if not self.record.snapshots:
            raise UserError("--snapshots=0: trained networks are probed; use 1")

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The three ways, learned features first."""
        of = self.features
        return (
            Arm(NETWORK, self.task.model, "", of.network_rates),
            Arm(ENGINEERED, "linear", "hog:", of.engineered_rates),
            Arm(PIXELS, "linear", "", of.pixel_rates),
        )

    @property
    def largest(self) -> int:
        """The training size at which networks are probed."""
        return max(self.features.sizes)

    @property
    def planted(self) -> tuple[Fault, ...]:
        """The systems that are built, in the order of the table."""
        return tuple(fault for fault in FAULTS if fault.name in self.faults.faults)

    def arm_sweep(
        self, arm: Arm, size: int, draw: int, rates: tuple[float, ...], seeds: tuple[int, ...]
    ) -> SweepConfig:
        """One arm on one draw of so many examples."""
        dataset = f"draw{draw}:{arm.reads}{self.task.dataset}"
        if arm.name == NETWORK:
            task = replace(self.task, dataset=dataset, train_examples=size)
        else:
            task = self._plain(arm.model, dataset, size)
        probed = arm.name == NETWORK and size == self.largest
        return self._sweep(task, rates, seeds, probed)

    def deep_sweep(self) -> SweepConfig:
        """An MLP with several hidden layers, on the largest training set, as often as draws."""
        task = self._plain("mlp", self.task.dataset, self.largest)
        task = replace(task, depth=self.features.deep_layers)
        return self._sweep(task, self.features.network_rates[:1], self.features.draws, True)

    def seeds(self, draw: int) -> tuple[int, ...]:
        """Of the networks from one reporting draw."""
        return tuple(1000 * draw + start for start in range(self.features.starts))

    def fault_sweep(self, fault: Fault) -> SweepConfig:
        """One kind of system, all its seeds."""
        of = self.faults
        return fault_sweep(
            fault,
            of.fault_seeds,
            of.fault_steps,
            replace(self.engine, lanes=0),
            replace(self.record, snapshots=0),
            self.processes,
        )

    def _plain(self, model: str, dataset: str, size: int) -> TaskConfig:
        """A model on the same data, without what only --model has."""
        task = self.task
        return TaskConfig(
            dataset=dataset,
            data_dir=task.data_dir,
            validation_fraction=task.validation_fraction,
            train_examples=size,
            model=model,
            loss=task.loss,
        )

    def _sweep(
        self, task: TaskConfig, rates: tuple[float, ...], seeds: tuple[int, ...], probed: bool
    ) -> SweepConfig:
        return SweepConfig(
            task,
            GridConfig((self.features.batch_size,), rates, seeds),
            self.training,
            engine=self.engine,
            record=self.record if probed else replace(self.record, snapshots=0),
            processes=self.processes,
        )


PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "sizes": "100",
        "draws": "1,2",
        "network_rates": "0.003",
        "engineered_rates": "0.01",
        "pixel_rates": "0.003",
        "model": "mlp",
        "depth": 2,
        "deep_layers": 2,  # the same program
        "budget": "60steps",
        "probe_examples": 200,
        "faults": "in order,other distribution,no locality,wrong target",
        "fault_seeds": "2",
        "fault_steps": 200,
    },
    "laptop": {},
    "gpu": {
        "dataset": "fashion_mnist_full",
        "sizes": "100,300,1000,3000,10000,48000",
        "draws": "1,2,3,4,5,6,7,8,9,10",
        "network_rates": "0.0003,0.001,0.003",
        "starts": 2,
        "budget": "20000steps",
        "model": "vgg",
        "probe_examples": 10000,
        "fault_seeds": "50",
        "lanes": 2,
    },
    "pod": {
        "dataset": "cifar10",
        "sizes": "100,300,1000,3000,10000,40000",
        "draws": "1,2,3,4,5,6,7,8,9,10",
        "starts": 4,
        "network_rates": "0.0003,0.001,0.003",
        "budget": "50000steps",
        "model": "resnet",
        "depth": 3,
        "norm": "group",
        "augmentation": "shift_flip",
        "probe_examples": 10000,
        "fault_seeds": "100",
        "lanes": 4,
    },
}
