"""The plane, compared where accuracy is the same, or training loss: batch sizes, learning rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minima.claims.crossing import first_crossing
from minima.claims.evidence import Floats
from minima.record import results
from minima.record.snapshots import Snapshots
from minima.sweep.minima import Point
from minima.sweep.run import Prepared
from parts.calibration.config import CalibrationConfig
from parts.calibration.courses import States, follow
from parts.calibration.scores import SCORES

ACCURACY, LOSS, END = "accuracy", "training loss", "end"
PLACES = (ACCURACY, LOSS, END)


@dataclass(frozen=True)
class Matched:
    """Scores of every cell of the plane, where cells are compared.

    Attributes:
      raw, scaled: by place and name of SCORES, (batch sizes, rates, seeds): before and after
        temperature; NaN where a cell never gets there, or failed.
      chosen: by batch size, the index of the rate that the tuning seeds chose.
      batch_sizes, rates: the axes.
      states: all that was looked at, for what must hold of every state.
    """

    raw: Mapping[str, Mapping[str, Floats]]
    scaled: Mapping[str, Mapping[str, Floats]]
    chosen: Sequence[int]
    batch_sizes: Sequence[int]
    rates: Sequence[float]
    states: States

    def batch_contrast(self, place: str, name: str, scaled: bool = False) -> Floats:
        """(seeds,) smallest less largest batch size, each at its own rate."""
        table = (self.scaled if scaled else self.raw)[place][name]
        return table[0, self.chosen[0]] - table[-1, self.chosen[-1]]

    def rate_contrast(self, place: str, name: str, scaled: bool = False) -> Floats:
        """(seeds,) highest less lowest rate, at the batch size in the middle."""
        table = (self.scaled if scaled else self.raw)[place][name]
        middle = len(self.batch_sizes) // 2
        return table[middle, -1] - table[middle, 0]


def measure_plane(prepared: Prepared, config: CalibrationConfig) -> Matched:
    """Finds each cell's crossings by its log, and scores the kept states around them."""
    plane, run = config.plane, results.load(prepared.directory)
    validated = 100 * run.curves("validation_accuracy")
    courses = {ACCURACY: validated, LOSS: run.curves("train_loss")}
    targets = {ACCURACY: plane.matched_accuracy, LOSS: plane.matched_loss}
    shape, last = validated.shape[:-1], validated.shape[-1] - 1
    tuning = len(plane.tuning_seeds)
    where = {
        place: np.apply_along_axis(first_crossing, -1, course, targets[place])
        for place, course in courses.items()
    }
    where[END] = np.full(shape, float(last))
    for place in PLACES:
        where[place][..., :tuning] = np.nan  # those choose, and don't report
        where[place][np.isnan(run.table("test_loss"))] = np.nan  # failed
    points, index = _around(where, Snapshots(prepared.directory))
    states = follow(prepared, points, config.looks.bins)
    raw, scaled = (
        {
            place: {
                name: _interpolated(where[place], index, scores[name])[..., tuning:]
                for name in SCORES
            }
            for place in PLACES
        }
        for scores in (states.raw, states.scaled)
    )
    best = validated[..., :tuning, :].max(axis=-1).mean(axis=-1)  # (batch sizes, rates)
    chosen = [int(np.nanargmax(row)) if np.isfinite(row).any() else 0 for row in best]
    return Matched(raw, scaled, chosen, plane.batch_sizes, plane.rates, states)


def _around(
    where: Mapping[str, Floats], kept: Snapshots
) -> tuple[list[Point], dict[tuple[int, int], int]]:
    """States before and after every crossing, and which of them is (cell, evaluation)."""
    wanted = set()
    for table in where.values():
        for cell, place in enumerate(table.reshape(-1)):
            if np.isfinite(place):
                wanted |= {(cell, int(np.floor(place))), (cell, int(np.ceil(place)))}
    ordered = sorted(wanted)
    points = [(cell, kept.steps(cell)[evaluation]) for cell, evaluation in ordered]
    return points, {each: i for i, each in enumerate(ordered)}


def _interpolated(where: Floats, index: Mapping[tuple[int, int], int], values: Floats) -> Floats:
    found = np.full(where.size, np.nan)
    for cell, place in enumerate(where.reshape(-1)):
        if np.isfinite(place):
            low, high = int(np.floor(place)), int(np.ceil(place))
            before, after = values[index[cell, low]], values[index[cell, high]]
            found[cell] = before + (place - low) * (after - before)
    return found.reshape(where.shape)
