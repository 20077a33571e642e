"""The forest: a row for each consequence and kind of minimum; above it, how sharp they are."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from minima.record.figure_style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SMALL,
    TEXT,
    VERMILLION,
    Picture,
    Sheet,
    bare,
    legend_below,
    minus,
)
from minima.statistics.intervals import t_interval
from parts.consequences.claims import doublings
from parts.consequences.config import AGAIN, AVERAGED, LARGE, OTHERS, SAM, TUNED
from parts.consequences.effects import Effect
from parts.consequences.measured import STATES, Found
from parts.consequences.outcomes import UNITS
from parts.consequences.panel import ADAPTIVE, LAMBDA_MAX

_COLOURS = {LARGE: VERMILLION, TUNED: ORANGE, SAM: BLUE, AVERAGED: GREEN, AGAIN: GREY}
_MARKS = {LARGE: "o", TUNED: "s", SAM: "^", AVERAGED: "D", AGAIN: "v"}
_SHARPNESS = {LAMBDA_MAX: "λmax", ADAPTIVE: "adaptive\nsharpness"}
_REACH = 8.0  # of the axis, in standard deviations; what lies beyond is an arrow
_ROW, _BETWEEN = 0.15, 0.6  # inches; rows
_LEFT, _WIDE, _NUMBERS, _GAP = 1.5, 2.3, 1.35, 0.15


def forest(found: Found, run: str) -> Picture:
    """Sharpness, then every consequence: matched on the left, at the end on the right."""
    sheet = Sheet(_LEFT + 2 * (_WIDE + _NUMBERS) + _GAP)
    below = sheet.head(
        0,
        "Kinds of minima against the small batch: are they sharp, and does it matter?",
        f"paired differences, mean and 95 % t interval over n = {found.seeds} seeds; filled: "
        "differs after Holm's correction over all kinds and consequences of a column; every "
        "consequence is better the lower (further left)",
        run,
    )
    kinds, blocks = (*OTHERS, AGAIN), found.consequences
    rows = len(kinds) + _BETWEEN
    for column, state in enumerate(STATES):
        left = _LEFT + column * (_WIDE + _NUMBERS + _GAP)
        top = below + 0.25
        high = _ROW * rows * len(_SHARPNESS)
        plot = sheet.plot(left, top, _WIDE, high)
        plot.set_title(state[0].upper() + state[1:], fontsize=TEXT, weight="bold", loc="left")
        _sharpness(plot, found, state, column == 0)
        top += high + 0.5
        high = _ROW * rows * len(blocks)
        plot = sheet.plot(left, top, _WIDE, high)
        for block, consequence in enumerate(blocks):
            chosen = [e for e in found.effects[state] if e.consequence == consequence]
            _block(plot, block * rows, consequence, chosen, column == 0)
        _finish(plot, rows * len(blocks))
        if column == 0:
            legend_below(plot, _legend(), 0.5, 3)
    sheet.notes(0, top + high + 0.95, _notes(found))
    return sheet.finish()


def _sharpness(plot: Axes, found: Found, state: str, named: bool) -> None:
    kinds = (*OTHERS, AGAIN)
    rows = len(kinds) + _BETWEEN
    reach = 1.0
    for block, (name, words) in enumerate(_SHARPNESS.items()):
        for i, kind in enumerate(kinds):
            values = doublings(found, state, kind, name)
            if len(values) < 2:
                continue
            one, y = t_interval(values), block * rows + i
            reach = max(reach, abs(one.low), abs(one.high))
            plot.plot([one.low, one.high], [y, y], color=_COLOURS[kind], linewidth=1.4)
            plot.plot(one.estimate, y, _MARKS[kind], color=_COLOURS[kind], markersize=4)
            text = f"× {2**one.estimate:.2f} [{2**one.low:.2f}, {2**one.high:.2f}]"
            _beside(plot, y, text, _COLOURS[kind])
        if named:
            _name(plot, block * rows + (len(kinds) - 1) / 2, words)
    _bare_rows(plot, rows * len(_SHARPNESS))
    edge = int(np.ceil(reach))
    plot.set_xlim(-edge, edge)
    step = -(-edge // 3)
    ticks = range(-(edge // step) * step, edge + 1, step)
    plot.set_xticks(ticks, [f"{2.0**tick:g}" for tick in ticks])
    plot.set_xlabel("ratio to the small batch: left is flatter", fontsize=SMALL)


def _block(plot: Axes, top: float, consequence: str, chosen: list[Effect], named: bool) -> None:
    for i, each in enumerate(chosen):
        y, colour = top + i, _COLOURS[each.kind]
        one = each.difference
        scale = each.scale if each.scale > 0 else 1.0
        middle, low, high = (x / scale for x in (one.estimate, one.low, one.high))
        ends = np.clip([low, high], -_REACH, _REACH)
        plot.plot(ends, [y, y], color=colour, linewidth=1.4)
        if abs(middle) <= _REACH:
            fill = colour if each.flagged else "white"
            plot.plot(middle, y, _MARKS[each.kind], color=colour, markersize=4, mfc=fill, mew=0.9)
        else:
            side = np.sign(middle)
            plot.plot(
                side * _REACH,
                y,
                "<" if side < 0 else ">",
                color=colour,
                markersize=5,
                clip_on=False,
            )
        text = f"{one.estimate:+.3g} [{one.low:+.3g}, {one.high:+.3g}]"
        _beside(plot, y, minus(text), colour)
    if named:
        _name(plot, top + len(OTHERS) / 2, f"{_broken(consequence)}\n({UNITS[consequence]})")


def _broken(words: str) -> str:
    """Over two lines where it is long."""
    if len(words) < 16:
        return words
    middle = min(
        (i for i, letter in enumerate(words) if letter == " "),
        key=lambda i: abs(i - len(words) / 2),
    )
    return words[:middle] + "\n" + words[middle + 1 :]


def _finish(plot: Axes, rows: float) -> None:
    _bare_rows(plot, rows)
    plot.set_xlim(-_REACH, _REACH)
    ticks = range(-int(_REACH), int(_REACH) + 1, 2)
    plot.set_xticks(ticks, [minus(str(tick)) for tick in ticks])
    plot.set_xlabel("standard deviations of the small batch's seeds", fontsize=SMALL)


def _bare_rows(plot: Axes, rows: float) -> None:
    bare(plot)
    plot.spines["left"].set_visible(False)
    plot.axvline(0, color="black", linewidth=0.8, zorder=1)
    plot.grid(axis="x", color="0.93", linewidth=0.8)
    plot.set_ylim(rows - 0.5, -0.8)
    plot.set_yticks([])


def _beside(plot: Axes, y: float, text: str, colour: str) -> None:
    across = plot.get_yaxis_transform()
    plot.text(1.03, y, text, transform=across, fontsize=5.5, va="center", color=colour)


def _name(plot: Axes, y: float, words: str) -> None:
    across = plot.get_yaxis_transform()
    plot.text(-(_LEFT - 0.05) / _WIDE, y, words, transform=across, fontsize=SMALL, va="center")


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=colour, marker=_MARKS[kind], linewidth=1.4, markersize=4, label=kind)
        for kind, colour in _COLOURS.items()
    ]


def _notes(found: Found) -> list[str]:
    shown = ", ".join(f"{100 - target:.1f} % {world}" for world, target in found.targets.items())
    control = found.control
    return [
        f"clean error that is matched: {shown}; rates: "
        + ", ".join(f"{kind} {rate:g}" for kind, rate in found.rates.items()),
        f"A/A, two arms of one configuration: {control.flagged:,} of {control.tests:,} comparisons "
        "flagged at p ≤ 0.05",
    ]
