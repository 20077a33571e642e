"""The edge of stability in one picture: sharpness times step size against updates, and the loss."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from judged import Judged
from minima.claims.claims_figure import claims_figure
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
from parts.edge_of_stability.claims import NAMES, band
from parts.edge_of_stability.config import ADAM, GD, MOMENTUM
from parts.edge_of_stability.courses import Course, full_batch, small_batch

_COLOURS = (BLUE, GREEN, ORANGE, VERMILLION, PURPLE, SKY)
_WIDE, _HIGH, _GAP, _LEFT = 3.1, 2.3, 0.75, 0.6  # inches of a panel, between panels, before them
_BELOW = 1.35  # inches under a panel: its axis and legend


def pictures(found: Sequence[Course], ordered: Sequence[Judged], run: str) -> dict[str, Picture]:
    """Every figure, by name."""
    claims, verdicts = zip(*ordered, strict=True)
    forest = claims_figure(verdicts, run, claims)
    drawn = {"edge": edge_figure(found, run)}
    return drawn if forest is None else drawn | {"claims": forest}


def edge_figure(found: Sequence[Course], run: str) -> Picture:
    """Gradient descent, its loss and its sharpness; momentum, Adam and smaller batches."""
    descent, small = full_batch(found), small_batch(found)
    sheet = Sheet(_LEFT + 3 * (_WIDE + _GAP))
    seeds = len(descent[0].accuracy)
    top = sheet.head(
        0,
        "Sharpness rises to the edge of stability",
        f"largest eigenvalue of the Hessian of the training loss; n = {seeds} seed"
        f"{'s' * (seeds > 1)}: a thin line each, their median a thick one; dashed: the edge; "
        "grey: what is claimed of the last half of training",
        run,
    )
    panels: list[tuple[str, Callable[[Axes], list[Line2D]]]] = [
        (NAMES[GD], partial(_scaled, courses=descent)),
        (f"{NAMES[GD]}: not scaled", partial(_raw, courses=descent)),
        (f"{NAMES[GD]}: training loss", partial(_loss, courses=descent)),
    ]
    for optimizer in (MOMENTUM, ADAM):
        if courses := full_batch(found, optimizer):
            panels.append((NAMES[optimizer], partial(_scaled, courses=courses)))
    if small:
        panels.append(("smaller batches", partial(_batches, small=small, descent=descent)))
    for i, (title, draw) in enumerate(panels):
        row, column = divmod(i, 3)
        left, above = _LEFT + column * (_WIDE + _GAP), top + 0.25 + row * (_HIGH + _BELOW)
        plot = sheet.plot(left, above, _WIDE, _HIGH)
        bare(plot)
        title = title[0].upper() + title[1:]
        plot.set_title(title, fontsize=TEXT, weight="bold", loc="left")
        plot.set_xlabel("updates", fontsize=TEXT)
        legend_below(plot, draw(plot), 0.45, 2)
    return sheet.finish()


def _scaled(plot: Axes, courses: Sequence[Course]) -> list[Line2D]:
    """Step size × sharpness, with the edge and the band where it is claimed to hover."""
    low, high = band(courses[0])
    last = courses[0].updates[-1]
    plot.fill_between([last / 2, last], low, high, color="0.88", linewidth=0, zorder=0)
    plot.axhline(courses[0].factor, color="black", linewidth=1.0, linestyle="--", zorder=3)
    plot.set_ylabel("step size × sharpness" + _kind(courses), fontsize=TEXT)
    handles = [_lines(plot, c, c.scaled, _COLOURS[i % 6]) for i, c in enumerate(courses)]
    _from_zero(plot, [c.scaled for c in courses], courses[0].factor)
    return handles


def _raw(plot: Axes, courses: Sequence[Course]) -> list[Line2D]:
    """Sharpness itself: each step size has its own edge."""
    handles = []
    for i, course in enumerate(courses):
        plot.axhline(course.edge, color=_COLOURS[i % 6], linewidth=1.0, linestyle="--", zorder=0)
        handles.append(_lines(plot, course, course.sharpness, _COLOURS[i % 6]))
    _from_zero(plot, [c.sharpness for c in courses], courses[0].edge)
    plot.set_ylabel("sharpness", fontsize=TEXT)
    return handles


def _loss(plot: Axes, courses: Sequence[Course]) -> list[Line2D]:
    """Of the first seed: means over seeds would hide that it is not monotone."""
    handles = []
    for i, course in enumerate(courses):
        colour, label = _COLOURS[i % 6], f"step size {course.rate:.3g}"
        (line,) = plot.plot(course.looks, course.losses[0], color=colour, linewidth=0.9)
        line.set_label(label)
        handles.append(line)
    plot.set_yscale("log")
    plot.set_ylabel("training loss, first seed", fontsize=TEXT)
    return handles


def _batches(plot: Axes, small: dict[int, list[Course]], descent: Sequence[Course]) -> list[Line2D]:
    """The largest step size, at every batch size."""
    courses = [*(by_rate[-1] for by_rate in small.values()), descent[-1]]
    plot.axhline(courses[-1].factor, color="black", linewidth=1.0, linestyle="--", zorder=3)
    plot.set_ylabel(f"step size × sharpness, at {courses[-1].rate:.3g}", fontsize=TEXT)
    handles = []
    for i, course in enumerate(courses):
        label = f"batch size {course.batch_size:,}"
        colour = GREY if course.full else _COLOURS[i % 6]
        handles.append(_lines(plot, course, course.scaled, colour, label))
    _from_zero(plot, [c.scaled for c in courses], courses[-1].factor)
    return handles


def _lines(plot: Axes, course: Course, values: np.ndarray, colour: str, label: str = "") -> Line2D:
    """Every seed thin, their median thick; one handle for the legend."""
    trained = values[np.isfinite(values).all(axis=1)]
    for row in trained:
        plot.plot(course.updates, row, color=colour, linewidth=0.6, alpha=0.5)
    label = label or f"step size {course.rate:.3g}"
    if len(trained):
        plot.plot(course.updates, np.median(trained, axis=0), color=colour, linewidth=1.8)
    else:
        label += " (failed)"
    return Line2D([], [], color=colour, linewidth=1.8, label=label)


def _from_zero(plot: Axes, values: Sequence[np.ndarray], edge: float) -> None:
    """Up to the highest value, or a little beyond the edge."""
    finite = np.concatenate([v[np.isfinite(v)] for v in values])
    highest = min(1.1 * float(finite.max(initial=0.0)), 3 * edge)
    plot.set_ylim(0, max(1.3 * edge, highest))


def _kind(courses: Sequence[Course]) -> str:
    return " (preconditioned)" if courses[0].optimizer == ADAM else ""
