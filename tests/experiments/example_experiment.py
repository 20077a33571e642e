"""An experiment that only prints the config it was given."""

import sys
from dataclasses import dataclass, field
from typing import Literal

import command_line
from minima.runtime.errors import UserError
from minima.sweep import grid


@dataclass(frozen=True)
class Optimizer:
    """How the weights move."""

    optimizer: Literal["sgd", "adam"] = field(default="sgd", metadata={"help": "the update rule"})
    momentum: float = 0.9
    clip: float | None = None


@dataclass(frozen=True)
class Config:
    batch_sizes: tuple[int, ...] = field(
        default=(16, 64),
        metadata={"help": "one axis", "parse": grid.parse_ints, "format": grid.format_ints},
    )
    learning_rates: tuple[float, ...] = field(
        default=(0.1,),
        metadata={"help": "other axis", "parse": grid.parse_floats, "format": grid.format_floats},
    )
    seeds: tuple[int, ...] = field(
        default=(0,), metadata={"parse": grid.parse_seeds, "format": grid.format_seeds}
    )
    epochs: int = 2
    remat: bool = False
    width: int = field(default=32, metadata={"choices": (16, 32)})
    note: str = ""
    target: str | None = None
    mode: str = "print"
    update: Optimizer = field(default_factory=Optimizer)

    def __post_init__(self):
        if self.remat and self.epochs > 5:
            raise UserError("--remat=true: needs --epochs=5 or fewer")


PRESETS = {
    "laptop": {"batch_sizes": "16:256:x4", "epochs": 1},
    "wide": {"width": 16, "optimizer": "adam", "seeds": "5"},
}


def main(config):
    if config.mode == "user_error":
        raise UserError("--target=x: there is\nno such thing")
    if config.mode == "bug":
        raise ValueError("a bug")
    if config.mode == "interrupt":
        raise KeyboardInterrupt
    if config.mode == "modules":
        print(sorted({"jax", "flax", "numpy", "tensorflow"} & set(sys.modules)))
    else:
        print(config)
    return 3 if config.mode == "three" else None


command_line.define(Config, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
