"""Gradient noise: how much single examples' gradients differ from their mean.

The noise scale tr Σ / |G|² is the batch size at which a mean gradient's noise equals its length
(McCandlish et al. 2018, arXiv:1812.06162, equation 2.9).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from minima.landscape.objective import Chunks, Objective, Params, over_chunks

_EXAMPLES = 64  # gradients at a time


class Noise(NamedTuple):
    """Of n examples' gradients; scalars.

    Attributes:
      variance: tr Σ, the unbiased estimate of the trace of their covariance.
      squared_gradient: |G|² of the mean gradient, less the variance / n by which it is biased.
      scale: their ratio, in examples; NaN where the gradient drowns in the noise.
    """

    variance: jax.Array
    squared_gradient: jax.Array
    scale: jax.Array


def exact(objective: Objective, params: Params, data: Chunks) -> Noise:
    """From every example's own gradient; never more than a few of them lie in memory."""
    mean = objective.gradient(params, data)

    def moments(chunk: Chunks) -> tuple[jax.Array, jax.Array]:
        def squared_length(example: Chunks) -> jax.Array:
            alone = jax.tree.map(lambda x: x[None], example)
            weightless = alone._replace(weights=jnp.ones_like(alone.weights))
            return _squared_length(jax.grad(objective.total)(params, weightless))

        squares = jax.lax.map(squared_length, chunk, batch_size=_EXAMPLES)
        return chunk.weights @ squares, jnp.sum(chunk.weights > 0)

    squares, count = over_chunks(moments, data)
    length = _squared_length(mean)
    variance = (squares - length) * count / (count - 1)
    return _noise(variance, length - variance / count)


def _squared_length(gradient: Params) -> jax.Array:
    return jnp.sum(jnp.square(ravel_pytree(gradient)[0]))


def two_batches(small: jax.Array, large: jax.Array, sizes: tuple[int, int]) -> Noise:
    """From squared lengths of mean gradients over batches of two sizes, means of either.

    Unbiased in variance and squared gradient, not in their ratio (McCandlish et al. 2018, appendix
    A.1).

    Args:
      small, large: means of |G_b|² and |G_B|².
      sizes: (b, B), b < B.
    """
    b, B = sizes
    squared = (B * large - b * small) / (B - b)
    return _noise((small - large) / (1 / b - 1 / B), squared)


def _noise(variance: jax.Array, squared: jax.Array) -> Noise:
    known = squared > 0
    return Noise(
        variance, squared, jnp.where(known, variance / jnp.where(known, squared, 1), jnp.nan)
    )
