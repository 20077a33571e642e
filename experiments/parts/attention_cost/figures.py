"""Attention's cost in one picture, and who finds the needle in another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, NullLocator

from judged import Judged
from minima.claims.claims_figure import claims_figure
from minima.claims.intervals import t_interval
from minima.claims.power_law import power_law
from minima.record.figure_style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    TEXT,
    VERMILLION,
    Picture,
    Sheet,
    bare,
    legend_below,
    minus,
    wrapped,
)
from parts.attention_cost.claims import CHANCE, Accuracies
from parts.attention_cost.config import GRU, LSTM, RNN, TRANSFORMER
from parts.attention_cost.measured import ATTENTION, CHUNKED, RECURRENT, Crossover, Step, Timed

Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]

_COLOURS = {ATTENTION: BLUE, CHUNKED: GREEN, RECURRENT: VERMILLION}
_MARKERS = {ATTENTION: "o", CHUNKED: "s", RECURRENT: "D"}
_NETWORKS = {
    TRANSFORMER: (BLUE, "o"),
    LSTM: (VERMILLION, "D"),
    GRU: (ORANGE, "s"),
    RNN: (GREY, "v"),
}
_NAMES = {TRANSFORMER: "transformer", LSTM: "LSTM", GRU: "GRU", RNN: "tanh RNN"}
_WIDE, _HIGH, _LEFT = 2.7, 2.1, 0.75  # inches of a panel, and before it
_BELOW = 1.45  # inches under it, for its axis and legend


def pictures(
    steps: Sequence[Step],
    crossings: Sequence[Crossover],
    times: Sequence[Timed],
    accuracies: Accuracies,
    judged: Sequence[Judged],
    run: str,
) -> dict[str, Picture]:
    """Every figure, by name."""
    claims, verdicts = zip(*judged, strict=True)
    forest = claims_figure(verdicts, run, claims)
    drawn = {
        "costs": costs_figure(steps, crossings, times, run),
        "needles": needles_figure(accuracies, run),
    }
    return drawn if forest is None else drawn | {"claims": forest}


def costs_figure(
    steps: Sequence[Step], crossings: Sequence[Crossover], times: Sequence[Timed], run: str
) -> Picture:
    """Work, memory, chain and time against length; the crossover against width."""
    sheet = Sheet(3 * (_LEFT + _WIDE))
    top = sheet.head(
        0,
        "What attention and recurrence cost, by the length of a sequence",
        "loss and gradient of one sequence; numbers are exponents, by least squares on logarithms; "
        "operations counted, memory as the compiler plans it: without chance; times of one machine",
        run,
    )

    def of(quantity: str) -> Series:
        return {
            kind: (
                [s.length for s in steps if s.kind == kind],
                [getattr(s, quantity) for s in steps if s.kind == kind],
            )
            for kind in _COLOURS
        }

    per_position = {
        kind: (
            [t.length for t in times if t.kind == kind],
            [1e6 * t.seconds / t.length for t in times if t.kind == kind],
        )
        for kind in _COLOURS
    }
    across = [c.width for c in crossings], [c.length for c in crossings]
    panels: list[tuple[str, str, str, Series]] = [
        ("Work", "operations", "length", of("flops")),
        ("Memory", "temporary bytes", "length", of("temporary")),
        ("Sequential depth", "dependent matrix products", "length", of("chain")),
        ("Time for a position", "microseconds", "length", per_position),
        ("Attention overtakes the LSTM", "at length", "width", {"crossover": across}),
    ]
    for i, (title, up, along, series) in enumerate(panels):
        row, column = divmod(i, 3)
        left = _LEFT + column * (_WIDE + _LEFT)
        plot = sheet.plot(left, top + 0.25 + row * (_HIGH + _BELOW), _WIDE, _HIGH)
        _log_log(plot, series)
        plot.set_title(title, fontsize=TEXT, weight="bold", loc="left")
        plot.set_xlabel(along, fontsize=TEXT)
        plot.set_ylabel("\n".join(wrapped(up, _HIGH, TEXT)), fontsize=TEXT)
    return sheet.finish()


def needles_figure(accuracies: Accuracies, run: str) -> Picture:
    """Accuracy against distance, with intervals over seeds."""
    distances = sorted({distance for _, distance in accuracies})
    seeds = len(next(iter(accuracies.values())))
    sheet = Sheet(5.6)
    top = sheet.head(
        0,
        "Who finds the needle, and how far back",
        f"test accuracy against the distance from the needle to the end; n = {seeds} seeds, mean "
        "and 95 % interval (Student's), each seed a dot; dashed: chance",
        run,
    )
    plot = sheet.plot(_LEFT, top, 4.2, 2.5)
    bare(plot)
    plot.axhline(CHANCE, color="black", linewidth=1.0, linestyle="--", zorder=0)
    handles = []
    for place, (name, (colour, marker)) in enumerate(_NETWORKS.items()):
        x = np.array(distances) * 1.04 ** (place - 1.5)  # side by side, so that all are seen
        rows = np.array([accuracies[name, d] for d in distances])
        (line,) = plot.plot(x, rows.mean(axis=1), marker=marker, color=colour, markersize=5)
        line.set_label(_NAMES[name])
        handles.append(line)
        for at, values in zip(x, rows, strict=True):
            plot.plot([at] * len(values), values, ".", color=colour, alpha=0.5, markersize=3)
            if len(values) > 1 and np.isfinite(values).all():
                limits = t_interval(values)
                ends = np.clip([limits.low, limits.high], 0, 100)
                plot.plot([at, at], ends, color=colour, linewidth=1.0)
    plot.set_xscale("log")
    plot.set_xticks(distances, [f"{d:,}" for d in distances])
    plot.xaxis.set_minor_locator(NullLocator())
    plot.set_ylim(0, 102)
    plot.set_xlabel("tokens after the needle", fontsize=TEXT)
    plot.set_ylabel("needles found, %", fontsize=TEXT)
    legend_below(plot, handles, 0.5, 4)
    return sheet.finish()


def _log_log(plot: Axes, series: Series) -> None:
    """Points, the fitted line through them, and its exponent in the legend."""
    bare(plot)
    handles = []
    for name, (x, y) in series.items():
        colour = _COLOURS.get(name, GREY)
        law, ends = power_law(x, y), [min(x), max(x)]
        how: dict[str, Any] = {"color": colour, "marker": _MARKERS.get(name, "o"), "markersize": 5}
        how |= {"markerfacecolor": "none", "markeredgecolor": colour}  # one may lie on another
        plot.plot(x, y, linestyle="", **how)
        plot.plot(ends, [law(end) for end in ends], color=colour, linewidth=1.0)
        label = minus(f"{name}: {law.exponent:.2f}")
        handles.append(Line2D([], [], label=label, **how))
    plot.set_xscale("log", base=2)
    plot.set_yscale("log")
    ticks = sorted({number for x, _ in series.values() for number in x})
    plot.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
    plot.xaxis.set_minor_locator(NullLocator())
    plot.yaxis.set_minor_formatter(NullFormatter())
    values = sorted({number for _, y in series.values() for number in y})
    if values[-1] < 30 * values[0]:  # too few powers of ten to read a number from
        plot.set_yticks(values[:: 1 + len(values) // 6])
        plot.yaxis.set_major_formatter(lambda value, _: f"{value:,.4g}")
    plot.grid(axis="y", color="0.92", linewidth=0.8)
    legend_below(plot, handles, 0.5, 1)
