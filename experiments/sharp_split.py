"""Ratios of sharpness in parts: norm, confidence and shape."""

import numpy as np

from minima.claims.evidence import Floats
from minima.claims.intervals import Interval, t_interval
from sharp_arms import Minima
from sharp_panels import CANONICAL, MATCHED

PARTS = ("norm", "confidence", "shape")


def split(first: Minima, second: Minima, name: str) -> dict[str, Interval] | None:
    """log2 of a ratio and its three parts, which add up, over seeds; None where one is missing.

    As in `landscape.split`: confidence is what goes once the read-out is scaled to one training
    loss, norm what goes in the canonical gauge, shape the rest. Which is taken away first matters
    a little: parts are means of both orders, and "confidence first" and "norm first" hold the
    norm's part in either.
    """
    logs: dict[str, Floats] = {}
    for form in ("", CANONICAL, MATCHED, CANONICAL + MATCHED):
        over, under = (m.values.get(name + form) for m in (first, second))
        if over is None or under is None:
            return None
        both = np.stack([over, under])
        if not (np.isfinite(both) & (both > 0)).all():
            return None
        logs[form] = np.log2(over / under)
    raw, canonical, matched, shape = logs.values()
    values = {
        "total": raw,
        "norm": (raw - canonical + matched - shape) / 2,
        "confidence": (raw - matched + canonical - shape) / 2,
        "shape": shape,
        "norm, confidence first": matched - shape,
        "norm, norm first": raw - canonical,
    }
    return {part: t_interval(value) for part, value in values.items()}
