"""Pictures: accuracy over training sizes, read-outs over layers, and what curves tell of faults."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from judged import Judged
from minima.claims.claims_figure import claims_figure
from minima.claims.evidence import Floats
from minima.claims.ingredients import ANSWERS
from minima.record.figure_style import (
    BLUE,
    GREEN,
    GREY,
    NUMBERS,
    ORANGE,
    SMALL,
    TEXT,
    VERMILLION,
    Picture,
    Sheet,
    bare,
    legend_below,
)
from minima.statistics.intervals import t_interval
from parts.learned_features.config import DEEP, ENGINEERED, NETWORK, PIXELS
from parts.learned_features.readings import LOG, POINTS, Answers, Probes

_WIDE, _HIGH, _LEFT, _GAP = 3.4, 2.6, 0.65, 0.95
_ARMS = {
    NETWORK: ("learned: network on pixels", BLUE),
    ENGINEERED: ("engineered: linear on HOG", ORANGE),
    PIXELS: ("none: linear on pixels", GREY),
}


def pictures(
    sizes: Sequence[int],
    found: Mapping[str, Floats],
    probes: Mapping[str, Probes],
    answers: Sequence[Answers],
    ordered: Sequence[Judged],
    data: str,
) -> dict[str, Picture]:
    """Every figure, by name."""
    claims, verdicts = zip(*ordered, strict=True)
    forest = claims_figure(verdicts, "", claims)
    drawn = {
        "sizes": sizes_figure(sizes, found, data),
        "layers": layers_figure(probes, data),
        "ingredients": ingredients_figure(answers),
        "curves": curves_figure(answers),
    }
    return drawn if forest is None else drawn | {"claims": forest}


def sizes_figure(sizes: Sequence[int], found: Mapping[str, Floats], data: str) -> Picture:
    """Accuracy of each arm, and how far learned features are ahead."""
    sheet = Sheet(_LEFT + 2 * _WIDE + _GAP + 0.1)
    draws = found[NETWORK].shape[1]
    top = sheet.head(
        0,
        "Learned features against engineered ones, over training-set sizes",
        f"test accuracy on {data}; n = {draws} random draws of the training set: small dots; bars: "
        "their mean and Student's 95 % interval",
        "",
    )
    left = sheet.plot(_LEFT, top + 0.1, _WIDE, _HIGH)
    for i, (name, (_, colour)) in enumerate(_ARMS.items()):
        _bars(left, np.asarray(sizes) * 1.04 ** (i - 1), found[name], colour)
    legend_below(left, [Line2D([], [], color=c, marker="o", label=t) for t, c in _ARMS.values()])
    right = sheet.plot(_LEFT + _WIDE + _GAP, top + 0.1, _WIDE, _HIGH)
    right.axhline(0, color="0.2", linewidth=0.8)
    _bars(right, np.asarray(sizes, float), found[NETWORK] - found[ENGINEERED], BLUE)
    labels = ("test accuracy, %", "learned less engineered, points")
    for plot, label in zip((left, right), labels, strict=True):
        bare(plot)
        plot.set_xscale("log")
        plot.set_xticks(sizes, [f"{size:,}" for size in sizes])
        plot.set_xticks([], minor=True)
        plot.set_xlabel("training examples", fontsize=TEXT)
        plot.set_ylabel(label, fontsize=TEXT)
        plot.grid(axis="y", color="0.92", linewidth=0.8)
    return sheet.finish()


def layers_figure(probes: Mapping[str, Probes], data: str) -> Picture:
    """How easy each hidden layer is to read, before training and after."""
    sheet = Sheet(_LEFT + 2 * _WIDE + _GAP + 0.1)
    counts = " and ".join(str(len(probes[name].trained)) for name in (NETWORK, DEEP))
    top = sheet.head(
        0,
        "How much a linear read-out gets from every hidden layer",
        f"test accuracy of a linear read-out (ridge) on {data}; n = {counts} networks: thin lines; "
        "thick: their mean",
        "",
    )
    for i, name in enumerate((NETWORK, DEEP)):
        each = probes[name]
        plot = sheet.plot(_LEFT + i * (_WIDE + _GAP), top + 0.3, _WIDE, _HIGH)
        bare(plot)
        places = np.arange(1, each.trained.shape[1] + 1)
        for values, colour in ((each.initial, VERMILLION), (each.trained, BLUE)):
            plot.plot(places, values.T, color=colour, linewidth=0.6, alpha=0.5)
            plot.plot(places, values.mean(axis=0), color=colour, linewidth=2, marker="o")
        plot.axhline(each.pixels.mean(), color=GREY, linestyle=":", linewidth=1.5)
        plot.axhline(each.engineered.mean(), color=ORANGE, linestyle="--", linewidth=1.5)
        plot.set_title(each.model, fontsize=TEXT, weight="bold", loc="left")
        plot.set_xticks(places)
        plot.set_xlabel("hidden layer", fontsize=TEXT)
        plot.set_ylabel("read-out's test accuracy, %", fontsize=TEXT)
        handles = [
            Line2D([], [], color=BLUE, marker="o", label="trained"),
            Line2D([], [], color=VERMILLION, marker="o", label="untrained"),
            Line2D([], [], color=GREY, linestyle=":", label="raw pixels"),
            Line2D([], [], color=ORANGE, linestyle="--", label="HOG"),
        ]
        legend_below(plot, handles, columns=2)
    return sheet.finish()


def ingredients_figure(answers: Sequence[Answers]) -> Picture:
    """A row per kind of system, a column per answer: how many seeds got it."""
    width, row = 4.4, 0.24
    sheet = Sheet(2.6 + width + 0.3)
    seeds = len(answers[0].named)
    top = sheet.head(
        0,
        "Which ingredient broke, from the curves alone",
        f"how many of n = {seeds} seeds got which answer; boxes: the right one; *: a kind of fault "
        "that the rules never saw",
        "",
    )
    table = np.array([[each.said(answer) for answer in ANSWERS] for each in answers])
    plot = sheet.plot(2.6, top + 0.3, width, row * len(answers))
    plot.imshow(table, cmap="Blues", vmin=0, vmax=1.4 * seeds, aspect="auto")
    for i, each in enumerate(answers):
        for j, answer in enumerate(ANSWERS):
            right = answer == each.fault.ingredient
            if table[i, j] or right:
                plot.text(j, i, str(table[i, j]), ha="center", va="center", fontsize=NUMBERS)
            if right:
                box = (j - 0.48, i - 0.46), 0.96, 0.92
                plot.add_patch(Rectangle(*box, fill=False, edgecolor=GREEN, linewidth=1.6))
    plot.set_xticks(range(len(ANSWERS)), [f"said: {answer}" for answer in ANSWERS])
    names = [
        f"{each.fault.ingredient}: {each.fault.name}{'*' * each.fault.new}" for each in answers
    ]
    plot.set_yticks(range(len(answers)), names)
    plot.tick_params(labelsize=NUMBERS, length=0, top=True, labeltop=True, labelbottom=False)
    plot.spines[:].set_visible(False)
    return sheet.finish()


def curves_figure(answers: Sequence[Answers]) -> Picture:
    """Training and validation accuracy of every kind of system, which is what was looked at."""
    columns, wide, high = 4, 1.75, 1.05
    sheet = Sheet(0.5 + columns * (wide + 0.25))
    top = sheet.head(
        0,
        "The curves that the diagnosis sees",
        f"accuracy in % over training on MNIST-1D, n = {len(answers[0].named)} seeds: thin lines; "
        "thick: median. Blue: training; vermillion: validation. Below: what broke, and the "
        "answer that most seeds got, green where it is right",
        "",
    )
    for i, each in enumerate(answers):
        row, column = divmod(i, columns)
        plot = sheet.plot(0.45 + column * (wide + 0.25), top + 0.3 + row * (high + 0.6), wide, high)
        bare(plot)
        for name, colour in ((LOG[1], BLUE), (LOG[3], VERMILLION)):
            curves = POINTS * each.curves[name]
            at = np.arange(1, curves.shape[1] + 1) / curves.shape[1]
            plot.plot(at, curves.T, color=colour, linewidth=0.4, alpha=0.5)
            plot.plot(at, np.nanmedian(curves, axis=0), color=colour, linewidth=1.6)
        said = max(ANSWERS, key=each.said)
        right = said == each.fault.ingredient
        plot.set_ylim(0, 102)
        plot.set_xticks([])
        plot.set_yticks([0, 50, 100], ["0", "50", "100"] if column == 0 else [""] * 3)
        plot.set_title(each.fault.name, fontsize=SMALL, weight="bold", loc="left", pad=3)
        words = f"{each.fault.ingredient}; said: {said}"
        plot.set_xlabel(words, fontsize=SMALL, color=GREEN if right else VERMILLION, labelpad=3)
    return sheet.finish()


def _bars(plot: Axes, at: Floats, values: Floats, colour: str) -> None:
    """Draws as dots, their mean and interval; one draw has none."""
    for x, row in zip(at, values, strict=True):
        plot.plot([0.95 * x] * len(row), row, ".", color=colour, markersize=3, alpha=0.6)
        if len(row) > 1:
            interval = t_interval(row)
            plot.plot([x, x], [interval.low, interval.high], color=colour, linewidth=1.8)
    plot.plot(at, values.mean(axis=1), color=colour, linewidth=1.2, marker="o", markersize=4)
