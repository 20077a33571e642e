"""Tables and the figure of scaling laws."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.lines import Line2D

from judged import Judged
from minima.claims.claims_figure import claims_figure
from minima.record.figure_style import (
    BLUE,
    NUMBERS,
    PURPLE,
    TEXT,
    Picture,
    Sheet,
    bare,
    legend_below,
)
from minima.record.tables import Table, Value
from minima.statistics.intervals import t_interval
from parts.scaling_laws.claims import laws
from parts.scaling_laws.config import LSTM, TRANSFORMER
from parts.scaling_laws.points import Course

_COLOURS = {LSTM: BLUE, TRANSFORMER: PURPLE}
_MARKERS = {LSTM: "^", TRANSFORMER: "D"}
_WIDE, _HIGH, _GAP = 2.5, 2.2, 0.65  # inches


def tables(found: Sequence[Course]) -> dict[str, Table]:
    """Losses, and the laws that were fitted to them."""
    losses: list[tuple[Value, ...]] = []
    fits: list[tuple[Value, ...]] = []
    for course in found:
        which = (course.text, course.model, course.axis)
        for x, row in zip(course.x, course.losses, strict=True):
            above = float(np.mean(row)) - course.entropy if course.entropy else np.nan
            losses.append((*which, int(x), float(np.mean(row)), float(np.ptp(row)), above))
        fitted, naive = laws(course, course.entropy), laws(course, 0.0)
        exponents = [law.exponent for law in fitted]
        interval = t_interval(exponents)
        floor = float(np.mean([law.floor for law in fitted]))
        known = "known" if course.entropy else "fitted"
        without = float(np.mean([law.exponent for law in naive]))
        rms = float(np.mean([law.rms for law in fitted]))
        at_bound = sum(law.at_bound for law in fitted)
        limits = (interval.estimate, interval.low, interval.high)
        fits.append((*which, *limits, floor, known, without, rms, at_bound))
    seeds, which_columns = found[0].losses.shape[1], ("text", "model", "axis")
    return {
        "losses": Table(
            f"lowest validation loss, nats a character, means and spans of n = {seeds} seeds",
            (*which_columns, "x", "loss", "span", "above_source"),
            losses,
        ),
        "laws": Table(
            f"loss = floor + (scale / x)^exponent, fitted to each of n = {seeds} seeds, Student's "
            "95 % intervals",
            (*which_columns, "exponent", "low", "high", "floor", "floor_is", "without_floor",
             "rms_nats", "fits_at_a_bound"),
            fits,
        ),
    }  # fmt: skip


def pictures(found: Sequence[Course], ordered: Sequence[Judged], run: str) -> Mapping[str, Picture]:
    """Loss against parameters and data, and the claims."""
    drawn = {"laws": _laws(found, run)}
    claims, verdicts = zip(*ordered, strict=True)
    forest = claims_figure(verdicts, run, claims)
    return drawn if forest is None else drawn | {"claims": forest}


def _laws(found: Sequence[Course], run: str) -> Picture:
    panels = list(dict.fromkeys((course.text, course.axis) for course in found))
    sheet = Sheet(0.75 + len(panels) * (_WIDE + _GAP))
    top = sheet.head(
        0,
        "Loss against parameters and data",
        f"every seed a point (n = {found[0].losses.shape[1]}), lines: the law fitted to the mean "
        "of seeds; dashed: its floor, dotted: the source's own loss where it is known",
        run,
    )
    for i, (text, axis) in enumerate(panels):
        plot = sheet.plot(0.75 + i * (_WIDE + _GAP), top + 0.25, _WIDE, _HIGH)
        mine = [c for c in found if (c.text, c.axis) == (text, axis)]
        for course in mine:
            colour, mean = _COLOURS[course.model], course.losses.mean(axis=1)
            for row in course.losses.T:
                plot.plot(course.x, row, _MARKERS[course.model], color=colour, markersize=3)
            if not np.isfinite(mean).all():
                continue
            (law,) = laws(
                Course(text, course.model, axis, course.x, mean[:, None], course.entropy),
                course.entropy,
            )
            x = np.geomspace(course.x[0] / 1.2, course.x[-1] * 1.2, 60)
            plot.plot(x, law.at(x), color=colour, linewidth=1)
            if course.entropy:
                plot.axhline(course.entropy, color="0.4", linewidth=0.9, linestyle=":")
            elif not law.at_bound:
                plot.axhline(law.floor, color=colour, linewidth=0.8, linestyle="--")
        bare(plot)
        plot.set_xscale("log")
        plot.set_title(f"{text.split(':')[0]}", fontsize=TEXT, loc="left")
        said = "parameters beside embeddings" if axis == "parameters" else "characters"
        plot.set_xlabel(said, fontsize=NUMBERS)
        if i == 0:
            plot.set_ylabel("validation loss, nats a character", fontsize=NUMBERS)
        handles = [
            Line2D([], [], color=_COLOURS[c.model], marker=_MARKERS[c.model], markersize=3,
                   label=c.model) for c in mine]  # fmt: skip
        legend_below(plot, handles, 0.5, columns=2)
    return sheet.finish()
