"""Shortcuts: how far predictions follow a cue that need not be there tomorrow.

A candidate cue is any column beside the data: a colour, a ruler in the corner, a hospital. Where a
model leans on it, it is right on examples whose cue goes with their label, and wrong on the others.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minima.evaluation import arrays
from minima.evaluation.rates import Rate, share
from minima.runtime.errors import UserError


@dataclass(frozen=True)
class Cue:
    """What a candidate cue does.

    Attributes:
      name: of the column.
      association: how well the cue tells the label: accuracy of the best guess from it, less that
        of the best guess without.
      aligned, conflicting: accuracy where the label is the one that the cue's value mostly has, and
        where it is not; undefined where there are no such examples.
      dependence: aligned less conflicting accuracy, the mean over classes that have both: 0 for a
        model that does not look, up to 1. NaN where no class has both.
      low, high: 95 % limits of the dependence, by bootstrap within class and alignment.
      p: how often permuting the cue within classes gives as large a dependence.
      worst: of the groups (label, cue value): name and accuracy, with exact limits.
      reason: why the dependence is undefined, or "".
    """

    name: str
    association: float
    aligned: Rate
    conflicting: Rate
    dependence: float
    low: float
    high: float
    p: float
    worst: tuple[str, Rate]
    reason: str = ""


def find_shortcuts(
    labels: ArrayLike,
    predicted: ArrayLike,
    cues: Mapping[str, Sequence[object] | ArrayLike],
    resamples: int = 999,
    seed: int = 0,
) -> list[Cue]:
    """What each candidate does, the one that predictions depend on most first.

    Args:
      labels, predicted: (n,) classes.
      cues: (n,) values by name.
      resamples: of bootstrap and permutations.
      seed: of those.

    Raises:
      UserError: arrays that don't fit.
    """
    y = np.asarray(labels)
    guess = np.asarray(predicted)
    arrays.same_length(len(y), {"predicted": guess})
    if not len(y):
        raise UserError("labels: is empty; give one value or more")
    found = [
        _examine(name, y, guess == y, values, resamples, seed) for name, values in cues.items()
    ]
    return sorted(found, key=lambda cue: -cue.dependence if cue.dependence == cue.dependence else 1)


def _examine(
    name: str,
    y: NDArray,
    right: arrays.Bools,
    values: Sequence[object] | ArrayLike,
    resamples: int,
    seed: int,
) -> Cue:
    cue = arrays.groups(values, len(y), name)
    classes, label = np.unique(y, return_inverse=True)
    kinds, value = np.unique(cue, return_inverse=True)
    if len(kinds) < 2:
        raise UserError(f"{name}: is {kinds[0]} everywhere; a cue has two values or more")
    table = np.zeros((len(kinds), len(classes)))
    np.add.at(table, (value, label), 1)
    association = (table.max(axis=1).sum() - table.sum(axis=0).max()) / len(y)
    # Against the label's own frequency: else the commonest label would go with every value.
    lift = table / table.sum(axis=0)
    aligned = lift.argmax(axis=1)[value] == label
    ones = np.ones(len(y))
    first, second = (share(right[part], ones[part]) for part in (aligned, ~aligned))
    dependence = _dependence(label, aligned, right)
    worst = _worst(classes, kinds, label, value, right)
    if math.isnan(dependence):
        reason = f"no class has examples with and against {name}"
        low = high = p = math.nan
    else:
        reason = ""
        low, high, p = _limits(label, aligned, right, dependence, resamples, seed)
    return Cue(name, float(association), first, second, dependence, low, high, p, worst, reason)


def _dependence(label: NDArray, aligned: arrays.Bools, right: arrays.Bools) -> float:
    apart = []
    for c in np.unique(label):
        mine = label == c
        both = [right[mine & part] for part in (aligned, ~aligned)]
        if all(map(len, both)):
            apart.append(both[0].mean() - both[1].mean())
    return float(np.mean(apart)) if apart else math.nan


def _limits(
    label: NDArray,
    aligned: arrays.Bools,
    right: arrays.Bools,
    observed: float,
    resamples: int,
    seed: int,
) -> tuple[float, float, float]:
    """Bootstrap limits and a permutation's p, from hits by class and alignment: they are all."""
    rng = np.random.default_rng(seed)
    drawn, null = [], []
    for c in np.unique(label):
        mine = label == c
        n = [int((mine & part).sum()) for part in (aligned, ~aligned)]
        if not all(n):
            continue
        hits = [int(right[mine & part].sum()) for part in (aligned, ~aligned)]
        redrawn = [rng.binomial(k, h / k, resamples) / k for k, h in zip(n, hits, strict=True)]
        drawn.append(redrawn[0] - redrawn[1])
        first = rng.hypergeometric(sum(hits), sum(n) - sum(hits), n[0], resamples)
        null.append(first / n[0] - (sum(hits) - first) / n[1])
    low, high = np.quantile(np.mean(drawn, axis=0), [0.025, 0.975])
    larger = int((np.mean(null, axis=0) >= observed - 1e-12).sum())
    return float(low), float(high), (larger + 1) / (resamples + 1)


def _worst(
    classes: NDArray, kinds: NDArray, label: NDArray, value: NDArray, right: arrays.Bools
) -> tuple[str, Rate]:
    found = {}
    for c, k in np.ndindex(len(classes), len(kinds)):
        inside = (label == c) & (value == k)
        if inside.any():
            name = f"label {classes[c]}, {kinds[k]}"
            found[name] = share(right[inside], np.ones(int(inside.sum())))
    name = min(found, key=lambda each: found[each].value)
    return name, found[name]
