"""Objectives return sums and a weight, never means, so that microbatches add up exactly."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Sums(NamedTuple):
    """Totals over weighted examples; divide by `weight` for means. All scalars, model's dtype."""

    loss: jax.Array
    correct: jax.Array
    weight: jax.Array


def classification(
    logits: jax.Array, labels: jax.Array, weights: jax.Array, smoothing: jax.Array | None = None
) -> Sums:
    """Softmax cross-entropy in nats, and hits.

    Args:
      logits: (n, classes), floating.
      labels: (n,), integer.
      weights: (n,), floating; zero for padding.
      smoothing: scalar s in [0, 1): the target is (1 - s) one-hot + s uniform (Szegedy et al.
        2016); None for no smoothing.

    Returns:
      Sums of weights·loss, weights·(argmax is the label), weights.
    """
    log_p = jax.nn.log_softmax(logits)
    picked = jnp.take_along_axis(log_p, labels[:, None], axis=1)[:, 0]
    if smoothing is not None:
        picked = (1 - smoothing) * picked + smoothing * jnp.mean(log_p, axis=1)
    correct = jnp.argmax(logits, axis=1) == labels
    # where, not a product: a padded example's infinite loss times zero would be NaN.
    loss = jnp.sum(jnp.where(weights > 0, -picked * weights, 0))
    return Sums(loss, jnp.sum(correct * weights), jnp.sum(weights))
