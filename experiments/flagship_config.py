"""The flagship's configuration: a sweep, and what is trained beside it. Cheap to import."""

from dataclasses import dataclass, field

from minima.sweep.config import SweepConfig

BRANCHES = ("updates", "schedules", "infinite")


def parse_branches(text: str) -> tuple[str, ...]:
    """Reads `updates,schedules`, `all` or `none`.

    Raises:
      ValueError: an unknown name.
    """
    if text in ("all", "none"):
        return BRANCHES if text == "all" else ()
    names = tuple(text.replace(" ", "").split(","))
    if unknown := [name for name in names if name not in BRANCHES]:
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(BRANCHES)}, all, none")
    return tuple(name for name in BRANCHES if name in names)


def format_branches(names: tuple[str, ...]) -> str:
    """The text that `parse_branches` reads as these names."""
    return "all" if names == BRANCHES else ",".join(names) or "none"


@dataclass(frozen=True)
class VerdictConfig:
    """What is trained beside the plane, for its verdict."""

    branches: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "updates, schedules, infinite; all or none of them",
            "parse": parse_branches,
            "format": format_branches,
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
    """A plane and its verdict."""

    sweep: SweepConfig = field(default_factory=SweepConfig)
    verdict: VerdictConfig = VerdictConfig()
