"""measures.jsonl, the truth of what was measured at a run's minima: one minimum a line.

A line is a plain dict: `cell` (its hyperparameters), `steps` (updates at the minimum), `panel` (by
name), `examples`, `seed` and `dtype` (how it was measured), and `measured`: by name, in order, the
fields of `landscape.result.Measured`. Strict JSON as in cells.jsonl: what isn't finite is null.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from minima.record import cells as cell_lines
from minima.record.cells import Cell

FILE = "measures.jsonl"
Line = dict[str, Any]
Setting = tuple[Any, ...]  # (panel, examples, seed, dtype)

# What pictures and short tables show, in this order, where it was measured.
HEADLINES = ("lambda_max", "trace", "adaptive_sharpness", "noise_scale")
ERRORS = ("standard_error", "residual", "converged")


def read(directory: Path | str, repair: bool = False) -> list[Line]:
    """All lines of a run in the order they were written; see `cells.read_lines`."""
    return cell_lines.read_lines(Path(directory) / FILE, repair, "measured")


def append(directory: Path | str, line: Line) -> None:
    """Adds a line durably; see `files.append_durably` for what a full disk raises."""
    cell_lines.append(Path(directory) / FILE, line)


def setting(line: Line) -> Setting:
    """What was measured and how, hashable; lines that share it may be compared."""
    return tuple(line[name] for name in ("panel", "examples", "seed", "dtype"))


def with_measures(cells: Sequence[Cell], lines: Sequence[Line]) -> Sequence[Cell]:
    """The cells, each with `measured`: what is known of its last minimum, by name.

    Where a panel was measured in several ways, that way counts which covers the most cells, and of
    equals the latest: a column never mixes two. Cells that were not measured stay as they are.
    """
    if not lines:
        return cells
    ends = {cell_lines.key(cell): cell["steps"] for cell in cells}
    final = [line for line in lines if ends.get(cell_lines.key(line)) == line["steps"]]
    latest = {setting(line): place for place, line in enumerate(final)}
    counts = Counter(setting(line) for line in final)
    chosen = {
        way[0]: way for way in sorted(counts, key=lambda way: (counts[way], latest[way]))
    }  # by panel: the last of a rising order stays
    found: dict[Any, dict[str, Any]] = {}
    for line in final:
        if chosen[line["panel"]] == setting(line):
            found.setdefault(cell_lines.key(line), {}).update(line["measured"])
    measured = [(cell, found.get(cell_lines.key(cell))) for cell in cells]
    return [{**cell, "measured": known} if known else cell for cell, known in measured]


def names(cells: Sequence[Cell]) -> list[str]:
    """The names of all that was measured at some cell, headlines first, then by the alphabet."""
    return ordered({name for cell in cells for name in cell.get("measured", {})})


def ordered(seen: Collection[str]) -> list[str]:
    """Headlines first, then by the alphabet."""
    return [*(n for n in HEADLINES if n in seen), *sorted({*seen} - {*HEADLINES})]


def values(cell: Cell) -> dict[str, float]:
    """The measured values of one cell, by name."""
    return {name: entry["value"] for name, entry in cell.get("measured", {}).items()}


def is_sound(entry: Mapping[str, Any]) -> bool:
    """Whether one measured number is finite and converged."""
    return bool(entry["converged"]) and math.isfinite(entry["value"])
