"""Where a course first has a target: cells compared at one accuracy, or one loss, meet there."""

import numpy as np

from minima.claims.evidence import Floats


def first_crossing(course: Floats, target: float) -> float:
    """Where a course first meets or passes a target, read in proportion between its points.

    Args:
      course: (points,) of one run, rising or falling.
      target: in the course's unit.

    Returns:
      A broken index from 0; NaN where the course never gets there, has values that are NaN, or is
      past the target at its first point: what lies before that was not seen.
    """
    if not len(course) or np.isnan(course).any():
        return float("nan")
    if course[0] == target:
        return 0.0
    beyond = course >= target if course[0] < target else course <= target
    if not beyond.any():
        return float("nan")
    at = int(np.argmax(beyond))
    low, high = course[at - 1 : at + 1]
    return at - 1 + float((target - low) / (high - low))
