"""Objectives return sums and a weight, never means, so that microbatches add up exactly."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

# (logits (..., classes), labels (...), smoothing or None) -> losses (...).
Loss = Callable[[jax.Array, jax.Array, jax.Array | None], jax.Array]


class Sums(NamedTuple):
    """Totals over weighted examples; divide by `weight` for means. All scalars, model's dtype."""

    loss: jax.Array
    correct: jax.Array
    weight: jax.Array


def classification(
    logits: jax.Array,
    labels: jax.Array,
    weights: jax.Array,
    smoothing: jax.Array | None = None,
    loss: str = "cross_entropy",
    ignores: bool = False,
) -> Sums:
    """Loss and hits, over classes or over the tokens of a sequence.

    Args:
      logits: (n, classes), or (n, length, classes) for a language model; floating.
      labels: (n,) or (n, length), integer.
      weights: (n,), floating; zero for padding. A sequence's tokens share its weight.
      smoothing: scalar s in [0, 1): the target is (1 - s) one-hot + s uniform (Szegedy et al.
        2016); None for no smoothing.
      loss: a key of LOSSES.
      ignores: whether labels may be -1, and are then left out of all three sums.

    Returns:
      Sums of weight·loss, weight·(argmax is the label), weight over all labels.
    """
    weights = _of_labels(weights, labels)
    if ignores:
        weights, labels = jnp.where(labels < 0, 0, weights), jnp.maximum(labels, 0)
    # Before the loss: where a padded example overflows, its gradient would be NaN, not zero.
    losses = LOSSES[loss](jnp.where(weights[..., None] > 0, logits, 0), labels, smoothing)
    correct = _first_largest(logits) == labels
    return Sums(jnp.sum(losses * weights), jnp.sum(correct * weights), jnp.sum(weights))


def regression(outputs: jax.Array, labels: jax.Array, weights: jax.Array, tolerance: float) -> Sums:
    """Squared errors and hits, over examples or over positions.

    Args:
      outputs: (n, 1), or (n, length, 1) per position; floating.
      labels: (n,) or (n, length), floating.
      weights: (n,), floating; zero for padding. An example's positions share its weight.
      tolerance: how far off a hit may be.

    Returns:
      Sums of weight·(output - label)², weight·(|output - label| <= tolerance), weight.
    """
    weights = _of_labels(weights, labels)
    outputs = jnp.where(weights[..., None] > 0, outputs, 0)  # see `classification`
    hits = jnp.abs(outputs[..., 0] - labels) <= tolerance
    losses = squared_difference(outputs, labels)
    return Sums(jnp.sum(losses * weights), jnp.sum(hits * weights), jnp.sum(weights))


def squared_difference(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Of outputs (..., 1) from labels (...), one for each label; not halved."""
    return jnp.square(outputs[..., 0] - labels)


def _of_labels(weights: jax.Array, labels: jax.Array) -> jax.Array:
    """Weights (n,) of examples as those of their labels (n, ...)."""
    return jnp.broadcast_to(weights.reshape(-1, *[1] * (labels.ndim - 1)), labels.shape)


def cross_entropy(
    logits: jax.Array, labels: jax.Array, smoothing: jax.Array | None = None
) -> jax.Array:
    """Softmax cross-entropy in nats, one for each label."""
    log_p = jax.nn.log_softmax(logits)
    picked = jnp.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]
    if smoothing is not None:
        picked = (1 - smoothing) * picked + smoothing * jnp.mean(log_p, axis=-1)
    return -picked


def squared_error(
    logits: jax.Array, labels: jax.Array, smoothing: jax.Array | None = None
) -> jax.Array:
    """Half the squared distance from the target, summed over classes, one for each label.

    The target is one-hot, as in Cohen et al. 2021 (arXiv:2103.00065), or smoothed.
    """
    classes = logits.shape[-1]
    targets = jax.nn.one_hot(labels, classes, dtype=logits.dtype)
    if smoothing is not None:
        targets = (1 - smoothing) * targets + smoothing / classes
    return 0.5 * jnp.sum(jnp.square(logits - targets), axis=-1)


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "squared_error": squared_error}


def _first_largest(logits: jax.Array) -> jax.Array:
    """The argmax over the last axis, int32, from two plain reductions: XLA vectorises these on CPU.

    Where a logit is NaN there is none, and the result is no class.
    """
    classes = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
    largest = jnp.max(logits, axis=-1, keepdims=True)
    return jnp.min(jnp.where(logits == largest, classes, logits.shape[-1]), axis=-1)
