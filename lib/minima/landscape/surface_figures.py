"""Figures of the landscape, from arrays that are computed before: slices, surfaces, paths, spectra.

Losses have a logarithmic axis, with common limits in a figure: minima are to be compared.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator
from numpy.typing import ArrayLike, NDArray

from minima.landscape.estimators import Ritz
from minima.landscape.surfaces import Slice, StraightPath, Surface
from minima.record.figure_style import (
    BLUE,
    GREEN,
    GREY,
    NUMBERS,
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

Floats = NDArray[np.float64]

_LOOKS: list[dict[str, Any]] = [
    {"color": color, "linestyle": style}
    for style in ("-", "--")
    for color in (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
]
_LEFT, _WIDE, _HIGH = 0.75, 4.4, 2.6  # inches, of a plot
_PANEL, _GAP = 2.3, 0.55  # inches, of a surface, and between two
_DECADES = 6  # a loss of 0 is drawn so many below the largest
_BINS = 60


def slices_figure(
    slices: Mapping[str, Slice], title: str = "Loss along a random direction", run: str = ""
) -> Picture:
    """Several minima in one panel, each along a direction of its own weights' length.

    Args:
      slices: by what the legend calls them.
      title: what is shown.
      run: a line that says of which networks.
    """
    sheet = Sheet(_LEFT + _WIDE + 0.1)
    about = "mean training loss; a step of 1 is as long as the weights themselves"
    top = sheet.head(0, title, about, run)
    plot = sheet.plot(_LEFT, top, _WIDE, _HIGH)
    for (_, found), look in zip(slices.items(), cycle(_LOOKS), strict=False):
        plot.plot(_floats(found.positions), _floats(found.loss), linewidth=1.4, **look)
    _loss_axis(plot, [found.loss for found in slices.values()])
    plot.set_xlabel("position along the direction", fontsize=TEXT)
    _name(plot, list(slices))
    return sheet.finish()


def path_figure(
    paths: Mapping[str, StraightPath], title: str = "Loss between two minima", run: str = ""
) -> Picture:
    """The loss on straight lines, and the lines between their ends that a barrier exceeds."""
    sheet = Sheet(_LEFT + _WIDE + 0.1)
    about = "mean training loss on the straight line; thin: linear between its ends"
    top = sheet.head(0, title, about, run)
    plot = sheet.plot(_LEFT, top, _WIDE, _HIGH)
    for (_, found), look in zip(paths.items(), cycle(_LOOKS), strict=False):
        positions, loss = _floats(found.positions), _floats(found.loss)
        plot.plot(positions, loss, linewidth=1.4, **look)
        line = (1 - positions) * loss[0] + positions * loss[-1]
        plot.plot(positions, line, color=look["color"], linewidth=0.6)
    _loss_axis(plot, [found.loss for found in paths.values()])
    plot.set_xlabel("from the one (0) to the other (1)", fontsize=TEXT)
    _name(plot, [f"{name}: barrier {float(p.barrier):.3g}" for name, p in paths.items()])
    return sheet.finish()


def surface_figure(
    surfaces: Mapping[str, Surface], title: str = "Loss around the minimum", run: str = ""
) -> Picture:
    """Contours of the loss over two random directions, a panel a minimum, common levels."""
    count = len(surfaces)
    width = _LEFT + count * (_PANEL + _GAP) + 0.5
    sheet = Sheet(max(width, 4.5))
    about = (
        "mean training loss; a step of 1 is as long as the weights themselves; contours as equal "
    )
    top = sheet.head(0, title, f"{about}ratios, the same in every panel", run) + 0.2
    levels = _levels([found.loss for found in surfaces.values()])
    drawn: Any = None
    for place, (name, found) in enumerate(surfaces.items()):
        left = _LEFT + place * (_PANEL + _GAP)
        plot = sheet.plot(left, top, _PANEL, _PANEL)
        drawn = _contours(plot, found, levels)
        plot.set_title(name, fontsize=TEXT)
        plot.tick_params(labelsize=NUMBERS)
        plot.set_xlabel("first direction", fontsize=TEXT)
        if place == 0:
            plot.set_ylabel("second direction", fontsize=TEXT)
    bar = sheet.plot(_LEFT + count * (_PANEL + _GAP) - _GAP + 0.15, top, 0.12, _PANEL)
    sheet.figure.colorbar(drawn, cax=bar).set_label("loss", fontsize=TEXT)
    bar.set_yscale("log")
    _plain_logs(bar, *levels[[0, -1]])
    bar.tick_params(labelsize=NUMBERS)
    return sheet.finish()


def spectra_figure(
    spectra: Mapping[str, Ritz], title: str = "Spectrum of the Hessian", run: str = ""
) -> Picture:
    """Densities of eigenvalues on a symmetric logarithmic axis (Ghorbani et al. 2019).

    What `estimators.density` returns, as shares of all eigenvalues in bins that are equally wide on
    that axis.
    """
    sheet = Sheet(_LEFT + _WIDE + 0.1)
    about = "share of eigenvalues in each bin; the axis is linear around 0, logarithmic beyond"
    top = sheet.head(0, title, about, run)
    plot = sheet.plot(_LEFT, top, _WIDE, _HIGH)
    edges, linear = spectrum_bins([found.values for found in spectra.values()])
    for (_, found), look in zip(spectra.items(), cycle(_LOOKS), strict=False):
        share = np.histogram(_floats(found.values), edges, weights=_floats(found.weights))[0]
        plot.stairs(share, edges, baseline=None, linewidth=1.2, **look)
    plot.set_xscale("symlog", linthresh=linear, linscale=0.5)
    decades = 10.0 ** np.arange(math.ceil(math.log10(linear)) + 1, math.log10(edges[-1]))
    ticks = np.concatenate([-decades[::-1], [0], decades])
    plot.set_xticks(ticks, [f"{tick:.4g}" for tick in ticks])
    plot.set_yscale("log", nonpositive="clip")
    plot.set_ylim(1e-5, 1.5)
    plot.axvline(0, color=GREY, linewidth=0.6)
    bare(plot)
    plot.set_xlabel("eigenvalue", fontsize=TEXT)
    plot.set_ylabel("share of eigenvalues", fontsize=TEXT)
    plot.tick_params(axis="x", rotation=30)
    _name(plot, list(spectra), gap=0.7)
    return sheet.finish()


def spectrum_bins(values: Sequence[ArrayLike]) -> tuple[Floats, float]:
    """Edges of bins that are equally wide on a symmetric logarithmic axis, and where it is linear.

    Linear up to 10⁻⁴ of the largest modulus, there are five bins to either side of 0.

    Args:
      values: eigenvalues (k,) of each spectrum.
    """
    everything = np.concatenate([_floats(one).reshape(-1) for one in values])
    largest = max(float(np.abs(everything[np.isfinite(everything)]).max(initial=0)), 1e-30)
    linear = 1e-4 * largest
    beyond = np.geomspace(linear, 1.05 * largest, _BINS // 2)
    inner = np.linspace(-linear, linear, 11)
    return np.concatenate([-beyond[:0:-1], inner, beyond[1:]]), linear


def _contours(plot: Axes, found: Surface, levels: Floats) -> Any:
    """Filled, with hair lines, and a cross where the minimum is."""
    grid = np.clip(np.nan_to_num(_floats(found.loss), nan=levels[-1]), levels[0], levels[-1]).T
    axes = (_floats(found.first), _floats(found.second))
    how: dict[str, Any] = {"levels": levels, "norm": "log"}
    filled = plot.contourf(*axes, grid, cmap="viridis", **how)
    plot.contour(*axes, grid, colors="black", linewidths=0.3, **how)
    plot.plot(0, 0, "+", color="white", markersize=7)
    return filled


def _levels(losses: Sequence[ArrayLike]) -> Floats:
    """Contours as equal ratios from the least loss to the largest."""
    low, high = _limits(losses)
    return np.geomspace(low, high, 16)


def _limits(losses: Sequence[ArrayLike]) -> tuple[float, float]:
    """The least and the largest loss, six decades apart at most."""
    values = np.concatenate([_floats(one).reshape(-1) for one in losses])
    finite = values[np.isfinite(values) & (values > 0)]
    high = float(finite.max(initial=1e-30))
    low = max(float(finite.min(initial=high)), high * 10.0**-_DECADES)
    return low, max(high, low * 1.01)


def _loss_axis(plot: Axes, losses: Sequence[ArrayLike]) -> None:
    low, high = _limits(losses)
    plot.set_yscale("log")
    plot.set_ylim(low / 1.2, high * 1.2)
    _plain_logs(plot, low, high)
    plot.set_ylabel("loss", fontsize=TEXT)
    plot.grid(axis="y", color="0.92", linewidth=0.8)
    bare(plot)


def _plain_logs(plot: Axes, low: float, high: float) -> None:
    """A logarithmic y axis whose numbers are written out."""
    plot.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 200 else (1,)))
    plot.yaxis.set_major_formatter(lambda value, _: f"{value:,.4g}")
    plot.yaxis.set_minor_formatter(lambda *_: "")


def _name(plot: Axes, names: Sequence[str], gap: float = 0.5) -> None:
    looks = zip(names, cycle(_LOOKS), strict=False)
    handles = [Line2D([], [], label=name, linewidth=1.4, **look) for name, look in looks]
    columns = 2 if max(map(len, names), default=0) * SMALL < 220 else 1
    legend_below(plot, handles, gap, columns)


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, np.float64)
