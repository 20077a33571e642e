"""Inputs as sequences of vectors: tokens, samples of a signal, rows or patches of an image."""

import jax
import jax.numpy as jnp
from flax import nnx

from minima.tasks.models.layers import lecun_normal, linear, product
from minima.tasks.models.settings import Settings

_PATCH = 4


class Encoder(nnx.Module):
    """Maps inputs to (n, length, width).

    Tokens are looked up in a table that starts from N(0, 1): written as a product with one-hot
    rows, whose gradient is a matrix product too, not a scatter. Signals give one vector per sample,
    graphs one per node, and images one per row, or per 4×4 patch, through a linear map that starts
    from N(0, 1/fan_in).
    """

    def __init__(self, settings: Settings, width: int, *, patches: bool, rngs: nnx.Rngs):
        """Builds the map; `patches` cuts images into patches instead of rows."""
        self.kind, self.patches, self.vocabulary = settings.kind, patches, settings.vocabulary
        self.dtype, shape = settings.dtype, settings.input_shape
        dtype = self.dtype
        self.length = length_of(settings, patches=patches)
        if self.kind == "tokens":
            self.table = nnx.Param(
                jax.random.normal(rngs.params(), (self.vocabulary, width), dtype)
            )
            return
        features = settings.channels
        if self.kind == "image":
            features *= _PATCH**2 if patches else shape[1]
        self.projection = linear(features, width, dtype=dtype, rngs=rngs, init=lecun_normal)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Tokens (n, t), signals (n, t[, c]), nodes (n, t, c), images (n, h, w[, c]) to vectors."""
        if self.kind == "tokens":
            table = self.table[...].astype(self.dtype)
            return product(jax.nn.one_hot(x, self.vocabulary, dtype=table.dtype), table)
        if self.kind == "image" and self.patches:
            x = _cut(x if x.ndim == 4 else x[..., None])
        return self.projection(x.reshape(x.shape[0], self.length, -1))


def length_of(settings: Settings, *, patches: bool) -> int:
    """Positions of the sequence that an encoder makes of an input."""
    shape = settings.input_shape
    if settings.kind == "image" and patches:
        return (shape[0] // _PATCH) * (shape[1] // _PATCH)
    return shape[0]


def _cut(x: jax.Array) -> jax.Array:
    """Images (n, h, w, c) to patches (n, rows · columns, 16 · c); a remainder is left out."""
    n, height, width, channels = x.shape
    rows, columns = height // _PATCH, width // _PATCH
    x = x[:, : rows * _PATCH, : columns * _PATCH]
    x = x.reshape(n, rows, _PATCH, columns, _PATCH, channels)
    return jnp.transpose(x, (0, 1, 3, 2, 4, 5)).reshape(n, rows * columns, -1)
