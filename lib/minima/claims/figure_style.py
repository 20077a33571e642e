"""Intervals in words, as figures have them."""

from minima.record.figure_style import minus
from minima.statistics.intervals import Interval


def spell(interval: Interval, form: str = "+.2f") -> str:
    """An estimate and its limits."""
    values = (interval.estimate, interval.low, interval.high)
    estimate, low, high = (minus(format(value, form).rstrip(".")) for value in values)
    return f"{estimate} [{low}, {high}]"


def spell_sizes(interval: Interval) -> str:
    """The same for batch sizes: three digits, in full."""
    values = (interval.estimate, interval.low, interval.high)
    estimate, low, high = (f"{float(f'{value:.3g}'):,.10g}" for value in values)
    return f"{estimate} [{low}, {high}]"
