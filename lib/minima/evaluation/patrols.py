"""Patrols that go where crime was found: a Pólya urn, and the correction that makes it honest.

Let s be an area's share of what was found so far. A patrol goes there with probability s and finds
a crime with the area's rate r. With equal rates the counts after n finds are beta-binomial, and
shares have a Beta limit: with two areas and a start of (1, 1), uniform. They settle anywhere.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from minima.evaluation.arrays import Floats

BLOCK = 1024  # worlds under one vmap: few operations a day, so many at a time


class Beat(NamedTuple):
    """One world, or many with a leading axis.

    Attributes:
      seed, world: of its draws, int32.
      rates: (areas,) how often a patrol finds a crime, float32.
      start: (areas,) counts before the first day, float32.
      correction: from 0, every find counts, to 1, finds are discounted by how often patrols come.
    """

    seed: Any
    world: Any
    rates: Any
    start: Any
    correction: Any


@dataclass(frozen=True)
class Patrols:
    """A world of patrols (Ensign et al. 2018, arXiv:1706.09847).

    Corrected, a find counts with probability (smallest share / share of its area) to the power of
    the correction. At 1 the next find that counts is then in area i with probability in proportion
    to r_i, whatever the shares are: finds that count are independent draws. Section 4 of the paper
    has 1 - share, which does the same for two areas, and does not for more.

    Attributes:
      days: how long, a multiple of `looks`.
      looks: how often counts are kept, evenly spaced.
    """

    days: int
    looks: int = 1

    def __call__(self, beat: Beat) -> jax.Array:
        """(looks, areas) counts."""
        world = jax.random.fold_in(jax.random.key(beat.seed), beat.world)
        rates, start = jnp.asarray(beat.rates), jnp.asarray(beat.start)
        places = jnp.arange(len(rates))

        def one_day(counts: jax.Array, day: jax.Array) -> tuple[jax.Array, None]:
            where, what = jax.random.uniform(jax.random.fold_in(world, day), (2,))
            shares = counts / jnp.sum(counts)
            # Rounding may leave the last sum short of 1.
            area = jnp.minimum(jnp.sum(jnp.cumsum(shares) <= where), len(rates) - 1)
            counted = (jnp.min(shares) / shares) ** beat.correction
            found = what < jnp.sum(jnp.where(places == area, rates * counted, 0))
            return counts + jnp.where((places == area) & found, 1.0, 0.0), None

        def some_days(counts: jax.Array, days: jax.Array) -> tuple[jax.Array, jax.Array]:
            counts, _ = jax.lax.scan(one_day, counts, days)
            return counts, counts

        days = jnp.arange(self.days).reshape(self.looks, -1)
        return jax.lax.scan(some_days, start, days)[1]


def limit(rates: ArrayLike, correction: float) -> Floats:
    """(areas,) where shares settle: in proportion to rates to the power of 1 / correction.

    The fixed point of the mean course; all on the largest rate for 0, where rates differ. With
    equal rates and no correction there is no such point, but the Beta law.
    """
    r = np.asarray(rates, np.float64)
    if correction == 0:
        largest = (r == r.max()).astype(np.float64)
        return largest / largest.sum()
    powers = (r / r.max()) ** (1 / correction)
    return powers / powers.sum()
