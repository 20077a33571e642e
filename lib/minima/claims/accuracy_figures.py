"""Figures of accuracy: what the gap is made of; finite against infinite data."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from minima.claims.choosing import Chosen, UndecidedError, choose
from minima.claims.evidence import Evidence, Floats, Plane
from minima.claims.figure_style import spell
from minima.claims.gap import BOTH, FACTORS, Gap
from minima.record.figure_style import (
    BLUE,
    GREY,
    NUMBERS,
    ORANGE,
    SMALL,
    TEXT,
    VERMILLION,
    Picture,
    Sheet,
    bare,
    legend_below,
    of_seeds,
)
from minima.record.plane import ink

_BARS = {
    "raw gap": "raw gap",
    "rate": "wrong rate",
    "updates": "too few updates",
    "left": "what is left",
}
_LOOKS: dict[str, dict[str, Any]] = {
    "finite data": {"facecolor": BLUE},
    "infinite data": {"facecolor": ORANGE, "hatch": "////"},
}
_ORDERS = {"first": "o", "second": "D"}
_PLANES = {"epochs": "finite data", "infinite_epochs": "infinite data: none comes twice"}
_TILE = (0.66, 0.4)  # inches: room for "10/10 failed"
_FAILED = "0.88"


def gap_figure(gaps: Mapping[str, Gap | str], run: str = "") -> Picture | None:
    """The split of the gap between small and large batch, with and without repeating data."""
    split = {name: gap for name, gap in gaps.items() if isinstance(gap, Gap)}
    if not split:
        return None
    first = next(iter(split.values()))
    left, wide, high = 1.25, 3.9, 0.3 * len(split) * len(_BARS) + 0.6
    sheet = Sheet(7.6)
    large = first.large[BOTH].batch_size
    counts = {of_seeds(gap.small.reporting) for gap in split.values()}
    tests = {f"{gap.num_test:,}" for gap in split.values()}
    top = sheet.head(
        0,
        f"What batch size {large:,} lacks of batch size {first.small.batch_size:,}",
        f"test accuracy; {' and '.join(sorted(counts))}, {' and '.join(sorted(tests))} test "
        "examples; 95 % intervals over both; parts are means of both orders",
        run,
    )
    plot = sheet.plot(left, top, wide, high)
    for place, (name, gap) in enumerate(split.items()):
        _draw_split(plot, gap, _LOOKS[name], (place - (len(split) - 1) / 2) * 0.4, 0.4)
    bare(plot)
    plot.axvline(0, color="black", linewidth=0.8)
    plot.set_yticks(range(len(_BARS)), list(_BARS.values()), fontsize=TEXT)
    plot.set_ylim(len(_BARS) - 0.45, -0.55)
    plot.tick_params(axis="y", length=0)
    plot.grid(axis="x", color="0.92", linewidth=0.8)
    plot.set_xlabel("percentage points of test accuracy", fontsize=TEXT)
    below = legend_below(plot, _gap_legend(tuple(split)), columns=4 - len(split))
    sheet.notes(0, top + high + 0.6 + below, list(_gap_notes(gaps)))
    return sheet.finish()


def _draw_split(plot: Axes, gap: Gap, look: dict[str, Any], shift: float, height: float) -> None:
    """A bar, its interval and its numbers for each part; markers for both orders."""
    for row, (name, interval) in enumerate(gap.bars()):
        y = row + shift
        plot.barh(y, interval.estimate, 0.85 * height, alpha=0.75, edgecolor="white", **look)
        plot.plot([interval.low, interval.high], [y, y], color="black", linewidth=1.6)
        for end in (interval.low, interval.high):
            plot.plot(end, y, "|", color="black", markersize=7)
        plot.text(
            1.03,
            y,
            spell(interval),
            transform=plot.get_yaxis_transform(),
            va="center",
            fontsize=NUMBERS,
        )
        for turn, value in _turns(gap, name):
            face = "white" if turn == "first" else "black"
            plot.plot(value, y, _ORDERS[turn], color="black", markerfacecolor=face, markersize=4)


def _turns(gap: Gap, name: str) -> Iterator[tuple[str, float]]:
    """What a part contributes when it comes first, and second."""
    for order, steps in gap.split.orders.items():
        if name in FACTORS:
            yield ("first" if order[0] == name else "second"), steps[name].estimate


def _gap_legend(names: Sequence[str]) -> list[Any]:
    bars: list[Any] = [
        Patch(alpha=0.75, edgecolor="white", label=name, **_LOOKS[name]) for name in names
    ]
    words = {"first": "if mended first", "second": "if mended after the other"}
    return bars + [
        Line2D(
            [],
            [],
            linestyle="",
            marker=marker,
            color="black",
            markerfacecolor="white" if turn == "first" else "black",
            markersize=4,
            label=words[turn],
        )
        for turn, marker in _ORDERS.items()
    ]


def _gap_notes(gaps: Mapping[str, Gap | str]) -> Iterator[str]:
    for name, gap in gaps.items():
        if isinstance(gap, str):
            yield f"{name}: not split, it {gap}"
        else:
            yield from (f"{name}: {note}" for note in gap.notes)


def planes_figure(evidence: Evidence, run: str = "") -> Picture | None:
    """Test accuracy over batch size and rate where data repeat, beside where they never do."""
    names = [name for name in _PLANES if name in evidence.planes]
    if len(names) < len(_PLANES) or not evidence.reporting:
        return None
    planes = [evidence.planes[name] for name in names]
    sizes = sorted({size for plane in planes for size in plane.batch_sizes})
    rates = sorted({rate for plane in planes for rate in plane.learning_rates})
    scale = _scale([_means(plane, evidence.reporting) for plane in planes])
    rows, columns = len(sizes), len(rates)
    wide, high = columns * _TILE[0], rows * _TILE[1]
    beside = columns <= 8  # else one above the other
    across, down = (wide + 0.75, 0.0) if beside else (0.0, high + 0.95)
    sheet = Sheet(0.7 + across + wide + 0.9)
    tests = " and ".join(sorted({f"{plane.num_test:,}" for plane in planes}))
    top = 0.2 + sheet.head(
        0.0,
        "Finite against infinite data, same epochs",
        f"mean test accuracy (%) over {of_seeds(len(evidence.reporting))}, of "
        f"those that trained; {tests} test examples",
        run,
    )
    for place, name in enumerate(names):
        plot = sheet.plot(0.7 + place * across, top + place * down, wide, high)
        plot.set_title(_PLANES[name], fontsize=TEXT, loc="left")
        _draw_plane(plot, evidence, name, (sizes, rates), scale)
    bar = sheet.plot(0.7 + across + wide + 0.15, top, 0.16, down + high)
    sheet.figure.colorbar(scale, cax=bar).set_label("test accuracy (%)", fontsize=TEXT)
    bar.tick_params(labelsize=NUMBERS)
    lowest = sheet.figure.axes[0 if beside else len(names) - 1]
    legend_below(lowest, list(_plane_legend(evidence, names)))
    return sheet.finish()


def _means(plane: Plane, seeds: Sequence[int]) -> Floats:
    """Percent over the seeds that trained, (B, R); NaN where none did."""
    test = plane.test[:, :, list(seeds)]
    trained = np.isfinite(test).sum(2)
    total = 100 * np.nan_to_num(test).sum(2)
    return np.divide(total, trained, out=np.full_like(total, np.nan), where=trained > 0)


def _scale(means: Sequence[Floats]) -> ScalarMappable:
    """One scale of colours for all planes."""
    finite = np.concatenate([mean[np.isfinite(mean)] for mean in means])
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 100.0)
    if low == high:
        low, high = low - 5, high + 5
    return ScalarMappable(Normalize(low, high), colormaps["viridis"])


def _draw_plane(
    plot: Axes, evidence: Evidence, name: str, axes: tuple[list[int], list[float]], scale: Any
) -> None:
    """One plane on axes that all planes share; what was not run there says so."""
    plane, (sizes, rates), count = evidence.planes[name], axes, len(evidence.reporting)
    cells = np.ix_(
        np.searchsorted(sizes, plane.batch_sizes), np.searchsorted(rates, plane.learning_rates)
    )
    means = np.full((len(sizes), len(rates)), np.nan)
    failed = np.full(means.shape, -1)  # where nothing was run
    means[cells] = _means(plane, evidence.reporting)
    failed[cells] = np.isnan(plane.test[:, :, list(evidence.reporting)]).sum(2)
    masked, (low, high) = np.ma.masked_invalid(means), scale.get_clim()
    plot.imshow(masked, scale.cmap, vmin=low, vmax=high, aspect="auto", origin="lower")
    for b, r in np.ndindex(*means.shape):
        if failed[b, r] < 0:
            plot.text(r, b, "not run", fontsize=6, ha="center", va="center", color=GREY)
        else:
            _draw_tile(plot, b, r, float(means[b, r]), int(failed[b, r]), count, scale)
    for row in range(len(plane.batch_sizes)):
        _frame_choice(plot, evidence, name, row, axes)
    plot.set_xticks(range(len(rates)), [f"{rate:.3g}" for rate in rates])
    plot.set_yticks(range(len(sizes)), [f"{size:,}" for size in sizes])
    plot.tick_params(labelsize=NUMBERS)
    plot.set_xticks(np.arange(len(rates) + 1) - 0.5, minor=True)
    plot.set_yticks(np.arange(len(sizes) + 1) - 0.5, minor=True)
    plot.grid(which="minor", color="white", linewidth=1.0)
    plot.tick_params(which="minor", length=0)
    plot.set_xlabel("learning rate", fontsize=TEXT)
    plot.set_ylabel("batch size", fontsize=TEXT)


def _draw_tile(
    plot: Axes, b: int, r: int, mean: float, failed: int, seeds: int, scale: ScalarMappable
) -> None:
    """Number and failures of one cell, hatched where seeds failed."""
    shown = bool(np.isfinite(mean))
    colour: Any = scale.to_rgba(np.array(mean))
    back = colour if shown else (float(_FAILED),) * 3
    box = None
    if failed:
        face = "none" if shown else _FAILED
        place = (r - 0.5, b - 0.5)
        plot.add_patch(
            Rectangle(place, 1, 1, linewidth=0, hatch="////", edgecolor=GREY, facecolor=face)
        )
        box = {"facecolor": back, "edgecolor": "none", "pad": 0.8}  # keeps hatching off the text
    how: dict[str, Any] = {"ha": "center", "va": "center", "color": ink(back[:3]), "bbox": box}
    if shown:
        plot.text(r, b + (0.18 if failed else 0), f"{mean:.1f}", fontsize=SMALL, **how)
    if failed:
        plot.text(r, b - 0.22 * shown, f"{failed}/{seeds} failed", fontsize=6, **how)


def _frame_choice(
    plot: Axes, evidence: Evidence, name: str, row: int, axes: tuple[list[int], list[float]]
) -> None:
    chosen = _choice(evidence, name, row)
    if chosen is None:
        return
    sizes, rates = axes
    corner = (rates.index(chosen.rate) - 0.46, sizes.index(chosen.batch_size) - 0.44)
    for colour, width in (("white", 3.6), (VERMILLION, 2.0)):  # the white rim parts like colours
        line = (0, (2, 1)) if chosen.edge and colour != "white" else "solid"
        frame: dict[str, Any] = {"edgecolor": colour, "linewidth": width, "linestyle": line}
        plot.add_patch(Rectangle(corner, 0.92, 0.88, fill=False, **frame))


def _choice(evidence: Evidence, name: str, row: int) -> Chosen | None:
    try:
        return choose(evidence, name, row)
    except UndecidedError:
        return None


def _plane_legend(evidence: Evidence, names: Sequence[str]) -> Iterator[Patch]:
    """What is there to explain."""
    planes = [(name, evidence.planes[name]) for name in names]
    rows = [(name, row) for name, plane in planes for row in range(len(plane.batch_sizes))]
    edges = {chosen.edge != "" for chosen in (_choice(evidence, *row) for row in rows) if chosen}
    frame: dict[str, Any] = {"fill": False, "edgecolor": VERMILLION, "linewidth": 2.0}
    if False in edges:
        yield Patch(**frame, label="rate chosen on other seeds, by validation accuracy")
    if True in edges:
        label = "chosen likewise, at the grid's edge: better ones may lie beyond"
        yield Patch(**frame, linestyle=(0, (2, 1)), label=label)
    seeds = list(evidence.reporting)
    if any(np.isnan(plane.test[:, :, seeds]).any() for _, plane in planes):
        label = "seeds failed (diverged, collapsed) or were not run"
        look: dict[str, Any] = {"facecolor": _FAILED, "edgecolor": GREY, "hatch": "////"}
        yield Patch(**look, linewidth=0, label=label)
