"""Normalisation: none, layer, group, batch, ghost batch.

Batch and ghost batch are the same layer. What differs is who it sees: with "batch" the engine gives
every batch size a program whose microbatch is the whole batch, with "ghost" (Hoffer et al. 2017)
statistics are those of a microbatch of fixed size, whatever the batch.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from minima.tasks.models.layers import Training
from minima.tasks.models.precision import wide

Norm = Callable[[jax.Array, Training | None], jax.Array]
NORMS = ("none", "layer", "group", "batch", "ghost")
_EPSILON = 1e-5
_MOMENTUM = 0.9
_GROUPS = 8


class BatchNorm(nnx.Module):
    """Batch normalisation over examples and positions (Ioffe & Szegedy 2015), ε = 1e-5.

    Statistics are biased (divided by the count) and leave padded examples out. Running averages
    move by 0.1 of the way per microbatch and are used in evaluation. Scale starts at 1, offset at
    0; features lie on the last axis.
    """

    def __init__(self, features: int, *, dtype: jnp.dtype):
        """Parameters and running statistics of shape (features,)."""
        self.scale = nnx.Param(jnp.ones((features,), dtype))
        self.offset = nnx.Param(jnp.zeros((features,), dtype))
        self.mean = nnx.BatchStat(jnp.zeros((features,), dtype))
        self.variance = nnx.BatchStat(jnp.ones((features,), dtype))
        self.held = False  # frozen (see `trainable`): training leaves the statistics alone

    def __call__(self, x: jax.Array, training: Training | None = None) -> jax.Array:
        """Normalises x (n, ..., features); in training, by its own statistics unless held."""
        dtype, x = x.dtype, wide(x)
        if training is None or training.weights is None or self.held:
            mean, variance = self.mean[...], self.variance[...]
        else:
            mean, variance = _statistics(x, training.weights)
            self.mean[...] = _MOMENTUM * self.mean[...] + (1 - _MOMENTUM) * mean
            self.variance[...] = _MOMENTUM * self.variance[...] + (1 - _MOMENTUM) * variance
        spread = jax.lax.rsqrt(variance + _EPSILON) * self.scale[...]
        normal = (x - _last(mean, x)) * _last(spread, x) + _last(self.offset[...], x)
        return normal.astype(dtype)


class Affine(nnx.Module):
    """Layer normalisation (Ba et al. 2016) in one group, group normalisation (Wu & He 2018) else.

    Statistics are an example's own, over positions and the group's features for group
    normalisation, and at each position for layer normalisation of sequences; ε = 1e-5.
    """

    def __init__(self, features: int, *, groups: int, per_position: bool, dtype: jnp.dtype):
        """Scale (ones) and offset (zeros) of shape (features,)."""
        self.groups, self.per_position = groups, per_position
        self.scale = nnx.Param(jnp.ones((features,), dtype))
        self.offset = nnx.Param(jnp.zeros((features,), dtype))

    def __call__(self, x: jax.Array, training: Training | None = None) -> jax.Array:
        """Normalises x (n, ..., features); the same in training and evaluation."""
        dtype, x = x.dtype, wide(x)
        # An axis of one group would cost: XLA on CPU reduces along it three times slower.
        grouped = x.reshape(*x.shape[:-1], self.groups, -1) if self.groups > 1 else x
        inner = () if self.per_position else tuple(range(1, x.ndim - 1))
        axes = (*inner, grouped.ndim - 1)
        centred = grouped - jnp.mean(grouped, axis=axes, keepdims=True)
        variance = jnp.mean(jnp.square(centred), axis=axes, keepdims=True)
        normal = (centred * jax.lax.rsqrt(variance + _EPSILON)).reshape(x.shape)
        return (normal * _last(self.scale[...], x) + _last(self.offset[...], x)).astype(dtype)


def identity(x: jax.Array, training: Training | None = None) -> jax.Array:
    """No normalisation."""
    return x


def make_norm(kind: str, features: int, *, dtype: jnp.dtype, per_position: bool = False) -> Norm:
    """The layer for `--norm=kind`; `per_position` for sequences of feature vectors."""
    if kind == "none":
        return identity
    if kind in ("batch", "ghost"):
        return BatchNorm(features, dtype=dtype)
    groups = groups_of(features) if kind == "group" else 1
    return Affine(features, groups=groups, per_position=per_position, dtype=dtype)


def groups_of(features: int) -> int:
    """Groups of group normalisation: 8, or the most below with more than one feature each.

    They divide the features evenly. A feature alone, without positions, would be normalised to
    zero.
    """
    fitting = (g for g in range(2, _GROUPS + 1) if features % g == 0 and g < features)
    return max(fitting, default=1)


def _statistics(x: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    axes = tuple(range(x.ndim - 1))
    positions = x.size // x.shape[0] // x.shape[-1]
    # A lane that idles under vmap has no example at all; 1 keeps its unused numbers finite.
    count = jnp.maximum(jnp.sum(weights), 1) * positions
    mask = weights.reshape(-1, *[1] * (x.ndim - 1))
    mean = jnp.sum(x * mask, axis=axes) / count
    variance = jnp.sum(jnp.square(x - _last(mean, x)) * mask, axis=axes) / count
    return mean, variance


def _last(vector: jax.Array, like: jax.Array) -> jax.Array:
    return vector.reshape(*[1] * (like.ndim - 1), -1)
