"""An experiment that trains one sweep and says where it is."""

from dataclasses import dataclass, field

import command_line
from minima import sweep
from minima.sweep.config import SweepConfig
from training import train


@dataclass(frozen=True)
class Config:
    """A sweep and nothing else."""

    sweep: SweepConfig = field(default_factory=SweepConfig)


def main(config: Config) -> int:
    """Plans and trains."""
    prepared = sweep.prepare(config.sweep, "example")
    code = train(prepared, command_line.flagfile(config))
    if code is not None:
        return code
    print(f"run: {prepared.place}")
    return 0


command_line.define(Config, {})
if __name__ == "__main__":
    command_line.run(main)
