"""Convolutional network for images."""

from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx

from minima.tasks.models.layers import (
    Conv3x3,
    Noise,
    dropout,
    lecun_normal,
    linear,
    max_pool_2x2,
)


class CNN(nnx.Module):
    """3×3 convolutions, each with ReLU and 2×2 max-pooling, a dense ReLU layer, a read-out.

    Convolutions and the dense layer start from N(0, 2/fan_in) (He et al. 2015), the read-out from
    N(0, 1/fan_in), biases at zero. Dropout, if any, follows the dense layer.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_classes: int,
        *,
        channels: tuple[int, ...],
        width: int,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        """Builds the layers for images of shape (height, width) or (height, width, channels)."""
        height, breadth, colours = (*input_shape, 1)[:3]
        sizes = (colours, *channels)
        self.convolutions = nnx.List(
            [Conv3x3(a, b, dtype=dtype, rngs=rngs) for a, b in pairwise(sizes)]
        )
        pooled = (height >> len(channels)) * (breadth >> len(channels)) * channels[-1]
        self.dense = linear(pooled, width, dtype=dtype, rngs=rngs)
        self.readout = linear(width, num_classes, dtype=dtype, rngs=rngs, init=lecun_normal)

    def __call__(self, x: jax.Array, noise: Noise | None = None) -> jax.Array:
        """Maps images (n, height, width[, channels]) to logits (n, num_classes)."""
        x = x[..., None] if x.ndim == 3 else x
        for convolution in self.convolutions:
            x = max_pool_2x2(jax.nn.relu(convolution(x)))
        x = jax.nn.relu(self.dense(x.reshape(x.shape[0], -1)))
        return self.readout(dropout(x, noise, layer=0))
