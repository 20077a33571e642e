"""The configuration of a sweep: frozen dataclasses, one leaf per flag, nothing read from outside.

Importing this module is cheap: no JAX.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from minima.record.shards import Shard, parse_shard
from minima.runtime.axes import Axes, format_axes, parse_axes
from minima.sweep.budgets import parse_budget
from minima.sweep.combinations import AXES, check_combinations
from minima.sweep.grid import (
    Grid,
)
from minima.sweep.grid import format_axes as format_axes_of_grid
from minima.sweep.grid import parse_axes as parse_axes_of_grid
from minima.sweep.leaf import (
    AT_LEAST_1,
    BELOW_1,
    NOT_NEGATIVE,
    in_range,
    is_folder,
    leaf,
    rates_leaf,
    seeds_leaf,
    sizes_leaf,
)
from minima.sweep.training_config import TrainingConfig

MODELS = (
    "linear",
    "mlp",
    "mlp_residual",
    "cnn",
    "cnn_small",
    "vgg",
    "resnet",
    "cnn1d",
    "cnn_causal",
    "rnn",
    "gru",
    "lstm",
    "irnn",
    "lstm_bias0",
    "gru_mnist1d",
    "transformer",
    "gnn",
)

# Leaves that came later: runs from before, and all that leave them alone, keep their ids.
_SINCE = (
    ("grid", "axes", ()),
    ("task", "image_size", 0),
    ("task", "trainable", "all"),
    ("branch", "initial_weights", ""),
    ("branch", "weight_map", ""),
    ("branch", "fresh_weights", "none"),
    ("training", "group_dro", 0.0),
    ("training", "irm_penalty", 0.0),
    ("training", "vrex_penalty", 0.0),
    ("training", "parity_penalty", 0.0),
    ("training", "parity", "demographic_parity"),
    ("training", "penalty_warmup_examples", 0),
    ("training", "reweighting", 0.0),
)
_WHERE = ("mesh", "fully_sharded")  # of the engine: the same run goes on over another mesh


@dataclass(frozen=True)
class TaskConfig:
    """What is trained."""

    dataset: str = leaf(
        "fashion_mnist",
        "fashion_mnist, mnist1d, mnist1d_infinite, kjv, markov, tickets, cifar10, …, text:PATH, or "
        "npz:PATH with x_train, y_train, x_test, y_test; README lists all",
    )
    data_dir: str = leaf("", "folder with the full dataset's own files; empty: what ships with us")
    validation_fraction: float = leaf(
        0.2, "share of the training set held out for validation", check=BELOW_1
    )
    test_examples: int = leaf(
        0,
        "size of a larger, freshly generated test set (mnist1d); 0: the published one, or "
        "10,000 for mnist1d_infinite",
        check=NOT_NEGATIVE,
    )
    train_examples: int = leaf(
        0, "how many examples of the training set to train on; 0: all", check=NOT_NEGATIVE
    )
    image_size: int = leaf(
        0,
        "average images down to so many pixels a side; 0: as they are, or as the model asks",
        check=NOT_NEGATIVE,
    )
    window: int = leaf(
        64, "characters per window of a text, or time steps", check=in_range(2, 2**20)
    )
    model: Literal[("default", *MODELS)] = leaf(  # type: ignore[valid-type]
        "default", "the network; default: cnn_small for images, lstm for text, else mlp"
    )
    width: int = leaf(0, "units of a hidden layer; 0: the model's own", check=NOT_NEGATIVE)
    depth: int = leaf(0, "hidden layers, or blocks; 0: the model's own", check=NOT_NEGATIVE)
    norm: Literal["default", "none", "layer", "group", "batch", "ghost"] = leaf(
        "default", "normalisation; batch gives every batch size a program of its own"
    )
    activation: Literal["default", "relu", "tanh"] = leaf(
        "default", "of hidden layers (mlp, mlp_residual, cnn, cnn_small, vgg)"
    )
    ghost_size: int = leaf(32, "examples that ghost batch norm looks at", check=AT_LEAST_1)
    positions: bool = leaf(True, "whether a transformer knows where its inputs stand")
    parametrisation: Literal["standard", "mup"] = leaf(
        "standard", "mup: rates and initial weights that hold at every width (mlp, transformer)"
    )
    base_width: int = leaf(
        0, "where mup is the standard parametrisation; 0: the model's width", check=NOT_NEGATIVE
    )
    augmentation: Literal["none", "shift", "shift_flip"] = leaf(
        "none", "random shifts by up to 1/14 of the extent, and mirror images"
    )
    loss: Literal["cross_entropy", "squared_error"] = leaf(
        "cross_entropy",
        "squared_error: half the squared distance of the outputs from one-hot targets",
    )
    remat: bool = leaf(
        False,
        "compute blocks again on the way back instead of keeping what is in them: less memory",
    )
    attention_chunk: int = leaf(
        0,
        "positions that a transformer's attention looks at together; 0: all, in memory that grows "
        "with the square of the length",
        check=NOT_NEGATIVE,
    )
    trainable: str = leaf(
        "all",
        "parameters that training moves, the rest is frozen: all, head, last_block (and the head), "
        "or patterns such as hidden/1/*,readout/*",
    )


@dataclass(frozen=True)
class GridConfig:
    """The plane."""

    batch_sizes: tuple[int, ...] = sizes_leaf(
        (16, 32, 64, 128, 256, 512), "such as 16,64,256 or 16:4096:x4"
    )
    learning_rates: tuple[float, ...] = rates_leaf(
        (0.001, 0.00316228, 0.01, 0.0316228, 0.1, 0.316228, 1.0), "such as 0.1,0.3 or 1e-3:1e0:log7"
    )
    seeds: tuple[int, ...] = seeds_leaf((0, 1, 2), "how many (5 means 0 to 4), or which (0,3,7)")
    axes: tuple[tuple[str, tuple[float, ...]], ...] = leaf(
        (),
        "further axes of the grid, all trained by the same program, such as "
        "dropout=0,0.5;weight_decay=0,1e-3: " + ", ".join(AXES),
        parse=parse_axes_of_grid,
        format=format_axes_of_grid,
    )


@dataclass(frozen=True)
class BranchConfig:
    """Where cells start, if not from scratch.

    Each cell of a branch takes up weights, optimiser and place in the data of a cell of the trunk
    with the same seed, and goes on under this command's batch size, rate, schedule and budget. With
    initial weights it takes up weights alone, of a minimum or from a file, and begins anew.
    """

    branch_from: str = leaf("", "folder or URL of a finished run, the trunk; empty: from scratch")
    branch_snapshot: int = leaf(
        0, "which of the trunk's snapshots, counted from 1; 0: the last", check=NOT_NEGATIVE
    )
    trunk_batch_size: int = leaf(
        0, "of the trunk's cells; 0: the batch size of the cell itself", check=NOT_NEGATIVE
    )
    trunk_learning_rate: float = leaf(
        0.0, "of the trunk's cells; 0: the rate of the cell itself", check=NOT_NEGATIVE
    )
    initial_weights: str = leaf(
        "",
        "folder or URL of a finished run, for the minima of its cells with the same seeds "
        "(--trunk_batch_size and --trunk_learning_rate say which), or an .npz or .safetensors file",
    )
    weight_map: str = leaf(
        "", "JSON file that says which of a file's arrays is which parameter; empty: by name"
    )
    fresh_weights: str = leaf(
        "none",
        "parameters that start fresh all the same: none, head, last_block, or patterns; a head of "
        "another size does anyway",
    )


@dataclass(frozen=True)
class EngineConfig:
    """How the program is laid out; 0 leaves the choice to the plan."""

    microbatch: int = leaf(0, "examples per micro-step", check=NOT_NEGATIVE)
    lanes: int = leaf(0, "cells in flight per device", check=NOT_NEGATIVE)
    block: int = leaf(0, "lanes under one vmap; 1 is best on CPUs", check=NOT_NEGATIVE)
    slab_mib: float = leaf(
        0.0,
        "MiB of training examples on a device at a time, where all are too many; 0: all of them",
        check=NOT_NEGATIVE,
    )
    devices: int = leaf(0, "devices to use; on a CPU, cores", check=NOT_NEGATIVE)
    mesh: Axes | None = leaf(
        None,
        "spread every cell over devices, one cell at a time: examples over data, parameters over "
        "model, such as data:4,model:2; none: cells over devices",
        parse=parse_axes,
        format=format_axes,
    )
    fully_sharded: bool = leaf(
        False, "with a mesh: parameters and the optimiser's state over data, too"
    )


@dataclass(frozen=True)
class RecordConfig:
    """Where results go; changes no number."""

    workdir: str = leaf(
        "runs", "folder of all runs, or gs://, s3://, any fsspec URL of one", check=is_folder
    )
    plan_only: bool = leaf(False, "print cells, program, memory and time, and stop")
    snapshots: int = leaf(
        2,
        "states kept of each cell, evenly spaced, the last its minimum: to branch from and measure",
        check=NOT_NEGATIVE,
    )
    checkpoint_seconds: float = leaf(
        60.0, "time between checkpoints of cells in training", check=NOT_NEGATIVE
    )
    tensorboard: bool = leaf(True, "write what TensorBoard shows")
    tensorboard_cells: int = leaf(
        500,
        "cells with curves in TensorBoard, spread over the grid; the table has all up to 20,000",
        check=NOT_NEGATIVE,
    )


@dataclass(frozen=True)
class ProcessesConfig:
    """Which part of the work this process takes; changes no number."""

    shard: Shard | None = leaf(
        None,
        "train one of n parts of the (first) sweep, such as 0/16; python -m minima gather RUN puts "
        "them together; none: all of it",
        parse=parse_shard,
        format=str,
    )
    multihost: bool = leaf(
        False,
        "one of several processes, started by srun, mpirun, a GKE JobSet or gcloud's ssh "
        "--worker=all: with --mesh they train over one mesh, else each some of the cells",
    )
    stuck_minutes: float = leaf(
        30.0,
        "with --multihost: end a process that trains nothing for so long; 0: never",
        check=NOT_NEGATIVE,
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
        """The cells: batch size × learning rate × further axes × seed."""
        grid = self.grid
        return Grid(
            (
                ("batch_size", grid.batch_sizes),
                ("learning_rate", grid.learning_rates),
                *grid.axes,
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
        for group, name, default in _SINCE:
            if config[group][name] == default:
                del config[group][name]
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
        axes = values["grid"].pop("axes", ())
        values["grid"] = {name: tuple(axis) for name, axis in values["grid"].items()}
        values["grid"]["axes"] = tuple((name, tuple(axis)) for name, axis in axes)
        return cls(**{name: kind(**values[name]) for name, kind in groups.items()})
