"""Regimes by rate, the birds' curves, two dips, and the picture of trainability."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter

from minima.claims.claims_figure import claims_figure
from minima.claims.regimes import REGIMES
from minima.claims.seeded import Judged
from minima.record.figure_style import (
    BLUE,
    GREEN,
    GREY,
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
from parts.learning_rate_regimes.birds import Story
from parts.learning_rate_regimes.claims import LIMITS, ONSET
from parts.learning_rate_regimes.dips import RATES, Descents
from parts.learning_rate_regimes.pictures_of_rates import Seen
from parts.learning_rate_regimes.planes import FullBatch

_COLOURS = dict(zip(REGIMES, (GREY, SKY, GREEN, ORANGE, VERMILLION), strict=True))
_TITLES = {
    "tanh": "tanh, squared error",
    "relu": "ReLU, squared error",
    "cross_entropy": "ReLU, cross-entropy",
}
_WIDE, _HIGH, _GAP, _LEFT = 3.1, 2.3, 0.75, 0.6


def draw(
    full: Mapping[str, FullBatch],
    story: Story,
    dips: Sequence[Descents],
    seen: Sequence[Seen],
    ordered: Sequence[Judged],
    run: str,
) -> dict[str, Picture]:
    """Every figure, by name."""
    claims, verdicts = zip(*ordered, strict=True)
    drawn = {
        "regimes": _regimes(full, run),
        "birds": _birds(story, run),
        "dips": _dips(dips, run),
        "trainability": _trainability(seen, run),
    }
    forest = claims_figure(verdicts, run, claims)
    return drawn if forest is None else drawn | {"claims": forest}


def _regimes(full: Mapping[str, FullBatch], run: str) -> Picture:
    sheet = Sheet(_LEFT + 3 * (_WIDE + _GAP))
    seeds = len(next(iter(full.values())).regimes)
    top = sheet.head(
        0,
        "Five regimes of the learning rate, and where they meet",
        f"every dot a run, n = {seeds} seeds at each rate; dashed: the loss is predicted to rise "
        "at 2 / sharpness at the start, dotted: to train up to 4 (tanh) or 12 (ReLU); grey line: "
        "loss of the best constant output",
        run,
    )
    for column, each in enumerate(full.values()):
        left = _LEFT + column * (_WIDE + _GAP)
        plot = sheet.plot(left, top + 0.25, _WIDE, _HIGH)
        _losses(plot, each)
        below = sheet.plot(left, top + 0.25 + _HIGH + 0.55, _WIDE, _HIGH * 0.75)
        _sharpness(below, each)
        below.set_xlim(plot.get_xlim())
        for part in (plot, below):
            part.yaxis.set_minor_formatter(NullFormatter())
        if not column:
            handles = [Patch(color=colour, label=name) for name, colour in _COLOURS.items()]
            legend_below(below, handles, 0.5, 5)
    return sheet.finish()


def _losses(plot: Axes, each: FullBatch) -> None:
    """The loss at the end against rate × sharpness at the start; what diverged lies on top."""
    bare(plot)
    scaled = each.start[:, None] * np.array(each.rates)
    last = np.where(np.array(each.regimes) == "diverged", np.nan, each.last)
    top = 3 * max(np.nanmax(last), each.constant)
    heights, names = np.where(np.isnan(last), top, last), np.array(each.regimes)
    for name, colour in _COLOURS.items():
        here = names == name
        plot.plot(scaled[here], heights[here], ".", color=colour, markersize=4)
    plot.axhline(each.constant, color="0.6", linewidth=0.8)
    _lines(plot, each)
    plot.set_xscale("log")
    plot.set_yscale("log")
    plot.set_title(_TITLES[each.name], fontsize=TEXT, weight="bold", loc="left")
    plot.set_ylabel("training loss at the end", fontsize=TEXT)


def _sharpness(plot: Axes, each: FullBatch) -> None:
    bare(plot)
    scaled = each.start[:, None] * np.array(each.rates)
    names = np.array(each.regimes)
    for name, colour in _COLOURS.items():
        here = (names == name) & (each.end > 0)
        ends = (each.end * np.array(each.rates))[here]
        plot.plot(scaled[here], ends, ".", color=colour, markersize=4)
    plot.axhline(2, color="black", linewidth=0.8, linestyle="--")
    _lines(plot, each)
    plot.set_xscale("log")
    plot.set_yscale("log")
    plot.set_xlabel("rate × sharpness at the start", fontsize=TEXT)
    plot.set_ylabel("rate × sharpness at the end", fontsize=TEXT)


def _lines(plot: Axes, each: FullBatch) -> None:
    plot.axvline(ONSET, color="black", linewidth=0.9, linestyle="--", zorder=0)
    for limit in [LIMITS[each.name]] if each.name in LIMITS else LIMITS.values():
        plot.axvline(limit, color="black", linewidth=0.9, linestyle=":", zorder=0)


def _birds(story: Story, run: str) -> Picture:
    sheet = Sheet(_LEFT + 3 * (_WIDE + _GAP))
    birds, tutorial = story.birds, story.tutorial
    rate, changed = tutorial.rates[story.unchanged], birds.rates[story.changed]
    made_up = " (made up: a stand-in)" if story.stand_in else ""
    top = sheet.head(
        0,
        "One number changed: from the tutorial's images to bird calls",
        f"n = {birds.accuracy.shape[1]} reporting seeds, a thin line or a dot each; grey: loss of "
        f"a constant output, and chance; rates were chosen on other seeds; bird calls{made_up}",
        run,
    )
    curves = (
        (tutorial, story.unchanged, f"the tutorial, rate {rate:g}", BLUE),
        (birds, story.unchanged, f"bird calls, rate {rate:g}", VERMILLION),
        (birds, story.changed, f"bird calls, rate {changed:g}", GREEN),
    )
    plot = sheet.plot(_LEFT, top + 0.25, _WIDE, _HIGH)
    bare(plot)
    for data, place, label, colour in curves:
        looks = np.arange(1, data.losses.shape[2] + 1)
        for row in data.losses[place]:
            plot.plot(looks, row, color=colour, linewidth=0.8)
        plot.plot([], [], color=colour, label=label)
    plot.axhline(birds.constant, color="0.6", linewidth=0.8)
    plot.set_yscale("log")
    plot.set_xlabel("look at the training loss", fontsize=TEXT)
    plot.set_ylabel("training loss since the last look", fontsize=TEXT)
    plot.set_title("Training loss", fontsize=TEXT, weight="bold", loc="left")
    legend_below(plot, plot.get_legend_handles_labels()[0], 0.5, 1)
    for column, (data, title, axis) in enumerate(
        (
            (tutorial, "By rate", [np.array(tutorial.rates)] * 2),
            (
                tutorial,
                "By rate × sharpness at the start",
                [np.array(d.rates) * np.mean(d.start) for d in (tutorial, birds)],
            ),
        ),
        1,
    ):
        plot = sheet.plot(_LEFT + column * (_WIDE + _GAP), top + 0.25, _WIDE, _HIGH)
        bare(plot)
        for data, x, colour in zip((tutorial, birds), axis, (BLUE, PURPLE), strict=True):
            plot.plot(x, data.accuracy.mean(axis=1), color=colour, linewidth=1.5)
            for row in data.accuracy.T:
                plot.plot(x, row, ".", color=colour, markersize=4)
            plot.axhline(data.chance, color="0.6", linewidth=0.8)
        if column == 1:
            plot.axvline(rate, color="black", linewidth=0.9, linestyle="--")
        plot.set_xscale("log")
        plot.set_ylim(0, 100)
        plot.set_xlabel("rate" if column == 1 else "rate × sharpness at the start", fontsize=TEXT)
        plot.set_ylabel("test accuracy, %", fontsize=TEXT)
        plot.set_title(title, fontsize=TEXT, weight="bold", loc="left")
        labels = (("the tutorial's images", BLUE), ("bird calls", PURPLE))
        handles = [Line2D([], [], color=colour, label=label) for label, colour in labels]
        if column == 1:
            dashed = Line2D([], [], color="black", linestyle="--", linewidth=0.9)
            dashed.set_label("the tutorial's rate")
            handles.append(dashed)
        legend_below(plot, handles, 0.5, 1)
    return sheet.finish()


def _dips(dips: Sequence[Descents], run: str) -> Picture:
    sheet = Sheet(_LEFT + 2 * (_WIDE + _GAP))
    top = sheet.head(
        0,
        "Too low a rate stays in a narrow dip; well above 2 / its curvature none does",
        f"share of n = {dips[0].left.shape[1]} random starts in the narrow dip that end in the "
        "wide one; dashed: 2 / the dip's largest curvature. A high rate leaves what is narrow, "
        "better or not",
        run,
    )
    for column, found in enumerate(dips):
        plot = sheet.plot(_LEFT + column * (_WIDE + _GAP), top + 0.25, _WIDE, _HIGH)
        bare(plot)
        share = 100 * found.left.mean(axis=1)
        plot.plot(RATES, share, color=BLUE if not column else VERMILLION, linewidth=1.5)
        plot.axvline(found.edge, color="black", linewidth=0.9, linestyle="--")
        plot.set_xscale("log")
        plot.set_xlabel("rate", fontsize=TEXT)
        plot.set_ylabel("ends in the wide dip, %", fontsize=TEXT)
        kind = "poorer" if not column else "better"
        plot.set_title(
            f"The narrow dip is the {kind} one", fontsize=TEXT, weight="bold", loc="left"
        )
    return sheet.finish()


def _trainability(seen: Sequence[Seen], run: str) -> Picture:
    first = [each for each in seen if each.seed == seen[0].seed]
    size, gap = 2.6, 0.75
    sheet = Sheet(max(7.5, _LEFT + len(first) * (size + gap)))
    pixels = len(first[0].ends)
    top = sheet.head(
        0,
        "Which pairs of learning rates train",
        f"one hidden layer, a rate for each layer, {pixels * pixels:,} networks a picture, further "
        "in from left to right; blue: ends below its first loss, the darker the lower; orange: "
        f"does not, or diverges; seed {first[0].seed}, D: box-count dimension of the edge",
        run,
    )
    for column, each in enumerate(first):
        plot = sheet.plot(_LEFT + column * (size + gap), top + 0.25, size, size)
        _image(plot, each)
    return sheet.finish()


def _image(plot: Axes, each: Seen) -> None:
    low = np.array([0.0, 0.45, 0.70]), np.array([0.85, 0.94, 0.98])  # from Okabe and Ito's blue
    share = np.clip(each.ends, 0, 1)[..., None]
    colours = low[0] * (1 - share) + low[1] * share
    colours[each.ends >= 1] = (0.84, 0.37, 0.0)
    x, y, side = map(float, each.window)
    extent = (x - side / 2, x + side / 2, y - side / 2, y + side / 2)
    plot.imshow(colours, origin="lower", extent=extent, interpolation="nearest")
    digits = max(1, int(np.ceil(-np.log10(side))) + 2)
    ticks = [-0.35, 0.0, 0.35]
    plot.set_xticks([x + t * side for t in ticks], [f"{x + t * side:.{digits}f}" for t in ticks])
    plot.set_yticks([y + t * side for t in ticks], [f"{y + t * side:.{digits}f}" for t in ticks])
    plot.tick_params(labelsize=SMALL)
    plot.set_xlabel("log10 of the first layer's rate", fontsize=SMALL)
    plot.set_ylabel("log10 of the read-out's rate", fontsize=SMALL)
    title = f"{6 / side:,.0f}-fold, D = {each.dimension:.2f}"
    plot.set_title(title, fontsize=TEXT, weight="bold", loc="left")
