"""The renter case mend by mend, and the audit's operating characteristics."""

from collections.abc import Sequence

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from minima.evaluation.audit import BLOCKED, NOT_ANSWERABLE, OK, QUESTIONS
from minima.record.figure_style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SMALL,
    TEXT,
    VERMILLION,
    Picture,
    Sheet,
    bare,
    legend_below,
)
from minima.statistics.intervals import binomial_interval
from parts.release_audit.case import Audited, of_state, states_of
from parts.release_audit.config import RECALIBRATED
from parts.release_audit.operating import Operating
from parts.release_audit.systems import GRADED, SIZES

_SHADES = {OK: GREEN, NOT_ANSWERABLE: ORANGE, BLOCKED: VERMILLION}
_WORDS = {OK: "OK", NOT_ANSWERABLE: "not answerable", BLOCKED: "blocked"}


def mends(found: Sequence[Audited]) -> Picture:
    """Accuracy on the test set and in use, and the four answers, state by state."""
    states, seeds = states_of(found), len(of_state(found, RECALIBRATED))
    sheet = Sheet(8.4)
    top = sheet.head(
        0,
        "A release, mend by mend",
        f"the renter model, n = {seeds} seeds: points are seeds, lines their means; cells: how "
        "many seeds were answered so",
        "",
    )
    plot = sheet.plot(1.9, top + 0.3, 2.7, 2.2)
    bare(plot)
    plot.set_title("Accuracy [%]", fontsize=TEXT, weight="bold", loc="left")
    series = (
        ("test set", BLUE, lambda each: each.found.accuracy),
        ("in use, the first eight cities", ORANGE, lambda each: each.in_use),
        ("in use, the seven others", VERMILLION, lambda each: each.elsewhere),
    )
    rows = np.arange(len(states))
    handles = []
    for k, (name, colour, value) in enumerate(series):
        values = [[100 * value(each) for each in of_state(found, state)] for state in states]
        at = rows + 0.12 * (k - 1)
        plot.plot([np.mean(each) for each in values], at, color=colour, linewidth=1.2)
        for row, each in zip(at, values, strict=True):
            plot.plot(each, [row] * len(each), "o", color=colour, markersize=3)
        handles.append(Line2D([], [], color=colour, marker="o", markersize=3, label=name))
    plot.set_yticks(rows, states, fontsize=SMALL)
    plot.set_ylim(len(states) - 0.5, -0.5)
    plot.grid(axis="x", color="0.92", linewidth=0.8)
    legend_below(plot, handles, gap=0.35)
    plot = sheet.plot(4.9, top + 0.3, 3.3, 2.2)
    plot.set_title("What the audit answers", fontsize=TEXT, weight="bold", loc="left", pad=20)
    for row, state in enumerate(states):
        for column, question in enumerate(QUESTIONS):
            answers = [each.found.answer(question) for each in of_state(found, state)]
            commonest = max(_SHADES, key=answers.count)
            box = (column - 0.5, row - 0.5)
            plot.add_patch(_box(box, _SHADES[commonest]))
            text = f"{_WORDS[commonest]}\n{answers.count(commonest)} of {len(answers)}"
            plot.text(column, row, text, ha="center", va="center", fontsize=6.5)
    plot.set_xlim(-0.5, len(QUESTIONS) - 0.5)
    plot.set_ylim(len(states) - 0.5, -0.5)
    plot.set_xticks(range(len(QUESTIONS)), list(QUESTIONS), fontsize=SMALL)
    plot.set_yticks([])
    plot.tick_params(length=0, labeltop=True, labelbottom=False)
    plot.spines[:].set_visible(False)
    return sheet.finish()


def operating(found: Operating) -> Picture:
    """How often each answer is given, by the size of a fault in units of its limit."""
    draws = sum(next(iter(found.curves.values()))[0].values())
    sheet = Sheet(4 * 2.15 + 0.5)
    top = sheet.head(
        0,
        "How often the audit blocks, by the size of a fault",
        f"n = {draws} systems a point, bars: exact 95 % limits; size 1 is the limit from which on "
        "a fault matters",
        "",
    )
    for k, graded in enumerate(GRADED):
        plot = sheet.plot(0.55 + 2.15 * k, top + 0.3, 1.75, 1.75)
        bare(plot)
        plot.set_title(graded.question, fontsize=TEXT, weight="bold", loc="left")
        plot.axvline(1, color=GREY, linewidth=0.8, linestyle="--")
        for shift, (answer, colour) in enumerate(_SHADES.items()):
            limits = [
                binomial_interval(counts.get(answer, 0), sum(counts.values()))
                for counts in found.curves[graded.name]
            ]
            at = np.array(SIZES) + 0.05 * (shift - 1)
            middle = [100 * each.estimate for each in limits]
            plot.plot(at, middle, "o-", color=colour, markersize=3, linewidth=1.2)
            low, high = ([100 * getattr(each, side) for each in limits] for side in ("low", "high"))
            plot.vlines(at, low, high, color=colour, linewidth=1)
        plot.set_ylim(-3, 103)
        plot.set_xlabel("size in limits", fontsize=TEXT)
        if k == 0:
            plot.set_ylabel("systems [%]", fontsize=TEXT)
            handles = [
                Line2D([], [], color=colour, marker="o", markersize=3, label=_WORDS[answer])
                for answer, colour in _SHADES.items()
            ]
            legend_below(plot, handles, columns=3)
    return sheet.finish()


def _box(corner: tuple[float, float], colour: str) -> Rectangle:
    return Rectangle(corner, 1, 1, facecolor=colour, alpha=0.45, edgecolor="white", linewidth=2)
