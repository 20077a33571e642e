"""Backpropagation in pictures: what gradients cost, how right they are, how far they reach."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

from judged import Judged
from minima.claims.claims_figure import claims_figure
from minima.claims.power_law import power_law
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
)
from parts.backpropagation.checks import SHOWN, Check
from parts.backpropagation.claims import MOST_PASSES, ONE_MORE
from parts.backpropagation.price import Differences, Price
from parts.backpropagation.signal import KINDS, Signal, of_kind

_COLOURS = (SKY, BLUE, GREEN, ORANGE, VERMILLION, PURPLE)
_ROW, _LABELS = 0.2, 1.45  # inches of a family, and of its name


def pictures(
    prices: Sequence[Price],
    checks: Sequence[Check],
    differences: Sequence[Differences],
    signals: Sequence[Signal],
    judged: Sequence[Judged],
    run: str,
) -> dict[str, Picture]:
    """Every figure, by name."""
    claims, verdicts = zip(*judged, strict=True)
    forest = claims_figure(verdicts, run, claims)
    drawn = {
        "price": price_figure(prices, differences, run),
        "checks": checks_figure(checks, run),
        "signal": signal_figure(signals, run),
    }
    return drawn if forest is None else drawn | {"claims": forest}


def price_figure(prices: Sequence[Price], differences: Sequence[Differences], run: str) -> Picture:
    """Both passes against one for every family; finite differences against weights."""
    high = max(_ROW * len(prices), 2.0)
    sheet = Sheet(8.2)
    top = sheet.head(
        0,
        "What all gradients cost",
        "loss and gradient against the loss alone; operations are counted, without chance; times "
        "are the fastest of 7 on one machine, and not judged",
        run,
    )
    plot = sheet.plot(_LABELS, top + 0.25, 2.6, high)
    _families(plot, [price.family for price in prices])
    rows = range(len(prices))
    plot.axvline(1 + ONE_MORE[0], color="0.6", linewidth=1.0, linestyle=":")
    plot.axvline(MOST_PASSES, color="black", linewidth=1.0, linestyle="--")
    (counted,) = plot.plot([p.ratio for p in prices], rows, "o", color=BLUE, label="operations")
    times = [p.both_seconds / p.forward_seconds for p in prices]
    (timed,) = plot.plot(times, rows, "x", color=VERMILLION, markersize=5, label="time")
    plot.set_xlim(0, max(4.0, 1.1 * max(times)))
    plot.set_xlabel("loss and gradient, in forward passes", fontsize=TEXT)
    plot.set_title("Every family", fontsize=TEXT, weight="bold", loc="left")
    lines = [
        Line2D([], [], color="0.6", linestyle=":", label="one more pass"),
        Line2D([], [], color="black", linestyle="--", label="claimed at most"),
    ]
    legend_below(plot, [counted, timed, *lines], 0.5, 2)
    other = sheet.plot(_LABELS + 2.6 + 0.9, top + 0.25, 3.1, high)
    bare(other)
    weights = [d.weights for d in differences]
    handles = []
    for label, name, colour in (
        ("finite differences", "differences", VERMILLION),
        ("backpropagation", "both", BLUE),
    ):
        counts = [getattr(d, name) / d.forward for d in differences]
        times = [getattr(d, f"{name}_seconds") / d.forward_seconds for d in differences]
        law = power_law(weights, counts)
        ends = [weights[0], weights[-1]]
        other.plot(ends, [law(end) for end in ends], color=colour, linewidth=1.0)
        other.plot(weights, counts, "o", color=colour, markersize=4)
        other.plot(weights, times, "x", color=colour, markersize=5)
        exponent = f"{abs(law.exponent):.2f}"
        text = f"{label}: exponent {exponent}"
        handles.append(Line2D([], [], color=colour, marker="o", markersize=4, label=text))
    handles.append(Line2D([], [], color=GREY, marker="x", linestyle="", label="times"))
    other.set_xscale("log")
    other.set_yscale("log")
    for axis in (other.xaxis, other.yaxis):
        axis.set_minor_formatter(NullFormatter())
    other.set_xticks(weights[::2], [f"{count:,}" for count in weights[::2]])
    other.set_xlabel("weights of an MLP", fontsize=TEXT)
    other.set_ylabel("all gradients, in forward passes", fontsize=TEXT)
    other.set_title("One by one, or all at once", fontsize=TEXT, weight="bold", loc="left")
    legend_below(other, handles, 0.5, 1)
    return sheet.finish()


def checks_figure(checks: Sequence[Check], run: str) -> Picture:
    """The worst tensor of every family."""
    sheet = Sheet(6.4)
    weights, kinks = sum(c.weights for c in checks), sum(c.kinks for c in checks)
    top = sheet.head(
        0,
        "Gradients against finite differences",
        f"relative error of each family's worst tensor, float64; {weights:,} weights drawn at "
        f"random, {kinks:,} more left out where differences meet a kink at every step; dashed: "
        "claimed at most",
        run,
    )
    plot = sheet.plot(_LABELS, top, 4.2, max(_ROW * len(checks), 1.0))
    _families(plot, [check.family for check in checks])
    plot.axvline(SHOWN, color="black", linewidth=1.0, linestyle="--")
    least = 1e-16  # exactly equal has no place on this axis
    plot.plot([max(c.error, least) for c in checks], range(len(checks)), "o", color=BLUE)
    plot.set_xscale("log")
    plot.set_xlim(1e-14, 1e-5)
    plot.set_xlabel("relative error", fontsize=TEXT)
    return sheet.finish()


def signal_figure(signals: Sequence[Signal], run: str) -> Picture:
    """The signal at every layer relative to the last, a panel for each kind."""
    wide, high, gap, left = 2.3, 1.9, 0.35, 0.75
    sheet = Sheet(left + 3 * (wide + gap))
    seeds = len(signals[0].norms)
    top = sheet.head(
        0,
        "How much of the error signal reaches each layer, before training",
        "derivative of an example's loss by what goes into a layer's units, root mean square over "
        f"examples, relative to the last hidden layer; n = {seeds} seeds: median and range",
        run,
    )
    handles: list[Line2D] = []
    shares = [s.norms / s.norms[:, -1:] for s in signals]
    lowest, highest = min(s.min() for s in shares), max(s.max() for s in shares)
    for i, kind in enumerate(KINDS):
        row, column = divmod(i, 3)
        above = top + 0.25 + row * (high + 0.8)
        plot = sheet.plot(left + column * (wide + gap), above, wide, high)
        bare(plot)
        plot.axhline(1.0, color="0.6", linewidth=1.0, linestyle=":")
        handles = []
        for j, signal in enumerate(of_kind(signals, kind)):
            share = signal.norms / signal.norms[:, -1:]
            layers, colour = np.arange(1, signal.depth + 1), _COLOURS[j % len(_COLOURS)]
            plot.fill_between(
                layers, share.min(axis=0), share.max(axis=0), color=colour, alpha=0.25, linewidth=0
            )
            (line,) = plot.plot(layers, np.median(share, axis=0), color=colour, linewidth=1.4)
            line.set_label(f"{signal.depth} hidden layers")
            handles.append(line)
        plot.set_yscale("log", base=2)
        plot.set_ylim(lowest / 1.5, highest * 1.5)
        plot.yaxis.set_minor_locator(NullLocator())
        plot.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        plot.set_title(kind, fontsize=TEXT, weight="bold", loc="left")
        plot.set_xlabel("layer", fontsize=TEXT)
        if column:
            plot.tick_params(labelleft=False)
        else:
            plot.set_ylabel("error signal, share", fontsize=TEXT)
        if not column:
            lowest_left = plot
    legend_below(lowest_left, handles, 0.55, 6)
    return sheet.finish()


def _families(plot: Axes, names: Sequence[str]) -> None:
    bare(plot)
    plot.set_yticks(range(len(names)), names, fontsize=NUMBERS)
    plot.set_ylim(len(names) - 0.5, -0.5)
    plot.grid(axis="y", color="0.92", linewidth=0.8)
