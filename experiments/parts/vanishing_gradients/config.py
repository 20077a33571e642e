"""Configuration of vanishing gradients: which networks, how far back, how they train. Cheap."""

from dataclasses import dataclass, field, replace
from typing import Any

from minima.runtime.errors import UserError
from minima.sweep.budgets import Budget
from minima.sweep.config import (
    MODELS,
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

RECURRENT = ("rnn", "irnn", "gru", "lstm_bias0", "lstm")
KNOWN = (*RECURRENT, "transformer")
ADDING, COPYING, CLIPPING = "adding", "copying", "clipping"
JUDGED_LENGTH = 100  # what must hold is said of it
NO_CLIPPING = 1e6  # of gradient norms: none that a network survives is larger


def _leaf(default: Any, help: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help, **metadata})


def _parse_models(text: str) -> tuple[str, ...]:
    names = () if text == "none" else tuple(part.strip() for part in text.split(","))
    for name in names:
        if name not in MODELS:
            raise ValueError(f"{name!r} is no model; use {', '.join(KNOWN)}")
    return names


def _models(default: tuple[str, ...], help: str) -> Any:
    return _leaf(
        default,
        help,
        parse=_parse_models,
        format=lambda names: ",".join(names) or "none",
    )


def _ints(default: tuple[int, ...], help: str) -> Any:
    return sizes_leaf(default, help)


def _rates(default: tuple[float, ...], help: str) -> Any:
    return rates_leaf(default, help)


def _seeds(default: tuple[int, ...], help: str) -> Any:
    return seeds_leaf(default, help)


@dataclass(frozen=True)
class MemoryConfig:
    """Networks, tasks, and how far back they have to remember."""

    models: tuple[str, ...] = _models(KNOWN, "networks on the adding problem, the lstm among them")
    lengths: tuple[int, ...] = _ints((25, 100), "steps of the adding problem, rising")
    copying_models: tuple[str, ...] = _models(
        ("rnn", "lstm", "transformer"), "networks on the copying task; none to leave it out"
    )
    copying_lengths: tuple[int, ...] = _ints((25,), "steps of the copying task, rising")
    width: int = _leaf(16, "units of a network")
    batch_size: int = _leaf(32, "examples of an update, all drawn anew")
    learning_rates: tuple[float, ...] = _rates(
        (0.003, 0.01), "of these each network gets the one that is best for it on --choosing_seeds"
    )
    choosing_seeds: tuple[int, ...] = _seeds((0,), "which choose rates and report nothing")
    seeds: tuple[int, ...] = _seeds(
        (201, 202, 203, 204, 205), "which report: how many (5 means 0 to 4), or which"
    )
    initial_seeds: int = _leaf(40, "fresh networks whose gradients are followed back in time")
    followed: int = _leaf(64, "test examples on which gradients are followed")


@dataclass(frozen=True)
class ClippingConfig:
    """The other side: gradients that explode, with and without clipping."""

    clipped_model: str = _leaf("irnn", "a network whose gradients explode")
    clipped_length: int = _leaf(20, "steps of its adding problem")
    clipped_rates: tuple[float, ...] = _rates((0.03, 0.1), "of plain gradient descent")
    clipped_updates: int = _leaf(1200, "how many it makes, of --batch_size examples")
    clip_norm_on: float = _leaf(1.0, "the largest norm of a clipped gradient")


@dataclass(frozen=True)
class VanishingConfig:
    """Vanishing and exploding gradients: three kinds of sweeps."""

    memory: MemoryConfig = MemoryConfig()
    clipping: ClippingConfig = ClippingConfig()
    training: TrainingConfig = TrainingConfig(
        optimizer="adam",
        budget=Budget(steps=600),
        evaluations=12,
        clip_norm=1.0,
        decay="linear",
    )
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig(snapshots=1)
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what nothing could be said of.

        Raises:
          UserError: names the flag.
        """
        memory = self.memory
        for flag, names in (
            ("models", memory.models),
            ("copying_models", memory.copying_models),
            ("clipped_model", (self.clipping.clipped_model,)),
        ):
            for name in names:
                if name not in KNOWN:
                    raise UserError(
                        f"--{flag}={name}: gradients are followed through {', '.join(KNOWN)}"
                    )
        if not memory.models:
            raise UserError("--models=none: there is nothing to train; use rnn,lstm or more")
        if shared := set(memory.seeds) & set(memory.choosing_seeds):
            raise UserError(
                f"--seeds={format_seeds(memory.seeds)}: {min(shared)} is one of --choosing_seeds, "
                "which choose rates; let others report"
            )
        if len(memory.seeds) < 2:
            raise UserError("--seeds: one seed has no interval; use 2 or more, such as 201,202,203")
        if self.record.snapshots < 1:
            raise UserError("--snapshots=0: gradients are followed through minima; use 1 or more")
        if memory.initial_seeds < 2 or memory.followed < 1:
            raise UserError(
                f"--initial_seeds={memory.initial_seeds} --followed={memory.followed}: use 2 fresh "
                "networks and 1 example, or more"
            )

    def sweeps(self) -> dict[str, SweepConfig]:
        """By "task/model/length": all rates and seeds of a network, in one program each."""
        memory, found = self.memory, {}
        for model in memory.models:
            for length in memory.lengths:
                found[f"{ADDING}/{model}/{length}"] = self._sweep(ADDING, model, length)
        for model in memory.copying_models:
            for length in memory.copying_lengths:
                found[f"{COPYING}/{model}/{length}"] = self._sweep(COPYING, model, length)
        found[CLIPPING] = self._clipping()
        return found

    def _sweep(self, task: str, model: str, length: int) -> SweepConfig:
        memory = self.memory
        seeds = tuple(sorted((*memory.choosing_seeds, *memory.seeds)))
        grid = GridConfig((memory.batch_size,), memory.learning_rates, seeds)
        return self._of(self._task(task, model, length), grid, self.training)

    def _clipping(self) -> SweepConfig:
        clipping, memory = self.clipping, self.memory
        grid = GridConfig(
            (memory.batch_size,),
            clipping.clipped_rates,
            memory.seeds,
            axes=(("clip_norm", (clipping.clip_norm_on, NO_CLIPPING)),),
        )
        plain = replace(
            self.training,
            optimizer="sgd",
            clip_norm=TrainingConfig().clip_norm,
            budget=Budget(steps=clipping.clipped_updates),
        )
        task = self._task(ADDING, clipping.clipped_model, clipping.clipped_length)
        return self._of(task, grid, plain)

    def _task(self, task: str, model: str, length: int) -> TaskConfig:
        loss: Any = "squared_error" if task == ADDING else "cross_entropy"
        return TaskConfig(
            dataset=task, window=length, model=model, width=self.memory.width, loss=loss
        )

    def _of(self, task: TaskConfig, grid: GridConfig, training: TrainingConfig) -> SweepConfig:
        return SweepConfig(
            task,
            grid,
            training,
            engine=self.engine,
            record=self.record,
            processes=self.processes,
        )


_LONG: dict[str, object] = {
    "lengths": "25,50,100,200,400",
    "copying_models": ",".join(KNOWN),
    "copying_lengths": "25,50,100,200,400",
    "width": 64,
    "learning_rates": "0.0003,0.001,0.003,0.01",
    "choosing_seeds": "0,1,2",
    "seeds": "201,202,203,204,205,206,207,208,209,210",
    "budget": "20000steps",
    "evaluations": 40,
}

PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "models": "rnn,lstm",
        "lengths": "12",
        "copying_models": "transformer",
        "copying_lengths": "14",
        "learning_rates": "0.01",
        "seeds": "201,202",
        "initial_seeds": 2,
        "followed": 8,
        "clipped_length": 10,
        "clipped_rates": "0.1",
        "clipped_updates": 20,
        "budget": "20steps",
        "evaluations": 4,
    },
    "laptop": {},
    "gpu": _LONG,
    "pod": _LONG | {"width": 128, "batch_size": 128, "budget": "100000steps"},
}
