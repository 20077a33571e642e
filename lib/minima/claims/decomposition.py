"""What a gap is made of: Shapley's split of it into two or three interventions.

A baseline (large batch, the small batch's rate, the same epochs) falls short of a reference (small
batch). Interventions mend it: a tuned rate, as many updates. What each is worth depends on which
comes first, so every order is shown, with the average over orders (Shapley 1953) and the
interaction that makes the orders differ; the remainder is what the reference is still ahead by
after all of them.

In every order the contributions telescope: v(all) - v(none) = sum of v(first k) - v(first k - 1).
So parts and remainder sum to the raw gap for each seed identically, not within an error; in
floating point only the rounding of a dozen additions is left.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from minima.claims.two_level import crossed_interval
from minima.statistics.intervals import Floats, Interval, t_interval

Order = tuple[str, ...]
Treatment = frozenset[str]


@dataclass(frozen=True)
class Split:
    """A raw gap and its parts, each paired by seed, in the unit of the outcomes.

    Attributes:
      factors: the interventions, in the order given.
      raw_gap: reference less untreated baseline.
      parts: by factor, the average of its contributions over all orders; parts and remainder sum to
        the raw gap.
      orders: by order, by factor, what it contributes when its turn comes.
      interactions: by set of two or more factors, what they do together beyond all smaller sets
        (Harsanyi's dividend). With two factors: v(both) - v(one) - v(other) + v(none).
      remainder: reference less the baseline after all interventions.
    """

    factors: Order
    raw_gap: Interval
    parts: dict[str, Interval]
    orders: dict[Order, dict[str, Interval]]
    interactions: dict[Treatment, Interval]
    remainder: Interval


def split_gap(
    reference: ArrayLike,
    outcomes: Mapping[Treatment, ArrayLike],
    factors: Sequence[str],
    confidence: float = 0.95,
) -> Split:
    """Splits reference - outcomes[none] into the factors' parts and a remainder.

    Args:
      reference: (S,) by seed, or (S, n) correctness by seed and test example: then the intervals
        count the sampling of test examples too (`crossed_interval`).
      outcomes: for every subset of the factors, the baseline's outcomes under it; the shape and the
        order of seeds are the reference's. For the flagship's "rate" and "updates": four arrays.
      factors: one to three names.
      confidence: of every interval, each by itself: nothing here corrects for their number.

    Raises:
      ValueError: a subset is missing or unknown, a shape differs, or a value is not finite.
    """
    names = tuple(factors)
    values = _checked_outcomes(reference, outcomes, names)
    top = np.asarray(reference, np.float64)
    orders = {order: _contributions(values, order) for order in itertools.permutations(names)}
    parts = {name: np.mean([orders[o][name] for o in orders], axis=0) for name in names}

    def interval(array: Floats) -> Interval:
        if array.ndim == 1:
            return t_interval(array, confidence)
        return crossed_interval(array, confidence)

    return Split(
        names,
        interval(top - values[frozenset()]),
        {name: interval(part) for name, part in parts.items()},
        {
            order: {name: interval(c) for name, c in steps.items()}
            for order, steps in orders.items()
        },
        {s: interval(_dividend(values, s)) for s in _subsets(names) if len(s) > 1},
        interval(top - values[frozenset(names)]),
    )


def _checked_outcomes(
    reference: ArrayLike, outcomes: Mapping[Treatment, ArrayLike], names: Order
) -> dict[Treatment, Floats]:
    if not 1 <= len(names) <= 3 or len(set(names)) < len(names):
        raise ValueError(f"a split needs one to three different factors, not {list(names)}")
    subsets = _subsets(names)
    if set(outcomes) != set(subsets):
        missing = [sorted(s) for s in subsets if s not in outcomes]
        unknown = [sorted(s) for s in outcomes if s not in subsets]
        raise ValueError(f"treatments missing: {missing}; unknown: {unknown}")
    arrays = {s: np.asarray(outcomes[s], np.float64) for s in subsets}
    shape = np.shape(reference)
    for subset, array in arrays.items():
        if array.shape != shape:
            raise ValueError(f"{sorted(subset)} has shape {array.shape}, the reference {shape}")
    return arrays


def _subsets(names: Order) -> list[Treatment]:
    sizes = range(len(names) + 1)
    return [frozenset(s) for size in sizes for s in itertools.combinations(names, size)]


def _contributions(values: Mapping[Treatment, Floats], order: Order) -> dict[str, Floats]:
    """What each factor adds when they are applied in this order, by seed."""
    prefixes = [frozenset(order[:k]) for k in range(len(order) + 1)]
    return {name: values[prefixes[k + 1]] - values[prefixes[k]] for k, name in enumerate(order)}


def _dividend(values: Mapping[Treatment, Floats], subset: Treatment) -> Floats:
    """Moebius inversion on the lattice of subsets (Harsanyi 1963)."""
    terms = [
        (-1) ** (len(subset) - len(inner)) * values[inner]
        for inner in _subsets(tuple(sorted(subset)))
    ]
    total: Floats = np.sum(terms, axis=0)
    return total
