"""Multi-layer perceptron on flattened inputs, and its limit without a hidden layer."""

import math
from itertools import pairwise
from typing import Any

import jax
from flax import nnx

from minima.tasks.models.layers import ACTIVATIONS, Dense, Training, dropout, lecun_normal, linear
from minima.tasks.models.norms import Norm, make_norm
from minima.tasks.models.remat import in_turn
from minima.tasks.models.settings import Settings


class MLP(nnx.Module):
    """`depth` hidden layers of `width` units, ReLU or tanh, then a linear read-out.

    Hidden weights start as `layers.ACTIVATIONS` has them, the read-out from N(0, 1/fan_in), biases
    at zero. Normalisation, if any, comes before the activation, dropout after it. With `residual`,
    layers after the first add to their input. Depth 0 is multinomial logistic regression.
    """

    def __init__(self, settings: Settings, *, rngs: nnx.Rngs, residual: bool = False):
        """Builds the layers for inputs of any shape, which are flattened."""
        dtype, self.residual, self.remat = settings.dtype, residual, settings.remat
        sizes = [math.prod(settings.input_shape)] + [settings.width] * settings.depth
        self.activate, init = ACTIVATIONS[settings.activation or "relu"]
        self.hidden = nnx.List(
            [linear(a, b, dtype=dtype, rngs=rngs, init=init) for a, b in pairwise(sizes)]
        )
        self.norms = nnx.List([make_norm(settings.norm, b, dtype=dtype) for b in sizes[1:]])
        classes = settings.num_classes
        self.readout = linear(sizes[-1], classes, dtype=dtype, rngs=rngs, init=lecun_normal)

    def __call__(self, x: jax.Array, training: Training | None = None) -> jax.Array:
        """Maps inputs (n, ...) to logits (n, num_classes)."""
        x = x.reshape(x.shape[0], -1)
        layers = [*zip(self.hidden, self.norms, strict=True)]
        x = in_turn(self.remat, self._hide, layers[:1], x, training)
        others = self._add if self.residual else self._hide
        return self.readout(in_turn(self.remat, others, layers[1:], x, training, first=1))

    def _hide(
        self,
        layer: Dense,
        norm: Norm,
        x: jax.Array,
        training: Training | None,
        number: int | jax.Array,
    ) -> jax.Array:
        return dropout(self.activate(norm(layer(x), training)), training, layer=number)

    def _add(self, layer: Dense, norm: Norm, x: jax.Array, *rest: Any) -> jax.Array:
        return x + self._hide(layer, norm, x, *rest)
