"""The plane in a terminal: numbers first, colours behind them, never wider than the window."""

import sys
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from minima.record.cells import Axes, Cell
from minima.record.plane import Point, Tile, best_rates, ink, lower_is_better, panels, spell, tiles

if TYPE_CHECKING:
    from rich.console import Console
    from rich.style import Style
    from rich.table import Table

PIPED_WIDTH = 120
_SHORT = {"diverged": "div", "collapsed": "col"}
_BEST = "*"


def make_console(file: IO[str] | None = None) -> "Console":
    """A console for `file` (standard output), 120 columns wide where that is no terminal."""
    from rich.console import Console

    stream = file or sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PIPED_WIDTH, highlight=False)


def print_plane(
    console: "Console", axes: Axes, cells: Sequence[Cell], metric: str = "test_accuracy"
) -> None:
    """Prints the mean of `metric` over seeds, batch sizes down and learning rates across.

    "div 2" and "col 1" count the seeds that diverged and collapsed, "ran 2" those there are yet,
    "-" is a cell that has not run, "*" the best rate of its batch size. A plane wider than the
    console is printed in parts; a grid with further axes plane by plane.
    """
    for label, its_axes, its_cells in panels(axes, cells):
        _print_panel(console, label, its_axes, its_cells, metric)


def _print_panel(
    console: "Console", label: str, axes: Axes, cells: Sequence[Cell], metric: str
) -> None:
    found = tiles(axes, cells, metric)
    best, basis = best_rates(axes, cells, metric)
    texts = {
        point: _text(tile, metric, best.get(point[0]) == point[1]) for point, tile in found.items()
    }
    styles = _styles(found, metric)
    unit = metric.replace("_", " ") + (" in %" if metric.endswith("accuracy") else "")
    seeds = len(axes.get("seed", (0,)))
    note = f"{unit}, mean over {seeds} seeds" if seeds > 1 else f"{unit}, 1 seed"
    console.print(f"{label}: {note}" if label else note, markup=False)
    for rates in _parts(axes, texts, console.width):
        console.print(_table(axes["batch_size"], rates, texts, styles))
    if best:
        console.print(f"{_BEST} best rate of its batch size by mean {basis.replace('_', ' ')}")


def _table(
    batches: Sequence[float],
    rates: Sequence[float],
    texts: dict[Point, str],
    styles: "dict[Point, Style | str]",
) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0), pad_edge=False)
    table.add_column("batch\\rate ", no_wrap=True, justify="right")
    for rate in rates:
        table.add_column(f" {rate:.3g} ", no_wrap=True, justify="center")
    for batch in batches:
        row: list[Text] = [Text(f"{batch} ")]
        for rate in rates:
            width = _width(rate, texts)
            style = styles.get((batch, rate), "")
            lines = texts[batch, rate].splitlines()
            row.append(Text("\n".join(line.center(width) for line in lines), style=style))
        table.add_row(*row)
    return table


def _parts(axes: Axes, texts: dict[Point, str], width: int) -> list[list[float]]:
    """The learning rates in runs that fit the width, at least one in each."""
    first = max(len("batch\\rate "), *(len(f"{batch} ") for batch in axes["batch_size"]))
    parts: list[list[float]] = []
    left = 0
    for rate in axes["learning_rate"]:
        needed = _width(rate, texts) + 1  # and the space between columns
        if not parts or needed > left:
            parts.append([])
            left = width - first
        parts[-1].append(rate)
        left -= needed
    return parts


def _width(rate: float, texts: dict[Point, str]) -> int:
    mine = [line for point, text in texts.items() if point[1] == rate for line in text.splitlines()]
    return max(len(f" {rate:.3g} "), *(len(line) + 2 for line in mine))


def _text(tile: Tile, metric: str, is_best: bool) -> str:
    lines = [f"{_SHORT[name]} {count}" for name, count in tile.failures()]
    if 0 < tile.ran < tile.seeds:
        lines.append(f"ran {tile.ran}")
    if tile.mean == tile.mean:
        lines.insert(0, spell(metric, tile.mean) + (_BEST if is_best else ""))
    return "\n".join(lines) or ("nan" if tile.ran else "-")


def _styles(found: dict[Point, Tile], metric: str) -> "dict[Point, Style | str]":
    from matplotlib import colormaps
    from rich.color import Color
    from rich.style import Style

    colours = colormaps["viridis_r" if lower_is_better(metric) else "viridis"]
    means = [tile.mean for tile in found.values() if tile.mean == tile.mean]
    low, span = min(means, default=0.0), (max(means, default=1.0) - min(means, default=0.0)) or 1.0
    styles: dict[Point, Style | str] = {}
    for point, tile in found.items():
        if tile.mean == tile.mean:
            red, green, blue, _ = colours((tile.mean - low) / span)
            back = Color.from_rgb(255 * red, 255 * green, 255 * blue)
            styles[point] = Style(color=ink((red, green, blue)), bgcolor=back)
        elif tile.failures():
            styles[point] = "bold red"
    return styles
