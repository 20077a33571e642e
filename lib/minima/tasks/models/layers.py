"""Layers shared by the models: convolution as a matrix product, pooling, per-example dropout.

XLA's own convolution gradients on CPU run 25 to 50 times slower than its forward pass, and a
convolution whose kernel differs per lane becomes a grouped convolution under `jax.vmap`. Written as
one matrix product over gathered patches, forward and both gradients are matrix products too, on
every backend, in forward and in reverse mode.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

he_normal = jax.nn.initializers.he_normal()
lecun_normal = jax.nn.initializers.lecun_normal()


class Noise(NamedTuple):
    """Randomness of a training pass; absent (None) in evaluation.

    Attributes:
      keys: one PRNG key per example, shape (n,). An example's noise thus depends on the example's
        place in the stream alone, not on the batch or the microbatch it travels in.
      dropout: scalar in [0, 1), traced; the probability of dropping a unit.
    """

    keys: jax.Array
    dropout: jax.Array


def dropout(x: jax.Array, noise: Noise | None, layer: int) -> jax.Array:
    """Inverted dropout with one key per example (Srivastava et al. 2014).

    Args:
      x: activations, shape (n, ...), floating.
      noise: keys of shape (n,) and the rate; None leaves x unchanged.
      layer: a number that tells this layer's masks from those of the model's other layers.

    Returns:
      x with units zeroed with probability `noise.dropout` and the rest divided by 1 - rate.
    """
    if noise is None:
        return x
    keep = 1 - noise.dropout

    def mask(key: jax.Array) -> jax.Array:
        return jax.random.bernoulli(jax.random.fold_in(key, layer), keep, x.shape[1:])

    return jnp.where(jax.vmap(mask)(noise.keys), x / keep.astype(x.dtype), 0)


class Conv3x3(nnx.Module):
    """A 3×3 convolution, stride 1, zero padding 1, as one matrix product over patches.

    Weights start from N(0, 2 / (9·channels_in)) (He et al. 2015), the bias at zero. The kernel has
    shape (9 · channels_in, channels_out); rows are ordered (row offset, column offset, channel).
    """

    def __init__(self, channels_in: int, channels_out: int, *, dtype: jnp.dtype, rngs: nnx.Rngs):
        """Draws the kernel from `rngs.params`."""
        self.kernel = nnx.Param(he_normal(rngs.params(), (9 * channels_in, channels_out), dtype))
        self.bias = nnx.Param(jnp.zeros((channels_out,), dtype))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (n, height, width, channels_in) to (n, height, width, channels_out)."""
        n, height, width, channels = x.shape
        padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        shifts = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
        patches = jnp.concatenate(shifts, axis=-1).reshape(n * height * width, 9 * channels)
        product = patches @ self.kernel[...] + self.bias[...][None, :]
        return product.reshape(n, height, width, -1)


def max_pool_2x2(x: jax.Array) -> jax.Array:
    """Maximum over non-overlapping 2×2 windows; an odd last row or column is left out.

    Maps (n, height, width, channels) to (n, height // 2, width // 2, channels). A reshape and a
    maximum: the gradient of XLA's reduce-window is 3 to 8 times slower on CPU. Where values in a
    window are tied, they share the gradient equally.
    """
    n, height, width, channels = x.shape
    even = x[:, : height // 2 * 2, : width // 2 * 2]
    windows = even.reshape(n, height // 2, 2, width // 2, 2, channels)
    return jnp.max(windows, axis=(2, 4))


def linear(
    features_in: int,
    features_out: int,
    *,
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
    init: jax.nn.initializers.Initializer = he_normal,
) -> nnx.Linear:
    """A dense layer: weights from `init` (He et al. 2015 unless given), bias zero."""
    return nnx.Linear(
        features_in, features_out, kernel_init=init, param_dtype=dtype, dtype=dtype, rngs=rngs
    )
