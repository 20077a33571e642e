"""Figures about shortcuts: colours and penalties; rulers and words."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from minima.record.figure_style import (
    BLUE,
    GREEN,
    ORANGE,
    SMALL,
    TEXT,
    VERMILLION,
    Picture,
    Sheet,
    bare,
    legend_below,
)
from minima.record.figure_style import (
    GREY as GREY_LINE,
)
from minima.statistics.intervals import t_interval
from parts.spurious_correlation.config import COLOURS, DRO, ERM, GREY, IRM, LAST, REWEIGHTED, VREX
from parts.spurious_correlation.measured import BY_TEST, BY_VALIDATION, Measured, Outcome

_TESTS = (
    ("shared", "test set that shares the cue", BLUE, "o"),
    ("without", "without the cue", GREEN, "s"),
    ("reversed", "cue reversed", VERMILLION, "D"),
)
_ROW, _LEFT, _WIDE = 0.34, 1.75, 3.3


def colours(found: Measured, run: str) -> Picture:
    """Every method on three test sets, and the penalties at every strength."""
    sheet = Sheet(_LEFT + 2 * _WIDE + 0.9)
    count = len(found.seeds)
    top = sheet.head(
        0,
        "Coloured images: what a test set that shares the colours hides",
        f"means and 95 % t intervals over n = {count} seeds, in expectation over the draws of "
        "labels and colours; 75 % is the best there is without colours",
        run,
    )
    rows = _rows(found)
    plot = sheet.plot(_LEFT, top, _WIDE, _ROW * len(rows))
    _forest(plot, rows)
    plot.axvline(75, color=GREY_LINE, linewidth=0.8, linestyle=":")
    legend_below(plot, _handles(), columns=1)
    plot = sheet.plot(_LEFT + _WIDE + 0.8, top, _WIDE, _ROW * len(rows))
    bare(plot)
    for method, colour in ((IRM, ORANGE), (VREX, BLUE)):
        all_of = [e for e in found.outcomes if (e.stage.cue, e.method) == (COLOURS, method)]
        for name, line, mark in (("shared", "--", "o"), ("reversed", "-", "D")):
            _curve(plot, all_of, name, colour, line, mark)
    plot.set_xscale("log")
    plot.set_ylim(0, 100)
    plot.set_xlabel("strength of the penalty", fontsize=TEXT)
    plot.set_ylabel("accuracy, %", fontsize=TEXT)
    plot.set_title("Penalties", fontsize=TEXT, weight="bold", loc="left")
    handles = [Line2D([], [], color=c, label=m) for m, c in ((IRM, ORANGE), (VREX, BLUE))]
    handles.append(
        Line2D([], [], linestyle="--", marker="o", color=GREY_LINE, label="shared colours")
    )
    handles.append(
        Line2D([], [], linestyle="-", marker="D", color=GREY_LINE, label="reversed colours")
    )
    legend_below(plot, handles, columns=2)
    return sheet.finish()


def shared(found: Measured, run: str) -> Picture:
    """The worst group of every method, with and without strong L2, for rulers and words."""
    cues = [cue for cue in found.cues if cue != COLOURS]
    sheet = Sheet(_LEFT + len(cues) * (_WIDE + 0.5))
    count = len(found.seeds)
    top = sheet.head(
        0,
        "Rulers and words: accuracy with the cue, without it, reversed, and in the worst group",
        f"means and 95 % t intervals over n = {count} seeds; black bars: the worst of four groups "
        "(label, cue)",
        run,
    )
    for place, cue in enumerate(cues):
        outcomes = [each for each in found.outcomes if each.stage.cue == cue]
        rows = [(f"{each.method}, {each.setting}", each) for each in outcomes]
        left = _LEFT + place * (_WIDE + 0.5)
        plot = sheet.plot(left, top + 0.25, _WIDE, _ROW * len(rows))
        _forest(plot, rows, names=place == 0)
        for row, (_, each) in enumerate(rows):
            plot.plot([each.worst.mean()] * 2, [row - 0.35, row + 0.35], color="black")
        plot.set_title(cue.capitalize(), fontsize=TEXT, weight="bold", loc="left")
        if place == 0:
            handles = [*_handles(), Line2D([], [], color="black", label="worst of four groups")]
            legend_below(plot, handles, columns=1)
    return sheet.finish()


def _rows(found: Measured) -> list[tuple[str, Outcome]]:
    rows = [(ERM, found.of(COLOURS, ERM)), ("group DRO, environments", found.of(COLOURS, DRO))]
    for method in (IRM, VREX):
        for how, words in ((BY_VALIDATION, "validation"), (BY_TEST, "reversed test")):
            rows.append((f"{method}, by {words}", found.outcomes[found.chosen[method, how]]))
    told = [(f"{name}, colour known", found.of(COLOURS, name)) for name in (REWEIGHTED, LAST)]
    return [*rows, *told, (GREY, found.of(COLOURS, GREY))]


def _forest(plot: Axes, rows: list[tuple[str, Outcome]], names: bool = True) -> None:
    bare(plot)
    for row, (_, each) in enumerate(rows):
        for shift, (name, _, colour, mark) in enumerate(_TESTS):
            middle, low, high = t_interval(getattr(each, name)).limits().values()
            at = row + 0.22 * (shift - 1)
            plot.plot([low, high], [at, at], color=colour, linewidth=1.2)
            plot.plot(middle, at, mark, color=colour, markersize=4)
    labels = [label for label, _ in rows] if names else [""] * len(rows)
    plot.set_yticks(range(len(rows)), labels, fontsize=SMALL)
    plot.set_ylim(len(rows) - 0.5, -0.5)
    plot.set_xlim(0, 101)
    plot.axvline(50, color=GREY_LINE, linewidth=0.8)
    plot.grid(axis="x", color="0.92", linewidth=0.8)
    plot.set_xlabel("accuracy, %", fontsize=TEXT)


def _curve(
    plot: Axes, outcomes: list[Outcome], name: str, colour: str, line: str, mark: str
) -> None:
    strengths = [each.strength for each in outcomes]
    spread = np.array([[*t_interval(getattr(e, name)).limits().values()] for e in outcomes])
    plot.fill_between(strengths, spread[:, 1], spread[:, 2], color=colour, alpha=0.15, linewidth=0)
    plot.plot(strengths, spread[:, 0], line, color=colour, marker=mark, markersize=4)


def _handles() -> list[Line2D]:
    return [
        Line2D([], [], color=colour, marker=mark, markersize=4, label=label)
        for _, label, colour, mark in _TESTS
    ]
