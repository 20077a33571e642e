"""Confidence against accuracy: proper scores, reliability, and how much of it is noise.

The expected calibration error of a perfectly calibrated model is not 0: with n examples in m bins
chance alone gives about 0.4 to 0.8 √(m / n) times the spread. So every one comes with the band that
a perfectly calibrated model of the same confidences has (`null_band`), and without that bias
(`debiased_ece`).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from minima.evaluation import arrays
from minima.evaluation.arrays import Bools, Floats
from minima.evaluation.recalibration import fit_platt
from minima.runtime.errors import UserError
from minima.statistics.intervals import binomial_interval

BINS = 15


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability diagram.

    Attributes:
      low, high: its edges.
      n: examples in it.
      confidence, accuracy: their means; NaN for an empty bin.
      accuracy_low, accuracy_high: exact 95 % limits of the accuracy; NaN likewise.
      null_low, null_high: where the accuracy of a perfectly calibrated model with these confidences
        lies with probability 0.95 or more; NaN likewise.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    null_low: float
    null_high: float


@dataclass(frozen=True)
class Band:
    """A statistic and what chance alone makes of it.

    Attributes:
      value: of the data.
      low, high: quantiles 0.025 and 0.975 of a perfectly calibrated model of the same confidences.
      mean: its mean there: the bias.
      p: how often that model has a value as large, with + 1 in both counts.
    """

    value: float
    low: float
    high: float
    mean: float
    p: float

    @property
    def inside(self) -> bool:
        """Whether a perfectly calibrated model could have given it."""
        return self.low <= self.value <= self.high


def nll(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean negative log-likelihood in nats; infinite where a label had probability 0.

    Args:
      probabilities: (n, classes), or (n,) of class 1.
      labels: (n,).

    Raises:
      UserError: arrays that don't fit.
    """
    p, y = _checked(probabilities, labels)
    with np.errstate(divide="ignore"):
        return float(-np.log(p[np.arange(len(y)), y]).mean())


def brier(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean squared distance from the one-hot label, summed over classes (Brier 1950): in [0, 2].

    For two classes it is twice scikit-learn's `brier_score_loss`.

    Raises:
      UserError: arrays that don't fit.
    """
    p, y = _checked(probabilities, labels)
    return float(np.square(p - _one_hot(y, p.shape[1])).sum(axis=1).mean())


@dataclass(frozen=True)
class BrierParts:
    """Murphy's (1973) parts: reliability - resolution + uncertainty + rest is the Brier score.

    Attributes:
      reliability: squared distance of confidence from frequency, 0 for a calibrated model.
      resolution: how far frequencies of bins are from the base rate.
      uncertainty: of the labels alone.
      rest: what varies within bins; 0 where all confidences of a bin are equal.
    """

    reliability: float
    resolution: float
    uncertainty: float
    rest: float

    @property
    def total(self) -> float:
        """The Brier score."""
        return self.reliability - self.resolution + self.uncertainty + self.rest


def brier_parts(probabilities: ArrayLike, labels: ArrayLike, bins: int = BINS) -> BrierParts:
    """The Brier score in parts, summed over classes, each class binned by its own probability.

    Raises:
      UserError: arrays that don't fit.
    """
    p, y = _checked(probabilities, labels)
    targets, n = _one_hot(y, p.shape[1]), len(y)
    reliability = resolution = 0.0
    for c in range(p.shape[1]):
        code = _codes(p[:, c], bins)
        size, confidence, frequency = _means(code, p[:, c], targets[:, c], bins)
        full = size > 0
        base = targets[:, c].mean()
        share = size[full] / n
        reliability += float(share @ np.square(confidence[full] - frequency[full]))
        resolution += float(share @ np.square(frequency[full] - base))
    base = targets.mean(axis=0)
    uncertainty = float((base * (1 - base)).sum())
    total = float(np.square(p - targets).sum(axis=1).mean())
    return BrierParts(
        reliability, resolution, uncertainty, total - (reliability - resolution + uncertainty)
    )


def top(probabilities: ArrayLike, labels: ArrayLike) -> tuple[Floats, Bools]:
    """(n,) confidence in the predicted class, and whether it is right.

    Raises:
      UserError: arrays that don't fit.
    """
    p, y = _checked(probabilities, labels)
    return p.max(axis=1), p.argmax(axis=1) == y


def ece(
    confidence: ArrayLike, right: ArrayLike, bins: int = BINS, equal_mass: bool = False
) -> float:
    """Expected calibration error: mean distance of accuracy from confidence over bins.

    Guo et al. 2017 (arXiv:1706.04599), equation 3, with bins of equal width (low, high]; equal_mass
    puts as many examples into each.

    Args:
      confidence: (n,) in [0, 1]; of the predicted class (see `top`), or of one class.
      right: (n,) whether the prediction, or that class, is right.
      bins: how many.
      equal_mass: bins by quantiles.

    Raises:
      UserError: arrays that don't fit.
    """
    c, hits = _confidences(confidence, right)
    return float(_ece(c, hits.astype(np.float64)[None], bins, equal_mass)[0])


def debiased_ece(confidence: ArrayLike, right: ArrayLike, bins: int = BINS) -> float:
    """The root of the squared calibration error without the bias of finite bins; 0 where below.

    Kumar et al. 2019 (arXiv:1909.10155), section 5: the variance of its accuracy is subtracted
    from every bin's squared distance. Bins of equal mass; one of fewer than two is left out.

    Raises:
      UserError: arrays that don't fit.
    """
    squared, _ = _squared_error(*_confidences(confidence, right), bins)
    return math.sqrt(max(0.0, squared))


def calibration_limits(
    confidence: ArrayLike, right: ArrayLike, bins: int = BINS, level: float = 0.95
) -> tuple[float, float]:
    """Limits of the true calibration error, of which `debiased_ece` is the estimate.

    Normal limits of its square, whose variance is that of a sum of squared normal numbers over
    bins, Σ w² (4 d² v + 2 v²): w a bin's share, d its distance, v the variance of its accuracy.
    `level` is that of both; the rest, and what is raised, as `debiased_ece`.
    """
    squared, variance = _squared_error(*_confidences(confidence, right), bins)
    reach = float(stats.norm.isf((1 - level) / 2)) * math.sqrt(variance)
    return math.sqrt(max(0.0, squared - reach)), math.sqrt(max(0.0, squared + reach))


def _squared_error(c: Floats, hits: Bools, bins: int) -> tuple[float, float]:
    """The squared calibration error without the bias of bins, and its variance."""
    code = _mass_codes(c, bins)
    size, mean, accuracy = _means(code, c, hits.astype(np.float64), bins)
    kept = size > 1
    share, apart = size[kept] / len(c), np.square(accuracy[kept] - mean[kept])
    noise = accuracy[kept] * (1 - accuracy[kept]) / (size[kept] - 1)
    # Where a bin is all right or all wrong, its accuracy tells no variance; its confidence does.
    spread = np.maximum(noise, mean[kept] * (1 - mean[kept]) / size[kept])
    distance = np.maximum(0.0, apart - noise)
    variance = np.square(share) @ (4 * distance * spread + 2 * np.square(spread))
    return float(share @ (apart - noise)), float(variance)


def smooth_ece(confidence: ArrayLike, right: ArrayLike) -> float:
    """The smooth calibration error (Blasiok and Nakkiran 2023, arXiv:2309.12236).

    No bins: residuals are smoothed by a reflected Gaussian kernel whose width σ is the one at which
    the error equals σ (found by bisection), on a grid of 1,001 points.

    Raises:
      UserError: arrays that don't fit.
    """
    c, hits = _confidences(confidence, right)
    points = 1001
    place = np.clip(np.rint(c * (points - 1)).astype(int), 0, points - 1)
    residual = np.bincount(place, hits - c, points) / len(c)
    low, high = 1e-3, 1.0
    for _ in range(30):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _smoothed(residual, middle) > middle else (low, middle)
    return float(_smoothed(residual, high))


def classwise_ece(probabilities: ArrayLike, labels: ArrayLike, bins: int = BINS) -> Floats:
    """(classes,) the ECE of each class's own probability (Kull et al. 2019, arXiv:1910.12656).

    Raises:
      UserError: arrays that don't fit.
    """
    p, y = _checked(probabilities, labels)
    return np.array([ece(p[:, c], y == c, bins) for c in range(p.shape[1])])


def reliability(
    confidence: ArrayLike, right: ArrayLike, bins: int = BINS, draws: int = 2000, seed: int = 0
) -> list[Bin]:
    """The reliability diagram, bins of equal width, with the band of a calibrated model.

    Args:
      confidence, right: (n,) as `ece`.
      bins: how many.
      draws: of that model.
      seed: of those.

    Raises:
      UserError: arrays that don't fit.
    """
    c, hits = _confidences(confidence, right)
    code, edges = _codes(c, bins), np.linspace(0, 1, bins + 1)
    rng, found = np.random.default_rng(seed), []
    for b in range(bins):
        inside = code == b
        n = int(inside.sum())
        if not n:
            found.append(Bin(edges[b], edges[b + 1], 0, *[math.nan] * 6))
            continue
        exact = binomial_interval(int(hits[inside].sum()), n)
        drawn = np.array([(rng.random(n) < c[inside]).mean() for _ in range(draws)])
        low, high = np.quantile(drawn, [0.025, 0.975], method="inverted_cdf")
        accuracy = float(hits[inside].mean())
        limits = (exact.low, exact.high, float(low), float(high))
        found.append(Bin(edges[b], edges[b + 1], n, float(c[inside].mean()), accuracy, *limits))
    return found


def null_band(
    confidence: ArrayLike,
    right: ArrayLike,
    bins: int = BINS,
    equal_mass: bool = False,
    draws: int = 2000,
    seed: int = 0,
) -> Band:
    """The ECE beside that of a perfectly calibrated model with the same confidences.

    Its labels are drawn from the confidences themselves, `draws` times.

    Raises:
      UserError: arrays that don't fit.
    """
    c, hits = _confidences(confidence, right)
    value = float(_ece(c, hits.astype(np.float64)[None], bins, equal_mass)[0])
    c = np.sort(c)  # once for all draws
    rng = np.random.default_rng(seed)
    chunk, drawn = max(1, 2**22 // len(c)), []
    for start in range(0, draws, chunk):
        shape = (min(chunk, draws - start), len(c))
        drawn.append(_ece(c, (rng.random(shape) < c).astype(np.float64), bins, equal_mass))
    null = np.concatenate(drawn)
    low, high = np.quantile(null, [0.025, 0.975])
    p = (float((null >= value).sum()) + 1) / (draws + 1)
    return Band(value, float(low), float(high), float(null.mean()), p)


def calibration_slope(probabilities: ArrayLike, labels: ArrayLike) -> tuple[float, float]:
    """Cox's (1958) intercept and slope for two classes: logit P(y = 1) = a + b · logit(p).

    (0, 1) for a calibrated model; a slope below 1 says overconfident. By Newton's method on the
    maximum likelihood; NaN where the classes are separated by the score, or one is missing.

    Raises:
      UserError: arrays that don't fit, or more than two classes.
    """
    p, y = _checked(probabilities, labels)
    if p.shape[1] != 2:
        raise UserError(f"probabilities: have {p.shape[1]} classes; a slope is of two")
    return fit_platt(_logit(p[:, 1]), y == 1, smooth=False)


def _logit(p: Floats) -> Floats:
    tiny = np.finfo(np.float64).tiny
    return np.log(np.maximum(p, tiny)) - np.log(np.maximum(1 - p, tiny))


def _checked(probabilities: ArrayLike, labels: ArrayLike) -> tuple[Floats, arrays.Ints]:
    p = arrays.probabilities(probabilities)
    y = arrays.class_labels(labels, p.shape[1])
    arrays.same_length(len(y), {"probabilities": p})
    return p, y


def _confidences(confidence: ArrayLike, right: ArrayLike) -> tuple[Floats, Bools]:
    c, hits = arrays.finite(confidence, "confidence"), arrays.decisions(right, "right")
    if c.ndim != 1 or ((c < 0) | (c > 1)).any():
        raise UserError("confidence: give one number from 0 to 1 per example")
    arrays.same_length(len(hits), {"confidence": c})
    return c, hits


def _one_hot(labels: arrays.Ints, classes: int) -> Floats:
    return np.eye(classes)[labels]


def _codes(values: Floats, bins: int) -> arrays.Ints:
    """Which bin of equal width (low, high] each value is in; 0 is in the first."""
    return np.clip(np.ceil(values * bins).astype(np.int64) - 1, 0, bins - 1)


def _mass_codes(values: Floats, bins: int) -> arrays.Ints:
    """Which bin of equal mass: by rank, so that sizes differ by one at most; ties stay in order."""
    codes = np.empty(len(values), np.int64)
    codes[np.argsort(values, kind="stable")] = np.arange(len(values)) * bins // len(values)
    return codes


def _means(
    code: arrays.Ints, values: Floats, hits: Floats, bins: int
) -> tuple[Floats, Floats, Floats]:
    size = np.bincount(code, minlength=bins).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return (
            size,
            np.bincount(code, values, bins) / size,
            np.bincount(code, hits, bins) / size,
        )


def _ece(c: Floats, hits: Floats, bins: int, equal_mass: bool) -> Floats:
    """(draws,) of hits (draws, n): sums over sorted bins, so that all draws share one sort."""
    code = _mass_codes(c, bins) if equal_mass else _codes(c, bins)
    apart = hits - c
    if (np.diff(code) < 0).any():
        order = np.argsort(code, kind="stable")
        code, apart = code[order], apart[:, order]
    starts = np.flatnonzero(np.diff(code, prepend=-1))
    apart = np.add.reduceat(apart, starts, axis=1)
    return np.abs(apart).sum(axis=1) / len(c)


def _smoothed(residual: Floats, sigma: float) -> float:
    """The mean absolute residual after smoothing with a Gaussian reflected at 0 and 1."""
    points = len(residual)
    reach = min(points - 1, math.ceil(5 * sigma * (points - 1)))
    offsets = np.arange(-reach, reach + 1) / (points - 1)
    kernel = stats.norm.pdf(offsets, scale=sigma)
    kernel /= kernel.sum()
    padded = np.pad(residual, reach)
    smooth = np.convolve(residual, kernel, mode="full")[: len(padded)]
    inside = smooth[reach : reach + points].copy()
    left, right = smooth[:reach][::-1], smooth[reach + points :][::-1]
    inside[1 : 1 + len(left)] += left
    inside[points - 1 - len(right) : points - 1] += right
    return float(np.abs(inside).sum())
