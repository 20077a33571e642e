"""Figures of distribution_shift: severity, the line, detectors, months."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

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
from minima.statistics.intervals import binomial_interval, t_interval
from minima.tasks.datasets.corruptions import SEVERITIES
from minima.tasks.datasets.mnist1d_months import LAST, STABLE
from parts.distribution_shift.config import IMAGES, SIGNALS, DistributionShiftConfig
from parts.distribution_shift.line import probits
from parts.distribution_shift.measured import Measured
from parts.distribution_shift.months import ALERT, POLICIES
from parts.distribution_shift.networks import PERCENT, Floats
from parts.distribution_shift.robustness import Robustness
from parts.distribution_shift.streams import WHOLE

_LEFT, _WIDE, _HIGH, _GAP = 0.65, 3.1, 2.5, 0.85
_COLOURS = (VERMILLION, BLUE, GREEN, ORANGE, PURPLE)


def corruptions(found: Measured, config: DistributionShiftConfig) -> Picture:
    """Accuracy and confidence over severity; below, each corruption at severity 5."""
    sheet, seeds = Sheet(_LEFT + 2 * _WIDE + _GAP), len(found.robustness[IMAGES].clean.accuracy)
    top = sheet.head(
        0,
        "Accuracy falls, confidence does not",
        f"n = {seeds} seeds; above: means over corruptions, bars: 95 % t intervals over seeds; "
        "below: every corruption at severity 5, means over seeds",
        "",
    )
    titles = {IMAGES: config.shift.images, SIGNALS: "mnist1d"}
    for column, (name, each) in enumerate(found.robustness.items()):
        left = _LEFT + column * (_WIDE + _GAP)
        plot = sheet.plot(left, top + 0.25, _WIDE, _HIGH)
        bare(plot)
        plot.set_title(titles[name], fontsize=TEXT, weight="bold", loc="left")
        handles = _over_severity(plot, each)
        legend_below(plot, handles, columns=2)
        lower = sheet.plot(left + 0.75, top + 0.25 + _HIGH + 1.0, _WIDE - 0.75, 0.19 * 16 + 0.2)
        _at_worst(lower, each)
    return sheet.finish()


def on_the_line(found: Measured, config: DistributionShiftConfig) -> Picture:
    """Accuracy abroad against accuracy at home, both on probit scales."""
    line = found.line
    sheet = Sheet(5.4)
    share, slope = line.unexplained, line.slope
    top = sheet.head(
        0,
        "Accuracy on the line",
        f"n = {len(line.home)} models of one sweep, {len(np.unique(line.setting))} settings; "
        f"R² = {1 - share.estimate:.3f} [{1 - share.high:.3f}, {1 - share.low:.3f}], slope "
        f"{slope.estimate:.2f} [{slope.low:.2f}, {slope.high:.2f}]: 95 % bootstrap over settings; "
        "probit scales",
        "",
    )
    plot = sheet.plot(_LEFT, top + 0.1, 4.2, 3.6)
    bare(plot)
    x, y = probits(line.home, 10**6), probits(line.abroad, 10**6)
    plot.scatter(x, y, s=14, color=BLUE, alpha=0.5, linewidths=0)
    ends = np.array([x.min(), x.max()])
    plot.plot(ends, y.mean() + slope.estimate * (ends - x.mean()), color=VERMILLION, linewidth=1.2)
    plot.plot(ends, ends, color=GREY, linestyle="--", linewidth=0.9)
    ticks = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99])
    for axis, values in (("x", x), ("y", y)):
        at = probits(ticks, 10**6)
        shown = (at >= values.min() - 0.1) & (at <= values.max() + 0.1)
        labels = [f"{PERCENT * tick:.0f}" for tick in ticks[shown]]
        getattr(plot, f"set_{axis}ticks")(at[shown], labels)
    plot.set_xlabel(f"accuracy on {config.line.home} [%]", fontsize=TEXT)
    plot.set_ylabel(f"accuracy on {config.line.abroad} [%]", fontsize=TEXT)
    handles = [
        Line2D([], [], color=VERMILLION, label="least squares"),
        Line2D([], [], color=GREY, linestyle="--", label="nothing lost"),
    ]
    legend_below(plot, handles, columns=2)
    return sheet.finish()


def detectors(found: Measured) -> Picture:
    """False alarms of each detector, and the power of the monitor over severity."""
    sheet = Sheet(_LEFT + 2 * _WIDE + _GAP + 1.2)
    trials = next(iter(found.null.values())).trials
    shifted = found.power[WHOLE][0].trials
    top = sheet.head(
        0,
        "False alarms are as rare as said, and shifts are found",
        f"left: {trials:,} streams without a shift; right: {shifted:,} streams at each severity; "
        "exact 95 % limits",
        "",
    )
    rows = [(f"{_words(name)}, alone", each) for name, each in found.null.items()]
    rows += [(f"{_words(name)}", each) for name, each in found.null_monitor.items()]
    plot = sheet.plot(_LEFT + 1.55, top + 0.25, _WIDE - 0.35, _HIGH)
    bare(plot)
    plot.set_title("Without a shift", fontsize=TEXT, weight="bold", loc="left")
    plot.axvline(5, color=GREY, linestyle="--", linewidth=0.9)
    for row, (_, each) in enumerate(rows):
        rate = binomial_interval(each.hits, each.trials).map(lambda share: PERCENT * share)
        colour = BLUE if row < len(found.null) else VERMILLION
        plot.plot([rate.low, rate.high], [row, row], color=colour, linewidth=1.4)
        plot.plot(rate.estimate, row, "o", color=colour, markersize=4)
    plot.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=SMALL)
    plot.set_ylim(len(rows) - 0.5, -0.5)
    plot.set_xlim(0, None)
    plot.set_xlabel("streams with an alarm [%]", fontsize=TEXT)
    plot = sheet.plot(_LEFT + 1.2 + _WIDE + _GAP, top + 0.25, _WIDE, _HIGH)
    bare(plot)
    plot.set_title("Corrupted signals", fontsize=TEXT, weight="bold", loc="left")
    handles = []
    for k, ((name, several), colour) in enumerate(zip(found.power.items(), _COLOURS, strict=True)):
        rates = [binomial_interval(a.hits, a.trials) for a in several]
        at = np.arange(len(several), dtype=np.float64) + 0.06 * (k - 2)
        _bars(plot, at, [r.map(lambda share: PERCENT * share) for r in rates], colour)
        handles.append(Line2D([], [], color=colour, marker="o", markersize=4, label=_words(name)))
    plot.axhline(5, color=GREY, linestyle="--", linewidth=0.9)
    plot.set_ylim(0, 102)
    plot.set_xlabel("severity", fontsize=TEXT)
    plot.set_ylabel("streams with an alarm [%]", fontsize=TEXT)
    legend_below(plot, handles, columns=2)
    return sheet.finish()


def over_months(found: Measured) -> Picture:
    """Accuracy of the three policies, and when the second one retrained."""
    courses = found.courses
    seeds, months = courses[ALERT].accuracy.shape
    sheet = Sheet(6.6)
    top = sheet.head(
        0,
        "Retraining on an alert",
        f"n = {seeds} seeds: means, bands: 95 % t intervals; grey: months in which the data drift; "
        "ticks below: share of seeds that retrain on an alert at the end of that month",
        "",
    )
    plot = sheet.plot(_LEFT, top + 0.1, 5.6, 2.6)
    bare(plot)
    if months > STABLE:
        plot.axvspan(STABLE + 0.5, min(LAST, months) + 0.5, color="0.93", linewidth=0)
    at, handles = np.arange(1, months + 1), []
    for policy, colour in zip(POLICIES, (VERMILLION, BLUE, GREEN), strict=True):
        each = [t_interval(column) for column in courses[policy].accuracy.T]
        plot.plot(at, [i.estimate for i in each], "o-", color=colour, markersize=3, linewidth=1.3)
        low, high = [i.low for i in each], [i.high for i in each]
        plot.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
        count = np.mean([len(r) for r in courses[policy].retrainings])
        label = f"{policy}: {count:.1f} retrainings"
        handles.append(Line2D([], [], color=colour, marker="o", markersize=3, label=label))
    bottom, highest = plot.get_ylim()
    room = 0.08 * (highest - bottom)
    for month in at:
        share = float(np.mean([month in made for made in courses[ALERT].retrainings]))
        ends = [bottom - room, bottom - room + room * share]
        plot.plot([month, month], ends, color=BLUE, linewidth=4)
    plot.set_ylim(bottom - room, None)
    plot.set_xlim(0.5, months + 0.5)
    plot.set_xlabel("month", fontsize=TEXT)
    plot.set_ylabel("accuracy [%]", fontsize=TEXT)
    legend_below(plot, handles, columns=3)
    return sheet.finish()


def _over_severity(plot: Axes, each: Robustness) -> list[Line2D]:
    at, handles = np.array((0, *SEVERITIES)), []
    for name, colour in (("accuracy", BLUE), ("confidence", VERMILLION)):
        clean, corrupted = getattr(each.clean, name), getattr(each.corrupted, name)
        rows = [clean, *corrupted.mean(axis=0)]
        _bars(plot, at, [t_interval(row) for row in rows], colour)
        handles.append(Line2D([], [], color=colour, marker="o", markersize=4, label=name))
    plot.set_ylim(0, 100)
    plot.set_xlabel("severity", fontsize=TEXT)
    plot.set_ylabel("mean [%]", fontsize=TEXT)
    return handles


def _at_worst(plot: Axes, each: Robustness) -> None:
    bare(plot)
    accuracy = each.corrupted.accuracy[:, -1].mean(axis=-1)
    confidence = each.corrupted.confidence[:, -1].mean(axis=-1)
    order = np.argsort(-(confidence - accuracy))
    for row, k in enumerate(order):
        plot.plot([accuracy[k], confidence[k]], [row, row], color="0.75", linewidth=1.4)
        plot.plot(accuracy[k], row, "o", color=BLUE, markersize=4)
        plot.plot(confidence[k], row, "o", color=VERMILLION, markersize=4)
    names = [each.names[k].replace("_", " ") for k in order]
    plot.set_yticks(range(len(order)), names, fontsize=SMALL)
    plot.set_ylim(15.5, -0.5)
    plot.set_xlim(0, 100)
    plot.set_xlabel("mean at severity 5 [%]", fontsize=TEXT)


def _bars(plot: Axes, at: Floats, intervals: Sequence, colour: str) -> None:
    middle = np.array([i.estimate for i in intervals])
    spread = [middle - [i.low for i in intervals], [i.high for i in intervals] - middle]
    plot.errorbar(at, middle, np.abs(spread), fmt="o-", color=colour, markersize=4, linewidth=1.2)


def _words(name: str) -> str:
    return (
        name.replace("_", " ")
        .replace("maximum mean discrepancy", "kernel (MMD)")
        .replace("kolmogorov smirnov", "Kolmogorov-Smirnov")
    )
