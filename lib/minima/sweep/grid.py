"""The grid of a sweep, and the short strings that name its axes on a command line.

An axis is written as a comma list (`16,64,256`) or as a range: `16:4096:x4` multiplies,
`1e-3:1e0:log12` and `0:1:lin5` space a number of values evenly. Each `parse_*` has a `format_*`
whose string parses back to the same tuple. Everything raises ValueError with a one-line message.
"""

import functools
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:  # a command line is read without it
    import numpy as np
    from numpy.typing import NDArray

Number = TypeVar("Number", int, float)

MOST_VALUES = 1_000_000
_RANGE = re.compile(r"(?P<start>[^:]+):(?P<stop>[^:]+):(?P<kind>x|log|lin)(?P<count>\d{1,18})")
_INTS_EXAMPLE = "use e.g. 16,64,256 or 16:4096:x4"
_FLOATS_EXAMPLE = "use e.g. 0.1,0.3 or 1e-3:1e0:log12"
_AXES_EXAMPLE = "use e.g. dropout=0,0.5;weight_decay=0,1e-3"
_SEEDS_EXAMPLE = "use e.g. 5 for seeds 0 to 4, or 0,3,7"


@dataclass(frozen=True)
class Grid:
    """The cartesian product of named axes; the last axis varies fastest."""

    axes: tuple[tuple[str, tuple[Any, ...]], ...]

    def __post_init__(self) -> None:
        """Refuse what would make a cell ambiguous or the grid absurd."""
        names = [name for name, _ in self.axes]
        if len(set(names)) < len(names):
            raise ValueError(f"two axes share a name: {', '.join(names)}")
        for name, values in self.axes:
            if not values:
                raise ValueError(f"the axis {name} is empty")
            if len(set(values)) < len(values):
                raise ValueError(f"the axis {name} holds a value twice")
        if len(self) > MOST_VALUES:
            raise ValueError(f"{len(self):,} cells are too many; the most is {MOST_VALUES:,}")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the axes, in order."""
        return tuple(name for name, _ in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis, in order."""
        return tuple(len(values) for _, values in self.axes)

    def __len__(self) -> int:
        """Count the cells."""
        return math.prod(self.shape)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Every cell, in product order."""
        for point in itertools.product(*(values for _, values in self.axes)):
            yield dict(zip(self.names, point, strict=True))

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The cell at a place in product order, made on demand: a million would take memory."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"{len(self)} cells have no number {index}")
        index %= len(self)
        cell = {}
        for name, values in reversed(self.axes):
            index, place = divmod(index, len(values))
            cell[name] = values[place]
        return {name: cell[name] for name in self.names}

    def places(self, name: str) -> "NDArray[np.int64]":
        """(cells,) where on an axis each cell is."""
        import numpy as np

        return np.indices(self.shape)[self.names.index(name)].reshape(-1)

    def index(self, cell: Mapping[str, Any]) -> int:
        """The place of a cell in product order."""
        if set(cell) != set(self.names):
            raise ValueError(f"a cell names {', '.join(self.names)}; this one {', '.join(cell)}")
        place = 0
        for name, places in self._places.items():
            if cell[name] not in places:
                raise ValueError(f"{name}={cell[name]} is not on the grid")
            place = place * len(places) + places[cell[name]]
        return place

    @functools.cached_property
    def _places(self) -> dict[str, dict[Any, int]]:
        """By axis, where each of its values is: looking one up must not walk a thousand seeds."""
        return {name: {v: i for i, v in enumerate(values)} for name, values in self.axes}


def parse_ints(text: str) -> tuple[int, ...]:
    """Positive whole numbers: `16,64,256` or `16:4096:x4`."""
    span = _span(text, ("x",), _INTS_EXAMPLE)
    if span is None:
        return _checked(_listed(text, _int, _INTS_EXAMPLE), 1)
    start, stop, _, factor = span
    return _checked(_multiplied(_int(start, _INTS_EXAMPLE), _int(stop, _INTS_EXAMPLE), factor), 1)


def parse_floats(text: str, positive: bool = False) -> tuple[float, ...]:
    """Numbers from zero up (or above it): `0.1,0.3`, `1e-3:1e0:log12` or `0:1:lin5`."""
    span = _span(text, ("log", "lin"), _FLOATS_EXAMPLE)
    if span is None:
        values = _listed(text, _float, _FLOATS_EXAMPLE)
    else:
        start, stop, kind, count = span
        ends = _float(start, _FLOATS_EXAMPLE), _float(stop, _FLOATS_EXAMPLE)
        values = _spaced(*ends, kind, count)
    return _checked(values, 0, exclusive=positive)


def parse_seeds(text: str) -> tuple[int, ...]:
    """How many seeds (`5` means 0 to 4), or which (`0,3,7`; a lone seed is `7,`)."""
    text = text.strip()
    if "," in text:
        return _checked(_listed(text.removesuffix(","), _int, _SEEDS_EXAMPLE), 0)
    count = _int(text, _SEEDS_EXAMPLE)
    if count < 1:
        raise ValueError(f"{count} seeds are too few; {_SEEDS_EXAMPLE}")
    _refuse_too_many(count)
    return tuple(range(count))


def parse_axes(text: str) -> tuple[tuple[str, tuple[float, ...]], ...]:
    """Named axes of numbers, `dropout=0,0.5;weight_decay=0,1e-3`, or `none`."""
    if text.strip() == "none":
        return ()
    axes = []
    for part in text.split(";"):
        name, equals, values = part.strip().partition("=")
        if not (equals and name.isidentifier()):
            raise ValueError(f"{_quoted(part)} is no axis; {_AXES_EXAMPLE}")
        try:
            axes.append((name, parse_floats(values)))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    names = [name for name, _ in axes]
    if len(set(names)) < len(names):
        raise ValueError(f"an axis comes twice; {_AXES_EXAMPLE}")
    return tuple(axes)


def format_axes(axes: Sequence[tuple[str, Sequence[float]]]) -> str:
    """The string that `parse_axes` reads as these axes."""
    return ";".join(f"{name}={format_floats(values)}" for name, values in axes) or "none"


def format_ints(values: Sequence[int]) -> str:
    """The shortest string that `parse_ints` reads as these values."""
    if len(values) > 3 and values[1] % values[0] == 0:
        return _first_exact(values, parse_ints, [f"{_ends(values)}:x{values[1] // values[0]}"])
    return _comma_list(values)


def format_floats(values: Sequence[float]) -> str:
    """The shortest string that `parse_floats` reads as these values."""
    if len(values) > 3:
        spans = [f"{_ends(values)}:{kind}{len(values)}" for kind in ("log", "lin")]
        return _first_exact(values, parse_floats, spans)
    return _comma_list(values)


def format_seeds(values: Sequence[int]) -> str:
    """The shortest string that `parse_seeds` reads as these values."""
    if tuple(values) == tuple(range(len(values))):
        return str(len(values))
    return f"{values[0]}," if len(values) == 1 else _comma_list(values)


def _span(text: str, kinds: tuple[str, ...], example: str) -> tuple[str, str, str, int] | None:
    """The parts of a range, or None where the text is a list."""
    if ":" not in text:
        return None
    match = _RANGE.fullmatch(text.strip())
    if match is None or match["kind"] not in kinds:
        ends = " or ".join(f":{kind}N" for kind in kinds)
        raise ValueError(f"a range is start:stop{ends}; {example}")
    return match["start"], match["stop"], match["kind"], int(match["count"])


def _listed(text: str, read: Callable[[str, str], Number], example: str) -> tuple[Number, ...]:
    """The values of a comma list."""
    parts = text.split(",")
    _refuse_too_many(len(parts))
    if not all(part.strip() for part in parts):
        raise ValueError(f"a value is empty; {example}")
    return tuple(read(part, example) for part in parts)


def _multiplied(start: int, stop: int, factor: int) -> tuple[int, ...]:
    """Start, start × factor, … up to a stop that must be hit exactly."""
    if factor < 2:
        raise ValueError(f"a range multiplies by 2 or more, not by {factor}")
    _refuse_bad_ends(start, stop, above=0)
    values = [start]
    while values[-1] < stop:
        values.append(values[-1] * factor)
    if values[-1] != stop:
        nearest = min(values[-2:], key=lambda end: abs(end - stop))
        raise ValueError(f"x{factor} from {start} never lands on {stop}; the nearest is {nearest}")
    return tuple(values)


def _spaced(start: float, stop: float, kind: str, count: int) -> tuple[float, ...]:
    """Evenly spaced values, exact at both ends and round enough between them to be read."""
    if count < 2:
        raise ValueError(f"{kind}{count} leaves out an end; ask for 2 values or more")
    _refuse_too_many(count)
    _refuse_bad_ends(start, stop, above=0 if kind == "log" else -math.inf)
    parts = [place / (count - 1) for place in range(1, count - 1)]
    if kind == "log":
        low, high = math.log(start), math.log(stop)
        inner = [math.exp(low + part * (high - low)) for part in parts]
    else:
        inner = [start + part * (stop - start) for part in parts]
    return (start, *(float(f"{value:.6g}") for value in inner), stop)


def _int(text: str, example: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{_quoted(text)} is not a whole number; {example}") from None


def _float(text: str, example: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{_quoted(text)} is not a number; {example}") from None
    if not math.isfinite(value):
        raise ValueError(f"{_quoted(text)} is not finite; {example}")
    return value + 0.0  # a negative zero would print as another value


def _checked(values: tuple[Number, ...], least: int, exclusive: bool = False) -> tuple[Number, ...]:
    """The values, where they ascend strictly from the least one allowed."""
    for value in values:
        if value < least or (exclusive and value == least):
            bound = "above" if exclusive else "at least"
            raise ValueError(f"{_short(value)} is too small; values must be {bound} {least}")
    for left, right in itertools.pairwise(values):
        if left == right:
            raise ValueError(f"{_short(right)} comes twice")
        if left > right:
            raise ValueError(f"{_short(right)} follows {_short(left)}; list values in rising order")
    return values


def _refuse_bad_ends(start: float, stop: float, above: float) -> None:
    if start <= above:
        raise ValueError(f"a range of this kind starts above {above}, not at {_short(start)}")
    if start >= stop:
        raise ValueError(f"a range rises; {_short(start)} to {_short(stop)} does not")


def _refuse_too_many(count: int) -> None:
    if count > MOST_VALUES:
        raise ValueError(f"{count:,} values are too many; the most is {MOST_VALUES:,}")


def _first_exact(
    values: Sequence[Number], parse: Callable[[str], tuple[Number, ...]], spans: Iterable[str]
) -> str:
    """The first range that gives exactly these values, else the comma list."""
    for span in spans:
        try:
            if parse(span) == tuple(values):
                return span
        except ValueError:
            continue  # these values only look like a range
    return _comma_list(values)


def _ends(values: Sequence[float]) -> str:
    return f"{_short(values[0])}:{_short(values[-1])}"


def _comma_list(values: Sequence[float]) -> str:
    return ",".join(map(_short, values))


def _short(value: float) -> str:
    """The number with as few characters as keep it exact."""
    short = f"{value:g}"
    return short if isinstance(value, float) and float(short) == value else str(value)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
