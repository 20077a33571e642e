"""Configuration of the cost of attention: lengths, widths, and the search for a needle. Cheap."""

from dataclasses import dataclass

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
from minima.sweep.grid import format_ints
from minima.sweep.leaf import AT_LEAST_1, in_range, leaf, seeds_leaf, sizes_leaf

TRANSFORMER, LSTM, GRU, RNN = "transformer", "lstm", "gru", "rnn"
MODELS = (TRANSFORMER, LSTM, GRU, RNN)
FAR = 64  # widths; from here on a length counts as much larger than the width
_HEAD = 16  # features of a head of attention: widths are multiples


def _ints(default: tuple[int, ...], help: str) -> tuple[int, ...]:
    ints: tuple[int, ...] = sizes_leaf(default, help)
    return ints


def _rate(default: float) -> float:
    rate: float = leaf(
        default, "Adam's, settled on seeds 0 and 1", check=in_range(0, 1, open_low=True)
    )
    return rate


@dataclass(frozen=True)
class CostConfig:
    """What is counted, compiled and timed: a transformer of one block and an LSTM of one layer."""

    width: int = leaf(16, "of both, where exponents are fitted", check=AT_LEAST_1)
    lengths: tuple[int, ...] = _ints(
        (1024, 2048, 4096, 8192), "at which exponents are fitted, from 64 widths up; nothing runs"
    )
    chunk: int = leaf(128, "positions that chunked attention looks at together", check=AT_LEAST_1)
    widths: tuple[int, ...] = _ints(
        (16, 32, 64, 128, 256), "at which the length is sought where attention overtakes the LSTM"
    )
    timed_lengths: tuple[int, ...] = _ints(
        (256, 512, 1024, 2048), "at which both run, and are timed"
    )
    timed_width: int = leaf(64, "of both, where they are timed", check=AT_LEAST_1)


@dataclass(frozen=True)
class NeedleConfig:
    """The search for a needle: what one symbol was, told so many symbols later."""

    distances: tuple[int, ...] = _ints((4, 16, 48), "from the needle to the end")
    needle_length: int = leaf(50, "tokens of a sequence", check=in_range(4, 2**20))
    needle_width: int = leaf(32, "of all networks, one layer or block each", check=AT_LEAST_1)
    transformer_rate: float = _rate(0.003)
    lstm_rate: float = _rate(0.003)
    gru_rate: float = _rate(0.01)
    rnn_rate: float = _rate(0.003)
    needle_batch: int = leaf(32, "batch size", check=AT_LEAST_1)
    needle_examples: int = leaf(20_000, "that a network trains on", check=AT_LEAST_1)
    seeds: tuple[int, ...] = seeds_leaf((2, 3, 4, 5, 6), "how many (5 means 0 to 4), or which")


@dataclass(frozen=True)
class AttentionConfig:
    """The cost of attention against that of recurrence, and what it buys."""

    cost: CostConfig = CostConfig()
    needle: NeedleConfig = NeedleConfig()
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig(snapshots=0)
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what fits no network, or tells no exponent.

        Raises:
          UserError: names the flag.
        """
        cost = self.cost
        named = {"width": cost.width, "timed_width": cost.timed_width}
        named["needle_width"] = self.needle.needle_width
        for flag, width in [*named.items(), *(("widths", width) for width in cost.widths)]:
            if width % _HEAD:
                raise UserError(
                    f"--{flag}={width}: heads of attention have {_HEAD} features; use a multiple"
                )
        if cost.lengths[0] < FAR * cost.width:
            raise UserError(
                f"--lengths={format_ints(cost.lengths)}: exponents are those of lengths far beyond "
                f"the width; start at {FAR} times --width={cost.width}, {FAR * cost.width}"
            )
        for flag in ("lengths", "widths", "timed_lengths"):
            values = getattr(cost, flag)
            if len(values) < 2:
                raise UserError(f"--{flag}={format_ints(values)}: one tells no slope; use several")
        shortest = min(cost.lengths[0], cost.timed_lengths[0])
        if cost.chunk >= shortest:
            raise UserError(
                f"--chunk={cost.chunk}: the shortest sequences have {shortest} positions; use fewer"
            )
        farthest = self.needle.needle_length - 2
        if self.needle.distances[-1] > farthest:
            raise UserError(
                f"--distances={format_ints(self.needle.distances)}: a sequence of "
                f"--needle_length={self.needle.needle_length} reaches {farthest} at most"
            )
        if len(self.needle.distances) < 2:
            raise UserError(
                f"--distances={format_ints(self.needle.distances)}: one distance tells nothing of "
                "others; use several"
            )

    def sweeps(self) -> dict[tuple[str, int], SweepConfig]:
        """By model and distance; all seeds of one are trained by one program."""
        return {
            (model, distance): self._sweep(model, distance)
            for model in MODELS
            for distance in self.needle.distances
        }

    def _sweep(self, model: str, distance: int) -> SweepConfig:
        needle = self.needle
        rate = getattr(needle, f"{model}_rate")
        return SweepConfig(
            TaskConfig(
                dataset=f"needle:{distance}",
                window=needle.needle_length,
                validation_fraction=0.05,
                model=model,
                width=needle.needle_width,
                depth=1,
            ),
            GridConfig((needle.needle_batch,), (rate,), needle.seeds),
            TrainingConfig(
                optimizer="adam",
                budget=Budget(examples=needle.needle_examples),
                evaluations=5,
                clip_norm=1.0,
            ),
            engine=self.engine,
            record=self.record,
            processes=self.processes,
        )


PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "lengths": "1024,2048",
        "widths": "16,32",
        "timed_lengths": "64,128",
        "timed_width": 16,
        "chunk": 32,
        "distances": "2,6",
        "needle_length": 8,
        "needle_width": 16,
        "needle_examples": 1000,
        "seeds": "2,3",
    },
    "laptop": {},
    "gpu": {
        "lengths": "4096:65536:x2",
        "width": 64,
        "widths": "64:1024:x2",
        "timed_lengths": "1024:16384:x2",
        "timed_width": 256,
        "chunk": 512,
        "distances": "16,64,256,1000",
        "needle_length": 1024,
        "needle_width": 128,
        "needle_batch": 64,
        "transformer_rate": 0.001,
        "needle_examples": 500_000,
        "seeds": "2,3,4,5,6,7,8,9",
    },
    "pod": {
        "lengths": "16384:1048576:x2",
        "width": 256,
        "widths": "64:4096:x2",
        "timed_lengths": "2048:32768:x2",
        "timed_width": 1024,
        "chunk": 1024,
        "distances": "16,64,256,1024,4000",
        "needle_length": 4096,
        "needle_width": 256,
        "needle_batch": 256,
        "transformer_rate": 0.001,
        "needle_examples": 2_000_000,
        "seeds": "2,3,4,5,6,7,8,9,10,11",
    },
}
