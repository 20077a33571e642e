"""The configuration of a sweep: frozen dataclasses, one leaf per flag, nothing read from outside.

Metadata on a field says how a command line shows and checks it; the library only uses the values.
Importing this module is cheap: no JAX.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from minima.record.remote import unusable
from minima.record.shards import Shard, parse_shard
from minima.runtime.axes import Axes, format_axes, parse_axes
from minima.sweep.budgets import Budget, parse_budget
from minima.sweep.combinations import check_combinations
from minima.sweep.grid import (
    Grid,
    format_floats,
    format_ints,
    format_seeds,
    parse_floats,
    parse_ints,
    parse_seeds,
)


def _range(low: float, high: float, *, open_low: bool = False) -> Callable[[float], None]:
    """A check that low <= value < high (or low < value)."""

    def check(value: float) -> None:
        if not (low < value if open_low else low <= value) or not value < high:
            bound = f"{'above' if open_low else 'at least'} {low:g}"
            raise ValueError(f"must be {bound}" + ("" if high == _INF else f" and below {high:g}"))

    return check


MODELS = (
    "linear",
    "mlp",
    "mlp_residual",
    "cnn",
    "cnn_small",
    "vgg",
    "resnet",
    "cnn1d",
    "rnn",
    "gru",
    "lstm",
    "gru_mnist1d",
    "transformer",
)
DECAYS = ("none", "linear", "cosine", "sqrt")
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adam", "adamw", "lion", "muon")

_WHERE = ("mesh", "fully_sharded")  # of the engine: the same run goes on over another mesh
_INF = float("inf")
_PROBABILITY = _range(0, 1)
_NOT_NEGATIVE = _range(0, _INF)
_AT_LEAST_1 = _range(1, _INF)


def _clip(value: float) -> None:
    if not value > 0:
        raise ValueError("must be above 0; use inf for no clipping")


def _probability(value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError("must be at least 0 and at most 1")


def _share(value: float) -> None:
    if not 0 < value <= 1:
        raise ValueError("must be above 0 and at most 1")


def _folder(value: str) -> None:
    if not value:
        raise ValueError("is empty; use . for the current folder")
    if fault := unusable(value):
        raise ValueError(fault)


def _leaf(default: Any, help: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help, **metadata})


@dataclass(frozen=True)
class TaskConfig:
    """What is trained."""

    dataset: str = _leaf(
        "fashion_mnist",
        "fashion_mnist, mnist1d, mnist1d_shuffled, mnist1d_infinite, kjv, markov, markov_infinite, "
        "cifar10, …, text:PATH, or npz:PATH with x_train, y_train, x_test, y_test",
    )
    data_dir: str = _leaf("", "folder with the full dataset's own files; empty: what ships with us")
    validation_fraction: float = _leaf(
        0.2, "share of the training set held out for validation", check=_PROBABILITY
    )
    test_examples: int = _leaf(
        0,
        "size of a larger, freshly generated test set (mnist1d); 0: the published one, or "
        "10,000 for mnist1d_infinite",
        check=_NOT_NEGATIVE,
    )
    train_examples: int = _leaf(
        0, "how many examples of the training set to train on; 0: all", check=_NOT_NEGATIVE
    )
    window: int = _leaf(64, "characters per window of a text", check=_range(2, 2**20))
    model: Literal[("default", *MODELS)] = _leaf(  # type: ignore[valid-type]
        "default", "the network; default: cnn_small for images, lstm for text, else mlp"
    )
    width: int = _leaf(0, "units of a hidden layer; 0: the model's own", check=_NOT_NEGATIVE)
    depth: int = _leaf(0, "hidden layers, or blocks; 0: the model's own", check=_NOT_NEGATIVE)
    norm: Literal["default", "none", "layer", "group", "batch", "ghost"] = _leaf(
        "default", "normalisation; batch gives every batch size a program of its own"
    )
    activation: Literal["default", "relu", "tanh"] = _leaf(
        "default", "of hidden layers (mlp, mlp_residual, cnn, cnn_small, vgg)"
    )
    ghost_size: int = _leaf(32, "examples that ghost batch norm looks at", check=_range(1, _INF))
    positions: bool = _leaf(True, "whether a transformer knows where its inputs stand")
    parametrisation: Literal["standard", "mup"] = _leaf(
        "standard", "mup: rates and initial weights that hold at every width (mlp, transformer)"
    )
    base_width: int = _leaf(
        0, "where mup is the standard parametrisation; 0: the model's width", check=_NOT_NEGATIVE
    )
    augmentation: Literal["none", "shift", "shift_flip"] = _leaf(
        "none", "random shifts by up to 1/14 of the extent, and mirror images"
    )
    loss: Literal["cross_entropy", "squared_error"] = _leaf(
        "cross_entropy",
        "squared_error: half the squared distance of the outputs from one-hot targets",
    )


@dataclass(frozen=True)
class GridConfig:
    """The plane."""

    batch_sizes: tuple[int, ...] = _leaf(
        (16, 32, 64, 128, 256, 512),
        "such as 16,64,256 or 16:4096:x4",
        parse=parse_ints,
        format=format_ints,
    )
    learning_rates: tuple[float, ...] = _leaf(
        (0.001, 0.00316228, 0.01, 0.0316228, 0.1, 0.316228, 1.0),
        "such as 0.1,0.3 or 1e-3:1e0:log7",
        parse=lambda text: parse_floats(text, positive=True),
        format=format_floats,
    )
    seeds: tuple[int, ...] = _leaf(
        (0, 1, 2),
        "how many (5 means 0 to 4), or which (0,3,7)",
        parse=parse_seeds,
        format=format_seeds,
    )


@dataclass(frozen=True)
class TrainingConfig:
    """How a cell trains, and when it stops."""

    optimizer: Literal[OPTIMIZERS] = _leaf(  # type: ignore[valid-type]
        "momentum", "the update rule"
    )
    budget: Budget = _leaf(
        Budget(epochs=25),
        "20epochs, 5000steps or 1e6examples; more conditions after commas, whichever is first: "
        "validation_accuracy>=0.85, early_stopping=5",
        parse=parse_budget,
        format=str,
    )
    evaluations: int = _leaf(
        10,
        "points on a cell's curve; targets and early stopping look there",
        check=_range(1, 10_001),
    )
    momentum: float | None = _leaf(
        None, "heavy-ball coefficient, beta1; none: 0.9 (muon 0.95)", check=_PROBABILITY
    )
    beta2: float | None = _leaf(
        None, "beta2 of adam, adamw, lion; none: 0.999 (lion 0.99)", check=_PROBABILITY
    )
    beta2_half_life: float = _leaf(
        0.0, "beta2 as a half-life in examples, whatever the batch; 0: off", check=_NOT_NEGATIVE
    )
    learning_rate_scaling: Literal["none", "sqrt", "linear"] = _leaf(
        "none", "multiplies rates by batch size / base batch size, or its root"
    )
    base_batch_size: int = _leaf(
        32, "where scaling leaves rates as they are", check=_range(1, _INF)
    )
    weight_decay: float = _leaf(
        0.0,
        "added to gradients after clipping (L2); decoupled in adamw, lion and muon",
        check=_NOT_NEGATIVE,
    )
    clip_norm: float = _leaf(_INF, "largest global gradient norm; inf: no clipping", check=_clip)
    warmup_examples: int = _leaf(
        0, "examples over which the rate climbs linearly", check=_NOT_NEGATIVE
    )
    milestones: tuple[float, ...] = _leaf(
        (),
        "epochs at which rate and batch size change, such as 10,20; none for a constant course",
        parse=lambda text: () if text == "none" else parse_floats(text, positive=True),
        format=lambda epochs: format_floats(epochs) if epochs else "none",
    )
    rate_factor: float = _leaf(
        1.0, "of the learning rate at each milestone", check=_range(0, _INF, open_low=True)
    )
    batch_factor: int = _leaf(
        1,
        "of the batch size at each milestone: grow it instead of decaying the rate",
        check=_AT_LEAST_1,
    )
    decay: Literal[DECAYS] = _leaf(  # type: ignore[valid-type]
        "none", "how the rate falls to zero at the end; none keeps the run free of a horizon"
    )
    decay_fraction: float = _leaf(
        1.0, "share of the updates, at the end, over which it decays", check=_share
    )
    dropout: float = _leaf(0.0, "probability of dropping a unit", check=_PROBABILITY)
    label_smoothing: float = _leaf(0.0, "share of the uniform target", check=_PROBABILITY)
    label_noise: float = _leaf(
        0.0, "probability that a training label is redrawn at random", check=_probability
    )
    sharpness_aware: Literal["none", "sam", "asam"] = _leaf(
        "none", "gradients from where the loss rises most nearby (SAM), measured by weight (ASAM)"
    )
    rho: float | None = _leaf(
        None, "how far SAM climbs; none: 0.05 (asam 0.5)", check=_NOT_NEGATIVE
    )
    rho_share: float = _leaf(
        1.0,
        "of SAM's gradient, the rest is the plain one: below 1 a gradient-norm penalty",
        check=_share,
    )
    sam_examples: int = _leaf(
        0,
        "examples that climb together (m-sharpness); 0: the batch, a program for each batch size",
        check=_NOT_NEGATIVE,
    )
    label_flips: float = _leaf(
        0.0, "probability that a label is redrawn each time it is seen", check=_PROBABILITY
    )
    weight_noise: float = _leaf(
        0.0, "standard deviation of noise in the weights that gradients see", check=_NOT_NEGATIVE
    )
    average: Literal["none", "ema", "swa"] = _leaf(
        "none", "evaluate averaged weights: exponentially, or equally over the last updates"
    )
    average_half_life: float = _leaf(
        0.0, "of ema, in examples, whatever the batch", check=_NOT_NEGATIVE
    )
    average_fraction: float = _leaf(
        0.25, "share of the updates, at the end, that swa averages over", check=_share
    )
    divergence_loss: float = _leaf(
        1000.0,
        "a training loss above this (mean since the last evaluation) counts as diverged",
        check=_range(0, _INF, open_low=True),
    )
    dtype: Literal["float32", "float64"] = _leaf("float32", "of parameters and arithmetic")


@dataclass(frozen=True)
class BranchConfig:
    """Where cells start, if not from scratch.

    Each cell of a branch takes up weights, optimiser and place in the data of a cell of the trunk
    with the same seed, and goes on under this command's batch size, rate, schedule and budget.
    """

    branch_from: str = _leaf("", "folder or URL of a finished run, the trunk; empty: from scratch")
    branch_snapshot: int = _leaf(
        0, "which of the trunk's snapshots, counted from 1; 0: the last", check=_NOT_NEGATIVE
    )
    trunk_batch_size: int = _leaf(
        0, "of the trunk's cells; 0: the batch size of the cell itself", check=_NOT_NEGATIVE
    )
    trunk_learning_rate: float = _leaf(
        0.0, "of the trunk's cells; 0: the rate of the cell itself", check=_NOT_NEGATIVE
    )


@dataclass(frozen=True)
class EngineConfig:
    """How the program is laid out; 0 leaves the choice to the plan."""

    microbatch: int = _leaf(0, "examples per micro-step", check=_NOT_NEGATIVE)
    lanes: int = _leaf(0, "cells in flight per device", check=_NOT_NEGATIVE)
    block: int = _leaf(0, "lanes under one vmap; 1 is best on CPUs", check=_NOT_NEGATIVE)
    slab_mib: float = _leaf(
        0.0,
        "MiB of training examples on a device at a time, where all are too many; 0: all of them",
        check=_NOT_NEGATIVE,
    )
    devices: int = _leaf(0, "devices to use; on a CPU, cores", check=_NOT_NEGATIVE)
    mesh: Axes | None = _leaf(
        None,
        "spread every cell over devices, one cell at a time: examples over data, parameters over "
        "model, such as data:4,model:2; none: cells over devices",
        parse=parse_axes,
        format=format_axes,
    )
    fully_sharded: bool = _leaf(
        False, "with a mesh: parameters and the optimiser's state over data, too"
    )


@dataclass(frozen=True)
class RecordConfig:
    """Where results go; changes no number."""

    workdir: str = _leaf(
        "runs", "folder of all runs, or gs://, s3://, any fsspec URL of one", check=_folder
    )
    plan_only: bool = _leaf(False, "print cells, program, memory and time, and stop")
    snapshots: int = _leaf(
        2,
        "states kept of each cell, evenly spaced, the last its minimum: to branch from and measure",
        check=_NOT_NEGATIVE,
    )
    checkpoint_seconds: float = _leaf(
        60.0, "time between checkpoints of cells in training", check=_NOT_NEGATIVE
    )
    tensorboard: bool = _leaf(True, "write what TensorBoard shows")
    tensorboard_cells: int = _leaf(
        500,
        "cells with curves in TensorBoard, spread over the grid; the table has all up to 20,000",
        check=_NOT_NEGATIVE,
    )


@dataclass(frozen=True)
class ProcessesConfig:
    """Which part of the work this process takes; changes no number."""

    shard: Shard | None = _leaf(
        None,
        "train one of n parts of the (first) sweep, such as 0/16; python -m minima gather RUN puts "
        "them together; none: all of it",
        parse=parse_shard,
        format=str,
    )
    multihost: bool = _leaf(
        False,
        "one of several processes, started by srun, mpirun, a GKE JobSet or gcloud's ssh "
        "--worker=all: with --mesh they train over one mesh, else each some of the cells",
    )
    stuck_minutes: float = _leaf(
        30.0,
        "with --multihost: end a process that trains nothing for so long; 0: never",
        check=_NOT_NEGATIVE,
    )


@dataclass(frozen=True)
class SweepConfig:
    """Everything a sweep depends on."""

    task: TaskConfig = TaskConfig()
    grid: GridConfig = GridConfig()
    training: TrainingConfig = TrainingConfig()
    branch: BranchConfig = BranchConfig()
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig()
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses combinations that can't be trained.

        Raises:
          UserError: names the two flags.
        """
        check_combinations(self)

    def make_grid(self) -> Grid:
        """The cells: batch size × learning rate × seed."""
        grid = self.grid
        return Grid(
            (
                ("batch_size", grid.batch_sizes),
                ("learning_rate", grid.learning_rates),
                ("seed", grid.seeds),
            )
        )

    def identity(self) -> dict[str, Any]:
        """What the numbers depend on, as JSON values; the run id follows from it."""
        config = dataclasses.asdict(self)
        config["training"]["budget"] = str(self.training.budget)
        del config["record"], config["processes"]
        for name in _WHERE:
            del config["engine"][name]
        return config

    @classmethod
    def from_identity(cls, identity: dict[str, Any]) -> "SweepConfig":
        """The inverse of `identity`, from what run.json holds."""
        groups = {"task": TaskConfig, "grid": GridConfig, "training": TrainingConfig}
        groups |= {"branch": BranchConfig, "engine": EngineConfig}
        values = {name: dict(identity.get(name, {})) for name in groups}
        values["training"]["budget"] = parse_budget(values["training"]["budget"])
        for name, value in values["training"].items():
            if value in ("inf", "nan"):  # JSON has no word for them
                values["training"][name] = float(value)
        values["training"]["milestones"] = tuple(values["training"].get("milestones", ()))
        values["grid"] = {name: tuple(axis) for name, axis in values["grid"].items()}
        return cls(**{name: kind(**values[name]) for name, kind in groups.items()})
