"""What figures for papers share: paper, colours that the colour-blind tell apart, words.

Sizes are in inches, so that a figure is as large as its contents need and no text meets another.
"""

import io
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

# Okabe and Ito's palette.
BLUE, ORANGE, GREEN, VERMILLION = "#0072b2", "#e69f00", "#009e73", "#d55e00"
SKY, PURPLE, GREY = "#56b4e9", "#cc79a7", "0.45"
TEXT, SMALL, NUMBERS = 9, 7.5, 8  # points
_DPI = 150
_LETTER = 0.57  # mean width of a letter over its size; DejaVu Sans is wide, so others fit as well


@dataclass(frozen=True)
class Picture:
    """A finished figure, as bytes of a file in either format."""

    png: bytes
    svg: bytes


class Sheet:
    """A figure that is laid out in inches from its top left corner, and ends where it ends."""

    def __init__(self, width: float) -> None:
        """Makes an empty sheet; texts are wrapped at its width."""
        self.width, self.height = width, 8.0  # what lies lower is in the picture all the same
        self.figure = Figure(figsize=(self.width, self.height), facecolor="white")
        FigureCanvasAgg(self.figure)  # no pyplot: no global state, no display

    def plot(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes in a box."""
        bottom = self.height - top - height
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box)

    def write(
        self, left: float, top: float, text: str, size: float = SMALL, weight: str = "normal"
    ) -> float:
        """Wraps a text into the rest of the width; says where it ends."""
        lines = wrapped(text, self.width - left, size)
        place = (left / self.width, 1 - top / self.height)
        self.figure.text(*place, "\n".join(lines), fontsize=size, weight=weight, va="top")
        return top + len(lines) * size * 1.3 / 72

    def head(self, left: float, title: str, about: str, run: str) -> float:
        """Title, what is shown and how sure it is, which run it is of; says where it ends."""
        top = self.write(left, 0.0, title, 11, "bold") + 0.03
        for line in (about, run):
            top = self.write(left, top, line) if line else top
        return top + 0.12

    def notes(self, left: float, top: float, notes: Sequence[str]) -> None:
        """What the reader must know, a line or more each."""
        for note in notes:
            top = self.write(left, top, f"· {note}", 7) + 0.02

    def finish(self) -> Picture:
        """Both files; the same figure gives the same bytes."""
        png, svg = io.BytesIO(), io.BytesIO()
        how: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.1}
        self.figure.savefig(png, format="png", dpi=_DPI, **how)
        # Texts stay texts, for those who search or edit them.
        with rc_context({"svg.hashsalt": "minima", "svg.fonttype": "none"}):
            self.figure.savefig(svg, format="svg", metadata={"Date": None}, **how)
        return Picture(png.getvalue(), svg.getvalue())


def wrapped(text: str, inches: float, size: float) -> list[str]:
    """The lines of a text in a column."""
    return textwrap.wrap(text, max(10, int(inches * 72 / (size * _LETTER)))) or [""]


def legend_below(plot: Axes, handles: list[Any], gap: float = 0.5, columns: int = 1) -> float:
    """A legend under a plot and its labels; says how high it is."""
    height = plot.get_window_extent().height / plot.figure.get_dpi()
    plot.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0, -gap / height),
        ncols=columns,
        borderaxespad=0,
        borderpad=0,
        columnspacing=1.5,
        frameon=False,
        fontsize=SMALL,
    )
    return 0.165 * -(-len(handles) // columns)


def bare(plot: Axes) -> None:
    """No box, hair lines."""
    plot.spines[["top", "right"]].set_visible(False)
    plot.tick_params(labelsize=NUMBERS)
    plot.set_axisbelow(True)


def size_axis(plot: Axes, sizes: Sequence[float]) -> None:
    """Batch sizes along a logarithmic x axis."""
    plot.set_xscale("log")
    plot.set_xlim(sizes[0] / 1.4, sizes[-1] * 1.4)
    plot.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
    plot.set_xticks([], minor=True)
    plot.set_xlabel("batch size", fontsize=TEXT)


def log_axis(plot: Axes, low: float, high: float) -> None:
    """A logarithmic y axis with plain numbers."""
    plot.set_yscale("log")
    plot.set_ylim(low, high)
    steps = (1, 2, 5) if high / low < 2000 else (1,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    ticks = [tick for k in decades for step in steps if low <= (tick := step * 10.0**k) <= high]
    plot.set_yticks(ticks, [f"{tick:,.6g}" for tick in ticks])
    plot.yaxis.set_minor_formatter(NullFormatter())
    plot.grid(axis="y", color="0.92", linewidth=0.8)


def minus(text: str) -> str:
    """A number with a sign of the width of a plus."""
    return text.replace("-", "\N{MINUS SIGN}")


def of_seeds(count: int) -> str:
    """How many seeds report."""
    return f"n = {count} reporting seed" + "s" * (count != 1)
