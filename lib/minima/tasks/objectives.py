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
    """Softmax cross-entropy in nats, and hits, over classes or over the tokens of a sequence.

    Args:
      logits: (n, classes), or (n, length, classes) for a language model; floating.
      labels: (n,) or (n, length), integer.
      weights: (n,), floating; zero for padding. A sequence's tokens share its weight.
      smoothing: scalar s in [0, 1): the target is (1 - s) one-hot + s uniform (Szegedy et al.
        2016); None for no smoothing.

    Returns:
      Sums of weight·loss, weight·(argmax is the label), weight over all labels.
    """
    weights = jnp.broadcast_to(weights.reshape(-1, *[1] * (labels.ndim - 1)), labels.shape)
    # Before the softmax: where a padded example overflows, its gradient would be NaN, not zero.
    log_p = jax.nn.log_softmax(jnp.where(weights[..., None] > 0, logits, 0))
    picked = jnp.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]
    if smoothing is not None:
        picked = (1 - smoothing) * picked + smoothing * jnp.mean(log_p, axis=-1)
    correct = _first_largest(logits) == labels
    return Sums(-jnp.sum(picked * weights), jnp.sum(correct * weights), jnp.sum(weights))


def _first_largest(logits: jax.Array) -> jax.Array:
    """The argmax over the last axis, int32, from two plain reductions: XLA vectorises these on CPU.

    Where a logit is NaN there is none, and the result is no class.
    """
    classes = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
    largest = jnp.max(logits, axis=-1, keepdims=True)
    return jnp.min(jnp.where(logits == largest, classes, logits.shape[-1]), axis=-1)
