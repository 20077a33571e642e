"""A shift of class frequencies alone: estimated without a label, and corrected for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minima.evaluation import drift
from minima.evaluation.calibration import Floats
from minima.sweep.run import Prepared
from parts.distribution_shift.networks import PERCENT, probabilities

SHARE = 0.5  # of the class that becomes frequent


@dataclass(frozen=True)
class Priors:
    """Means over worlds, in each of which one class makes up half; percent, (seeds,).

    Attributes:
      counted: total variation distance of the classes predicted from the true frequencies.
      estimated: that of the estimate from the confusion matrix (Lipton et al. 2018).
      accuracy: as launched.
      corrected: with probabilities reweighted by the estimate.
      known: reweighted by the true frequencies, the best there is.
    """

    counted: Floats
    estimated: Floats
    accuracy: Floats
    corrected: Floats
    known: Floats


def measure(prepared: Prepared, cells: Sequence[int]) -> Priors:
    """Worlds drawn from the test set, the confusion matrix from the validation set."""
    data = prepared.plan.dataset
    held_out = probabilities(prepared, data.validation.inputs, cells)
    asked = probabilities(prepared, data.test.inputs, cells)
    launched = np.bincount(data.train.labels, minlength=data.num_classes) / len(data.train)
    labels = data.test.labels
    rng = np.random.default_rng(0)
    rows = []
    for frequent in range(data.num_classes):
        truth = np.full(data.num_classes, (1 - SHARE) / (data.num_classes - 1))
        truth[frequent] = SHARE
        weights = truth[labels] / np.bincount(labels, minlength=data.num_classes)[labels]
        drawn = rng.choice(len(labels), len(labels), p=weights / weights.sum())
        world = np.bincount(labels[drawn], minlength=data.num_classes) / len(drawn)
        rows.append(
            [
                _one(p[drawn], labels[drawn], world, q, data.validation.labels, launched)
                for p, q in zip(asked, held_out, strict=True)
            ]
        )
    return Priors(*(PERCENT * np.array(rows).mean(axis=0)).T)


def _one(
    p: Floats,
    labels: np.ndarray,
    world: Floats,
    held_out: Floats,
    held_out_labels: np.ndarray,
    launched: Floats,
) -> tuple[float, ...]:
    classes = len(world)
    confusion = np.zeros((classes, classes))
    np.add.at(confusion, (held_out.argmax(axis=1), held_out_labels), 1)
    confusion[:, confusion.sum(axis=0) == 0] = np.eye(classes)[:, confusion.sum(axis=0) == 0]
    counted = np.bincount(p.argmax(axis=1), minlength=classes) / len(p)
    estimated = drift.class_priors(confusion, counted)

    def right(priors: Floats | None) -> float:
        weighed = p if priors is None else p * (priors / launched)
        return float((weighed.argmax(axis=1) == labels).mean())

    def away(priors: Floats) -> float:
        return float(np.abs(priors - world).sum() / 2)

    return away(counted), away(estimated), right(None), right(estimated), right(world)
