"""Configuration of backpropagation: which networks are counted, checked and looked into. Cheap."""

from dataclasses import dataclass

from minima.runtime.errors import UserError
from minima.sweep.config import MODELS, RecordConfig
from minima.sweep.grid import format_ints
from minima.sweep.leaf import AT_LEAST_1, leaf, seeds_leaf, sizes_leaf


def _read_families(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if unknown := [name for name in names if name not in MODELS]:
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(MODELS)}")
    if len(set(names)) < len(names):
        raise ValueError("a family comes twice")
    return names


def _ints(default: tuple[int, ...], help: str) -> tuple[int, ...]:
    ints: tuple[int, ...] = sizes_leaf(default, help)
    return ints


@dataclass(frozen=True)
class PriceConfig:
    """What gradients cost, and whether they are right."""

    families: tuple[str, ...] = leaf(
        MODELS, "of models, such as mlp,lstm", parse=_read_families, format=",".join
    )
    batch: int = leaf(32, "examples in the passes that are counted and timed", check=AT_LEAST_1)
    weights_checked: int = leaf(
        6, "of each tensor, drawn at random, against finite differences", check=AT_LEAST_1
    )
    check_examples: int = leaf(3, "in the loss that is checked", check=AT_LEAST_1)
    widths: tuple[int, ...] = _ints(
        (2, 4, 8, 16, 32, 64), "of an MLP whose whole gradient is taken by finite differences, too"
    )


@dataclass(frozen=True)
class SignalConfig:
    """How much of the error signal reaches each layer of an MLP before it is trained."""

    depths: tuple[int, ...] = _ints((4, 8, 16, 32), "hidden layers")
    signal_width: int = leaf(64, "units of each", check=AT_LEAST_1)
    signal_examples: int = leaf(64, "whose error is followed", check=AT_LEAST_1)
    seeds: tuple[int, ...] = seeds_leaf(
        (0, 1, 2, 3, 4, 5, 6, 7), "of initial weights: how many (5 means 0 to 4), or which"
    )


@dataclass(frozen=True)
class BackpropagationConfig:
    """Backpropagation: its price, its correctness, and how far it reaches. Nothing is trained."""

    price: PriceConfig = PriceConfig()
    signal: SignalConfig = SignalConfig()
    record: RecordConfig = RecordConfig(snapshots=0)

    def __post_init__(self) -> None:
        """Refuses what tells no slope.

        Raises:
          UserError: names the flag.
        """
        for flag, values in (("widths", self.price.widths), ("depths", self.signal.depths)):
            if len(values) < 2:
                raise UserError(f"--{flag}={format_ints(values)}: one tells no slope; use several")


PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "families": "linear,mlp",
        "batch": 4,
        "weights_checked": 3,
        "widths": "2,8",
        "depths": "2,4",
        "signal_width": 16,
        "signal_examples": 8,
        "seeds": "5",
    },
    "laptop": {},
    "gpu": {
        "batch": 512,
        "weights_checked": 64,
        "check_examples": 8,
        "widths": "2:1024:x2",
        "depths": "4:256:x2",
        "signal_width": 512,
        "signal_examples": 256,
        "seeds": "32",
    },
    "pod": {
        "batch": 4096,
        "weights_checked": 256,
        "check_examples": 8,
        "widths": "2:4096:x2",
        "depths": "4:1024:x2",
        "signal_width": 1024,
        "signal_examples": 512,
        "seeds": "64",
    },
}
