"""Effects in a 2⁴ factorial: remedies alone, their main effects, and how they interact."""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from minima.claims.evidence import Floats

# The axes of every array of losses here, in this order; 0 is off, 1 is on. Then come seeds.
REMEDIES = ("augmentation", "early stopping", "dropout", "L2")


def assembled(planes: Mapping[tuple[bool, bool], Floats]) -> Floats:
    """(2, 2, 2, 2, seeds) from planes (2 dropouts, 2 decays, seeds) by (augmented, stopped)."""
    return np.array([[planes[a, s] for s in (False, True)] for a in (False, True)])


def alone(losses: Floats, remedy: int) -> Floats:
    """(seeds,) what one remedy by itself changes: below 0 where it helps.

    Args:
      losses: (2, 2, 2, 2, seeds).
      remedy: its place in REMEDIES.
    """
    only = [0] * len(REMEDIES)
    only[remedy] = 1
    return losses[tuple(only)] - losses[0, 0, 0, 0]


def together(losses: Floats) -> Floats:
    """(seeds,) what all of them together change."""
    return losses[1, 1, 1, 1] - losses[0, 0, 0, 0]


def effect(losses: Floats, remedies: tuple[int, ...]) -> Floats:
    """(seeds,) main effect of one remedy, or interaction of several (Fisher; Box et al. 2005).

    Of one: the mean with it less the mean without it. Of two: half the difference of one's effect
    with and without the other; and so on: signs are products of ±1, over 2³.
    """
    signs = np.ones((2,) * len(REMEDIES))
    for remedy in remedies:
        shape = [1] * len(REMEDIES)
        shape[remedy] = 2
        signs = signs * np.array([-1.0, 1.0]).reshape(shape)
    return np.einsum("abcd,abcds->s", signs, losses) / 2 ** (len(REMEDIES) - 1)


def all_effects(losses: Floats) -> Iterator[tuple[str, Floats]]:
    """Every main effect and interaction by name, simple ones first."""
    for order in range(1, len(REMEDIES) + 1):
        for picked in itertools.combinations(range(len(REMEDIES)), order):
            yield " × ".join(REMEDIES[i] for i in picked), effect(losses, picked)
