"""The three loops in pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from judged import Judged
from minima.claims.claims_figure import claims_figure
from minima.evaluation.patrols import limit
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
from parts.feedback_loops.worlds import (
    BOTH,
    CORRECTED,
    CORRECTIONS,
    EXPLORES,
    GREEDY,
    HIRED,
    LOTS,
    RATES,
    SILENT,
    SILENT_LOTS,
    Floats,
    Worlds,
)

_POLICIES = {GREEDY: VERMILLION, CORRECTED: ORANGE, EXPLORES: BLUE, BOTH: SKY}
_LEARNERS = {SILENT: VERMILLION, SILENT_LOTS: ORANGE, HIRED: PURPLE, LOTS: BLUE}
_LEFT, _WIDE, _HIGH, _GAP = 0.6, 2.5, 2.1, 0.75  # inches


def pictures(found: Worlds, judged: Sequence[Judged], run: str) -> dict[str, Picture]:
    """Every figure, by name."""
    claims, verdicts = zip(*judged, strict=True)
    forest = claims_figure(verdicts, run, claims)
    drawn = {
        "patrols": patrols(found),
        "recommender": recommender(found),
        "hiring": hiring(found),
    }
    return drawn if forest is None else drawn | {"claims": forest}


def patrols(found: Worlds) -> Picture:
    """Urns on their way, where they end, and how the cure's strength moves that."""
    naive, cured = found.patrols["equal", 0.0], found.patrols["equal", 1.0]
    sheet, top = _sheet(
        "Patrols that follow finds settle anywhere",
        f"two areas; n = {len(naive['last']):,} urns of equal rates without correction, "
        f"{len(cured['last']):,} of every other condition; right: means, bars 95 % t intervals, "
        "narrower than the marks where none is seen",
    )
    plot = _panel(sheet, 0, top, "Share of the first area, equal rates")
    day = np.linspace(0, 1, naive["drawn"].shape[1] + 1)
    for numbers, colour in ((naive, VERMILLION), (cured, BLUE)):
        for course in numbers["drawn"]:
            plot.plot(day, [0.5, *course], color=colour, linewidth=0.6, alpha=0.5)
    plot.set_ylim(0, 1)
    plot.set_xlabel("share of all days", fontsize=TEXT)
    handles = [
        Line2D([], [], color=VERMILLION, label="as found"),
        Line2D([], [], color=BLUE, label="corrected"),
    ]
    legend_below(plot, handles, columns=2)
    plot = _panel(sheet, 1, top, "Where they end: density")
    bins = [k / 40 for k in range(41)]
    plot.hist(cured["last"], bins, density=True, color=BLUE, alpha=0.5)
    plot.hist(naive["last"], bins, density=True, color=VERMILLION, alpha=0.8)
    plot.axhline(1, color="black", linewidth=1, linestyle="--")
    plot.set_ylim(0, 4)
    plot.set_xlabel("share of the first area", fontsize=TEXT)
    kinds = [
        Patch(color=VERMILLION, alpha=0.8, label="as found"),
        Patch(color=BLUE, alpha=0.5, label="corrected (cut off)"),
        Line2D([], [], color="black", linestyle="--", label="uniform law"),
    ]
    legend_below(plot, kinds, columns=2)
    plot = _panel(sheet, 2, top, "Mean share by correction")
    strengths = np.linspace(0.02, 1, 99)
    handles = []
    for (name, rates), colour in zip(RATES.items(), (GREEN, VERMILLION, BLUE), strict=True):
        plot.plot(strengths, [limit(rates, c)[0] for c in strengths], color=colour, linewidth=1)
        means = [_mean(found.patrols[name, c]["last"]) for c in CORRECTIONS]
        middle, half = np.array(means).T
        plot.errorbar(CORRECTIONS, middle, half, fmt="o", color=colour, markersize=4)
        text = f"rates {rates[0]:g}, {rates[1]:g}"
        handles.append(Line2D([], [], color=colour, marker="o", label=text))
    handles.append(Line2D([], [], color=GREY, label="lines: the limit"))
    plot.set_xlabel("correction", fontsize=TEXT)
    plot.set_ylim(0.4, 1.02)
    legend_below(plot, handles, columns=2)
    return sheet.finish()


def recommender(found: Worlds) -> Picture:
    """Accuracy on the log and in truth, exposure of new restaurants, and inequality, by week."""
    worlds = len(found.shops[GREEDY]["best"])
    sheet, top = _sheet(
        "91 % accurate, and the same five restaurants",
        f"means over n = {worlds} worlds a policy, bands: 95 % t intervals of the means; dashed: "
        "lists made from the true probabilities",
    )
    plot = _panel(sheet, 0, top, "Accuracy [%]")
    for name, colour in _POLICIES.items():
        _band(plot, 100 * found.shops[name]["true"], colour)
        _band(plot, 100 * found.shops[name]["logged"], colour, ":")
    plot.set_xlabel("week after launch", fontsize=TEXT)
    handles = [
        Line2D([], [], color=GREY, linestyle=":", label="held-out log"),
        Line2D([], [], color=GREY, label="all pairs"),
    ]
    legend_below(plot, handles, columns=2)
    plot = _panel(sheet, 1, top, "New restaurants' exposure")
    for name, colour in _POLICIES.items():
        _band(plot, found.shops[name]["new"], colour)
    plot.axhline(found.shops[GREEDY]["ideal_new"].mean(), color=GREY, linestyle="--", linewidth=1)
    plot.set_ylim(-0.03, None)
    plot.set_ylabel("over their part of the catalogue", fontsize=TEXT)
    plot.set_xlabel("week after launch", fontsize=TEXT)
    legend_below(plot, _names(_POLICIES), columns=2)
    plot = _panel(sheet, 2, top, "Gini index of exposure")
    for name, colour in _POLICIES.items():
        _band(plot, found.shops[name]["gini"], colour)
    plot.axhline(found.shops[GREEDY]["ideal_gini"].mean(), color=GREY, linestyle="--", linewidth=1)
    plot.set_xlabel("week after launch", fontsize=TEXT)
    return sheet.finish()


def hiring(found: Worlds) -> Picture:
    """Who is hired, what the model thinks of the stand-in, and how accurate it says it is."""
    numbers = found.firms[SILENT]
    sheet, top = _sheet(
        "Whoever is turned away leaves no record",
        f"means over n = {len(numbers['base'])} firms, bands: 95 % t intervals of the means; year "
        "0: people decide; dashed: share of applicants. Both groups are equally able",
    )
    plot = _panel(sheet, 0, top, "Second group among the hired [%]")
    for name, colour in _LEARNERS.items():
        _band(plot, 100 * found.firms[name]["share"], colour)
    plot.axhline(100 * numbers["base"][:, 0].mean(), color=GREY, linestyle="--", linewidth=1)
    plot.set_xlabel("year", fontsize=TEXT)
    legend_below(plot, _names(_LEARNERS))
    plot = _panel(sheet, 1, top, "Weight on the group's stand-in [logits]")
    for name, colour in _LEARNERS.items():
        _band(plot, found.firms[name]["slope"], colour)
    plot.axhline(0, color=GREY, linestyle="--", linewidth=1)
    plot.set_xlabel("year", fontsize=TEXT)
    plot = _panel(sheet, 2, top, "Accuracy [%]")
    for name, colour in _LEARNERS.items():
        _band(plot, 100 * found.firms[name]["true"], colour)
        _band(plot, 100 * found.firms[name]["logged"], colour, ":")
    plot.set_xlabel("year", fontsize=TEXT)
    handles = [
        Line2D([], [], color=GREY, linestyle=":", label="on the firm's record"),
        Line2D([], [], color=GREY, label="for all applicants"),
    ]
    legend_below(plot, handles)
    return sheet.finish()


def _sheet(title: str, about: str) -> tuple[Sheet, float]:
    sheet = Sheet(_LEFT + 3 * _WIDE + 2 * _GAP)
    return sheet, sheet.head(0, title, about, "")


def _panel(sheet: Sheet, column: int, top: float, title: str) -> Axes:
    plot = sheet.plot(_LEFT + column * (_WIDE + _GAP), top + 0.25, _WIDE, _HIGH)
    bare(plot)
    plot.set_title(title, fontsize=TEXT, weight="bold", loc="left")
    return plot


def _band(plot: Axes, values: Floats, colour: str, style: str = "-") -> None:
    """The mean over worlds (rows) by time, with its limits; NaN everywhere is left out."""
    plot.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    there = np.isfinite(values).all(axis=0)
    time, kept = np.flatnonzero(there), values[:, there]
    middle, half = np.array([_mean(column) for column in kept.T]).T
    plot.plot(time, middle, style, color=colour, linewidth=1.4)
    plot.fill_between(time, middle - half, middle + half, color=colour, alpha=0.2, linewidth=0)


def _mean(values: Floats) -> tuple[float, float]:
    """Mean and half the width of its 95 % interval, for many worlds."""
    return float(values.mean()), float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))


def _names(colours: Mapping[str, str]) -> list[Line2D]:
    return [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
