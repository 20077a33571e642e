"""The plane as a picture for a paper: what every batch size and learning rate came to."""

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minima.record.cells import Axes, Cell
from minima.record.files import write_atomically
from minima.record.plane import Tile, best_rates, ink, lower_is_better, panels, spell, tiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Plot
    from matplotlib.figure import Figure

_DPI = 150
_TILE = (0.74, 0.5)  # inches; wide enough for "collapsed 10/10" at the small size
_MARGIN = {"left": 0.85, "right": 1.15, "bottom": 1.15, "top": 0.8}  # inches
_SMALLEST = (2.2, 1.0)  # inches of tiles: a colour bar and a legend need that much beside them
_HATCHES = {"diverged": "////", "collapsed": "...."}
_FAILED, _HATCH, _MARK = "0.88", "0.45", "#d55e00"  # two greys, and vermillion for the best rates


def plane_figures(folder: Path, axes: Axes, cells: Sequence[Cell], title: str) -> list[Path]:
    """Draws plane.png, or one such file for each combination of further axes; says which.

    Raises:
      DiskFull: no room.
    """
    paths = []
    for label, here, mine in panels(axes, cells):
        name = f"plane-{label.replace(', ', '-')}.png" if label else "plane.png"
        paths.append(folder / name)
        plane_figure(paths[-1], here, mine, title=f"{title}, {label}" if label else title)
    return paths


def plane_figure(
    path_png: Path | str,
    axes: Axes,
    cells: Sequence[Cell],
    metric: str = "test_accuracy",
    title: str = "",
) -> None:
    """Writes `plane_png` to a file, and creates its folder.

    Raises:
      ValueError: a further axis has several values.
      DiskFull: no room.
    """
    png = plane_png(axes, cells, metric, title)
    Path(path_png).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path_png, png)


def plane_png(
    axes: Axes, cells: Sequence[Cell], metric: str = "test_accuracy", title: str = ""
) -> bytes:
    """Draws the mean of `metric` over seeds: learning rates across, batch sizes up, as a PNG.

    Every tile says what it is: its mean, how many seeds diverged or collapsed, or "not run". The
    frame marks the best learning rate of each batch size, chosen on validation data where there
    are any. Grids with further axes are drawn plane by plane: see `plane.panels`.

    Raises:
      ValueError: a further axis has several values.
    """
    found = tiles(axes, cells, metric)
    batches, rates = axes["batch_size"], axes["learning_rate"]
    grid = [[found[batch, rate] for rate in rates] for batch in batches]

    figure, plot, bar = _canvas(len(rates), len(batches))
    image = _draw_colours(plot, grid, metric)
    marks = {name: _draw_failures(plot, grid, name) for name in _HATCHES}
    _draw_texts(plot, grid, image, metric)
    best, basis = best_rates(axes, cells, metric)
    marks["best"] = _draw_best(plot, batches, rates, best)
    _label(plot, batches, rates)
    figure.colorbar(image, cax=bar).set_label(_unit(metric), fontsize=9)
    bar.tick_params(labelsize=8)
    _caption(figure, plot, title, metric, axes, found)
    _legend(figure, plot, marks, basis)

    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=_DPI, bbox_inches="tight", pad_inches=0.12)
    return png.getvalue()


def _canvas(columns: int, rows: int) -> "tuple[Figure, Plot, Plot]":
    """A figure of the size that its tiles need, with room for the colour bar and the legend."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width = max(columns * _TILE[0], _SMALLEST[0])
    height = max(rows * _TILE[1], _SMALLEST[1])
    total_width = max(_MARGIN["left"] + width + _MARGIN["right"], 5.6)
    total_height = _MARGIN["bottom"] + height + _MARGIN["top"]
    figure = Figure(figsize=(total_width, total_height), facecolor="white")
    FigureCanvasAgg(figure)  # no pyplot: no global state, no display
    bottom = _MARGIN["bottom"] / total_height

    def place(left: float, wide: float) -> "Plot":
        box = (left / total_width, bottom, wide / total_width, height / total_height)
        return figure.add_axes(box)

    return figure, place(_MARGIN["left"], width), place(_MARGIN["left"] + width + 0.15, 0.16)


def _draw_colours(plot: "Plot", grid: list[list[Tile]], metric: str) -> Any:
    from matplotlib import colormaps

    means = np.array([[tile.mean for tile in row] for row in grid])
    scale = 100.0 if metric.endswith("accuracy") else 1.0
    colours = colormaps["viridis_r" if lower_is_better(metric) else "viridis"]
    finite = means[np.isfinite(means)] * scale
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, scale)
    if low == high:  # one value: show it in the middle of a scale
        low, high = low - 0.05 * scale, high + 0.05 * scale
    masked = np.ma.masked_invalid(means * scale)
    image = plot.imshow(masked, colours, aspect="auto", origin="lower", vmin=low, vmax=high)
    plot.set_facecolor("white")
    return image


def _draw_failures(plot: "Plot", grid: list[list[Tile]], name: str) -> bool:
    """Hatches the tiles where seeds failed in this way; says whether there is one."""
    from matplotlib.patches import Rectangle

    drawn = False
    for row, column, tile in _enumerated(grid):
        if getattr(tile, name):
            face = "none" if np.isfinite(tile.mean) else _FAILED
            box = Rectangle(
                (column - 0.5, row - 0.5),
                1,
                1,
                linewidth=0,
                hatch=_HATCHES[name],
                edgecolor=_HATCH,
                facecolor=face,
            )
            plot.add_patch(box)
            drawn = True
    return drawn


def _draw_texts(plot: "Plot", grid: list[list[Tile]], image: Any, metric: str) -> None:
    for row, column, tile in _enumerated(grid):
        lines = [f"{name} {count}/{tile.seeds}" for name, count in tile.failures()]
        if 0 < tile.ran < tile.seeds:
            lines.append(f"ran {tile.ran}/{tile.seeds}")
        shows_mean = bool(np.isfinite(tile.mean))
        if not tile.ran:
            lines = ["not run"]
        elif not shows_mean and not lines:
            lines = ["no value"]
        back = _colour_of(image, tile, metric) if shows_mean else (float(_FAILED),) * 3
        colour = ink(back)
        # A box in the tile's own colour keeps hatching off the text.
        box = {"facecolor": back, "edgecolor": "none", "pad": 1.0} if tile.failures() else None
        lift = 0.2 if shows_mean and lines else 0.0
        if shows_mean:
            text = spell(metric, tile.mean)
            plot.text(
                column,
                row + lift,
                text,
                ha="center",
                va="center",
                color=colour,
                fontsize=9,
                bbox=box,
            )
        small = "\n".join(lines)
        drop = 0.22 if shows_mean else 0.0
        plot.text(
            column, row - drop, small, ha="center", va="center", color=colour, fontsize=6, bbox=box
        )


def _draw_best(
    plot: "Plot", batches: Sequence[float], rates: Sequence[float], best: dict[float, float]
) -> bool:
    from matplotlib.patches import Rectangle

    for row, batch in enumerate(batches):
        if batch in best:
            corner = (list(rates).index(best[batch]) - 0.46, row - 0.45)
            for colour, width in (("white", 4.0), (_MARK, 2.2)):  # the white rim parts like colours
                frame = Rectangle(corner, 0.92, 0.9, fill=False, edgecolor=colour, linewidth=width)
                plot.add_patch(frame)
    return bool(best)


def _label(plot: "Plot", batches: Sequence[float], rates: Sequence[float]) -> None:
    plot.set_xticks(range(len(rates)), [_rate(rate) for rate in rates], fontsize=8)
    plot.set_yticks(range(len(batches)), [f"{batch:,}" for batch in batches], fontsize=8)
    plot.set_xlabel("learning rate", fontsize=9)
    plot.set_ylabel("batch size", fontsize=9)
    plot.set_xticks(np.arange(len(rates) + 1) - 0.5, minor=True)
    plot.set_yticks(np.arange(len(batches) + 1) - 0.5, minor=True)
    plot.grid(which="minor", color="white", linewidth=1.0)
    plot.tick_params(which="minor", length=0)


def _caption(
    figure: "Figure", plot: "Plot", title: str, metric: str, axes: Axes, found: dict[Any, Tile]
) -> None:
    seeds = len(axes.get("seed", (0,)))
    width, height = figure.get_size_inches()
    left = plot.get_position().x0
    over = f"mean over n = {seeds} seeds" if seeds > 1 else "n = 1 seed"
    if any(tile.failures() for tile in found.values()) and seeds > 1:
        over += " (of those that trained)"
    head = "\n".join(textwrap.wrap(title, int(11 * (width - 1)))[:2])
    figure.text(left, 1 - 0.5 / height, head, fontsize=11, weight="bold", va="bottom")
    figure.text(left, 1 - 0.7 / height, f"{_unit(metric)}, {over}", fontsize=9, va="bottom")


def _legend(figure: "Figure", plot: "Plot", marks: dict[str, bool], basis: str) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=_FAILED, edgecolor=_HATCH, hatch=hatch, label=f"seeds {name}")
        for name, hatch in _HATCHES.items()
        if marks[name]
    ]
    if marks["best"]:
        label = f"best rate per batch size (mean {_words(basis)})"
        handles.append(Patch(fill=False, edgecolor=_MARK, linewidth=2.2, label=label))
    if handles:
        box = plot.get_position()
        place = (box.x0, box.y0 - 0.5 / figure.get_size_inches()[1])
        figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=place,
            ncols=len(handles),
            borderaxespad=0,
            borderpad=0,
            columnspacing=1.5,
            frameon=False,
            fontsize=8,
        )


def _enumerated(grid: list[list[Tile]]) -> list[tuple[int, int, Tile]]:
    return [(r, c, tile) for r, row in enumerate(grid) for c, tile in enumerate(row)]


def _colour_of(image: Any, tile: Tile, metric: str) -> tuple[float, ...]:
    scale = 100.0 if metric.endswith("accuracy") else 1.0
    return image.cmap(image.norm(tile.mean * scale))


def _rate(rate: float) -> str:
    return f"{rate:.3g}"


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _unit(metric: str) -> str:
    return _words(metric) + (" (%)" if metric.endswith("accuracy") else "")
