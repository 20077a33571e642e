"""Proxies: which features tell what group somebody is of, though the group is no feature."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minima.evaluation import arrays
from minima.evaluation.arrays import Floats
from minima.runtime.errors import UserError

BINS = 20  # that a feature of many numbers is cut into, equally full
_RESAMPLES = 400


@dataclass(frozen=True)
class Proxy:
    """How well a feature tells the group.

    Attributes:
      feature: its name; several are "all together".
      auc: of two people of different groups, how often the feature, as half of the people taught
        it, says which is which: 0.5 for a feature that knows nothing, 1 for the group itself. With
        several groups, the mean over pairs of groups, by numbers of pairs of people.
      low, high: 95 % limits, by bootstrap of the other half.
    """

    feature: str
    auc: float
    low: float
    high: float


def find_proxies(
    features: Mapping[str, ArrayLike], groups: Sequence[object] | ArrayLike, seed: int = 0
) -> list[Proxy]:
    """What each feature knows of the group, the one that knows most first.

    Args:
      features: (n,) numbers or words, by name.
      groups: (n,).
      seed: of halves and bootstrap.

    Raises:
      UserError: arrays that don't fit, no features, or one group only.
    """
    cut, of, first = _halved(features, groups, seed)
    rng = np.random.default_rng(seed)
    found = [_proxy(name, bins, of, first, rng) for name, bins in cut.items()]
    return sorted(found, key=lambda proxy: -proxy.auc)


def all_together(
    features: Mapping[str, ArrayLike], groups: Sequence[object] | ArrayLike, seed: int = 0
) -> Proxy:
    """What all features know together, by naive Bayes: at least that much can be known.

    Raises:
      UserError: see `find_proxies`.
    """
    cut, of, first = _halved(features, groups, seed)
    kinds = int(of.max()) + 1
    evidence = np.zeros((len(of), kinds))
    for bins in cut.values():
        evidence += np.log(_shares(bins[first], of[first], int(bins.max()) + 1, kinds))[bins]
    # One number tells the pairs of two groups; of more, the largest against the rest.
    largest = int(np.bincount(of).argmax())
    others = np.delete(evidence, largest, axis=1).max(axis=1)
    return _proxy("all together", _binned(others - evidence[:, largest], 4 * BINS), of, first,
                  np.random.default_rng(seed))  # fmt: skip


def _halved(
    features: Mapping[str, ArrayLike], groups: Sequence[object] | ArrayLike, seed: int
) -> tuple[dict[str, NDArray[np.intp]], NDArray[np.intp], arrays.Bools]:
    if not features:
        raise UserError("features: are none; give one or more")
    columns = {name: np.asarray(values) for name, values in features.items()}
    count = len(next(iter(columns.values())))
    arrays.same_length(count, columns)
    names, of = np.unique(arrays.groups(groups, count), return_inverse=True)
    if len(names) < 2:
        raise UserError(f"groups: all examples are of group {names[0]}; give two groups or more")
    first = np.random.default_rng(seed).permutation(count) < count // 2
    if any(len(np.unique(of[half])) < len(names) for half in (first, ~first)):
        raise UserError("groups: one has too few people to be in both halves; leave it out")
    return {name: _binned(values, BINS) for name, values in columns.items()}, of, first


def _binned(values: NDArray, most: int) -> NDArray[np.intp]:
    """(n,) the bin of each value: a bin for each where there are few, else equally full ones."""
    kinds, code = np.unique(values, return_inverse=True)
    if values.dtype.kind not in "fiu" or len(kinds) <= most:
        return code
    edges = np.unique(np.quantile(values, np.linspace(0, 1, most + 1)[1:-1]))
    return np.searchsorted(edges, values, "right")


def _proxy(
    name: str,
    bins: NDArray[np.intp],
    of: NDArray[np.intp],
    first: arrays.Bools,
    rng: np.random.Generator,
) -> Proxy:
    width, kinds = int(bins.max()) + 1, int(of.max()) + 1
    known = _shares(bins[first], of[first], width, kinds)
    counts = np.zeros((width, kinds))
    np.add.at(counts, (bins[~first], of[~first]), 1)
    total = int(counts.sum())
    flat = rng.multinomial(total, counts.ravel() / total, _RESAMPLES)
    drawn = [_auc(each.reshape(counts.shape), known) for each in flat]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Proxy(name, _auc(counts, known), float(low), float(high))


def _shares(bins: NDArray[np.intp], of: NDArray[np.intp], width: int, kinds: int) -> Floats:
    """(bins, groups) how each group is spread over bins, with half a person more in each."""
    counts = np.full((width, kinds), 0.5)
    np.add.at(counts, (bins, of), 1)
    return counts / counts.sum(axis=0)


def _auc(counts: Floats, known: Floats) -> float:
    """Of pairs of people of two groups, ordered by how much rather a bin is the second's."""
    right = pairs = 0.0
    for a, b in itertools.combinations(range(counts.shape[1]), 2):
        order = np.argsort(known[:, b] / known[:, a], kind="stable")
        mine, other = counts[order, a], counts[order, b]
        below = np.cumsum(mine) - mine
        right += float(other @ (below + mine / 2))
        pairs += float(mine.sum() * other.sum())
    return right / pairs if pairs else float("nan")
