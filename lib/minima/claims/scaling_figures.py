"""Figures of scaling: updates to a target and best rates, against batch size."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from minima.claims.broken_line import BrokenLine, broken_line
from minima.claims.choosing import UndecidedError
from minima.claims.evidence import Evidence, Floats, Plane
from minima.claims.figure_style import spell, spell_sizes
from minima.claims.scaling import BestRate, RateExponent, best_rate, rate_exponent
from minima.claims.scaling_claims import AT_ONCE, NO_RATE, TargetSteps, target_steps
from minima.claims.steps_to_target import Hyperbola, hyperbola
from minima.record.figure_style import (
    BLUE,
    GREY,
    ORANGE,
    PURPLE,
    TEXT,
    VERMILLION,
    Picture,
    Sheet,
    bare,
    legend_below,
    log_axis,
    of_seeds,
    size_axis,
)
from minima.statistics.intervals import Indices

_RESAMPLES = 1000  # as the claims have it
_LEFT, _WIDE, _HIGH = 0.75, 4.8, 3.3  # inches
_BOUNDS = {
    "both": ("o", "best rate, worse ones on both sides; 95 % interval"),
    "failures": ("s", "best of the rates that no seed failed at, to within a step"),
    "nothing above": ("^", "at the grid's upper end: the best is this or above"),
    "nothing below": ("v", "at the grid's lower end: the best is this or below"),
}


def steps_figure(evidence: Evidence, run: str = "") -> Picture | None:
    """Updates to the target against batch size, as the claims measure them, with both fits."""
    try:
        found = target_steps(evidence)
    except UndecidedError:
        return None
    sheet = Sheet(6.6)
    top = sheet.head(
        0,
        "Updates to a target against batch size",
        f"to {100 * found.target:.1f} % validation accuracy at the rate that gets there first; "
        f"{of_seeds(len(found.steps))}; 95 % intervals",
        run,
    )
    plot = sheet.plot(_LEFT, top, _WIDE, _HIGH)
    handles = [*_draw_seeds(plot, found), *_draw_missing(plot, found)]
    notes = list(_no_rate_notes(found))
    for draw in (_draw_hyperbola, _draw_broken_line):
        try:
            handles += draw(plot, found)
        except ValueError as error:
            name = draw.__name__.removeprefix("_draw_").replace("_", " ")
            notes.append(f"no {name}: {error}")
    handles += _draw_perfect(plot, found)
    bare(plot)
    size_axis(plot, found.batch_sizes.tolist())
    values = [*found.steps[np.isfinite(found.steps)], *found.trained[_missing(found) > 0]]
    log_axis(plot, min(values) / 1.6, max(values) * 1.6)
    plot.set_ylabel("parameter updates", fontsize=TEXT)
    below = legend_below(plot, handles)
    sheet.notes(0, top + _HIGH + 0.6 + below, notes)
    return sheet.finish()


def _draw_seeds(plot: Axes, found: TargetSteps) -> Iterator[Any]:
    """Every seed that gets there, side by side, and the median where all do."""
    offsets = np.exp(np.linspace(-0.08, 0.08, len(found.steps)))
    at_once = [found.left_out.get(size) == AT_ONCE for size in found.batch_sizes]
    for b, size in enumerate(found.batch_sizes):
        marker, face = ("v", "none") if at_once[b] else ("o", BLUE)
        look: dict[str, Any] = {
            "marker": marker,
            "markerfacecolor": face,
            "markersize": 3.5,
            "alpha": 0.6,
        }
        plot.plot(size * offsets, found.steps[:, b], linestyle="", color=BLUE, **look)
        if found.kept[b]:
            median = np.median(found.steps[:, b])
            plot.plot(size, median, "_", color="black", markersize=15, zorder=5)
    if np.isfinite(found.steps[:, ~np.array(at_once)]).any():
        yield _handle("a seed", BLUE, "o", alpha=0.6, size=3.5)
    if found.kept.any():
        yield _handle("median over seeds", "black", "_", size=11)
    if any(at_once):
        words = "a seed that is there by its first evaluation, so at most this; in no fit"
        yield _handle(words, BLUE, "v", size=3.5, face="none")


def _draw_missing(plot: Axes, found: TargetSteps) -> Iterator[Any]:
    """Marks the batch sizes at which seeds never get there: none is dropped in silence."""
    missing = _missing(found)
    for b in np.flatnonzero(missing):
        place = (found.batch_sizes[b], found.trained[b])
        no_rate = found.left_out[float(place[0])] == NO_RATE
        text = "no rate" if no_rate else f"{missing[b]}/{len(found.steps)}"
        plot.plot(*place, "^", color=VERMILLION, markersize=8)
        how: dict[str, Any] = {"ha": "center", "fontsize": 7, "textcoords": "offset points"}
        plot.annotate(text, place, (0, 7), **how)
    if missing.any():
        words = "not reached in so many updates, by how many seeds; in no fit"
        yield _handle(words, VERMILLION, "^", size=7)


def _no_rate_notes(found: TargetSteps) -> Iterator[str]:
    if NO_RATE in found.left_out.values():
        yield f"no rate: {NO_RATE}"


def _missing(found: TargetSteps) -> Indices:
    """How many seeds never get there, by batch size."""
    missing: Indices = np.isnan(found.steps).sum(0)
    return missing


def _draw_hyperbola(plot: Axes, found: TargetSteps) -> Iterator[Any]:
    law = hyperbola(found.batch_sizes, _usable(found), _RESAMPLES)
    x = _between(found)
    steps = law.fewest_steps.estimate * (1 + law.critical.estimate / x)
    plot.plot(x, steps, color=ORANGE, linewidth=1.8)
    yield Line2D([], [], color=ORANGE, linewidth=1.8, label=_hyperbola_words(law))


def _hyperbola_words(law: Hyperbola) -> str:
    critical = spell_sizes(law.critical) if law.bounded else "beyond what these sizes can tell"
    return f"S_min (1 + B_crit/B): B_crit {critical}, R² {law.r_squared:.3f}"


def _draw_broken_line(plot: Axes, found: TargetSteps) -> Iterator[Any]:
    fit = broken_line(found.batch_sizes, _usable(found), _RESAMPLES)
    x = _between(found)
    off = np.log(x / fit.critical.estimate)
    slopes = np.where(off < 0, fit.below.estimate, fit.above.estimate)
    steps = fit.steps.estimate * np.exp(slopes * off)
    plot.plot(x, steps, color=PURPLE, linewidth=1.5, linestyle=(0, (5, 2)))
    plot.axvspan(fit.critical.low, fit.critical.high, color=PURPLE, alpha=0.15, linewidth=0)
    plot.axvline(fit.critical.estimate, color=PURPLE, alpha=0.5, linewidth=0.8)
    line: dict[str, Any] = {"color": PURPLE, "linewidth": 1.5, "linestyle": (0, (5, 2))}
    yield Line2D([], [], **line, label=_broken_words(fit))
    label = f"its break at batch size {spell_sizes(fit.critical)}"
    yield Patch(color=PURPLE, alpha=0.15, linewidth=0, label=label)


def _broken_words(fit: BrokenLine) -> str:
    slopes = f"{spell(fit.below)}, then {spell(fit.above)}"
    return f"two lines: slope {slopes}; one line: p = {fit.p:.2g}"


def _draw_perfect(plot: Axes, found: TargetSteps) -> Iterator[Any]:
    """Slope -1 through the smallest batch size that got there."""
    if not found.kept.any():
        return
    first = int(np.flatnonzero(found.kept)[0])
    size, steps = found.batch_sizes[first], float(np.median(found.steps[:, first]))
    x = found.batch_sizes[[first, -1]]
    line: dict[str, Any] = {"color": GREY, "linewidth": 1.0, "linestyle": ":"}
    plot.plot(x, steps * size / x, **line)
    yield Line2D([], [], **line, label="slope −1: perfect scaling")


def _usable(found: TargetSteps) -> Floats:
    return np.where(found.kept, found.steps, np.nan)


def _between(found: TargetSteps) -> Floats:
    kept = found.batch_sizes[found.kept]
    return np.geomspace(kept[0], kept[-1], 200)


def best_rate_figure(evidence: Evidence, run: str = "") -> Picture | None:
    """The best learning rate of each batch size, as the exponent's claims measure it."""
    plane, seeds = evidence.planes.get("epochs"), list(evidence.reporting)
    if plane is None or len(seeds) < 2 or len(plane.learning_rates) < 3:
        return None
    scores = plane.validation[:, :, seeds].transpose(0, 2, 1)  # (B, S, R)
    optima = dict(_optima(plane, scores))
    if not optima:
        return None
    sheet = Sheet(6.6)
    top = sheet.head(
        0,
        "Best learning rate against batch size",
        f"by validation accuracy after the same epochs; {evidence.optimizer}; "
        f"{of_seeds(len(seeds))}; 95 % intervals",
        run,
    )
    plot = sheet.plot(_LEFT, top, _WIDE, _HIGH)
    handles = [*_draw_grid(plot, plane, scores), *_draw_optima(plot, optima)]
    fit, note = _exponent(plane, scores)
    handles += _draw_powers(plot, plane.batch_sizes, optima, fit)
    bare(plot)
    size_axis(plot, plane.batch_sizes)
    log_axis(plot, plane.learning_rates[0] / 1.6, plane.learning_rates[-1] * 1.6)
    plot.set_ylabel("learning rate", fontsize=TEXT)
    below = legend_below(plot, handles)
    lost = [size for size in plane.batch_sizes if size not in optima]
    notes = [f"batch size {size:,}: some seed failed at every rate" for size in lost]
    sheet.notes(0, top + _HIGH + 0.6 + below, [*note, *notes])
    return sheet.finish()


def _optima(plane: Plane, scores: Floats) -> Iterator[tuple[int, BestRate]]:
    for size, table in zip(plane.batch_sizes, scores, strict=True):
        if np.isfinite(table).all(0).any():
            yield size, best_rate(plane.learning_rates, table, _RESAMPLES)


def _exponent(plane: Plane, scores: Floats) -> tuple[RateExponent | None, list[str]]:
    try:
        rates = [plane.learning_rates] * len(plane.batch_sizes)
        return rate_exponent(plane.batch_sizes, rates, list(scores), _RESAMPLES), []
    except ValueError as error:
        return None, [f"no exponent: {error}"]


def _draw_grid(plot: Axes, plane: Plane, scores: Floats) -> Iterator[Any]:
    """The rates that were tried, and where some seed failed."""
    failed = ~np.isfinite(scores).all(1)
    looks = (
        (~failed, ".", "0.75", "rate tried"),
        (failed, "x", GREY, "a seed failed (diverged, collapsed) or was not run"),
    )
    for where, marker, colour, label in looks:
        if where.any():
            rows, columns = np.nonzero(where)
            x = np.asarray(plane.batch_sizes)[rows]
            y = np.asarray(plane.learning_rates)[columns]
            plot.plot(x, y, marker, color=colour, markersize=4)
            yield _handle(label, colour, marker, size=4)


def _draw_optima(plot: Axes, optima: dict[int, BestRate]) -> Iterator[Any]:
    for kind, (marker, label) in _BOUNDS.items():
        there = {size: fit.rate for size, fit in optima.items() if fit.bounded_by == kind}
        for size, rate in there.items():
            colour = VERMILLION if kind.startswith("nothing") else BLUE
            plot.plot([size, size], [rate.low, rate.high], color=colour, linewidth=1.6)
            plot.plot(size, rate.estimate, marker, color=colour, markersize=7)
        if there:
            yield _handle(label, colour, marker, size=7)


def _draw_powers(
    plot: Axes, sizes: Sequence[int], optima: dict[int, BestRate], fit: RateExponent | None
) -> Iterator[Any]:
    """The fitted power, and linear and square-root guides through the middle of the optima."""
    inside = {b: best for b, best in optima.items() if not best.censored} or optima
    x0 = math.exp(np.mean([math.log(size) for size in inside]))
    y0 = math.exp(np.mean([math.log(best.rate.estimate) for best in inside.values()]))
    x = np.array([sizes[0], sizes[-1]], np.float64)
    if fit is not None:
        plot.plot(x, y0 * (x / x0) ** fit.exponent.estimate, color=ORANGE, linewidth=1.8)
        left_out = f"; {len(fit.censored)} at the grid's edge left out" if fit.censored else ""
        label = f"fit: exponent {spell(fit.exponent, '.2f')}{left_out}"
        yield Line2D([], [], color=ORANGE, linewidth=1.8, label=label)
    guides: tuple[tuple[float, str, Any], ...] = (
        (1.0, "linear (exponent 1)", "--"),
        (0.5, "square root (exponent ½)", ":"),
    )
    for power, label, style in guides:
        plot.plot(x, y0 * (x / x0) ** power, color=GREY, linewidth=1.0, linestyle=style)
        yield Line2D([], [], color=GREY, linewidth=1.0, linestyle=style, label=label)


def _handle(
    label: str,
    colour: str,
    marker: str,
    size: float,
    alpha: float = 1.0,
    face: str | None = None,
) -> Line2D:
    """A legend's marker."""
    face = colour if face is None else face
    look: dict[str, Any] = {"color": colour, "markerfacecolor": face, "alpha": alpha}
    return Line2D([], [], linestyle="", marker=marker, markersize=size, label=label, **look)
