"""Multi-layer perceptron on flattened inputs."""

from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx

from minima.tasks.models.layers import Noise, dropout, lecun_normal, linear


class MLP(nnx.Module):
    """`depth` hidden ReLU layers of `width` units, then a linear read-out.

    Hidden weights start from N(0, 2/fan_in) (He et al. 2015), the read-out from N(0, 1/fan_in),
    biases at zero. Dropout, if any, follows every hidden layer.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_classes: int,
        *,
        width: int,
        depth: int,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        """Builds the layers for inputs of `input_shape`, which are flattened."""
        sizes = [_size(input_shape)] + [width] * depth
        self.hidden = nnx.List([linear(a, b, dtype=dtype, rngs=rngs) for a, b in pairwise(sizes)])
        self.readout = linear(sizes[-1], num_classes, dtype=dtype, rngs=rngs, init=lecun_normal)

    def __call__(self, x: jax.Array, noise: Noise | None = None) -> jax.Array:
        """Maps inputs (n, ...) to logits (n, num_classes)."""
        x = x.reshape(x.shape[0], -1)
        for i, layer in enumerate(self.hidden):
            x = dropout(jax.nn.relu(layer(x)), noise, layer=i)
        return self.readout(x)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size
