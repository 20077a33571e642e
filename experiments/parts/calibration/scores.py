"""What is measured of one network's probabilities, in points and nats."""

from collections.abc import Iterable, Mapping

import numpy as np

from minima.evaluation import calibration
from minima.evaluation.arrays import Floats

# Percent or points, but nll (nats) and brier (its parts reliability - resolution + uncertainty).
SCORES = ("accuracy", "confidence", "overconfidence", "nll", "brier", "ece")
CLOSER = (
    "debiased_ece",
    "smooth_ece",
    "null_mean",
    "null_high",
    "inside",
    "reliability",
    "resolution",
    "uncertainty",
)
NULL_DRAWS = 400

Scores = Mapping[str, float]


def scores(probabilities: Floats, labels: np.ndarray, bins: int) -> dict[str, float]:
    """Every one of SCORES: percent, points, nats."""
    confidence, right = calibration.top(probabilities, labels)
    accuracy, sure = 100 * float(right.mean()), 100 * float(confidence.mean())
    return {
        "accuracy": accuracy,
        "confidence": sure,
        "overconfidence": sure - accuracy,
        "nll": calibration.nll(probabilities, labels),
        "brier": calibration.brier(probabilities, labels),
        "ece": 100 * calibration.ece(confidence, right, bins),
    }


def closer(probabilities: Floats, labels: np.ndarray, bins: int) -> dict[str, float]:
    """Every one of CLOSER as well: errors without bins' bias, the null band, the Brier's parts."""
    confidence, right = calibration.top(probabilities, labels)
    band = calibration.null_band(confidence, right, bins, draws=NULL_DRAWS)
    parts = calibration.brier_parts(probabilities, labels, bins)
    return scores(probabilities, labels, bins) | {
        "debiased_ece": 100 * calibration.debiased_ece(confidence, right, bins),
        "smooth_ece": 100 * calibration.smooth_ece(confidence, right),
        "null_mean": 100 * band.mean,
        "null_high": 100 * band.high,
        "inside": float(band.inside),
        "reliability": parts.reliability,
        "resolution": parts.resolution,
        "uncertainty": parts.uncertainty,
    }


def columns(each: Iterable[Scores]) -> dict[str, Floats]:
    """Scores of several networks, (networks,) by name."""
    rows = list(each)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def planted_inside(probabilities: Floats, bins: int, times: int, size: int) -> int:
    """How often labels that are as likely as a network says land inside its null band.

    Args:
      probabilities: (networks, n, classes); sets of labels are drawn for each network in turn.
      bins: of the error.
      times: sets of labels.
      size: examples of a set, drawn anew each time, at most n.
    """
    rng, inside = np.random.default_rng([0, times]), 0  # apart from the bands' own seeds
    confidence = probabilities.max(axis=-1).astype(np.float64)
    for i in range(times):
        own = confidence[i % len(confidence)]
        some = np.clip(rng.choice(own, min(size, len(own)), replace=False), 0, 1)
        right = rng.random(len(some)) < some
        inside += calibration.null_band(some, right, bins, draws=NULL_DRAWS, seed=i).inside
    return inside
