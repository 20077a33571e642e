"""Pictures: every group, what repairs cost, what is impossible, and who stands in for whom."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from minima.evaluation.arrays import Floats
from minima.evaluation.disparity import by_group
from minima.record.figure_style import (
    BLUE,
    GREEN,
    GREY,
    NUMBERS,
    ORANGE,
    PURPLE,
    SKY,
    SMALL,
    TEXT,
    VERMILLION,
    Picture,
    Sheet,
    bare,
    legend_below,
)
from parts.fairness.claims import mean_limits
from parts.fairness.config import FairnessConfig
from parts.fairness.measured import (
    GAP_NAMES,
    LEARNED_TRUTH,
    NO_ZIP,
    NOTHING,
    OWN_GAP,
    PRICES,
    REVIEWED,
    REWEIGHED,
    Measured,
    parity,
    thresholds,
)
from parts.fairness.people import every_grouping

_WIDTH = 7.6
_ROW = 0.2  # inches


def groups(found: Measured, least: int) -> Picture:
    """A forest of every group: who is selected, and who of those that deserve it."""
    unit = found.units[0]
    known = unit.table.knows_truth
    grouped = {
        attribute: (
            by_group(unit.test.labels, found.decided, of, least=least),
            by_group(unit.test.truth, found.decided, of, least=least),
        )
        for attribute, of in every_grouping(unit.test).items()
    }
    sheet = Sheet(_WIDTH)
    top = sheet.head(
        0,
        "Every group, nothing repaired",
        f"n = {len(unit.test):,} test rows of one run; bars are exact 95 % limits; hollow: fewer "
        f"than {least} people",
        "",
    )
    names: list[str] = []
    rows: list[tuple[int, int]] = []
    for k, (past, _) in enumerate(grouped.values()):
        names += [f"{group.name} ({group.n:,})" for group in past]
        rows += [(k, i) for i in range(len(past))]
    height = _ROW * (len(rows) + len(grouped))
    what = [("of everybody", "selection_rate", 0, BLUE)]
    what.append(("of those once granted" if known else "of those with label 1",
                 "true_positive_rate", 0, VERMILLION))  # fmt: skip
    if known:
        what.append(("of those who repaid", "true_positive_rate", 1, GREEN))
    left, wide = 2.1, (_WIDTH - 2.1 - 0.25 * len(what)) / len(what)
    places = [i + k for i, (k, _) in enumerate(rows)]
    listed = list(grouped.values())
    for column, (title, rate, by, colour) in enumerate(what):
        plot = sheet.plot(left + column * (wide + 0.25), top + 0.25, wide, height)
        bare(plot)
        plot.set_title(title, fontsize=TEXT, weight="bold", loc="left")
        for place, (k, i) in zip(places, rows, strict=True):
            group = listed[k][by][i]
            mine = group.rates[rate]
            if mine.defined:
                face = "white" if group.small else colour
                plot.hlines(place, 100 * mine.low, 100 * mine.high, color=colour, linewidth=1.4)
                plot.plot(100 * mine.value, place, "o", color=colour, markersize=4.5, mfc=face)
        plot.set_xlim(0, 100)
        plot.set_ylim(places[-1] + 0.7, -0.7)
        plot.set_yticks(places, names if column == 0 else [""] * len(names), fontsize=SMALL)
        plot.tick_params(axis="y", length=0)
        plot.set_xlabel("selected [%]", fontsize=TEXT)
        plot.grid(axis="x", color="0.92", linewidth=0.8)
    return sheet.finish()


def mitigations(found: Measured, config: FairnessConfig) -> Picture:
    """Accuracy against the gap between groups, judged by the past and by the truth."""
    unit = found.units[0]
    known = unit.table.knows_truth
    sheet = Sheet(_WIDTH)
    top = sheet.head(
        0,
        "What equality costs depends on who is asked" if known else "What equality costs",
        f"means over {found.over}, bars are 95 % t intervals; the lines are parity "
        "penalties, all strengths trained by one program",
        "",
    )
    percent = "accuracy [%]"
    asked = [("judged by the past's labels", percent, "accuracy_past")]
    if known:
        asked.append(("judged by who repaid", percent, "accuracy_truth"))
    else:
        label = "gap in true positive rate [points]"
        asked.append(("what it does to another gap", label, "opportunity_gap_past"))
    wide, high = 3.1, 3.0
    strengths, own = config.repairs.strengths, OWN_GAP[config.training.parity]
    plots = []
    for column, (title, label, accuracy) in enumerate(asked):
        plot = sheet.plot(0.6 + column * (wide + 0.75), top + 0.3, wide, high)
        bare(plot)
        plot.set_title(title, fontsize=TEXT, weight="bold", loc="left")
        _line(plot, found, [NOTHING, *(parity(s) for s in strengths)], own, accuracy, BLUE, "o-")
        both = [REWEIGHED, *(parity(s, True) for s in strengths)]
        _line(plot, found, both, own, accuracy, SKY, "s--")
        for name, (colour, marker) in _LOOKS.items():
            if name in found.repairs:
                _line(plot, found, [name], own, accuracy, colour, marker)
        plot.set_xlabel(f"gap in {GAP_NAMES[own]} [points]", fontsize=TEXT)
        plot.set_ylabel(label, fontsize=TEXT)
        shown = [mean_limits(each[accuracy])[0] for each in found.repairs.values()]
        plot.set_xlim(left=-1)
        plot.set_ylim(max(min(shown) - 2, 0), max(shown) + 2)
        plots.append(plot)
    handles = [
        Line2D([], [], color=BLUE, marker="o", label="parity penalty, from none (right) up"),
        Line2D([], [], color=SKY, marker="s", linestyle="--", label="the same, reweighed"),
    ]
    handles += [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=name)
        for name, (colour, marker) in _LOOKS.items()
        if name in found.repairs
    ]
    legend_below(plots[0], handles, columns=2)
    return sheet.finish()


_LOOKS = {
    LEARNED_TRUTH: (GREEN, "*"),
    NO_ZIP: (ORANGE, "D"),
    thresholds("demographic_parity"): (PURPLE, "v"),
    thresholds("equal_opportunity"): (PURPLE, "^"),
    thresholds("equalized_odds"): (PURPLE, "P"),
    REVIEWED: (VERMILLION, "X"),
}


def _line(
    plot: Axes,
    found: Measured,
    names: list[str],
    gap: str,
    accuracy: str,
    colour: str,
    style: str,
) -> None:
    across = [mean_limits(found.repairs[name][gap]) for name in names]
    up = [mean_limits(found.repairs[name][accuracy]) for name in names]
    plot.plot([x[0] for x in across], [y[0] for y in up], style, color=colour, linewidth=1.3,
              markersize=8 if style == "*" else 5)  # fmt: skip
    for x, y in zip(across, up, strict=True):
        plot.hlines(y[0], x[1], x[2], color=colour, linewidth=0.8)
        plot.vlines(x[0], y[1], y[2], color=colour, linewidth=0.8)


def impossibility(found: Measured) -> Picture:
    """How close to everything one gets, by what it may cost."""
    pairs = found.pairs[0]
    best = found.units[0].test.chance is not None
    sheet = Sheet(_WIDTH)
    top = sheet.head(
        0,
        "Not all at once",
        f"a point is a pair of thresholds for {pairs.groups[0]} and {pairs.groups[1]}, by "
        + ("the true chance of repaying" if best else "the network's scores")
        + f"; one run, n = {len(found.units[0].test):,}; thin lines: the others",
        "",
    )
    plot = sheet.plot(0.6, top + 0.1, 4.2, 3.4)
    bare(plot)
    shown = pairs.affordable(max(PRICES))
    order = np.argsort(pairs.accuracy[shown])
    x, y = 100 * abs(pairs.precision[shown])[order], 100 * pairs.odds[shown][order]
    dots = plot.scatter(x, y, c=100 * pairs.accuracy[shown][order], s=5, cmap="Greys", alpha=0.6,
                        linewidths=0, rasterized=True)  # fmt: skip
    colours = (VERMILLION, ORANGE, GREEN, BLUE)
    for price, colour in zip(PRICES, colours, strict=True):
        for k, each in enumerate(found.pairs):
            across, up = each.frontier(price)
            width, alpha = (1.8, 1.0) if k == 0 else (0.6, 0.35)
            plot.step(100 * across, 100 * up, where="post", color=colour, linewidth=width,
                      alpha=alpha)  # fmt: skip
    handles = [
        Line2D([], [], color=colour, label=f"giving up {_points(price)} of accuracy")
        for price, colour in zip(PRICES, colours, strict=True)
    ]
    # As far as the frontiers reach, and a little of what lies behind them.
    fronts = [each.frontier(PRICES[0]) for each in found.pairs]
    plot.set_xlim(0, max(2.0, 160 * max(x[-1] for x, _ in fronts)))
    plot.set_ylim(0, max(2.0, 160 * max(y[0] for _, y in fronts)))
    plot.set_xlabel("gap in precision [points]", fontsize=TEXT)
    plot.set_ylabel("larger gap in error rates [points]", fontsize=TEXT)
    legend_below(plot, handles, columns=2)
    bar = plot.figure.colorbar(dots, ax=plot, fraction=0.04, pad=0.02)
    bar.set_label("accuracy [%]", fontsize=SMALL)
    bar.ax.tick_params(labelsize=NUMBERS)
    return sheet.finish()


def proxies(found: Measured) -> Picture:
    """Which features tell the group and carry the gap; what review does."""
    unit = found.units[0]
    sheet = Sheet(_WIDTH)
    top = sheet.head(
        0,
        f"What stands in for {unit.attribute}, and what people can mend",
        f"n = {len(unit.test):,} test rows; AUC with bootstrap 95 % limits; gaps are means over "
        f"{found.over} with 95 % t intervals",
        "",
    )
    names = [proxy.feature for proxy in found.proxies[0]]
    shown = [*found.proxies[0], found.without_first, found.together]
    labels = [*names, f"all but {names[0]}", "all together"]
    high = max(2.0, 0.22 * len(labels))
    left, wide = 1.35, 1.65
    plot = sheet.plot(left, top + 0.3, wide, high)
    bare(plot)
    plot.set_title("tells the group", fontsize=TEXT, weight="bold", loc="left")
    for place, proxy in enumerate(shown):
        colour = BLUE if place < len(names) else GREY
        plot.hlines(place, proxy.low, proxy.high, color=colour, linewidth=1.4)
        plot.plot(proxy.auc, place, "o", color=colour, markersize=4.5)
    plot.axvline(0.5, color=GREY, linewidth=0.8)
    _rows(plot, labels)
    plot.set_xlabel("AUC", fontsize=TEXT)
    plot = sheet.plot(left + wide + 0.2, top + 0.3, wide, high)
    bare(plot)
    plot.set_title("carries the gap", fontsize=TEXT, weight="bold", loc="left")
    before = found.repairs[NOTHING]["opportunity_gap"]
    for place, name in enumerate(names):
        _bar(plot, place, found.shuffled[name] - before, VERMILLION)
    plot.axvline(0, color=GREY, linewidth=0.8)
    _rows(plot, [""] * len(labels))
    plot.set_xlabel("change if another's [points]", fontsize=SMALL)
    plot = sheet.plot(left + 2 * wide + 0.9, top + 0.3, _WIDTH - left - 2 * wide - 0.9, high)
    bare(plot)
    plot.set_title("people decide", fontsize=TEXT, weight="bold", loc="left")
    handles = []
    for how, colour in (("least sure", BLUE), ("at random", GREY)):
        mine = {share: each for (who, share), each in found.reviews.items() if who == how}
        at = [100 * share for share in mine]
        for field, style in (("accuracy", "o-"), ("opportunity_gap", "s--")):
            values = [mean_limits(getattr(each, field)) for each in mine.values()]
            plot.plot(at, [v[0] for v in values], style, color=colour, linewidth=1.2, markersize=4)
            plot.vlines(at, [v[1] for v in values], [v[2] for v in values], color=colour)
        handles.append(Line2D([], [], color=colour, label=how))
    handles += [
        Line2D([], [], color="black", marker="o", label="accuracy"),
        Line2D([], [], color="black", marker="s", linestyle="--", label="gap in true positives"),
    ]
    plot.set_ylim(0, 100)
    plot.set_xlabel("share decided by people [%]", fontsize=SMALL)
    plot.set_ylabel("[%], [points]", fontsize=TEXT)
    legend_below(plot, handles)
    return sheet.finish()


def _points(share: float) -> str:
    return f"{100 * share:g} point" + "s" * (share != 0.01)


def _rows(plot: Axes, labels: list[str]) -> None:
    plot.set_yticks(range(len(labels)), labels, fontsize=SMALL)
    plot.set_ylim(len(labels) - 0.4, -0.6)
    plot.tick_params(axis="y", length=0)


def _bar(plot: Axes, place: int, values: Floats, colour: str) -> None:
    middle, low, high = mean_limits(values)
    plot.hlines(place, low, high, color=colour, linewidth=1.4)
    plot.plot(middle, place, "o", color=colour, markersize=4.5)
