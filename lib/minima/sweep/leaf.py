"""One leaf of a configuration: its default, its help, and what its value must be.

Metadata on a field says how a command line shows and checks it. A check raises ValueError.
"""

from collections.abc import Callable
from dataclasses import field
from typing import Any

from minima.record.remote import unusable
from minima.sweep.grid import (
    format_floats,
    format_ints,
    format_seeds,
    parse_floats,
    parse_ints,
    parse_seeds,
)

INF = float("inf")


def in_range(low: float, high: float, *, open_low: bool = False) -> Callable[[float], None]:
    """A check that low <= value < high (or low < value)."""

    def check(value: float) -> None:
        if not (low < value if open_low else low <= value) or not value < high:
            bound = f"{'above' if open_low else 'at least'} {low:g}"
            raise ValueError(f"must be {bound}" + ("" if high == INF else f" and below {high:g}"))

    return check


BELOW_1 = in_range(0, 1)
NOT_NEGATIVE = in_range(0, INF)
AT_LEAST_1 = in_range(1, INF)


def is_clip_norm(value: float) -> None:
    """A norm above 0, or inf."""
    if not value > 0:
        raise ValueError("must be above 0; use inf for no clipping")


def is_probability(value: float) -> None:
    """From 0 to 1, both included."""
    if not 0 <= value <= 1:
        raise ValueError("must be at least 0 and at most 1")


def is_share(value: float) -> None:
    """Above 0, up to 1."""
    if not 0 < value <= 1:
        raise ValueError("must be above 0 and at most 1")


def is_folder(value: str) -> None:
    """A path, or a URL that can be used here."""
    if not value:
        raise ValueError("is empty; use . for the current folder")
    if fault := unusable(value):
        raise ValueError(fault)


def leaf(default: Any, help: str, **metadata: Any) -> Any:
    """A dataclass field; metadata may be `parse`, `format`, `choices`, `check`."""
    return field(default=default, metadata={"help": help, **metadata})


def seeds_leaf(default: tuple[int, ...], help: str) -> Any:
    """Seeds: how many (5 means 0 to 4), or which."""
    return leaf(default, help, parse=parse_seeds, format=format_seeds)


def rates_leaf(default: tuple[float, ...], help: str) -> Any:
    """Numbers above 0: a comma list or a range, such as 1e-3:1e0:log7."""
    return leaf(
        default,
        help,
        parse=lambda text: parse_floats(text, positive=True),
        format=format_floats,
    )


def sizes_leaf(default: tuple[int, ...], help: str) -> Any:
    """Whole numbers above 0: a comma list or a range, such as 16:4096:x4."""
    return leaf(default, help, parse=parse_ints, format=format_ints)
