"""Means with 95 % intervals by Student's t."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mean:
    """A mean of `n` values and half the width of its 95 % interval; NaN where n says nothing."""

    mean: float
    half: float
    n: int

    def describe(self, scale: float = 1.0, digits: int = 1, unit: str = "", sign: str = "-") -> str:
        """Such as `84.1 ± 0.6 % (n = 3)`; one value has no interval, none is no number.

        Args:
          scale: what the numbers are multiplied by, 100 for a percentage.
          digits: behind the point.
          unit: what stands behind the numbers, such as " %".
          sign: "+" to show that of positive means too.
        """
        if not self.n:
            return "no values"
        mean = f"{scale * self.mean:{sign}.{digits}f}"
        half = f" ± {scale * self.half:.{digits}f}" if self.n > 1 else ""
        return f"{mean}{half}{unit} (n = {self.n})"


def interval(values: Sequence[float]) -> Mean:
    """The mean of independent values and its 95 % t interval; what isn't finite is left out."""
    finite = np.array([value for value in values if math.isfinite(value)], float)
    n = len(finite)
    if n < 2:
        return Mean(float(finite[0]) if n else math.nan, math.nan, n)
    from scipy.stats import t

    half = float(t.ppf(0.975, n - 1) * finite.std(ddof=1) / math.sqrt(n))
    return Mean(float(finite.mean()), half, n)
