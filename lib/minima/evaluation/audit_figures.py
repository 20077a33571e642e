"""What the audit shows: confidence against accuracy, and rates of every group with their limits."""

import numpy as np
from matplotlib.lines import Line2D

from minima.evaluation import calibration, disparity
from minima.evaluation.audit import Evidence
from minima.record.figure_style import BLUE, GREY, ORANGE, TEXT, VERMILLION, Picture, Sheet, bare
from minima.record.figure_style import legend_below as legend

_RATES = {
    "selection_rate": "selection rate",
    "true_positive_rate": "true positive rate",
    "false_positive_rate": "false positive rate",
}


def reliability_figure(evidence: Evidence, seed: int = 0) -> Picture:
    """The reliability diagram, with the band in which a calibrated model's bins lie."""
    p, y = evidence.probabilities, evidence.labels
    if p.shape[1] == 2:
        sure, right = p[:, 1], y == 1
        what, share = "probability of class 1", "share of class 1"
    else:
        sure, right = calibration.top(p, y)
        what, share = "confidence in the predicted class", "share that is right"
    bins = [b for b in calibration.reliability(sure, right, seed=seed) if b.n]
    sheet = Sheet(4.6)
    top = sheet.head(
        0,
        "Confidence against accuracy",
        f"n = {len(y):,} test examples; bars: exact 95 % limits of each bin; grey: where a "
        "perfectly calibrated model's bins lie",
        "",
    )
    plot = sheet.plot(0.6, top + 0.1, 3.2, 3.2)
    bare(plot)
    at = np.array([b.confidence for b in bins])
    accuracy = np.array([b.accuracy for b in bins])
    plot.fill_between(
        at, [b.null_low for b in bins], [b.null_high for b in bins], color="0.85", linewidth=0
    )
    plot.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--")
    bars = [accuracy - [b.accuracy_low for b in bins], [b.accuracy_high for b in bins] - accuracy]
    plot.errorbar(at, accuracy, bars, fmt="o-", color=BLUE, markersize=4, linewidth=1.2)
    plot.set_xlim(0, 1)
    plot.set_ylim(0, 1)
    plot.set_xlabel(what, fontsize=TEXT)
    plot.set_ylabel(share, fontsize=TEXT)
    return sheet.finish()


def groups_figure(evidence: Evidence) -> Picture | None:
    """Rates of every group, or None where there are no groups or more than two classes."""
    if not evidence.groups or evidence.probabilities.shape[1] != 2:
        return None
    rows: list[tuple[str, disparity.Group]] = []
    for name, values in evidence.groups.items():
        found = disparity.by_group(evidence.labels, evidence.decided, values)
        rows += [(f"{name} {group.name} (n = {group.n:,})", group) for group in found]
    sheet = Sheet(7.2)
    top = sheet.head(
        0,
        "Outcomes by group",
        f"n = {len(evidence):,} test examples; points: rates, bars: exact 95 % limits",
        "",
    )
    plot = sheet.plot(2.3, top + 0.1, 4.4, 0.35 * len(rows) + 0.3)
    bare(plot)
    handles = []
    colours = (BLUE, ORANGE, VERMILLION)
    for i, ((rate, label), colour) in enumerate(zip(_RATES.items(), colours, strict=True)):
        for row, (_, group) in enumerate(rows):
            one = group.rates[rate]
            if not one.defined:
                continue
            at = row + 0.2 * (i - 1)
            plot.plot([one.low, one.high], [at, at], color=colour, linewidth=1.2)
            plot.plot([one.value], [at], "o", color=colour, markersize=4)
        handles.append(Line2D([], [], color=colour, marker="o", markersize=4, label=label))
    plot.set_yticks(range(len(rows)), [label for label, _ in rows])
    plot.set_ylim(len(rows) - 0.5, -0.5)
    plot.set_xlim(0, 1)
    plot.grid(axis="x", color="0.92", linewidth=0.8)
    legend(plot, handles, 0.35, 3)
    return sheet.finish()
