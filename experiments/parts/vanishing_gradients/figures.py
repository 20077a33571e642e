"""Memory and gradients in one picture: who learns what, how far gradients reach, what clips."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from minima.claims.claims_figure import claims_figure
from minima.claims.seeded import Judged
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
from parts.vanishing_gradients.carrying import Reach
from parts.vanishing_gradients.claims import NAMES, judged_length
from parts.vanishing_gradients.config import ADDING, COPYING
from parts.vanishing_gradients.memories import FLOOR, Explosion, Memory, on

_COLOURS = dict(zip(NAMES, (VERMILLION, ORANGE, GREEN, SKY, BLUE, PURPLE), strict=True))
_WIDE, _HIGH, _GAP, _LEFT, _BELOW = 3.1, 2.3, 0.8, 0.65, 1.45  # inches
_LOWEST = -30.0  # powers of ten: smaller gradients are of no use to anybody


def pictures(
    found: Sequence[Memory],
    reached: Sequence[Reach],
    exploded: Explosion,
    ordered: Sequence[Judged],
    run: str,
) -> dict[str, Picture]:
    """Every figure, by name."""
    claims, verdicts = zip(*ordered, strict=True)
    forest = claims_figure(verdicts, run, claims)
    drawn = {"memory": memory_figure(found, reached, exploded, run)}
    return drawn if forest is None else drawn | {"claims": forest}


def memory_figure(
    found: Sequence[Memory], reached: Sequence[Reach], exploded: Explosion, run: str
) -> Picture:
    """Losses while training and against length, gradients against lag, clipping."""
    length, seeds = judged_length(found), len(found[0].losses)
    panels: list[tuple[str, Callable[[Axes], list[Line2D]]]] = [
        (f"adding problem, length {length}", partial(_curves, found=on(found, length=length))),
        ("adding problem, every length", partial(_lengths, found=on(found))),
    ]
    if copying := on(found, COPYING):
        panels.append(("copying task", partial(_lengths, found=copying)))
    panels += [
        (f"gradients, {state} networks", partial(_profiles, reached=several))
        for state, trained in (("fresh", False), ("trained", True))
        if (several := [reach for reach in reached if reach.trained == trained])
    ]
    panels.append(("gradient descent and clipping", partial(_clipping, exploded=exploded)))
    sheet = Sheet(_LEFT + 3 * (_WIDE + _GAP))
    top = sheet.head(
        0,
        "Gradients that vanish, and networks that can't remember",
        f"n = {seeds} reporting seeds, a thin line or a dot each, their median a thick line; "
        "dashed: what remembers nothing; gradients: means of logs over examples, a line a network",
        run,
    )
    for i, (title, draw) in enumerate(panels):
        row, column = divmod(i, 3)
        left = _LEFT + column * (_WIDE + _GAP)
        plot = sheet.plot(left, top + 0.25 + row * (_HIGH + _BELOW), _WIDE, _HIGH)
        bare(plot)
        plot.set_title(title, fontsize=TEXT, loc="left", weight="bold")
        legend_below(plot, draw(plot), columns=2)
    sheet.height = top
    return sheet.finish()


def _curves(plot: Axes, found: Sequence[Memory]) -> list[Line2D]:
    for each in found:
        for row in each.curves:
            plot.plot(each.examples, row, color=_COLOURS[each.model], linewidth=0.6, alpha=0.6)
        median = np.nanmedian(each.curves, axis=0)
        plot.plot(each.examples, median, color=_COLOURS[each.model], linewidth=1.8)
    _losses(plot, found[0].task)
    plot.xaxis.set_major_locator(MaxNLocator(4))
    plot.set_xlabel("examples seen", fontsize=TEXT)
    return _handles(found)


def _lengths(plot: Axes, found: Sequence[Memory]) -> list[Line2D]:
    for model in dict.fromkeys(each.model for each in found):
        mine = [each for each in found if each.model == model]
        # Side by side, that none hides another.
        nudge = 1.03 ** (list(NAMES).index(model) - 2.5)
        lengths = np.array([each.length for each in mine]) * nudge
        for at, each in zip(lengths, mine, strict=True):
            plot.plot([at] * len(each.losses), each.losses, ".", color=_COLOURS[model], ms=4)
        medians = [np.nanmedian(each.losses) for each in mine]
        plot.plot(lengths, medians, color=_COLOURS[model], linewidth=1.4)
    ticks = sorted({each.length for each in found})
    plot.set_xscale("log")
    plot.set_xticks(ticks, [str(tick) for tick in ticks])
    plot.set_xticks([], minor=True)
    plot.set_xlim(ticks[0] / 1.3, ticks[-1] * 1.3)
    _losses(plot, found[0].task)
    plot.set_xlabel("length in steps", fontsize=TEXT)
    return _handles(found)


def _profiles(plot: Axes, reached: Sequence[Reach]) -> list[Line2D]:
    for reach in reached:
        powers = reach.profile / np.log(10)
        for row in np.where(powers < _LOWEST, np.nan, powers):
            plot.plot(row, color=_COLOURS[reach.model], linewidth=0.8, alpha=0.7)
    plot.set_xlabel("time lag in steps", fontsize=TEXT)
    plot.set_ylabel("log₁₀ of the gradient norm", fontsize=TEXT)
    return [_handle(reach.model) for reach in reached]


def _clipping(plot: Axes, exploded: Explosion) -> list[Line2D]:
    rates = np.array(exploded.rates)
    top = 2 * FLOOR[ADDING]
    for losses, colour, marker, nudge in (
        (exploded.clipped, BLUE, "o", 0.96),
        (exploded.free, VERMILLION, "x", 1.04),
    ):
        for rate, row in zip(rates * nudge, losses, strict=True):
            drawn = np.where(np.isnan(row), top, np.minimum(row, top))
            plot.plot([rate] * len(row), drawn, marker, color=colour, ms=5, ls="")
    plot.axhline(FLOOR[ADDING], color=GREY, linewidth=1, linestyle="--")
    plot.set_xscale("log")
    plot.set_xticks(rates, [f"{rate:g}" for rate in rates])
    plot.set_xticks([], minor=True)
    plot.set_xlim(rates[0] / 1.5, rates[-1] * 1.5)
    plot.set_ylim(0, 1.08 * top)
    plot.set_yticks([0, 0.1, FLOOR[ADDING], top], ["0", "0.1", "1/6", "diverged"], fontsize=NUMBERS)
    plot.set_xlabel("learning rate", fontsize=TEXT)
    plot.set_ylabel("test loss", fontsize=TEXT)
    looks = (("clipped", BLUE, "o"), ("not clipped", VERMILLION, "x"))
    return [Line2D([], [], color=c, marker=m, ls="", label=name) for name, c, m in looks]


def _losses(plot: Axes, task: str) -> None:
    plot.axhline(FLOOR[task], color=GREY, linewidth=1, linestyle="--")
    plot.set_yscale("log")
    unit = "squared error" if task == ADDING else "nats a symbol"
    plot.set_ylabel(unit, fontsize=TEXT)


def _handles(found: Sequence[Memory]) -> list[Line2D]:
    return [_handle(model) for model in dict.fromkeys(each.model for each in found)]


def _handle(model: str) -> Line2D:
    return Line2D([], [], color=_COLOURS[model], linewidth=1.8, label=NAMES[model])
