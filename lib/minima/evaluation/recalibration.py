"""Honest confidence after training: maps of scores, fitted on held-out examples.

Temperature, vector and Platt scaling minimise the negative log-likelihood of the examples that they
are fitted on, and contain the identity: there, they never raise it. Temperature scaling never
changes a prediction.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from minima.evaluation import arrays
from minima.evaluation.arrays import Floats
from minima.runtime.errors import UserError

_LOWEST, _HIGHEST = 1e-3, 1e3  # of a temperature


@dataclass(frozen=True)
class Temperature:
    """Logits over one number (Guo et al. 2017, arXiv:1706.04599).

    Attributes:
      value: above 1 where the model was overconfident.
    """

    value: float

    def __call__(self, logits: ArrayLike) -> Floats:
        """(n, classes) probabilities."""
        return arrays.softmax(np.asarray(logits, np.float64) / self.value)


@dataclass(frozen=True)
class VectorScaling:
    """Logits times a vector, plus a vector (Guo et al. 2017).

    Attributes:
      scale, shift: (classes,).
    """

    scale: tuple[float, ...]
    shift: tuple[float, ...]

    def __call__(self, logits: ArrayLike) -> Floats:
        """(n, classes) probabilities."""
        scaled = np.asarray(logits, np.float64) * np.array(self.scale) + np.array(self.shift)
        return arrays.softmax(scaled)


@dataclass(frozen=True)
class Platt:
    """A logistic curve of a score (Platt 1999), for two classes.

    Attributes:
      intercept, slope: P(1) = 1 / (1 + exp(-(intercept + slope · score))).
    """

    intercept: float
    slope: float

    def __call__(self, scores: ArrayLike) -> Floats:
        """(n,) probabilities of class 1."""
        return _sigmoid(self.intercept + self.slope * arrays.finite(scores, "scores"))


@dataclass(frozen=True)
class Isotonic:
    """A rising step function of a score, linear between its knots (Zadrozny and Elkan 2002).

    Attributes:
      scores, values: (knots,) rising.
    """

    scores: tuple[float, ...]
    values: tuple[float, ...]

    def __call__(self, scores: ArrayLike) -> Floats:
        """(n,) probabilities of class 1; outside of the knots those at the ends."""
        return np.interp(arrays.finite(scores, "scores"), self.scores, self.values)


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> Temperature:
    """The temperature of least negative log-likelihood: it is convex in 1 / temperature.

    Args:
      logits: (n, classes) of held-out examples.
      labels: (n,).

    Raises:
      UserError: arrays that don't fit.
    """
    z, y = _checked(logits, labels)

    def loss(log_inverse: float) -> float:
        return _nll(z * math.exp(log_inverse), y)

    bounds = (-math.log(_HIGHEST), -math.log(_LOWEST))
    found = optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    best = float(found.x) if loss(float(found.x)) <= loss(0.0) else 0.0
    return Temperature(math.exp(-best))


def fit_vector(logits: ArrayLike, labels: ArrayLike, penalty: float = 0.0) -> VectorScaling:
    """Scale and shift of every class's logit, by L-BFGS from the identity.

    Args:
      logits: (n, classes) of held-out examples.
      labels: (n,).
      penalty: on squared distance from the identity, beside the mean loss in nats: with few
        examples of a class there is no finite optimum without.

    Raises:
      UserError: arrays that don't fit.
    """
    z, y = _checked(logits, labels)
    n, k = z.shape
    targets = np.eye(k)[y]
    start = np.concatenate([np.ones(k), np.zeros(k)])

    def loss(x: Floats) -> tuple[float, Floats]:
        p = _softmax(z * x[:k] + x[k:])
        apart = (p - targets) / n
        gradient = np.concatenate([(apart * z).sum(axis=0), apart.sum(axis=0)])
        offset = x - start
        value = _nll(z * x[:k] + x[k:], y) + penalty * float(offset @ offset)
        return value, gradient + 2 * penalty * offset

    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    best = found.x if loss(found.x)[0] <= loss(start)[0] else start
    return VectorScaling(tuple(best[:k].tolist()), tuple(best[k:].tolist()))


def fit_platt(scores: ArrayLike, labels: ArrayLike, smooth: bool = True) -> tuple[float, float]:
    """Intercept and slope of a logistic curve, by Newton's method.

    Args:
      scores: (n,) of class 1; logits are best.
      labels: (n,) 0 or 1.
      smooth: targets (N₊ + 1) / (N₊ + 2) and 1 / (N₋ + 2) for 1 and 0 (Platt 1999): finite where
        scores separate the classes. Without, NaN there.

    Returns:
      (intercept, slope), for `Platt`.

    Raises:
      UserError: arrays that don't fit, or labels of one class.
    """
    x, y = arrays.finite(scores, "scores"), arrays.decisions(labels, "labels")
    arrays.same_length(len(y), {"scores": x})
    positive = int(y.sum())
    if positive in (0, len(y)):
        raise UserError(f"labels: all are {int(y[0])}; a curve needs both")
    targets = y.astype(np.float64)
    if smooth:
        targets = np.where(y, (positive + 1) / (positive + 2), 1 / (len(y) - positive + 2))
    elif x[y].min() > x[~y].max() or x[y].max() < x[~y].min():
        return math.nan, math.nan
    centre, spread = float(x.mean()), float(x.std()) or 1.0
    design = np.stack([np.ones(len(x)), (x - centre) / spread], axis=1)

    def loss(beta: Floats) -> tuple[float, Floats]:
        t = design @ beta
        value = float(np.mean(np.logaddexp(0, t) - targets * t))
        return value, design.T @ (_sigmoid(t) - targets) / len(t)

    def hessian(beta: Floats) -> Floats:
        p = _sigmoid(design @ beta)
        return (design * (p * (1 - p))[:, None]).T @ design / len(p)

    start = np.array([math.log((positive + 1) / (len(y) - positive + 1)), 0.0])
    found = optimize.minimize(
        loss, start, jac=True, hess=hessian, method="trust-exact", options={"gtol": 1e-12}
    )
    a, b = found.x
    return float(a - b * centre / spread), float(b / spread)


def fit_isotonic(
    scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None
) -> Isotonic:
    """The rising function of least squared error: pool adjacent violators (scipy).

    Equal scores share one value, as in scikit-learn's IsotonicRegression.

    Raises:
      UserError: arrays that don't fit.
    """
    x, y = arrays.finite(scores, "scores"), arrays.decisions(labels, "labels")
    arrays.same_length(len(y), {"scores": x})
    w = arrays.sample_weights(weights, len(y))
    kept = w > 0
    knots, code = np.unique(x[kept], return_inverse=True)
    total = np.bincount(code, w[kept])
    mean = np.bincount(code, w[kept] * y[kept]) / total
    fitted = optimize.isotonic_regression(mean, weights=total).x
    return Isotonic(tuple(knots.tolist()), tuple(np.clip(fitted, 0, 1).tolist()))


@dataclass(frozen=True)
class OneAgainstRest:
    """A curve for the probability of every class, then divided by their sum (Zadrozny 2002).

    Attributes:
      curves: one per class, from the log odds of its probability to a probability.
    """

    curves: "tuple[Platt | Isotonic, ...]"

    def __call__(self, logits: ArrayLike) -> Floats:
        """(n, classes) probabilities; uniform where every curve says 0."""
        odds = _log_odds(np.asarray(logits, np.float64))
        each = np.stack([curve(odds[:, c]) for c, curve in enumerate(self.curves)], axis=1)
        total = each.sum(axis=1, keepdims=True)
        return np.where(total > 0, each / np.where(total > 0, total, 1), 1 / each.shape[1])


def fit_platt_per_class(logits: ArrayLike, labels: ArrayLike) -> OneAgainstRest:
    """Platt's curve of every class against the rest (Guo et al. 2017, 4.2).

    Args:
      logits: (n, classes) of held-out examples.
      labels: (n,); every class is there.

    Raises:
      UserError: arrays that don't fit, or a class without an example.
    """
    odds, y = _of_every_class(logits, labels)
    return OneAgainstRest(
        tuple(Platt(*fit_platt(odds[:, c], y == c)) for c in range(odds.shape[1]))
    )


def fit_isotonic_per_class(logits: ArrayLike, labels: ArrayLike) -> OneAgainstRest:
    """A rising function of every class against the rest; may say 0, for an infinite loss.

    Args and raises: as `fit_platt_per_class`.
    """
    odds, y = _of_every_class(logits, labels)
    return OneAgainstRest(tuple(fit_isotonic(odds[:, c], y == c) for c in range(odds.shape[1])))


def mean_probabilities(members: ArrayLike) -> Floats:
    """An ensemble's or Monte Carlo dropout's prediction: (n, classes) from (members, n, classes).

    Raises:
      UserError: another shape, or rows that are no probabilities.
    """
    stacked = arrays.finite(members, "members")
    if stacked.ndim != 3:
        raise UserError(f"members: have shape {stacked.shape}; give (members, examples, classes)")
    return np.mean([arrays.probabilities(each, "members") for each in stacked], axis=0)


def _checked(logits: ArrayLike, labels: ArrayLike) -> tuple[Floats, arrays.Ints]:
    z = arrays.finite(logits, "logits")
    if z.ndim != 2 or z.shape[1] < 2:
        raise UserError(f"logits: have shape {z.shape}; give (examples, two classes or more)")
    y = arrays.class_labels(labels, z.shape[1])
    arrays.same_length(len(y), {"logits": z})
    return z, y


def _of_every_class(logits: ArrayLike, labels: ArrayLike) -> tuple[Floats, arrays.Ints]:
    """(n, classes) log odds and labels, of which every class has one."""
    z, y = _checked(logits, labels)
    counts = np.bincount(y, minlength=z.shape[1])
    if not counts.all():
        missing = int(np.argmin(counts))
        raise UserError(f"labels: none is {missing}; a curve per class needs examples of each")
    return _log_odds(z), y


def _log_odds(z: Floats) -> Floats:
    """(n, classes) log p - log(1 - p) of softmax probabilities p, without overflow."""
    others = np.stack(
        [special.logsumexp(np.delete(z, c, axis=1), axis=1) for c in range(z.shape[1])], axis=1
    )
    return z - others


def _softmax(z: Floats) -> Floats:
    shifted = np.exp(z - z.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _nll(z: Floats, y: arrays.Ints) -> float:
    top = z.max(axis=1)
    total = top + np.log(np.exp(z - top[:, None]).sum(axis=1))
    return float((total - z[np.arange(len(y)), y]).mean())


def _sigmoid(t: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(0.5 * t))
