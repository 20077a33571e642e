"""y = factor · x ** exponent, by least squares on logarithms."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class PowerLaw:
    """A line on doubly logarithmic paper.

    Attributes:
      exponent: its slope.
      factor: what it says at x = 1.
    """

    exponent: float
    factor: float

    def __call__(self, x: float) -> float:
        """The y that belongs to an x."""
        return self.factor * x**self.exponent


def power_law(x: ArrayLike, y: ArrayLike) -> PowerLaw:
    """Fits it; all points count alike.

    Args:
      x: (n,) > 0, two or more of them different.
      y: (n,) > 0.

    Raises:
      ValueError: numbers that have no logarithm, or that tell no slope.
    """
    across, up = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if across.ndim != 1 or across.shape != up.shape or len(set(across.tolist())) < 2:
        raise ValueError("an exponent needs as many x as y, and two different x")
    if not ((across > 0) & (up > 0) & np.isfinite(across) & np.isfinite(up)).all():
        raise ValueError("an exponent needs numbers above 0")
    logs = np.log(across), np.log(up)
    centred = logs[0] - logs[0].mean()
    exponent = float(centred @ logs[1] / (centred @ centred))
    return PowerLaw(exponent, math.exp(float(logs[1].mean() - exponent * logs[0].mean())))
