"""What a monitor saw: lines for the terminal, tables, a figure, and a page with all of it."""

import base64
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.lines import Line2D

from minima.evaluation.monitor import CUSUM, Log, Look, Rules
from minima.record.figure_style import (
    BLUE,
    GREY,
    NUMBERS,
    TEXT,
    VERMILLION,
    Picture,
    Sheet,
    bare,
    legend_below,
)
from minima.record.files import write_atomically
from minima.record.tables import Table, Value

WORDS = {
    "kolmogorov_smirnov": "features, one by one",
    "maximum_mean_discrepancy": "features, together",
    "chi_squared": "predicted classes",
    CUSUM: "errors",
}


def lines(log: Log, rules: Rules) -> Iterator[str]:
    """The verdict, then each detector's first alert."""
    looked = f"{log.windows:,} windows of {rules.window:,}"
    if not log.alerts:
        yield f"no alert: {looked} look as at launch to {len(log.detectors)} detectors"
    else:
        first = min(look.window for look in log.alerts) + 1
        yield f"ALERT: {len(log.alerts)} in {looked}, the first in window {first}"
    for detector in log.detectors:
        mine = [look for look in log.alerts if look.test.detector == detector]
        said = _said(mine[0], rules) if mine else "no alert"
        yield f"{detector} ({WORDS[detector]}): {said}"
    if CUSUM in log.detectors:
        yield f"captured: {len(log.captured):,} errors whose label arrived"
    yield f"of streams without a shift, {100 * rules.level:g} % alarm at most"


def looks_table(log: Log, rules: Rules, alerts_alone: bool = False) -> Table:
    """Every test, or those that alarmed; rows are counted from 1 as in the user's file."""
    rows: list[list[Value]] = [
        [
            look.window + 1,
            look.row + 1,
            look.test.detector,
            look.test.where,
            look.test.statistic,
            None if math.isnan(look.test.p) else look.test.p,
            look.limit,
            look.alarms,
        ]
        for look in (log.alerts if alerts_alone else log.looks)
    ]
    columns = ("window", "row", "detector", "feature", "statistic", "p", "limit", "alert")
    title = f"{'Alerts' if alerts_alone else 'Looks'} at {log.windows} windows of {rules.window}"
    return Table(title, columns, rows)


def captured_table(log: Log, rules: Rules) -> Table:
    """Rows of the stream whose label arrived and was missed: numbers alone, no person's data."""
    rows = [[row + 1, row // rules.window + 1] for row in log.captured.tolist()]
    return Table(f"{len(rows)} captured errors", ("row", "window"), rows)


def figure(log: Log, rules: Rules) -> Picture:
    """Every detector over time: how far each window is from launch, over what alarms."""
    sheet = Sheet(6.6)
    top = sheet.head(
        0,
        "The monitor",
        f"{log.windows:,} windows of n = {rules.window:,} examples; dashed: where a detector "
        f"alarms, so that at most {100 * rules.level:g} % of streams without a shift do",
        "",
    )
    for detector in log.detectors:
        mine = [look for look in log.looks if look.test.detector == detector]
        plot = sheet.plot(0.75, top + 0.25, 5.6, 1.1)
        bare(plot)
        title = f"{WORDS[detector]}: {detector.replace('_', ' ')}"
        plot.set_title(title, fontsize=TEXT, weight="bold", loc="left")
        at = [look.window + 1 for look in mine]
        heights = [_height(look) for look in mine]
        plot.plot(at, heights, "-", color=GREY, linewidth=0.9, zorder=1)
        for x, y, look in zip(at, heights, mine, strict=True):
            plot.plot(x, y, "o", color=VERMILLION if look.alarms else BLUE, markersize=4)
        if mine:
            limit = mine[0].limit if detector == CUSUM else -math.log10(mine[0].limit)
            plot.axhline(limit, color=GREY, linestyle="--", linewidth=0.9)
        plot.set_xlim(0.5, log.windows + rules.delay * (detector == CUSUM) + 0.5)
        plot.set_ylim(0, None)
        plot.set_ylabel("sum" if detector == CUSUM else "−log₁₀ p", fontsize=NUMBERS)
        top += 1.75
    plot.set_xlabel("window", fontsize=TEXT)
    handles = [
        Line2D([], [], color=colour, marker="o", linestyle="", markersize=4, label=label)
        for colour, label in ((BLUE, "as at launch"), (VERMILLION, "alert"))
    ]
    legend_below(plot, handles, columns=2)
    return sheet.finish()


def write(folder: Path, log: Log, rules: Rules, about: str) -> list[Path]:
    """Writes monitor.md, looks.csv, alerts.csv and captured.csv into a folder; says where.

    Raises:
      DiskFull: no room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "monitor.md": _page(log, rules, about),
        "alerts.csv": looks_table(log, rules, alerts_alone=True).csv(),
        "looks.csv": looks_table(log, rules).csv(),
        "captured.csv": captured_table(log, rules).csv(),
    }
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return [folder / name for name in texts]


def _page(log: Log, rules: Rules, about: str) -> str:
    said = list(lines(log, rules))
    image = base64.b64encode(figure(log, rules).png).decode()
    parts = [f"# Monitor: {said[0]}", about, "\n".join(f"* {line}" for line in said[1:])]
    parts.append(f"![detectors over time](data:image/png;base64,{image})")
    return "\n\n".join(parts) + "\n"


def _height(look: Look) -> float:
    if look.test.detector == CUSUM:
        return look.test.statistic
    return float(-np.log10(max(look.test.p, 1e-30)))


def _said(look: Look, rules: Rules) -> str:
    where = f", feature {look.test.where}" if look.test.where else ""
    if look.test.detector == CUSUM:
        return f"ALERT at row {look.row + 1:,}, known in window {look.window + 1}"
    last = look.row + rules.window
    return (
        f"ALERT in window {look.window + 1}, rows {look.row + 1:,} to {last:,}{where}, "
        f"p = {look.test.p:.2g} (limit {look.limit:.2g})"
    )
