"""Figures of calibration: reliability diagrams, training, shift, the plane."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from minima.claims.evidence import Floats
from minima.evaluation import calibration
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
    log_axis,
    size_axis,
)
from minima.statistics.intervals import t_interval
from parts.calibration.arms import (
    DRAWN,
    DROPOUT,
    ENSEMBLE,
    ISOTONIC,
    PLAIN,
    POOLED,
    SCALED,
    STOPPED,
    TEMPERATURE,
    VECTOR,
)
from parts.calibration.matched import ACCURACY, END, LOSS, Matched
from parts.calibration.measured import Measured
from parts.calibration.scores import NULL_DRAWS

_LEFT, _WIDE, _HIGH, _GAP = 0.65, 2.5, 2.3, 0.75
_LOOKS = {
    PLAIN: (VERMILLION, "o-"),
    STOPPED: (GREY, "s-"),
    TEMPERATURE: (BLUE, "o-"),
    VECTOR: (SKY, "v-"),
    ENSEMBLE: (ORANGE, "D-"),
    POOLED: (GREEN, "D-"),
    SCALED: (GREEN, "^--"),
    DROPOUT: (PURPLE, "s--"),
    DRAWN: (PURPLE, "P-"),
}
_DIAGRAMS = (PLAIN, STOPPED, TEMPERATURE, ISOTONIC, POOLED, DRAWN)
_RATES = (SKY, BLUE, GREEN, ORANGE, VERMILLION, PURPLE)


def reliability(found: Measured, bins: int, run: str) -> Picture:
    """Accuracy by confidence of the first network, or ensemble, of six ways."""
    sheet = Sheet(_LEFT + 3 * _WIDE + 2 * _GAP)
    n = len(found.labels)
    top = sheet.head(
        0,
        "Is it right as often as it says?",
        f"the first network or ensemble on n = {n:,} test examples; points: accuracy in a bin of "
        "confidence with exact 95 % limits, size by the number of examples; grey: where 95 % of "
        "perfectly calibrated models with these confidences lie",
        run,
    )
    for i, arm in enumerate(_DIAGRAMS):
        row, column = divmod(i, 3)
        left, above = _LEFT + column * (_WIDE + _GAP), top + 0.35 + row * (_HIGH + 1.0)
        _diagram(sheet.plot(left, above, _WIDE, _HIGH), found, arm, bins)
    return sheet.finish()


def _diagram(plot: Axes, found: Measured, arm: str, bins: int) -> None:
    bare(plot)
    confidence, right = calibration.top(found.arms.examples[arm][0], found.labels)
    shown = [b for b in calibration.reliability(confidence, right, bins, NULL_DRAWS) if b.n]
    for b in shown:
        plot.fill_between(
            [100 * b.low, 100 * b.high], 100 * b.null_low, 100 * b.null_high, color="0.82", lw=0
        )
    plot.plot([0, 100], [0, 100], color=GREY, linewidth=0.8)
    at = np.array([100 * b.confidence for b in shown])
    height = np.array([100 * b.accuracy for b in shown])
    ends = 100 * np.array([[b.accuracy_low, b.accuracy_high] for b in shown]).T
    plot.errorbar(at, height, np.abs(ends - height), fmt="none", color=BLUE, linewidth=1)
    sizes = 8 + 90 * np.array([b.n for b in shown]) / len(right)
    plot.scatter(at, height, sizes, color=BLUE, zorder=3, clip_on=False)
    plot.set_xlim(0, 100)
    plot.set_ylim(0, 100)
    plot.set_xlabel("confidence, %", fontsize=TEXT)
    plot.set_ylabel("accuracy, %", fontsize=TEXT)
    plot.set_title(arm[0].upper() + arm[1:], fontsize=TEXT, weight="bold", loc="left", pad=16)
    scores = found.arms.scores[arm][0]
    text = f"ECE {scores['ece'][0]:.1f} points; {scores['null_mean'][0]:.1f} if calibrated"
    plot.text(0, 103, text, fontsize=SMALL)


def training(found: Measured, run: str) -> Picture:
    """Accuracy and confidence, loss and calibration error over training."""
    sheet = Sheet(_LEFT + 3 * _WIDE + 2 * _GAP)
    top = sheet.head(
        0,
        "Ever surer, no better",
        f"test set; mean and 95 % t interval of n = {found.seeds} seeds; dashed: where validation "
        "loss is best, the median seed",
        run,
    )
    null = float(found.arms.of(TEMPERATURE, "null_mean").mean())
    shown = (
        ("%", "", (("confidence", False, VERMILLION), ("accuracy", False, GREEN))),
        ("loss, nats", "nll", (("nll", False, VERMILLION), ("nll", True, BLUE))),
        ("calibration error, points", "ece", (("ece", False, VERMILLION), ("ece", True, BLUE))),
    )
    best = found.updates[int(np.median(found.stopped))]
    for i, (label, kind, curves) in enumerate(shown):
        plot = sheet.plot(_LEFT + i * (_WIDE + _GAP), top + 0.1, _WIDE, _HIGH)
        bare(plot)
        handles = []
        for name, scaled, colour in curves:
            _band(plot, found.updates, found.over_training(name, scaled), colour)
            words = ("after temperature" if scaled else "as trained") if kind else name
            handles.append(Line2D([], [], color=colour, label=words))
        if kind == "ece":
            plot.axhline(null, color=GREY, linewidth=0.9, linestyle=":")
            handles.append(Line2D([], [], color=GREY, linestyle=":", label="if calibrated"))
        plot.axvline(best, color=GREY, linewidth=0.8, linestyle="--")
        plot.set_ylim(0, None)
        plot.set_xlabel("updates", fontsize=TEXT)
        plot.set_ylabel(label, fontsize=TEXT)
        legend_below(plot, handles)
    return sheet.finish()


def _band(plot: Axes, at: Floats, values: Floats, colour: str) -> None:
    """Mean over the first axis and, where there are seeds for it, its interval."""
    plot.plot(at, values.mean(axis=0), color=colour, linewidth=1.5)
    if len(values) > 1:
        each = [t_interval(column) for column in values.T]
        low, high = [one.low for one in each], [one.high for one in each]
        plot.fill_between(at, low, high, color=colour, alpha=0.25, linewidth=0)


def shift(found: Measured, run: str) -> Picture:
    """Accuracy, loss and calibration error of every way by severity."""
    sheet, arms = Sheet(_LEFT + 3 * _WIDE + 2 * _GAP), found.arms
    top = sheet.head(
        0,
        "What repairs are worth when the inputs change",
        f"test examples dealt out among {len(arms.corruptions)} corruptions; mean and 95 % t "
        "interval over networks "
        f"(n = {found.seeds}; {len(arms.of(DROPOUT, 'ece'))} with dropout; "
        f"{len(arms.of(ENSEMBLE, 'ece'))} ensembles of {arms.members}); severity 0: as they are",
        run,
    )
    shown = (
        ("accuracy", "accuracy, %"),
        ("nll", "loss, nats"),
        ("ece", "calibration error, points"),
    )
    for i, (name, label) in enumerate(shown):
        plot = sheet.plot(_LEFT + i * (_WIDE + _GAP), top + 0.1, _WIDE, _HIGH)
        bare(plot)
        handles = []
        for k, (arm, (colour, line)) in enumerate(_LOOKS.items()):
            by_severity = arms.scores[arm]
            at = np.array(list(by_severity)) + 0.04 * (k - len(_LOOKS) / 2)
            _bars(plot, at, [scores[name] for scores in by_severity.values()], colour, line)
            handles.append(
                Line2D([], [], color=colour, marker=line[0], ls=line[1:], markersize=4, label=arm)
            )
        if name == "nll":
            plot.set_yscale("log")
            log_axis(plot, *plot.get_ylim())
        else:
            plot.set_ylim(0, None)
        plot.set_xlabel("severity", fontsize=TEXT)
        plot.set_ylabel(label, fontsize=TEXT)
        if i == 0:
            legend_below(plot, handles, columns=4)
    return sheet.finish()


def plane(found: Matched, run: str) -> Picture:
    """Overconfidence over the plane after the same epochs, at one accuracy, at one loss."""
    sheet = Sheet(_LEFT + 3 * _WIDE + 2 * _GAP)
    seeds = found.raw[END]["ece"].shape[-1]
    top = sheet.head(
        0,
        "Batch size and learning rate, and where they are compared",
        f"confidence less accuracy on the test set; mean and 95 % t interval of up to n = {seeds} "
        "seeds, those that get there",
        run,
    )
    titles = {
        END: "After the same epochs",
        ACCURACY: "At one validation accuracy",
        LOSS: "At one training loss",
    }
    values = np.concatenate([found.raw[place]["overconfidence"].ravel() for place in titles])
    least, most = np.nanmin([*values, 0.0]) - 2, np.nanmax([*values, 0.0]) + 2
    for i, (place, title) in enumerate(titles.items()):
        plot = sheet.plot(_LEFT + i * (_WIDE + _GAP), top + 0.3, _WIDE, _HIGH)
        bare(plot)
        plot.axhline(0, color=GREY, linewidth=0.8)
        handles: list[Line2D | Patch] = []
        for r, rate in enumerate(found.rates):
            colour = _RATES[r % len(_RATES)]
            table = found.raw[place]["overconfidence"][:, r]
            there = [row[np.isfinite(row)] for row in table]
            shown = [k for k, row in enumerate(there) if len(row)]
            at = np.array(found.batch_sizes, float)[shown] * 1.06 ** (r - len(found.rates) / 2)
            _bars(plot, at, [there[k] for k in shown], colour, "o-")
            handles.append(
                Line2D([], [], color=colour, marker="o", markersize=4, label=f"rate {rate:g}")
            )
        size_axis(plot, found.batch_sizes)
        plot.set_ylim(least, most)
        plot.set_ylabel("overconfidence, points", fontsize=TEXT)
        plot.set_title(title, fontsize=TEXT, weight="bold", loc="left")
        if i == 0:
            legend_below(plot, handles, columns=3)
    return sheet.finish()


def _bars(plot: Axes, at: Floats, values: list[Floats], colour: str, line: str) -> None:
    """Means joined by a line, each with its interval where there are two values or more."""
    means = [float(row.mean()) for row in values]
    ends = [t_interval(row) if len(row) > 1 else None for row in values]
    low = [m - each.low if each else 0.0 for m, each in zip(means, ends, strict=True)]
    high = [each.high - m if each else 0.0 for m, each in zip(means, ends, strict=True)]
    plot.errorbar(
        at, means, [low, high], fmt=line, color=colour, markersize=3.5, linewidth=1.1, capsize=1.5
    )
