"""The batch-size × learning-rate plane: what becomes of the seeds at each of its points.

The mean is over the seeds that trained. A tile says how many diverged or collapsed beside it: a
mean that took collapsed seeds in would lie between two modes, where no seed is.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from minima.record.cells import FAILED, Axes, Cell

PLANE = ("batch_size", "learning_rate", "seed")

Point = tuple[float, float]  # batch size, learning rate


@dataclass(frozen=True)
class Tile:
    """One point of the plane, over seeds: how many were asked for, ran and failed, and the rest."""

    seeds: int
    ran: int
    diverged: int
    collapsed: int
    mean: float  # of the metric, over seeds that trained and have it; NaN where none does

    @property
    def sound(self) -> bool:
        """Whether seeds ran and every one of them trained."""
        return self.ran > 0 and not self.diverged and not self.collapsed

    def failures(self) -> list[tuple[str, int]]:
        """What went wrong, and with how many seeds."""
        counts = zip(FAILED, (self.diverged, self.collapsed), strict=True)
        return [(name, count) for name, count in counts if count]


def tiles(axes: Axes, cells: Sequence[Cell], metric: str) -> dict[Point, Tile]:
    """Every point of the plane, in grid order.

    Raises:
      ValueError: a further axis has several values; `panels` takes those apart.
    """
    wide = [name for name, values in axes.items() if name not in PLANE and len(values) > 1]
    if wide:
        raise ValueError(f"a plane has no place for the axes {wide}: use `panels`")
    found: dict[Point, list[Cell]] = {}
    for cell in cells:
        where = cell["cell"]
        # No more than is asked of it: cells may be a million, and on disk.
        slim = {"status": cell["status"], metric: cell.get(metric)}
        found.setdefault((where["batch_size"], where["learning_rate"]), []).append(slim)
    seeds = len(axes.get("seed", (0,)))
    points = itertools.product(axes["batch_size"], axes["learning_rate"])
    return {point: _tile(seeds, found.get(point, []), metric) for point in points}


def best_rates(axes: Axes, cells: Sequence[Cell], metric: str) -> tuple[dict[float, float], str]:
    """The best learning rate of each batch size, and the metric it was chosen by.

    Chosen by mean validation accuracy where there is one, else by `metric`, among the rates at
    which every seed trained; a batch size without such a rate has no entry.
    """
    for basis in ("validation_accuracy", metric):
        sign = -1 if lower_is_better(basis) else 1
        best: dict[float, tuple[float, float]] = {}
        for (batch, rate), tile in tiles(axes, cells, basis).items():
            score = sign * tile.mean
            if tile.sound and score > best.get(batch, (-math.inf, 0.0))[0]:
                best[batch] = (score, rate)
        if best:
            break
    return {batch: rate for batch, (_, rate) in best.items()}, basis


def panels(axes: Axes, cells: Sequence[Cell]) -> Iterator[tuple[str, Axes, Sequence[Cell]]]:
    """One plane for each combination of the further axes: (label, its axes, its cells).

    The label reads like `optimizer=sgd, momentum=0.9`; it is empty where there is one plane.
    """
    further = {name: values for name, values in axes.items() if name not in PLANE}
    for values in itertools.product(*further.values()):
        here = dict(zip(further, values, strict=True))
        mine: Sequence[Cell] = cells
        if further:
            mine = [c for c in cells if all(c["cell"].get(n) == v for n, v in here.items())]
        varying = {name: value for name, value in here.items() if len(further[name]) > 1}
        label = ", ".join(f"{name}={value}" for name, value in varying.items())
        yield label, {n: (here[n],) if n in here else v for n, v in axes.items()}, mine


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value of the metric is the better one."""
    return not metric.endswith("accuracy")


def spell(metric: str, value: float) -> str:
    """A value as a tile shows it: accuracies in percent, others to three digits."""
    return f"{100 * value:.1f}" if metric.endswith("accuracy") else f"{value:#.3g}".rstrip(".")


def ink(background: Sequence[float]) -> str:
    """Black or white, whichever stands out more from an RGB colour in 0..1 (WCAG 2 contrast)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in background[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if luminance < 0.179 else "black"


def _tile(seeds: int, cells: Sequence[Cell], metric: str) -> Tile:
    trained = [cell for cell in cells if cell["status"] not in FAILED]
    values = [float(cell[metric]) for cell in trained if cell.get(metric) is not None]
    finite = [value for value in values if math.isfinite(value)]
    mean = math.fsum(finite) / len(finite) if finite else math.nan
    diverged, collapsed = (sum(c["status"] == name for c in cells) for name in FAILED)
    return Tile(seeds, len(cells), diverged, collapsed, mean)
