"""Curvature and sharpness over the plane, beside the test accuracy: one heat map each."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes as Plot
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from minima.record.cells import FAILED, Axes, Cell
from minima.record.figure_style import NUMBERS, SMALL, TEXT, VERMILLION, Picture, Sheet
from minima.record.measures import HEADLINES, is_sound, names
from minima.record.plane import Point, best_rates, ink, spell

_TILE = (0.5, 0.3)  # inches
_LEFT, _GAP, _BAR = 0.62, 1.25, 0.12  # inches: labels, between panels, the colour bar's width
_COLUMNS = 3
_HATCHES = {"diverged": "////", "collapsed": "...."}
_FAILED, _HATCH = 0.88, "0.45"  # greys
_ROW = 0.75  # inches between rows: title, ticks, label
_WORDS = {
    "test_accuracy": "test accuracy (%), mean",
    "lambda_max": "λmax of the Hessian",
    "trace": "trace of the Hessian",
    "adaptive_sharpness": "adaptive sharpness, worst case",
    "noise_scale": "gradient noise scale (examples)",
}


@dataclass(frozen=True)
class _Tile:
    """One point of the plane.

    Attributes:
      value: over the seeds that trained and have a finite one; NaN where none does.
      ran: seeds that have run.
      failed: how many seeds failed, by status.
      unsure: some seed's number is not converged or not finite.
    """

    value: float
    ran: int
    failed: Mapping[str, int]
    unsure: bool


def plane_figure(axes: Axes, cells: Sequence[Cell], run: str = "") -> Picture:
    """The headlines that were measured, medians over seeds, on logarithmic colours.

    Args:
      axes: of one plane; see `record.plane.panels`.
      cells: its cells, each with `measured` where that is known (`measures.with_measures`).
      run: a line that says what was trained.
    """
    batches, rates = axes["batch_size"], axes["learning_rate"]
    metrics = ["test_accuracy", *(name for name in names(cells) if name in HEADLINES)]
    size = (max(len(rates) * _TILE[0], 1.8), max(len(batches) * _TILE[1], 0.9))
    step = size[0] + _GAP
    columns = min(_COLUMNS, len(metrics))
    sheet = Sheet(_LEFT + columns * step)
    seeds = len(axes.get("seed", (0,)))
    about = f"medians over {seeds} seeds (of those that trained)" if seeds > 1 else "one seed"
    top = sheet.head(0, "What the minima look like", f"{about}; test accuracy: the mean", run)
    best, _ = best_rates(axes, cells, "test_accuracy")
    marks: set[str] = {"best"} if best else set()
    for place, metric in enumerate(metrics):
        row, column = divmod(place, columns)
        corner = (_LEFT + column * step, top + 0.2 + row * (size[1] + _ROW))
        plot = sheet.plot(*corner, *size)
        bar = sheet.plot(corner[0] + size[0] + 0.1, corner[1], _BAR, size[1])
        tiles = {(b, r): _tile(_at(cells, (b, r)), metric) for b in batches for r in rates}
        marks |= _draw(plot, bar, axes, tiles, metric)
        _frame(plot, batches, rates, best)
        _label(plot, batches, rates, _WORDS.get(metric, metric.replace("_", " ")))
    rows = -(-len(metrics) // columns)
    bottom = top + 0.2 + rows * (size[1] + _ROW) - 0.15
    handles = _handles(marks)
    sheet.figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(_LEFT / sheet.width, 1 - bottom / sheet.height),
        ncols=2,
        borderaxespad=0,
        frameon=False,
        fontsize=SMALL,
    )
    return sheet.finish()


def _at(cells: Sequence[Cell], point: Point) -> list[Cell]:
    batch, rate = point
    return [
        cell
        for cell in cells
        if cell["cell"]["batch_size"] == batch and cell["cell"]["learning_rate"] == rate
    ]


def _tile(cells: Sequence[Cell], metric: str) -> _Tile:
    trained = [cell for cell in cells if cell["status"] not in FAILED]
    failed = {name: sum(cell["status"] == name for cell in cells) for name in FAILED}
    if metric == "test_accuracy":
        values, entries = [cell[metric] for cell in trained], []
    else:
        entries = [cell.get("measured", {}).get(metric) for cell in trained]
        entries = [entry for entry in entries if entry is not None]
        values = [entry["value"] for entry in entries]
    finite = [value for value in values if value is not None and math.isfinite(value)]
    middle = statistics.fmean if metric == "test_accuracy" else statistics.median
    unsure = not all(is_sound(entry) for entry in entries)
    return _Tile(middle(finite) if finite else math.nan, len(cells), failed, unsure)


def _draw(plot: Plot, bar: Plot, axes: Axes, tiles: Mapping[Point, _Tile], metric: str) -> set[str]:
    """Colours, numbers and marks of one heat map; which marks there are."""
    batches, rates = axes["batch_size"], axes["learning_rate"]
    table = np.array([[tiles[batch, rate].value for rate in rates] for batch in batches])
    scale = 100.0 if metric == "test_accuracy" else 1.0
    colours, norm = _colours(table * scale, metric)
    shown = np.ma.masked_where(~_drawable(table, metric), table * scale)
    image = plot.imshow(shown, colours, norm=norm, aspect="auto", origin="lower")
    figure = plot.get_figure(root=True)
    assert figure is not None
    figure.colorbar(image, cax=bar)
    _ticks(bar, norm)
    marks: set[str] = set()
    for y, batch in enumerate(batches):
        for x, rate in enumerate(rates):
            tile, has_colour = tiles[batch, rate], bool(_drawable(table[y, x], metric))
            back = colours(norm(table[y, x] * scale)) if has_colour else (_FAILED,) * 3
            marks |= _mark(plot, (x, y), tile, back, has_colour)
            text = _short(metric, tile.value) if math.isfinite(tile.value) else ""
            if not text and not any(tile.failed.values()):
                text = "no value" if tile.ran else "not run"
            hatched = any(tile.failed.values()) and has_colour
            box = {"facecolor": back, "edgecolor": "none", "pad": 0.8} if hatched else None
            plot.text(x, y, text, ha="center", va="center", color=ink(back), fontsize=6.5, bbox=box)
    return marks


def _mark(plot: Plot, at: tuple[int, int], tile: _Tile, back: Any, has_colour: bool) -> set[str]:
    """Hatches where seeds failed; a dot where a number is unsure."""
    x, y = at
    marks = {name for name, count in tile.failed.items() if count}
    for name in sorted(marks):
        plot.add_patch(
            Rectangle(
                (x - 0.5, y - 0.5),
                1,
                1,
                linewidth=0,
                facecolor="none" if has_colour else str(_FAILED),
                edgecolor=_HATCH,
                hatch=_HATCHES[name],
            )
        )
    if tile.unsure:
        plot.plot(x + 0.38, y + 0.32, "o", color=ink(back), markersize=2.5, markeredgewidth=0)
        marks.add("unsure")
    return marks


def _colours(table: np.ndarray, metric: str) -> tuple[Colormap, Normalize]:
    """The colour map and its scale: linear for accuracies, else logarithmic."""
    values = table[_drawable(table, metric)]
    low, high = (values.min(), values.max()) if values.size else (1.0, 10.0)
    if metric == "test_accuracy":
        return colormaps["viridis"], Normalize(low, high if high > low else low + 1)
    return colormaps["magma"], LogNorm(low, high if high > low else 1.1 * low)


def _ticks(bar: Plot, norm: Normalize) -> None:
    """Plain numbers beside the colours: 1, 2, 5 of each decade; where they are many, decades."""
    bar.tick_params(labelsize=SMALL, length=2)
    if isinstance(norm, LogNorm):
        low, high = float(norm.vmin or 1), float(norm.vmax or 10)
        ticks = [
            step * 10.0**k
            for k in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            for step in ((1, 2, 5) if high < 100 * low else (1,))
        ]
        ticks = [tick for tick in ticks if low <= tick <= high] or [low, high]
        bar.set_yticks(ticks, [_short("", tick) for tick in ticks])
        bar.set_yticks([], minor=True)


def _drawable(values: Any, metric: str) -> Any:
    """Which values have a colour: finite, and positive where colours are logarithmic."""
    with np.errstate(invalid="ignore"):
        return np.isfinite(values) & ((np.asarray(values) > 0) | (metric == "test_accuracy"))


def _short(metric: str, value: float) -> str:
    """At most six letters."""
    if metric == "test_accuracy":
        return spell(metric, value)
    if value == 0 or 0.01 <= abs(value) < 10_000:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _frame(
    plot: Plot, batches: Sequence[float], rates: Sequence[float], best: Mapping[float, float]
) -> None:
    """Frames the best rate of each batch size."""
    for y, batch in enumerate(batches):
        if batch in best:
            corner = (list(rates).index(best[batch]) - 0.46, y - 0.44)
            for colour, width in (("white", 3.0), (VERMILLION, 1.6)):
                plot.add_patch(
                    Rectangle(corner, 0.92, 0.88, fill=False, edgecolor=colour, linewidth=width)
                )


def _label(plot: Plot, batches: Sequence[float], rates: Sequence[float], title: str) -> None:
    plot.set_title(title, fontsize=TEXT, loc="left", pad=4)
    plot.set_xticks(range(len(rates)), [f"{rate:.2g}" for rate in rates], fontsize=SMALL)
    plot.set_yticks(range(len(batches)), [f"{batch:,}" for batch in batches], fontsize=SMALL)
    plot.set_xlabel("learning rate", fontsize=NUMBERS, labelpad=1)
    plot.set_ylabel("batch size", fontsize=NUMBERS, labelpad=1)
    plot.tick_params(length=2)


def _handles(marks: set[str]) -> list[Any]:
    handles: list[Any] = []
    if "best" in marks:
        text = "best rate of its batch size by validation accuracy"
        handles.append(Patch(fill=False, edgecolor=VERMILLION, linewidth=1.6, label=text))
    for name, hatch in _HATCHES.items():
        if name in marks:
            text = f"seeds {name}: in no median"
            grey = str(_FAILED)
            handles.append(Patch(facecolor=grey, edgecolor=_HATCH, hatch=hatch, label=text))
    if "unsure" in marks:
        text = "some seed's number not converged, or none (measures.jsonl says which)"
        handles.append(Line2D([], [], color="0.2", marker="o", ls="", markersize=3, label=text))
    return handles
