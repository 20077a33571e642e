"""Configuration of architecture_fit: tasks, models, sizes. Cheap to import."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

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
from minima.sweep.grid import format_seeds, parse_floats, parse_seeds
from minima.sweep.leaf import sizes_leaf

PERMUTED = "permuted:"  # of a dataset's name; the datasets themselves bring NumPy

FIT, PUBLISHED = "fit", "published"
SPATIAL, SEQUENTIAL, GRAPH = "spatial", "sequential", "graph"
TASKS = (SPATIAL, SEQUENTIAL, GRAPH)
INTACT, DESTROYED = "intact", "destroyed"
MLP, CNN, GRU, LSTM, GNN = "mlp", "cnn", "gru", "lstm", "gnn"
TRANSFORMER, SET = "transformer", "set transformer"
ASSUMPTIONS = {
    MLP: "none: all inputs are alike",
    CNN: "near is related, everywhere alike",
    GRU: "one after the other, by one rule",
    LSTM: "one after the other, by one rule",
    TRANSFORMER: "parts that look at each other",
    SET: "a set: the order means nothing",
    GNN: "neighbours alone matter",
}
# Whose assumption is that of the task.
FITTING = {SPATIAL: CNN, SEQUENTIAL: LSTM, GRAPH: GNN}
CHOOSING_SEED = 0  # rates are chosen on it, and it reports nothing
# Sizes at which a network has 5,000 to 30,000 weights.
_SMALL = {
    MLP: {"model": "mlp", "width": 64},
    GRU: {"model": "gru", "width": 32},
    LSTM: {"model": "lstm", "width": 32},
    TRANSFORMER: {"model": "transformer", "width": 32, "depth": 2},
    SET: {"model": "transformer", "width": 32, "depth": 2, "positions": False},
    GNN: {"model": "gnn", "width": 32, "depth": 2},
}
_CNNS = {SPATIAL: {"model": "cnn"}, SEQUENTIAL: {"model": "cnn1d"}}  # a graph has no rows
# Adam's, chosen on seed 0 from 0.001, 0.003 and 0.01, by validation accuracy on intact data.
RATES = {
    SPATIAL: dict.fromkeys((MLP, CNN, GRU, LSTM, GNN), 0.01),
    SEQUENTIAL: dict.fromkeys((MLP, CNN, GRU, LSTM), 0.01) | {GNN: 0.003},
    GRAPH: dict.fromkeys((MLP, GNN), 0.01) | {GRU: 0.003, LSTM: 0.001},
}
for _task, _rate in ((SPATIAL, 0.003), (SEQUENTIAL, 0.001), (GRAPH, 0.003)):
    RATES[_task] |= {TRANSFORMER: _rate, SET: _rate}
PUBLISHED_MODELS = ("linear", "mlp_residual", "cnn1d", "gru_mnist1d")


class Key(NamedTuple):
    """One sweep: seeds (and rates) of one model on one version of one task."""

    part: str
    task: str
    version: str
    model: str
    examples: int

    def __str__(self) -> str:
        """A name for people and files."""
        size = f", {self.examples} examples" if self.examples else ""
        return f"{self.task}, {self.version}, {self.model}{size}"


def _leaf(default: Any, help: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help, **metadata})


def _choices(known: tuple[str, ...], default: tuple[str, ...], help: str) -> Any:
    def parse(text: str) -> tuple[str, ...]:
        asked = [part.strip() for part in text.split(",")]
        if unknown := [part for part in asked if part not in known]:
            raise ValueError(f"knows no {unknown[0]!r}; choose from {', '.join(known)}")
        return tuple(name for name in known if name in asked)

    return _leaf(default, f"{help}: {', '.join(known)}", parse=parse, format=",".join)


_SEEDS = {"parse": parse_seeds, "format": format_seeds}


@dataclass(frozen=True)
class FitConfig:
    """Which architectures meet which data."""

    parts: tuple[str, ...] = _choices((FIT, PUBLISHED), (FIT, PUBLISHED), "what to train")
    tasks: tuple[str, ...] = _choices(TASKS, TASKS, "structures")
    models: tuple[str, ...] = _choices(
        tuple(ASSUMPTIONS), (MLP, CNN, LSTM, TRANSFORMER, GNN), "architectures"
    )
    spatial: str = _leaf("fashion_mnist", "dataset of images")
    data_dir: str = _leaf("", "folder with the files of that dataset; empty: as --dataset has it")
    side: int = _leaf(14, "pixels a side that images are averaged down to; 0: as they are")
    sequential: str = _leaf("queue", "dataset of signals in time")
    graph: str = _leaf("opinions", "dataset on a graph")
    sizes: tuple[int, ...] = sizes_leaf((500, 4000), "training examples")
    seeds: tuple[int, ...] = _leaf((1, 2, 3), "that report; rates are chosen on seed 0", **_SEEDS)
    rates: tuple[float, ...] = _leaf(
        (),
        "of Adam, of which seed 0's validation chooses one for each model and task; none: those "
        "that it chose for the default datasets",
        parse=lambda text: () if text == "none" else parse_floats(text, positive=True),
        format=lambda rates: ",".join(f"{rate:g}" for rate in rates) or "none",
    )
    batch: int = _leaf(50, "examples of an update")
    published_models: tuple[str, ...] = _choices(
        PUBLISHED_MODELS, PUBLISHED_MODELS[:3], "of MNIST-1D's table"
    )
    published_seeds: tuple[int, ...] = _leaf((0, 1, 2), "of MNIST-1D's published table", **_SEEDS)
    published_updates: int = _leaf(6000, "of Adam there, of 100 examples each")
    published_test: int = _leaf(20_000, "fresh test signals there")


@dataclass(frozen=True)
class ArchitectureFitConfig:
    """Architectures as assumptions about data."""

    fit: FitConfig = FitConfig()
    training: TrainingConfig = TrainingConfig(
        optimizer="adam", budget=Budget(steps=300), decay="cosine", evaluations=1
    )
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig(snapshots=0, tensorboard=False)
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what can't be compared.

        Raises:
          UserError: names the flag.
        """
        fit = self.fit
        if not fit.parts or (FIT in fit.parts and not (fit.tasks and fit.models)):
            raise UserError("--parts, --tasks, --models: name at least one of each")
        if FIT in fit.parts and MLP not in fit.models:
            raise UserError("--models: all are compared with mlp; name it, too")
        if CHOOSING_SEED in fit.seeds:
            raise UserError(
                f"--seeds={format_seeds(fit.seeds)}: rates are chosen on seed {CHOOSING_SEED}, "
                "which can't report; use others, such as 1,2,3"
            )
        if self.training.optimizer != "adam":
            raise UserError(f"--optimizer={self.training.optimizer}: rates are Adam's; use adam")

    def sweeps(self) -> dict[Key, SweepConfig]:
        """Everything there is to train."""
        return dict([*self._fit(), *self._published()])

    def _fit(self) -> Iterator[tuple[Key, SweepConfig]]:
        fit = self.fit
        if FIT not in fit.parts:
            return
        for task in fit.tasks:
            for model in (m for m in fit.models if m != CNN or task in _CNNS):
                rates = fit.rates or (RATES[task][model],)
                choosing = (CHOOSING_SEED,) if len(rates) > 1 else ()
                grid = GridConfig((fit.batch,), rates, (*choosing, *fit.seeds))
                every = [(INTACT, size) for size in fit.sizes]
                for version, size in [*every, (DESTROYED, fit.sizes[-1])]:
                    asked = replace(self.task(task, version, model), train_examples=size)
                    key = Key(FIT, task, version, model, size)
                    yield key, self._sweep(asked, grid, self.training)

    def task(self, task: str, version: str, model: str) -> TaskConfig:
        """A dataset, whole or with its positions permuted, and a network that reads it."""
        name = {SPATIAL: self.fit.spatial, SEQUENTIAL: self.fit.sequential, GRAPH: self.fit.graph}
        dataset = (PERMUTED if version == DESTROYED else "") + name[task]
        small = _CNNS[task] if model == CNN else _SMALL[model]
        side = self.fit.side if task == SPATIAL else 0
        folder = self.fit.data_dir if task == SPATIAL else ""
        return TaskConfig(dataset=dataset, data_dir=folder, image_size=side, **small)

    def _published(self) -> Iterator[tuple[Key, SweepConfig]]:
        """MNIST-1D as its authors train on it."""
        fit = self.fit
        if PUBLISHED not in fit.parts:
            return
        training = TrainingConfig(
            optimizer="adam", budget=Budget(steps=fit.published_updates), evaluations=1
        )
        grid = GridConfig((100,), (0.01,), fit.published_seeds)
        for model in fit.published_models:
            for version, dataset in ((INTACT, "mnist1d"), (DESTROYED, "mnist1d_shuffled")):
                task = TaskConfig(
                    dataset=dataset,
                    model=model,
                    validation_fraction=0.0,
                    test_examples=fit.published_test,
                )
                key = Key(PUBLISHED, dataset, version, model, 0)
                yield key, self._sweep(task, grid, training)

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
        "models": "mlp,gnn",
        "tasks": "graph",
        "sizes": "100,300",
        "seeds": "1,2",
        "budget": "20steps",
        "published_models": "linear",
        "published_seeds": "2",
        "published_updates": 30,
        "published_test": 1000,
    },
    "laptop": {},
    "gpu": {
        "models": ",".join(ASSUMPTIONS),
        "published_models": ",".join(PUBLISHED_MODELS),
        "sizes": "250,500,1000,2000,4000",
        "seeds": "1,2,3,4,5,6,7,8,9,10",
        "rates": "0.0003,0.001,0.003,0.01",
        "budget": "4000steps",
        "published_seeds": "10",
    },
    "pod": {
        "models": ",".join(ASSUMPTIONS),
        "published_models": ",".join(PUBLISHED_MODELS),
        "tasks": SPATIAL,  # the others are generated: the gpu preset says what there is to say
        "spatial": "cifar10",
        "side": 0,
        "sizes": "1000,4000,16000,40000",
        "seeds": "1,2,3,4,5,6,7,8,9,10,11,12",
        "rates": "0.0003,0.001,0.003,0.01",
        "budget": "40000steps",
        "published_seeds": "10",
    },
}
