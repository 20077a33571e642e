"""How coarsely weights may be written down before the loss rises: the first meaning of flat.

In a flat minimum few digits of each weight suffice, so its description is short (Hinton and van
Camp 1993; Hochreiter and Schmidhuber 1997, "Flat minima").
"""

import jax
import jax.numpy as jnp
import numpy as np

from minima.landscape.estimators import Estimate
from minima.landscape.objective import Chunks, Objective, Params

RISE = 0.01  # of the loss, relative to it
LEAST_BITS, MOST_BITS = 2, 12
_PER_BIT = 4  # grids tried per bit


def rounded(params: Params, levels: jax.Array | int) -> Params:
    """Every tensor rounded to a uniform grid that is symmetric about 0 and ends at its largest.

    Args:
      params: a pytree of floating arrays.
      levels: grid points above 0; with those below and 0 itself, 2 · levels + 1 in all.
    """

    def one(weights: jax.Array) -> jax.Array:
        step = jnp.max(jnp.abs(weights)) / jnp.asarray(levels, weights.dtype)
        return jnp.where(step > 0, step * jnp.round(weights / jnp.where(step > 0, step, 1)), 0)

    return jax.tree.map(one, params)


def grids() -> np.ndarray:
    """The numbers of levels above 0 that are tried, rising: 1 for 2 bits to 2,047 for 12."""
    bits = np.linspace(LEAST_BITS, MOST_BITS, _PER_BIT * (MOST_BITS - LEAST_BITS) + 1)
    return np.unique(np.rint(2 ** (bits - 1) - 1).astype(np.int32))


def bits_of(levels: jax.Array | np.ndarray | int) -> jax.Array:
    """log2(2 · levels + 2): b bits where there are 2^(b - 1) - 1 levels above 0 and one is spare.

    Between whole numbers it is the length of a code that packs several weights together.
    """
    return jnp.log2(2.0 * jnp.asarray(levels) + 2)


def bits_per_weight(
    objective: Objective, params: Params, data: Chunks, rise: float = RISE
) -> Estimate:
    """The fewest bits from which on the loss of rounded weights stays below (1 + rise) times it.

    Each tensor has a scale of its own, so that scaling whole layers against each other changes
    nothing; scaling single neurons does. From there on, not first: that a coarse grid happens to
    meet the weights is luck. Not converged where the finest grid is too coarse, or the coarsest
    fine enough: the value is a bound then.

    Args:
      objective, params, data: the minimum.
      rise: relative; the loss has to be above 0.
    """
    levels = jnp.asarray(grids())
    allowed = (1 + rise) * objective.mean(params, data)

    def loss(count: jax.Array) -> jax.Array:
        return objective.mean(rounded(params, count), data)

    good = jax.lax.map(loss, levels) < allowed
    # How many of the finest grids are good without a break.
    run = jnp.sum(jnp.cumprod(good[::-1].astype(jnp.int32)))
    first = jnp.clip(len(levels) - run, 0, len(levels) - 1)
    value = bits_of(levels)[first].astype(allowed.dtype)
    nothing = jnp.full_like(allowed, jnp.nan)
    inside = (run > 0) & (run < len(levels))
    return Estimate(value, nothing, nothing, inside, jnp.zeros((), jnp.int32))
