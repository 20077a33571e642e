"""The findings of transfer: tables, verdicts and pictures."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from judged import Judged, failures_first
from lesson import Findings
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
from minima.record.tables import Table, Value
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
from parts.transfer_learning.curves import Curves, interval

_COLOURS = {SCRATCH: GREY, PROBE: SKY, PARTIAL: ORANGE, FULL: BLUE, OUTSIDE: PURPLE}
_SOURCES = {SMALL: BLUE, LARGE: VERMILLION, SAM: GREEN}
_MARKS = {SCRATCH: "s", PROBE: "v", PARTIAL: "D", FULL: "o", OUTSIDE: "P"}
_WIDE, _HIGH, _GAP, _LEFT = 2.9, 2.4, 0.65, 0.6  # inches


def findings(found: Curves, judged: Sequence[Judged], compared: int, run: str) -> Findings:
    """All there is to say."""
    ordered = failures_first(judged)
    claims, verdicts = zip(*ordered, strict=True)
    figures = {"label_efficiency": _figure(found, compared, run)}
    if (forest := claims_figure(verdicts, run, claims)) is not None:
        figures["claims"] = forest
    lines = [f"{found.failed} runs on targets failed and count as guessing"] * (found.failed > 0)
    tables = {"curves": _curves_table(found), "pretraining": _pretraining_table(found, compared)}
    return Findings(tables, judged, figures, lines=lines)


def _curves_table(found: Curves) -> Table:
    rows: list[list[Value]] = []
    for arm, values in found.accuracy.items():
        if arm.source in (LARGE, SAM):
            continue
        here, gain, factor = interval(values), [None] * 3, [None] * 4
        if arm.name != SCRATCH:
            paired = interval(values - found.of(arm.target, arm.labels, SCRATCH))
            gain = [paired.estimate, paired.low, paired.high]
            factors, bounds = (
                found.factors(arm.target, arm.labels, arm.name)
                if (arm.source == SMALL)
                else (None, 0)
            )
            if factors is not None:
                ratio = interval(np.log(factors)).map(np.exp)
                factor = [float(ratio.estimate), float(ratio.low), float(ratio.high), bounds]
        rows.append(
            [arm.target, arm.labels, arm.name, here.estimate, here.low, here.high, *gain, *factor]
        )
    limits = ("low", "high")
    columns = ("target", "labels_per_class", "arm", "test_accuracy_percent")
    columns += tuple(f"test_accuracy_percent_{each}" for each in limits)
    columns += ("points_over_scratch", *(f"points_over_scratch_{each}" for each in limits))
    columns += ("label_factor", *(f"label_factor_{each}" for each in limits), "bounds_only")
    return Table(
        f"Label efficiency: means and 95 % t intervals over {_seeds(found)} seeds",
        columns,
        rows,
        hidden=("test_accuracy_percent_low", "test_accuracy_percent_high"),
        notes=(
            "label factor: how many times the labels training from scratch needs to be as good; "
            "bounds only: seeds in which its curve ends before",
        ),
    )


def _pretraining_table(found: Curves, compared: int) -> Table:
    rows: list[list[Value]] = []
    intact = [target for target in found.targets if target != DESTROYED]
    for source, own in found.source.items():
        here = interval(own)
        for target, name in itertools.product(intact, (PROBE, FULL)):
            there = interval(found.of(target, compared, name, source))
            limits = [there.estimate, there.low, there.high]
            rows.append([source, here.estimate, here.low, here.high, target, name, *limits])
    columns = ("pretraining", "source_accuracy_percent", "source_low", "source_high", "target")
    columns += ("arm", "target_accuracy_percent", "target_low", "target_high")
    title = f"Pretrainings at {compared} labels per class: means and 95 % t intervals over "
    return Table(f"{title}{_seeds(found)} seeds", columns, rows)


def _seeds(found: Curves) -> int:
    return len(next(iter(found.accuracy.values())))


def _figure(found: Curves, compared: int, run: str) -> Picture:
    sheet = Sheet(_LEFT + (len(found.targets) + 1) * (_WIDE + _GAP))
    top = sheet.head(
        0,
        "What a pretrained network saves in labels",
        f"test accuracy; n = {_seeds(found)} seeds, mean and 95 % t interval",
        run,
    )
    for i, target in enumerate(found.targets):
        plot = sheet.plot(_LEFT + i * (_WIDE + _GAP), top + 0.25, _WIDE, _HIGH)
        legend_below(plot, _panel(plot, found, target), 0.5, 2)
    plot = sheet.plot(_LEFT + len(found.targets) * (_WIDE + _GAP), top + 0.25, _WIDE, _HIGH)
    legend_below(plot, _compared(plot, found, compared), 0.5, 1)
    return sheet.finish()


def _panel(plot: Axes, found: Curves, target: str) -> list[Line2D]:
    bare(plot)
    names = [name for name in _COLOURS if any(arm.name == name for arm in found.accuracy)]
    for i, name in enumerate(names):
        source = OUTSIDE if name == OUTSIDE else SMALL
        each = [interval(found.of(target, count, name, source)) for count in found.labels]
        middle = [one.estimate for one in each]
        error = [[o.estimate - o.low for o in each], [o.high - o.estimate for o in each]]
        style = {"color": _COLOURS[name], "marker": _MARKS[name], "markersize": 4, "linewidth": 1.3}
        # Side by side, lest intervals hide each other.
        at = np.array(found.labels) * 1.04 ** (i - len(names) / 2)
        plot.errorbar(at, middle, error, capsize=2, **style)
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
            one = interval(found.of(target, labels, name, source))
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
