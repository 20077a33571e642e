"""The rescue in two pictures: every seed of patients and treatments, and memory of an update."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minima.claims.evidence import Evidence
from minima.sweep.step_memory import StepMemory
from parts.batch_size_rescue.patients import Arm, Patient, hits, interval_of, train_loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Plot
    from matplotlib.figure import Figure

_DPI = 150
# Of Okabe and Ito's palette, told apart by everybody: sick, treated, control.
_SICK, _TREATED, _CONTROL = "#d55e00", "#0072b2", "#666666"
_SPREAD = 0.22  # of the seeds' points across a row


def rescue(sick: Sequence[Patient], evidence: Evidence) -> bytes:
    """A panel for each patient, a row for each of its runs, a point for each seed, as a PNG."""
    figure, plots = _canvas((11.5, 4.6), len(sick))
    for plot, patient in zip(plots, sick, strict=True):
        for row, arm in enumerate(patient.arms):
            _draw_arm(plot, row, arm, _colour(patient, arm), evidence)
        floor = 100 * evidence.floor
        plot.axvline(floor, color="0.7", linewidth=1, linestyle=":", zorder=0)
        plot.set_yticks(range(len(patient.arms)), [_label(patient, arm) for arm in patient.arms])
        plot.invert_yaxis()
        plot.set_xlabel("test accuracy (%); the dotted line is guessing")
        title = f"{patient.name}: batch {patient.sick.batch_size}, rate {patient.sick.rate:.3g}"
        plot.set_title(title, fontsize=11, weight="bold", loc="left")
    _legend(figure, len(evidence.reporting), evidence.planes["epochs"].num_test)
    return _png(figure)


def memory(whole: Sequence[StepMemory], pieces: Sequence[StepMemory], patient: Patient) -> bytes:
    """Memory of one update against batch size, both axes logarithmic, as a PNG."""
    figure, (plot,) = _canvas((6.2, 4.2), 1)
    sizes = [step.batch_size for step in whole]
    ways = (
        ("whole batch", whole, _SICK, "o-"),
        (f"accumulated, microbatches of {pieces[-1].microbatch}", pieces, _TREATED, "s-"),
    )
    for name, steps, colour, style in ways:
        plot.plot(sizes, _mib(steps), style, color=colour, label=name, markersize=5)
    fixed = [(step.arguments + step.outputs) / 2**20 for step in whole]
    plot.plot(sizes, fixed, ":", color=_CONTROL, label="state and training set alone")
    for size in (patient.best.batch_size, patient.sick.batch_size):
        if sizes[0] <= size <= sizes[-1]:
            plot.axvline(size, color="0.85", linewidth=1, zorder=0)
            plot.annotate(
                f"{size:,}",
                (size, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color="0.4",
            )
    plot.set_xscale("log", base=2)
    plot.set_yscale("log", base=2)
    plot.yaxis.set_major_formatter("{x:g}")
    plot.set_xticks(sizes, [f"{size:,}" for size in sizes], fontsize=8)
    plot.set_xlabel("batch size (patient and treatment marked)")
    plot.set_ylabel("memory of one update (MiB)")
    plot.legend(frameon=False, fontsize=8)
    return _png(figure)


def _draw_arm(plot: "Plot", row: int, arm: Arm, colour: str, evidence: Evidence) -> None:
    """Seeds as points, failed ones as crosses at guessing; above them their mean and interval."""
    values = hits(evidence, arm)
    failed = np.isnan(train_loss(evidence, arm))
    at = row + 0.1 + np.linspace(-_SPREAD, _SPREAD, len(values))
    accuracy = values.mean(1)
    plot.scatter(accuracy[~failed], at[~failed], s=14, color=colour, alpha=0.55, linewidths=0)
    plot.scatter(accuracy[failed], at[failed], s=26, color=colour, marker="x", linewidths=1.1)
    found = interval_of(values)
    if found is not None:
        plot.plot([found.low, found.high], [row - 0.25] * 2, color=colour, linewidth=2)
    plot.plot([accuracy.mean()], [row - 0.25], "D", color=colour, markersize=6)
    if failed.any():
        text = f"{failed.sum()}/{len(values)} failed"
        place = (0.99, row)
        plot.annotate(
            text,
            place,
            xycoords=("axes fraction", "data"),
            ha="right",
            va="center",
            fontsize=8,
            color=colour,
        )


def _label(patient: Patient, arm: Arm) -> str:
    return f"{arm.name}\nbatch {arm.batch_size:,}, rate {arm.rate:.3g}"


def _colour(patient: Patient, arm: Arm) -> str:
    if arm is patient.sick:
        return _SICK
    return _CONTROL if arm in patient.controls else _TREATED


def _legend(figure: "Figure", seeds: int, tests: int) -> None:
    from matplotlib.lines import Line2D

    colours = {"sick run": _SICK, "smaller batch": _TREATED, "rate alone (control)": _CONTROL}
    shapes = {
        f"mean, 95 % interval (n = {seeds} seeds × {tests:,} test examples)": "D",
        "a seed": "o",
        "a failed seed, counted as guessing": "x",
    }
    handles = [Line2D([], [], color=c, linewidth=4, label=name) for name, c in colours.items()]
    handles += [
        Line2D([], [], color="0.2", marker=m, linestyle="none", markersize=6, label=name)
        for name, m in shapes.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8.5)


def _canvas(size: tuple[float, float], panels: int) -> "tuple[Figure, list[Plot]]":
    """No pyplot: no global state, no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    plots = list(figure.subplots(1, panels, squeeze=False)[0])
    for plot in plots:
        plot.spines[["top", "right"]].set_visible(False)
        plot.tick_params(labelsize=8.5)
    return figure, plots


def _mib(steps: Sequence[StepMemory]) -> list[float]:
    return [step.total / 2**20 for step in steps]


def _png(figure: "Figure") -> bytes:
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=_DPI)
    return png.getvalue()
