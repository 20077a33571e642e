"""Averages of the weights along training: what is evaluated in place of the last ones.

Equal, over the last updates: SWA (Izmailov et al. 2018, arXiv:1803.05407). Or exponential, with a
half-life in examples, so that it spans the same data at every batch size; and of the weights after
updates alone, in shares that add up to one, so that what was there before has no part in it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minima.tasks.models import Params


class Average(NamedTuple):
    """A weighted mean so far.

    Attributes:
      params: the mean.
      weight: what it weighs, if the last weights weigh 1; scalar in their dtype, 0 before any.
    """

    params: Params
    weight: Any


def begin(params: Params) -> Average:
    """Nothing averaged yet; until then, the weights themselves."""
    return Average(params, jnp.zeros((), jax.tree.leaves(params)[0].dtype))


def include(average: Average, params: Params, keep: jax.Array, anew: jax.Array) -> Average:
    """The average with the weights after one more update.

    Args:
      average: before.
      params: the new weights.
      keep: what is left of the weight of earlier ones; 1 in an equal mean.
      anew: bool scalar; forget all earlier ones.
    """
    weight = jnp.where(anew, 0, keep * average.weight) + 1
    share = 1 / weight
    mean = jax.tree.map(lambda old, new: (1 - share) * old + share * new, average.params, params)
    return Average(mean, weight)
