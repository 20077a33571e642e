"""Configuration of long-range coherence: what music, which networks, how they train. Cheap."""

from dataclasses import dataclass, replace
from typing import Any

import tuned
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
from minima.sweep.leaf import AT_LEAST_1, INF, in_range, leaf, rates_leaf, seeds_leaf

CNN, LSTM, TRANSFORMER = "cnn_causal", "lstm", "transformer"
MODELS = (CNN, LSTM, TRANSFORMER)
SECONDS = (1, 10, 30)  # at which coherence is scored
AMBIENT, AMBIENT_RATE = "ambient", 3  # notes a second
LEAST_PAIRS = 8  # notes of a piece with one 30 s before them


@dataclass(frozen=True)
class MusicConfig:
    """What is learned, and what is asked of it."""

    dataset: str = leaf(
        AMBIENT, "ambient, a generated stand-in; or text:PATH, a text of one character a note"
    )
    window: int = leaf(150, "notes of a piece", check=AT_LEAST_1)
    notes_per_second: int = leaf(
        AMBIENT_RATE, "how many notes of the dataset are a second", check=AT_LEAST_1
    )
    pieces: int = leaf(48, "that each network writes from each seed", check=AT_LEAST_1)
    temperature: float = leaf(
        1.0, "of what it writes; logits are divided by it", check=in_range(0, INF, open_low=True)
    )


@dataclass(frozen=True)
class NetworkConfig:
    """Three networks of about as many parameters."""

    cnn_width: int = leaf(42, "channels of the convolutions", check=AT_LEAST_1)
    cnn_depth: int = leaf(4, "of them: each hears four notes further back", check=AT_LEAST_1)
    lstm_width: int = leaf(64, "units of the LSTM", check=AT_LEAST_1)
    transformer_width: int = leaf(48, "features of the transformer", check=AT_LEAST_1)
    transformer_depth: int = leaf(1, "its blocks", check=AT_LEAST_1)

    def of(self, model: str) -> dict[str, Any]:
        """Width and depth of a network."""
        return {
            CNN: {"width": self.cnn_width, "depth": self.cnn_depth},
            LSTM: {"width": self.lstm_width},
            TRANSFORMER: {"width": self.transformer_width, "depth": self.transformer_depth},
        }[model]


@dataclass(frozen=True)
class SeedConfig:
    """Which runs choose, and which are reported."""

    learning_rates: tuple[float, ...] = rates_leaf(
        (0.005, 0.015), "to choose from, for each network"
    )
    tuning_seeds: tuple[int, ...] = seeds_leaf((100,), "that choose the rate")
    seeds: tuple[int, ...] = seeds_leaf(
        (0, 1, 2, 3, 4), "that are reported: how many (5 means 0 to 4), or which"
    )
    batch_size: int = leaf(8, "pieces of an update", check=AT_LEAST_1)


@dataclass(frozen=True)
class CoherenceConfig:
    """Long-range coherence: three language models of one music."""

    music: MusicConfig = MusicConfig()
    networks: NetworkConfig = NetworkConfig()
    runs: SeedConfig = SeedConfig()
    training: TrainingConfig = TrainingConfig(
        optimizer="adam",
        budget=Budget(steps=1200),
        evaluations=10,
        clip_norm=1.0,
        decay="linear",
        decay_fraction=0.3,
    )
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig(snapshots=1)
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what could not be scored.

        Raises:
          UserError: names the flag.
        """
        music, runs = self.music, self.runs
        if music.dataset != AMBIENT and not music.dataset.startswith("text:"):
            raise UserError(
                f"--dataset={music.dataset}: must be music as tokens: ambient, or text:PATH of one "
                "character a note"
            )
        if music.dataset == AMBIENT and music.notes_per_second != AMBIENT_RATE:
            raise UserError(
                f"--notes_per_second={music.notes_per_second}: --dataset=ambient has "
                f"{AMBIENT_RATE}; leave it out"
            )
        least = SECONDS[-1] * music.notes_per_second + LEAST_PAIRS * AMBIENT_RATE
        if music.window < least:
            raise UserError(
                f"--window={music.window}: coherence at {SECONDS[-1]} s needs {least} notes or "
                f"more at {music.notes_per_second} a second"
            )
        if self.record.snapshots < 1:
            raise UserError("--snapshots=0: networks write from what is kept of them; use 1")
        tuned.check_seeds(runs.tuning_seeds, runs.seeds)

    def sweeps(self) -> dict[str, SweepConfig]:
        """A grid of rates and reporting seeds for each network."""
        music, runs = self.music, self.runs
        task = TaskConfig(dataset=music.dataset, window=music.window, validation_fraction=0.05)
        grid = GridConfig((runs.batch_size,), runs.learning_rates, runs.seeds)
        return {
            model: SweepConfig(
                replace(task, model=model, **self.networks.of(model)),
                grid,
                self.training,
                engine=self.engine,
                record=self.record,
                processes=self.processes,
            )
            for model in MODELS
        }


_LARGE = {
    "cnn_width": 208,
    "lstm_width": 384,
    "transformer_width": 256,
    "transformer_depth": 4,
    "cnn_depth": 8,
    "window": 300,
    "seeds": "10",
    "tuning_seeds": "100,101,102",
    "learning_rates": "0.0003,0.001,0.003",
    "batch_size": 64,
    "budget": "20000steps",
    "pieces": 64,
}
PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "window": 120,
        "cnn_width": 12,
        "lstm_width": 16,
        "transformer_width": 16,
        "seeds": "2",
        "budget": "20steps",
        "evaluations": 2,
        "pieces": 2,
    },
    "laptop": {},
    "gpu": _LARGE,
    "pod": {**_LARGE, "transformer_width": 512, "cnn_width": 416, "lstm_width": 768},
}
