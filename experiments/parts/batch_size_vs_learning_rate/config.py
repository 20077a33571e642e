"""The flagship's configuration: a sweep, and what is trained beside it. Cheap to import."""

from dataclasses import dataclass, field

from minima.runtime.errors import UserError
from minima.sweep.config import SweepConfig

BRANCHES = ("updates", "schedules", "infinite")
# Of landscape.panels.
PANELS = ("hessian", "sharpness", "noise", "norms", "quantisation", "preconditioned")


@dataclass(frozen=True)
class Names:
    """Some of a list of names, as a flag: `updates,schedules`, `all` or `none`."""

    known: tuple[str, ...]

    def parse(self, text: str) -> tuple[str, ...]:
        """The names in the list's order.

        Raises:
          ValueError: an unknown name.
        """
        if text in ("all", "none"):
            return self.known if text == "all" else ()
        names = tuple(text.replace(" ", "").split(","))
        if unknown := [name for name in names if name not in self.known]:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(self.known)}, all, none")
        return tuple(name for name in self.known if name in names)

    def format(self, names: tuple[str, ...]) -> str:
        """The text that `parse` reads as these names."""
        return "all" if names == self.known else ",".join(names) or "none"


def _not_negative(value: int) -> None:
    if value < 0:
        raise ValueError("must be at least 0; 0 is all of them")


@dataclass(frozen=True)
class LandscapeConfig:
    """What is measured at the minimum of every cell."""

    measure: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "hessian, sharpness, noise, norms, quantisation, preconditioned; all or none "
            "of them",
            "parse": Names(PANELS).parse,
            "format": Names(PANELS).format,
        },
    )
    measure_examples: int = field(
        default=1000,
        metadata={
            "help": "training examples that minima are measured on, the first ones; 0: all",
            "check": _not_negative,
        },
    )


@dataclass(frozen=True)
class VerdictConfig:
    """What is trained beside the plane, for its verdict."""

    branches: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "updates, schedules, infinite; all or none of them",
            "parse": Names(BRANCHES).parse,
            "format": Names(BRANCHES).format,
        },
    )
    claims: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "ids of the claims to judge (python -m minima claims); all of them",
            "parse": lambda text: () if text == "all" else tuple(text.split(",")),
            "format": lambda ids: ",".join(ids) or "all",
        },
    )


@dataclass(frozen=True)
class FlagshipConfig:
    """A plane, its minima and its verdict."""

    sweep: SweepConfig = field(default_factory=SweepConfig)
    landscape: LandscapeConfig = LandscapeConfig()
    verdict: VerdictConfig = VerdictConfig()

    def __post_init__(self) -> None:
        """Refuses to measure what is not kept.

        Raises:
          UserError: names the flag.
        """
        if self.landscape.measure and not self.sweep.record.snapshots:
            raise UserError("--snapshots=0: --measure looks at kept states; use 1 or more")
