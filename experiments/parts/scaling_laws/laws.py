"""Power laws with an asymptote, loss = floor + (scale / x)^exponent, fitted to each seed's losses.

A law without the floor (Kaplan et al. 2020) bends where the text's own entropy is near, and its
exponent is then too small; with it (Hoffmann et al. 2022, arXiv:2203.15556, eq. 2) the floor is one
more number to fit, unless it is known. Losses are weighed alike in nats, not in logarithms, which
would let what is next to the floor, and mostly noise, decide.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

_STEEPEST = 3.0


@dataclass(frozen=True)
class Law:
    """A fitted law.

    Attributes:
      floor: the loss that no x gets below, in nats.
      centre: the geometric mean of the fitted x.
      above: the loss there less the floor, in nats.
      exponent: of the fall.
      at_bound: the floor was free and ended at 0, or the exponent at its limit, or nothing falls:
        x reaches neither near enough to the floor nor far enough to tell.
      rms: of the residuals, in nats.
    """

    floor: float
    centre: float
    above: float
    exponent: float
    at_bound: bool
    rms: float

    def at(self, x: np.ndarray) -> np.ndarray:
        """The law's loss."""
        return self.floor + self.above * (self.centre / x) ** self.exponent


def fit(x: np.ndarray, losses: np.ndarray, floor: float | None = None) -> Law:
    """Least squares over (points,) in nats; a floor of None is fitted, in [0, lowest loss]."""
    centre = float(np.exp(np.mean(np.log(x))))
    z = np.log(x / centre)
    low = float(losses.min())

    def residuals(free: np.ndarray) -> np.ndarray:
        height, exponent = free[:2]
        bottom = free[2] if floor is None else floor
        return bottom + np.exp(height - exponent * z) - losses

    best = None
    for share in (0.0, 0.5, 0.9) if floor is None else (0.0,):
        bottom = share * low if floor is None else floor
        above = np.log(np.maximum(losses - bottom, 1e-6))
        slope, height = np.polyfit(z, above, 1)
        start = [height, np.clip(-slope, 1e-3, _STEEPEST - 1e-3)]
        bounds = ([-20.0, 0.0], [20.0, _STEEPEST])
        if floor is None:
            start.append(np.clip(bottom, 1e-6, low * (1 - 1e-9)))
            bounds = ([*bounds[0], 0.0], [*bounds[1], low])
        found = least_squares(residuals, start, bounds=bounds, xtol=1e-14, ftol=1e-14, gtol=1e-14)
        best = found if best is None or found.cost < best.cost else best
    assert best is not None
    height, exponent = best.x[:2]
    bottom = float(best.x[2]) if floor is None else floor
    flat = np.exp(height) < 1e-4 * low
    stuck = bool(exponent > 0.99 * _STEEPEST or exponent < 1e-6 or flat)
    at_bound = stuck or (floor is None and bottom < 1e-3 * low)
    rms = float(np.sqrt(np.mean(residuals(best.x) ** 2)))
    return Law(bottom, centre, float(np.exp(height)), float(exponent), at_bound, rms)
