"""Configuration of scaling laws: texts, models, widths, amounts of text. Cheap to import."""

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
from minima.sweep.leaf import seeds_leaf, sizes_leaf

LSTM, TRANSFORMER = "lstm", "transformer"
PARAMETERS, DATA = "parameters", "data"
MARKOV = "markov"  # its entropy is known
LEAST_POINTS = 3  # as many as a law with an asymptote has numbers


class Key(NamedTuple):
    """One sweep: seeds of one width on one amount of text; 0 windows: all of them."""

    text: str
    model: str
    width: int
    windows: int

    def __str__(self) -> str:
        """A name for people."""
        size = f"{self.windows} windows" if self.windows else "all windows"
        return f"{self.text}, {self.model}, width {self.width}, {size}"


def _leaf(default: Any, help: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"help": help, **metadata})


def _ints(default: tuple[int, ...], help: str) -> Any:
    return sizes_leaf(default, help)


@dataclass(frozen=True)
class ScalingConfig:
    """How large, with how much."""

    text: str = _leaf("kjv", "kjv or text:PATH, whose entropy nobody knows")
    control: bool = _leaf(True, "also a Markov source, whose entropy is known")
    models: tuple[str, ...] = _leaf(
        (LSTM, TRANSFORMER),
        "lstm, transformer or both",
        parse=lambda text: tuple(part.strip() for part in text.split(",")),
        format=",".join,
    )
    widths: tuple[int, ...] = _ints((16, 32, 48, 64), "of a network, with all of the text")
    windows: tuple[int, ...] = _ints((100, 300, 1000), "of text for the widest network; then all")
    text_window: int = _leaf(32, "characters of a window")
    batch: int = _leaf(32, "windows of an update")
    lstm_rate: float = _leaf(0.01, "Adam's, for the LSTM")
    transformer_rate: float = _leaf(0.003, "Adam's, for the transformer")
    seeds: tuple[int, ...] = seeds_leaf((1, 2, 3), "how many (5 means 0 to 4), or which")


@dataclass(frozen=True)
class ScalingLawsConfig:
    """Loss against parameters and data."""

    scaling: ScalingConfig = ScalingConfig()
    training: TrainingConfig = TrainingConfig(
        optimizer="adam", budget=Budget(steps=300), decay="cosine", clip_norm=1.0, evaluations=8
    )
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig(snapshots=0, tensorboard=False)
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what no law can be fitted to.

        Raises:
          UserError: names the flag.
        """
        scaling = self.scaling
        if not set(scaling.models) <= {LSTM, TRANSFORMER} or not scaling.models:
            raise UserError(
                f"--models={','.join(scaling.models)}: knows lstm and transformer; name one or both"
            )
        points = {"widths": len(scaling.widths), "windows": len(scaling.windows) + 1}
        for name, count in points.items():
            if count < LEAST_POINTS:
                raise UserError(
                    f"--{name}: {count} points are too few for a law with an asymptote; give "
                    f"{LEAST_POINTS - (name == 'windows')} or more"
                )
        if not (scaling.text == "kjv" or scaling.text.startswith("text:")):
            raise UserError(f"--text={scaling.text}: is no text; use kjv or text:PATH")
        if self.training.optimizer != "adam":
            raise UserError(f"--optimizer={self.training.optimizer}: rates are Adam's; use adam")

    @property
    def texts(self) -> tuple[str, ...]:
        """What is read."""
        return (self.scaling.text, MARKOV) if self.scaling.control else (self.scaling.text,)

    def sweeps(self) -> dict[Key, SweepConfig]:
        """Every width with all of the text, and the widest with parts of it."""
        return dict(self._sweeps())

    def _sweeps(self) -> Iterator[tuple[Key, SweepConfig]]:
        scaling = self.scaling
        widest = scaling.widths[-1]
        shapes = [(width, 0) for width in scaling.widths]
        shapes += [(widest, windows) for windows in scaling.windows]
        rates = {LSTM: scaling.lstm_rate, TRANSFORMER: scaling.transformer_rate}
        for text in self.texts:
            for model in scaling.models:
                grid = GridConfig((scaling.batch,), (rates[model],), scaling.seeds)
                task = TaskConfig(
                    dataset=text,
                    window=scaling.text_window,
                    validation_fraction=0.05,
                    model=model,
                )
                for width, windows in shapes:
                    asked = replace(task, width=width, train_examples=windows)
                    yield (
                        Key(text, model, width, windows),
                        SweepConfig(
                            asked,
                            grid,
                            self.training,
                            engine=self.engine,
                            record=self.record,
                            processes=self.processes,
                        ),
                    )


PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "models": "lstm",
        "control": False,
        "widths": "16,32,48",
        "windows": "40,80",
        "text_window": 16,
        "seeds": "2",
        "budget": "20steps",
        "evaluations": 2,
    },
    "laptop": {},
    "gpu": {
        "widths": "32,64,128,256,512",
        "windows": "100,300,1000,2000",
        "text_window": 128,
        "batch": 64,
        "lstm_rate": 0.003,
        "transformer_rate": 0.001,
        "seeds": "1,2,3,4,5",
        "budget": "8000steps",
        "evaluations": 32,
    },
    # With --text=text:PATH of 100 million characters.
    "pod": {
        "widths": "64,128,256,512,1024",
        "windows": "1000,3000,10000,30000,100000",
        "text_window": 256,
        "batch": 128,
        "lstm_rate": 0.002,
        "transformer_rate": 0.0005,
        "control": False,
        "seeds": "1,2,3,4,5",
        "budget": "100000steps",
        "evaluations": 64,
    },
}
