"""What launched networks say of inputs: probabilities, confidence, and whether they are right."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minima.evaluation import arrays, calibration
from minima.record import results
from minima.record.snapshots import Snapshots
from minima.runtime.errors import UserError
from minima.sweep.minima import predict_logits
from minima.sweep.run import Prepared

Floats = NDArray[np.float64]
PERCENT = 100.0


class Said(NamedTuple):
    """Means over examples, in percent, one value a network: (..., seeds)."""

    accuracy: Floats
    confidence: Floats
    ece: Floats

    @property
    def overconfidence(self) -> Floats:
        """By how many points confidence is above accuracy."""
        return self.confidence - self.accuracy


def alive(prepared: Prepared, flag: str, least: int = 2) -> list[int]:
    """Numbers of the cells that did not fail.

    Raises:
      UserError: too few; names the flag that sets the rate.
    """
    accuracy = results.load(prepared.directory).table("test_accuracy").reshape(-1)
    found: list[int] = np.flatnonzero(np.isfinite(accuracy)).tolist()
    if len(found) < least:
        raise UserError(f"--{flag}: {len(found)} networks train, {least} are needed; lower rates")
    return found


def logits(prepared: Prepared, inputs: np.ndarray, cells: Sequence[int]) -> Floats:
    """(cells, n, classes) of inputs as the dataset has them."""
    plan, kept = prepared.plan, Snapshots(prepared.directory)
    points = [(cell, kept.steps(cell)[-1]) for cell in cells]
    found = predict_logits(plan, kept, points, inputs, plan.layout.make_mesh())
    return np.asarray(found, np.float64)


def probabilities(prepared: Prepared, inputs: np.ndarray, cells: Sequence[int]) -> Floats:
    """(cells, n, classes)."""
    return np.stack([arrays.softmax(each) for each in logits(prepared, inputs, cells)])


def said(found: Floats, labels: np.ndarray) -> Said:
    """Of probabilities (seeds, n, classes) and labels (n,)."""
    rows = []
    for each in found:
        confidence, right = calibration.top(each, labels)
        rows.append((right.mean(), confidence.mean(), calibration.ece(confidence, right)))
    return Said(*(PERCENT * np.array(rows).T))
