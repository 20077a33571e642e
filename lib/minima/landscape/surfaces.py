"""Slices through the loss around a minimum, and the straight way between two.

A slice along a random direction says nothing by itself: a network with larger weights looks flatter
along the same step. Directions are therefore as long as the weights they move, filter by filter (Li
et al. 2018, arXiv:1712.09913). Everything is traced and goes point by point: one compilation, the
memory of one network.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from minima.landscape.norms import weight_norm
from minima.landscape.objective import Chunks, Objective, Params, over_chunks

Normalised = Literal["filter", "layer", "model"]


class Slice(NamedTuple):
    """The loss along a line.

    Attributes:
      positions: (k,), in units of the direction: 1 is a step as long as the weights themselves.
      loss: (k,) mean losses.
      accuracy: (k,) shares of examples (or positions) that are right; NaN where labels are not
        classes.
    """

    positions: jax.Array
    loss: jax.Array
    accuracy: jax.Array


class Surface(NamedTuple):
    """The loss over a plane.

    Attributes:
      first, second: (k,) and (m,), positions along both directions.
      loss, accuracy: (k, m).
    """

    first: jax.Array
    second: jax.Array
    loss: jax.Array
    accuracy: jax.Array


class StraightPath(NamedTuple):
    """The loss on the straight line between two minima.

    Attributes:
      positions: (k,) from 0, the one, to 1, the other.
      loss, accuracy: (k,).
      barrier: how far the loss rises above the line between both ends at most, 0 or more.
      error_barrier: the same of the error, 1 - accuracy.
    """

    positions: jax.Array
    loss: jax.Array
    accuracy: jax.Array
    barrier: jax.Array
    error_barrier: jax.Array


def random_direction(params: Params, key: jax.Array, normalised: Normalised = "filter") -> Params:
    """A Gaussian direction as long as the weights (Li et al. 2018, section 4).

    Vectors and scalars (biases, scales and offsets of normalisations) stay where they are, as
    there. A filter is all that makes one output feature: the last axis of a kernel.

    Args:
      params: the minimum; kernels are (..., features).
      key: of the direction; the same key gives the same signs at every minimum.
      normalised: what has the length of its weights: each filter, each layer, or the whole.
    """
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))

    def of(leaf: jax.Array, k: jax.Array) -> jax.Array:
        if leaf.ndim < 2:
            return jnp.zeros_like(leaf)
        drawn = jax.random.normal(k, leaf.shape, leaf.dtype)
        if normalised == "model":
            return drawn
        axes = tuple(range(leaf.ndim - (normalised == "filter")))
        return drawn * _length(leaf, axes) / _length(drawn, axes)

    direction = [of(leaf, k) for leaf, k in zip(leaves, keys, strict=True)]
    if normalised == "model":
        moved = [leaf for leaf in leaves if leaf.ndim > 1]
        factor = weight_norm(moved) / weight_norm(direction)
        direction = [factor * step for step in direction]
    return jax.tree.unflatten(structure, direction)


def slice_along(
    objective: Objective, params: Params, direction: Params, positions: jax.Array, data: Chunks
) -> Slice:
    """The loss at params + position · direction, for positions (k,)."""
    move = _mover(params, direction)
    loss, accuracy = jax.lax.map(lambda a: _look(objective, move(a), data), positions)
    return Slice(positions, loss, accuracy)


def surface(
    objective: Objective,
    params: Params,
    directions: tuple[Params, Params],
    positions: tuple[jax.Array, jax.Array],
    data: Chunks,
) -> Surface:
    """The loss at params + a · one direction + b · the other, for a (k,) and b (m,)."""
    first, second = positions
    grid = jnp.stack([x.reshape(-1) for x in jnp.meshgrid(first, second, indexing="ij")], axis=1)

    def at(place: jax.Array) -> tuple[jax.Array, jax.Array]:
        moved = _mover(params, directions[0])(place[0])
        return _look(objective, _mover(moved, directions[1])(place[1]), data)

    loss, accuracy = jax.lax.map(at, grid)
    shape = (len(first), len(second))
    return Surface(first, second, loss.reshape(shape), accuracy.reshape(shape))


def straight_path(
    objective: Objective, start: Params, end: Params, data: Chunks, points: int = 25
) -> StraightPath:
    """The loss between two minima, and the barrier: the most by which it exceeds the ends' line.

    The definition of Entezari et al. 2022 (equation 1); with equal ends it is the instability of
    Frankle et al. 2020 (arXiv:1912.05671), who take the ends' mean. A network with batch
    normalisation needs statistics of the batch on the way (`objective.apply` decides): those of
    either end are wrong there (Jordan et al. 2023).

    Args:
      objective, data: of both.
      start, end: parameters of one structure.
      points: along the way, both ends included.
    """
    positions = jnp.linspace(0, 1, points, dtype=jax.tree.leaves(start)[0].dtype)

    def at(t: jax.Array) -> tuple[jax.Array, jax.Array]:
        between = jax.tree.map(lambda a, b: (1 - t) * a + t * b, start, end)
        return _look(objective, between, data)

    loss, accuracy = jax.lax.map(at, positions)
    return StraightPath(
        positions, loss, accuracy, _barrier(positions, loss), _barrier(positions, 1 - accuracy)
    )


def _barrier(t: jax.Array, values: jax.Array) -> jax.Array:
    """Over the line between the ends, which are two of the points: never below 0."""
    line = (1 - t) * values[0] + t * values[-1]
    return jnp.max(values - line)


def _look(objective: Objective, params: Params, data: Chunks) -> tuple[jax.Array, jax.Array]:
    """Mean loss and accuracy."""

    def of(chunk: Chunks) -> tuple[jax.Array, jax.Array]:
        outputs = objective.apply(params, chunk.inputs)
        loss = jnp.sum(objective.loss(outputs, chunk.labels) * chunk.weights)
        return loss, jnp.sum(_hits(outputs, chunk.labels) * chunk.weights)

    return over_chunks(of, data)


def _hits(outputs: jax.Array, labels: Any) -> jax.Array:
    """Which examples (or what share of their positions) are right, (c,)."""
    labels = jnp.asarray(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer) or outputs.shape[:-1] != labels.shape:
        return jnp.full(len(outputs), jnp.nan, outputs.dtype)
    right = (jnp.argmax(outputs, axis=-1) == labels).astype(outputs.dtype)
    asked = (labels >= 0).reshape(len(right), -1)
    return jnp.mean(right.reshape(len(right), -1), axis=1, where=asked)


def _mover(params: Params, direction: Params) -> Callable[[jax.Array], Params]:
    return lambda a: jax.tree.map(lambda w, d: w + a * d, params, direction)


def _length(x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(x), axis=axes, keepdims=True))
