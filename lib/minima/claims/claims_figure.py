"""A forest plot of the claims: each interval in units of its own tolerance, failures first."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from minima.claims.claim import (
    AT_MOST,
    DISPUTED,
    FAIL,
    INCONCLUSIVE,
    NUMBER,
    PARTIAL,
    PASS,
    SIGN,
    Claim,
    Verdict,
    failures_first,
)
from minima.claims.figure_style import spell
from minima.claims.ledger import CLAIMS, find
from minima.record.figure_style import (
    GREEN,
    GREY,
    NUMBERS,
    PURPLE,
    SKY,
    SMALL,
    TEXT,
    VERMILLION,
    Picture,
    Sheet,
    bare,
    legend_below,
    minus,
)
from minima.statistics.intervals import Interval

_LOOKS = {  # colour, marker
    FAIL: (VERMILLION, "X"),
    DISPUTED: (PURPLE, "s"),
    PARTIAL: (SKY, "D"),
    INCONCLUSIVE: (GREY, "o"),
    PASS: (GREEN, "o"),
}
_HOLLOW = {INCONCLUSIVE}
_REACH = 5.0  # tolerances; what lies beyond is an arrow
_ROW = 0.36  # inches
_LEFT, _WIDE = 2.6, 3.2


def claims_figure(
    verdicts: Sequence[Verdict], run: str = "", claims: Sequence[Claim] = CLAIMS
) -> Picture | None:
    """One row per claim that was measured; the others are named, with what they need."""
    ordered = failures_first(verdicts)
    measured = [v for v in ordered if v.statistic is not None]
    if not ordered:
        return None
    high = _ROW * len(measured)
    sheet = Sheet(7.8)
    counts = {name: sum(v.verdict == name for v in ordered) for name in _LOOKS}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    limits = "; 95 % intervals; n counts seeds, or what a share is of" if measured else ""
    below = sheet.head(0, "Verdicts on the claims", told + limits, run)
    if measured:
        plot = sheet.plot(_LEFT, below, _WIDE, high)
        for row, verdict in enumerate(measured):
            _draw_row(plot, row, verdict, find(verdict.claim, claims))
        _finish_axes(plot, len(measured))
        below += high + 0.65 + legend_below(plot, _legend(measured), 0.55, 2)
    open_ones = [v for v in ordered if v.statistic is None]
    if open_ones:
        below = sheet.write(0, below, f"Not measured ({len(open_ones)})", TEXT, "bold") + 0.04
    sheet.notes(0, below, [f"{v.claim}: {_needs(v)}" for v in open_ones])
    return sheet.finish()


def _draw_row(plot: Axes, row: int, verdict: Verdict, claim: Claim) -> None:
    interval = verdict.statistic
    assert interval is not None
    colour = _LOOKS[verdict.verdict][0]
    low, high = _predicted(claim)
    plot.barh(row, high - low, 0.8, low, color="0.9", zorder=0)
    ends = sorted(_scaled(claim, value) for value in (interval.low, interval.high))
    inside = [min(max(value, -_REACH), _REACH) for value in ends]
    plot.plot(inside, [row, row], color=colour, linewidth=2.0)
    for value, end, arrow in ((ends[0], -_REACH, "<"), (ends[1], _REACH, ">")):
        if abs(value) > _REACH and value * end > 0:
            plot.plot(end, row, arrow, color=colour, markersize=5, clip_on=False)
    middle = _scaled(claim, interval.estimate)
    if abs(middle) < _REACH:
        plot.plot(middle, row, color=colour, **_marker(verdict.verdict))
    _write_row(plot, row, verdict, claim, interval)


def _write_row(plot: Axes, row: int, verdict: Verdict, claim: Claim, interval: Interval) -> None:
    """The claim and its prediction on the left; the verdict and its numbers on the right."""
    across = plot.get_yaxis_transform()
    side, _, size = claim.prediction.partition(" (")
    columns = (
        (-_LEFT / _WIDE, claim.id, f"{minus(side)} {claim.unit}{size and f' ({size}'}"),
        (1.05, verdict.verdict, _number(interval)),
    )
    for x, above, below in columns:
        plot.text(x, row - 0.05, above, transform=across, fontsize=NUMBERS, weight="bold")
        plot.text(x, row + 0.07, below, transform=across, fontsize=7, va="top", color="0.25")


def _scaled(claim: Claim, value: float) -> float:
    """Tolerances from 0, the predicted side on the right; of a number, from that number."""
    side = math.copysign(1.0, claim.predicted) if claim.rule == SIGN else 1.0
    centre = claim.predicted if claim.rule == NUMBER else 0.0
    return side * (value - centre) / claim.tolerance


def _predicted(claim: Claim) -> tuple[float, float]:
    """Where the whole interval must lie, in tolerances."""
    if claim.rule == SIGN:
        return 0.0, _REACH
    return (-_REACH if claim.rule == AT_MOST else -1.0), 1.0


def _finish_axes(plot: Axes, rows: int) -> None:
    bare(plot)
    plot.spines["left"].set_visible(False)
    plot.axvline(0, color="black", linewidth=0.8, zorder=1)
    plot.set_xlim(-_REACH, _REACH)
    plot.set_ylim(rows - 0.5, -0.5)
    plot.set_yticks([])
    ticks = range(-int(_REACH), int(_REACH) + 1)
    plot.set_xticks(ticks, [minus(f"{tick}") for tick in ticks])
    plot.set_xlabel("distance from 0, or from a predicted number, in tolerances", fontsize=SMALL)


def _legend(measured: Sequence[Verdict]) -> list[Line2D | Patch]:
    found = {verdict.verdict for verdict in measured}
    marks: list[Line2D | Patch] = [
        Line2D([], [], color=colour, linewidth=2.0, label=name, **_marker(name))
        for name, (colour, _) in _LOOKS.items()
        if name in found
    ]
    return [Patch(color="0.9", label="what is predicted"), *marks]


def _marker(verdict: str) -> dict[str, Any]:
    colour, marker = _LOOKS[verdict]
    if verdict in _HOLLOW:
        return {"marker": marker, "markersize": 6.5, "markerfacecolor": "white"}
    # A white rim keeps the shape apart from the line.
    return {"marker": marker, "markersize": 9, "markerfacecolor": colour, "markeredgecolor": "w"}


def _number(interval: Interval) -> str:
    if interval.method == "exact":
        return minus(f"{interval.estimate:#.3g}".rstrip("."))
    return f"{spell(interval, '#.3g')}  n = {interval.n:,}"


def _needs(verdict: Verdict) -> str:
    return verdict.enough.replace("it needs", "needs", 1) or verdict.reason
