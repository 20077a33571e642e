"""Figures of sharp_vs_flat: ratios in every gauge, sharpness against the gap, landscapes."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from minima.landscape.surface_figures import (
    path_figure,
    slices_figure,
    spectra_figure,
    surface_figure,
)
from minima.record.figure_style import (
    BLUE,
    GREEN,
    GREY,
    NUMBERS,
    ORANGE,
    PURPLE,
    SKY,
    TEXT,
    VERMILLION,
    Picture,
    Sheet,
    bare,
    legend_below,
    of_seeds,
)
from parts.sharp_vs_flat.arms import Minima
from parts.sharp_vs_flat.association import gaps
from parts.sharp_vs_flat.claims import EQUAL, RANDOM, TUNED, ratio_interval
from parts.sharp_vs_flat.findings import Findings
from parts.sharp_vs_flat.landscapes import Landscapes
from parts.sharp_vs_flat.panels import CANONICAL, COUNTERPARTS, spelled

_FORMS = {"as it is": BLUE, "canonical gauge": ORANGE, "form that no gauge changes": GREEN}
_LOOKS: list[dict[str, Any]] = [
    {"color": colour, "marker": marker}
    for marker in ("o", "^")
    for colour in (BLUE, VERMILLION, ORANGE, GREEN, PURPLE, SKY, GREY)
]
_LEFT, _WIDE, _GAP, _ROW = 1.5, 2.5, 0.35, 0.42  # inches
_SHOWN = ("lambda_max", "adaptive_sharpness")


def all_figures(found: Findings, around: Landscapes | None, run: str) -> dict[str, Picture]:
    """By name; what could not be computed is left out."""
    pictures = {"ratios": ratios_figure(found, run), "gap": gap_figure(found, run)}
    if around is None:
        return pictures
    return pictures | {
        "slices": slices_figure(around.slices, run=run),
        "surfaces": surface_figure(around.surfaces, run=run),
        "paths": path_figure(around.paths, run=run),
        "spectra": spectra_figure(around.spectra, run=run),
    }


def ratios_figure(found: Findings, run: str) -> Picture:
    """Every ratio with its interval, in three forms, a panel a comparison."""
    pairs = list(_pairs(found))
    sheet = Sheet(_LEFT + len(pairs) * (_WIDE + _GAP))
    about = (
        "ratios of sharpness, geometric means with 95 % intervals; "
        f"{of_seeds(len(found.main['small'].hits))}"
    )
    top = sheet.head(0, "Which minimum is sharper, and in which gauge", about, run) + 0.2
    high = _ROW * len(COUNTERPARTS) + 0.2
    for place, (title, first, second) in enumerate(pairs):
        plot = sheet.plot(_LEFT + place * (_WIDE + _GAP), top, _WIDE, high)
        _draw_ratios(plot, first, second)
        plot.set_title(title, fontsize=TEXT, loc="left")
        names = [spelled(name) for name in COUNTERPARTS] if place == 0 else []
        plot.set_yticks(range(len(COUNTERPARTS)), names or [""] * len(COUNTERPARTS))
        if place == 0:
            handles = [Line2D([], [], color=c, marker="o", label=n) for n, c in _FORMS.items()]
            legend_below(plot, handles, columns=3)
    return sheet.finish()


def gap_figure(found: Findings, run: str) -> Picture:
    """Two measures against the gap of accuracies, a point a run."""
    everything = (*found.main.values(), *(after for _, after in found.switched.values()))
    runs = [minima for minima in everything if minima.values]  # not where all seeds failed
    sheet = Sheet(_LEFT + 2 * (_WIDE + 0.9))
    about = f"a point for each run, {of_seeds(len(runs[0].hits))} an arm"
    top = sheet.head(0, "Sharpness against the generalisation gap", about, run) + 0.1
    for place, name in enumerate(_SHOWN):
        plot = sheet.plot(0.75 + place * (_WIDE + 0.9), top, _WIDE, 2.5)
        for minima, look in zip(runs, _LOOKS, strict=False):
            plot.scatter(minima.values[name], gaps(minima), s=16, alpha=0.7, linewidths=0, **look)
        values = np.concatenate([minima.values[name] for minima in runs])
        _value_axis(plot, values[np.isfinite(values)], 10)
        plot.set_xlabel(spelled(name), fontsize=TEXT)
        if place == 0:
            plot.set_ylabel("training less test accuracy (points)", fontsize=TEXT)
            handles = [
                Line2D([], [], linestyle="none", label=minima.name, **look)
                for minima, look in zip(runs, _LOOKS, strict=False)
            ]
            legend_below(plot, handles, columns=2)
        bare(plot)
    return sheet.finish()


def _pairs(found: Findings) -> Iterator[tuple[str, Minima, Minima]]:
    small = found.main["small"]
    yield f"{EQUAL}: large over small", found.main["large"], small
    yield f"{TUNED}: large over small", found.main["tuned"], small
    if found.random is not None and found.true is not None:
        yield f"{RANDOM} over true ones", found.random, found.true


def _draw_ratios(plot: Axes, first: Minima, second: Minima) -> None:
    plot.set_xscale("log", base=2)
    plot.axvline(1, color=GREY, linewidth=0.8)
    for row, (name, counterpart) in enumerate(COUNTERPARTS.items()):
        forms = (name, name + CANONICAL, counterpart)
        for shift, (form, colour) in enumerate(zip(forms, _FORMS.values(), strict=True)):
            interval = ratio_interval(first, second, form)
            if interval is None:
                continue
            y = row + 0.22 * (shift - 1)
            low, high = 2**interval.low, 2**interval.high
            plot.plot([low, high], [y, y], color=colour, linewidth=1.6)
            plot.plot(2**interval.estimate, y, "o", color=colour, markersize=4)
    plot.set_ylim(len(COUNTERPARTS) - 0.5, -0.5)
    _value_axis(plot, np.array(plot.get_xlim()), 2)
    plot.set_xlabel("ratio", fontsize=TEXT)
    bare(plot)
    plot.tick_params(labelsize=NUMBERS)


def _value_axis(plot: Axes, values: np.ndarray, base: int) -> None:
    """A logarithmic x axis over these values, with few plain numbers."""
    plot.set_xscale("log", base=base)
    low, high = values.min() / 1.15, values.max() * 1.15
    plot.set_xlim(low, high)
    steps = (1, 2, 5) if base == 10 and high / low < 200 else (1,)
    powers = range(math.floor(math.log(low, base)), math.ceil(math.log(high, base)) + 1)
    ticks = [t for k in powers for step in steps if low <= (t := step * float(base) ** k) <= high]
    ticks = ticks[:: max(1, len(ticks) // 5)]
    plot.set_xticks(ticks, [f"{tick:,.3g}" for tick in ticks])
    plot.set_xticks([], minor=True)
