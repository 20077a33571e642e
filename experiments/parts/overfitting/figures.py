"""Figures of overfitting: the ticket log, remedies over sizes, controls, the confusion table."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from minima.claims.evidence import Floats
from minima.record.figure_style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SMALL,
    TEXT,
    VERMILLION,
    Picture,
    Sheet,
    bare,
    legend_below,
)
from minima.statistics.intervals import t_interval
from parts.overfitting.claims import BEST_EPOCH, BEST_LOSS, LAST_LOSS, LAST_TRAIN, course_log
from parts.overfitting.factorial import REMEDIES, all_effects, alone, together
from parts.overfitting.faults import NAMES
from parts.overfitting.measured import Course, Measured
from parts.overfitting.peeking import Peeking

_LEFT, _WIDE, _HIGH, _GAP = 0.65, 3.4, 2.6, 0.85
_NAMES = 2.2  # inches that names of effects need
_COLOURS = (BLUE, GREEN, ORANGE, VERMILLION, PURPLE)


def tickets(found: Measured) -> Picture:
    """The two curves of our ticket classifier, with the course's numbers."""
    sheet, course = Sheet(6.2), found.tickets
    seeds, epochs = course.validation.shape
    top = sheet.head(
        0,
        "Training loss falls, validation loss turns",
        f"four classes of generated support tickets; n = {seeds} seed{'s' * (seeds > 1)}: a thin "
        "line each, their mean a thick one; dashed and dots: the course's log",
        "",
    )
    plot = sheet.plot(_LEFT, top, 5.3, 3.0)
    bare(plot)
    epoch, log = np.arange(1, epochs + 1), course_log()
    for curves, colour in ((course.train, BLUE), (course.validation, VERMILLION)):
        _bundle(plot, epoch, curves, colour)
    for values, colour in ((log.train, BLUE), (log.validation, VERMILLION)):
        plot.plot(log.where, values, "--", color=colour, linewidth=0.9, alpha=0.7)
    told = (
        (BEST_EPOCH, BEST_LOSS, VERMILLION),
        (50, LAST_LOSS, VERMILLION),
        (50, LAST_TRAIN, BLUE),
    )
    for where, loss, colour in told:
        plot.plot(where, loss, "o", color=colour, markersize=5)
    plot.set_ylim(0, None)
    plot.set_xlim(0, max(epochs, 50) + 1)
    plot.set_xlabel("epoch", fontsize=TEXT)
    plot.set_ylabel("loss [nats]", fontsize=TEXT)
    labels = ((BLUE, "training loss"), (VERMILLION, "validation loss"))
    handles = [Line2D([], [], color=colour, label=text) for colour, text in labels]
    handles.append(Line2D([], [], color=GREY, linestyle="--", marker="o", label="the course's log"))
    legend_below(plot, handles, columns=3)
    return sheet.finish()


def remedies(found: Measured, judged_size: int) -> Picture:
    """What each remedy alone gains over sizes, and all effects at one size."""
    sizes, seeds = list(found.losses), found.losses[judged_size].shape[-1]
    sheet = Sheet(_LEFT + 2 * _WIDE + _GAP + _NAMES)
    top = sheet.head(
        0,
        "What remedies do to test loss",
        f"differences paired by seed, n = {seeds} seed{'s' * (seeds > 1)}; bars: 95 % t intervals; "
        "below 0: the remedy helps",
        "",
    )
    plot = sheet.plot(_LEFT, top + 0.25, _WIDE, _HIGH)
    bare(plot)
    plot.set_title("Alone, by size of the training set", fontsize=TEXT, weight="bold", loc="left")
    handles = []
    series = [(name, [alone(found.losses[n], i) for n in sizes]) for i, name in enumerate(REMEDIES)]
    series.append(("all four together", [together(found.losses[n]) for n in sizes]))
    for k, (name, values) in enumerate(series):
        at = np.array(sizes) * 1.06 ** (k - 2)  # beside each other, so that bars can be told apart
        _bars(plot, at, values, _COLOURS[k], "o-")
        handles.append(Line2D([], [], color=_COLOURS[k], marker="o", label=name))
    plot.axhline(0, color=GREY, linewidth=0.8)
    plot.set_xscale("log")
    plot.set_xticks(sizes, [f"{n:,}" for n in sizes])
    plot.set_xticks([], minor=True)
    plot.set_xlabel("training examples", fontsize=TEXT)
    plot.set_ylabel("change of test loss [nats]", fontsize=TEXT)
    legend_below(plot, handles, columns=2)
    effects = list(all_effects(found.losses[judged_size]))
    plot = sheet.plot(_LEFT + _WIDE + _GAP + _NAMES, top + 0.25, _WIDE, _HIGH)
    bare(plot)
    title = f"Main effects and interactions, {judged_size:,} examples"
    plot.set_title(title, fontsize=TEXT, weight="bold", loc="left")
    plot.axvline(0, color=GREY, linewidth=0.8)
    for row, (name, effect) in enumerate(effects):
        middle, low, high = _limits(effect)
        colour = BLUE if " × " not in name else GREY
        plot.plot([low, high], [row, row], color=colour, linewidth=1.4)
        plot.plot(middle, row, "o", color=colour, markersize=4)
    plot.set_yticks(range(len(effects)), [name for name, _ in effects], fontsize=SMALL)
    plot.set_ylim(len(effects) - 0.5, -0.5)
    plot.set_xlabel("effect on test loss [nats]", fontsize=TEXT)
    return sheet.finish()


def controls(found: Measured, judged_size: int, peeked: Sequence[Peeking]) -> Picture:
    """Validation loss with fewer and more examples, and how much peeking flatters."""
    sheet = Sheet(_LEFT + 2 * _WIDE + _GAP)
    course = found.plain[judged_size]
    seeds = len(course.validation)
    top = sheet.head(
        0,
        "Fresh examples do not overfit; the best of many does",
        f"n = {seeds} seed{'s' * (seeds > 1)}. Left: mean validation loss without remedies. Right: "
        "accuracy of the best of K configurations on the test examples that chose it, less its "
        "accuracy on others; bars: 95 % t intervals",
        "",
    )
    plot = sheet.plot(_LEFT, top + 0.25, _WIDE, _HIGH)
    bare(plot)
    plot.set_title("With more and more examples", fontsize=TEXT, weight="bold", loc="left")
    shown: list[tuple[str, Course]] = [(f"{n:,}", each) for n, each in found.plain.items()]
    if found.infinite is not None:
        shown.append(("without end", found.infinite))
    colours = (VERMILLION, ORANGE, PURPLE, BLUE, GREEN, GREY)
    handles = []
    for (name, each), colour in zip(shown, colours, strict=False):
        _bundle(plot, each.step, each.validation, colour)
        handles.append(Line2D([], [], color=colour, label=name))
    plot.set_xlabel("updates", fontsize=TEXT)
    plot.set_ylabel("validation loss [nats]", fontsize=TEXT)
    plot.set_ylim(0, None)
    legend_below(plot, handles, columns=3)
    plot = sheet.plot(_LEFT + _WIDE + _GAP, top + 0.25, _WIDE, _HIGH)
    bare(plot)
    plot.set_title("Peeking at the test set", fontsize=TEXT, weight="bold", loc="left")
    handles = []
    for k, choices in enumerate(sorted({each.choices for each in peeked})):
        mine = [each for each in peeked if each.choices == choices]
        at = np.array([each.peeked for each in mine]) * 1.05 ** (k - 1)
        _bars(plot, at, [each.optimism for each in mine], _COLOURS[k], "o-")
        handles.append(Line2D([], [], color=_COLOURS[k], marker="o", label=f"K = {choices}"))
    plot.axhline(0, color=GREY, linewidth=0.8)
    plot.set_xscale("log")
    sizes = sorted({each.peeked for each in peeked})
    plot.set_xticks(sizes, [f"{n:,}" for n in sizes])
    plot.set_xticks([], minor=True)
    plot.set_xlabel("test examples that choose", fontsize=TEXT)
    plot.set_ylabel("optimism [points]", fontsize=TEXT)
    legend_below(plot, handles, columns=3)
    return sheet.finish()


def diagnosis(found: Measured) -> Picture:
    """The confusion table: rows what is wrong, columns what was said."""
    counts = np.array(
        [
            [sum((d.truth, d.found) == (truth, name) for d in found.diagnosed) for name in NAMES]
            for truth in NAMES
        ]
    )
    sheet = Sheet(4.9)
    right = int(np.trace(counts))
    top = sheet.head(
        0,
        "Diagnosed from their logs",
        f"{right} of {counts.sum()} runs with a known fault are diagnosed rightly; counts of runs",
        "",
    )
    plot = sheet.plot(1.0, top + 0.45, 3.4, 3.0)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    plot.imshow(shares, cmap="Blues", vmin=0, vmax=2, aspect="auto")
    for row, column in np.ndindex(counts.shape):
        if counts[row, column]:
            where = (column, row)
            plot.text(*where, str(counts[row, column]), ha="center", va="center", fontsize=TEXT)
    plot.set_xticks(range(len(NAMES)), NAMES, fontsize=SMALL)
    plot.set_yticks(range(len(NAMES)), NAMES, fontsize=SMALL)
    plot.tick_params(length=0, labeltop=True, labelbottom=False)
    plot.xaxis.set_label_position("top")
    plot.set_xlabel("said", fontsize=TEXT)
    plot.set_ylabel("true", fontsize=TEXT)
    plot.spines[:].set_visible(False)
    return sheet.finish()


def _bundle(plot: Axes, where: Floats, curves: Floats, colour: str) -> None:
    for curve in curves:
        plot.plot(where, curve, color=colour, linewidth=0.6, alpha=0.35)
    plot.plot(where, np.mean(curves, axis=0), color=colour, linewidth=1.8)


def _bars(plot: Axes, at: Floats, values: Sequence[Floats], colour: str, style: str) -> None:
    middle, low, high = np.array([_limits(each) for each in values]).T
    plot.plot(at, middle, style, color=colour, linewidth=1.2, markersize=4)
    plot.vlines(at, low, high, color=colour, linewidth=1.2)


def _limits(values: Floats) -> tuple[float, float, float]:
    if len(values) < 2 or not np.isfinite(values).all():
        mean = float(np.mean(values))
        return mean, mean, mean
    interval = t_interval(values)
    return interval.estimate, interval.low, interval.high
