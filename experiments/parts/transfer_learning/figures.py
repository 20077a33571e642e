"""Label efficiency in one picture."""

import itertools
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from minima.record.figure_style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    TEXT,
    VERMILLION,
    Picture,
    Sheet,
    bare,
    legend_below,
)
from minima.statistics.intervals import t_interval
from parts.transfer_learning.config import (
    DESTROYED,
    FULL,
    LARGE,
    OUTSIDE,
    PARTIAL,
    PROBE,
    SAM,
    SCRATCH,
    SMALL,
)
from parts.transfer_learning.curves import Curves

_COLOURS = {SCRATCH: GREY, PROBE: SKY, PARTIAL: ORANGE, FULL: BLUE, OUTSIDE: PURPLE}
_SOURCES = {SMALL: BLUE, LARGE: VERMILLION, SAM: GREEN}
_MARKS = {SCRATCH: "s", PROBE: "v", PARTIAL: "D", FULL: "o", OUTSIDE: "P"}
_WIDE, _HIGH, _GAP, _LEFT = 3.1, 2.4, 0.75, 0.6  # inches of a panel, between panels, before them
_BELOW = 1.35  # inches under a panel: its axis and legend


def figure(found: Curves, compared: int, run: str) -> Picture:
    """Accuracy by labels on every target, and pretrainings compared."""
    sheet = Sheet(_LEFT + 2 * (_WIDE + _GAP))
    top = sheet.head(
        0,
        "What a pretrained network saves in labels",
        f"test accuracy; n = {found.seeds} seeds, mean and 95 % t interval",
        run,
    )
    draws = [partial(_panel, found=found, target=target) for target in found.targets]
    for i, draw in enumerate([*draws, partial(_compared, found=found, labels=compared)]):
        row, column = divmod(i, 2)
        left, above = _LEFT + column * (_WIDE + _GAP), top + 0.25 + row * (_HIGH + _BELOW)
        plot = sheet.plot(left, above, _WIDE, _HIGH)
        legend_below(plot, draw(plot), 0.5, 2)
    return sheet.finish()


def _panel(plot: Axes, found: Curves, target: str) -> list[Line2D]:
    bare(plot)
    names = [name for name in _COLOURS if any(arm.name == name for arm in found.accuracy)]
    for i, name in enumerate(names):
        source = OUTSIDE if name == OUTSIDE else SMALL
        each = [t_interval(found.of(target, count, name, source)) for count in found.labels]
        middle = [one.estimate for one in each]
        error = [[o.estimate - o.low for o in each], [o.high - o.estimate for o in each]]
        # Side by side, lest intervals hide each other.
        at = np.array(found.labels) * 1.04 ** (i - len(names) / 2)
        plot.errorbar(
            at,
            middle,
            error,
            color=_COLOURS[name],
            marker=_MARKS[name],
            markersize=4,
            linewidth=1.3,
            capsize=2,
        )
    plot.set_xscale("log")
    plot.set_xticks(found.labels, [f"{count:,}" for count in found.labels])
    plot.set_xticks([], minor=True)
    plot.set_ylim(0, 100)
    plot.grid(axis="y", color="0.92", linewidth=0.8)
    plot.set_xlabel("labels per class", fontsize=TEXT)
    plot.set_ylabel("test accuracy, %", fontsize=TEXT)
    plot.set_title(f"{target.capitalize()} target", fontsize=TEXT, weight="bold", loc="left")
    return [
        Line2D([], [], color=_COLOURS[name], marker=_MARKS[name], markersize=4, label=name)
        for name in names
    ]


def _compared(plot: Axes, found: Curves, labels: int) -> list[Line2D]:
    """Each pretraining's accuracy on every intact target, by arm."""
    bare(plot)
    intact = [target for target in found.targets if target != DESTROYED]
    groups = list(itertools.product(intact, (PROBE, FULL)))
    for place, (target, name) in enumerate(groups):
        for shift, (source, colour) in enumerate(_SOURCES.items()):
            one = t_interval(found.of(target, labels, name, source))
            error = [[one.estimate - one.low], [one.high - one.estimate]]
            at = place + 0.2 * (shift - 1)
            plot.errorbar(
                [at], [one.estimate], error, fmt="o", color=colour, capsize=2, markersize=4
            )
    ticks = [f"{target}\n{name}" for target, name in groups]
    plot.set_xticks(range(len(groups)), ticks, fontsize=6.5)
    plot.set_xlim(-0.6, len(groups) - 0.4)
    plot.grid(axis="y", color="0.92", linewidth=0.8)
    plot.set_ylabel("test accuracy, %", fontsize=TEXT)
    title = f"Pretrainings, {labels} labels per class"
    plot.set_title(title, fontsize=TEXT, weight="bold", loc="left")
    return [
        Line2D(
            [], [], color=colour, marker="o", linestyle="", markersize=4, label=f"pretrained: {s}"
        )
        for s, colour in _SOURCES.items()
    ]
