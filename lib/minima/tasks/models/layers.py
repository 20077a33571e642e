"""Layers shared by the models: dense, convolutions as matrix products, pooling, dropout.

XLA's own convolution gradients on CPU run 25 to 50 times slower than its forward pass, and a
convolution whose kernel differs per lane becomes a grouped convolution under `jax.vmap`. Written as
one matrix product over gathered patches, forward and both gradients are matrix products too, on
every backend, in forward and in reverse mode.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from minima.runtime.mesh import traced_axes
from minima.tasks.models.precision import wide

_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))  # of a 2×2 window
_FEW_CHANNELS = 4  # up to here a product over 3×3 patches is too thin

he_normal = jax.nn.initializers.he_normal()
lecun_normal = jax.nn.initializers.lecun_normal()


class Activation(NamedTuple):
    """What `--activation` stands for: a function, and where the weights before it start."""

    function: Callable[[jax.Array], jax.Array]
    init: jax.nn.initializers.Initializer


# ReLU halves the mean square, so weights start from N(0, 2 / fan_in) (He et al. 2015); tanh is
# steepest, with slope 1, at 0: N(0, 1 / fan_in) (LeCun et al. 1998, Efficient BackProp, 4.6).
ACTIVATIONS = {
    "relu": Activation(jax.nn.relu, he_normal),
    "tanh": Activation(jnp.tanh, lecun_normal),
}


class Noise(NamedTuple):
    """Randomness of a training pass.

    Attributes:
      keys: one PRNG key per example, shape (n,). An example's noise thus depends on the example's
        place in the stream alone, not on the batch or the microbatch it travels in.
      dropout: scalar in [0, 1), traced; the probability of dropping a unit.
    """

    keys: jax.Array
    dropout: jax.Array


class Training(NamedTuple):
    """What a layer knows in a training pass; None in its place means evaluation.

    Attributes:
      weights: (n,), 1 for real examples and 0 for padding: batch statistics count the former. None:
        nothing is learned here, and statistics are the running ones (Monte Carlo dropout).
      noise: dropout's randomness, or None where nothing is dropped.
    """

    weights: jax.Array | None
    noise: Noise | None = None


def dropout(x: jax.Array, training: Training | None, layer: int | jax.Array) -> jax.Array:
    """Inverted dropout with one key per example (Srivastava et al. 2014).

    Args:
      x: activations, shape (n, ...), floating.
      training: with noise for n examples; without any, x is left unchanged.
      layer: a number that tells this layer's masks from those of the model's other layers.

    Returns:
      x with units zeroed with the noise's probability and the rest divided by 1 - probability.
    """
    if training is None or training.noise is None:
        return x
    keep = 1 - training.noise.dropout

    def mask(key: jax.Array) -> jax.Array:
        return jax.random.bernoulli(jax.random.fold_in(key, layer), keep, x.shape[1:])

    dropped = jnp.where(
        jax.vmap(mask)(training.noise.keys), wide(x) / keep.astype(wide(x).dtype), 0
    )
    return dropped.astype(x.dtype)


class Conv(nnx.Module):
    """A square convolution in one or two dimensions, as one matrix product over patches.

    Weights start from N(0, 2 / fan_in) with fan_in = size^dimensions · channels_in (He et al.
    2015) unless `init` says otherwise, the bias, if any, at zero. The kernel has shape (fan_in,
    channels_out); rows are ordered (offsets…, channel).
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        size: int = 3,
        stride: int = 1,
        padding: int = 1,
        dimensions: int = 2,
        bias: bool = True,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
        init: jax.nn.initializers.Initializer = he_normal,
    ):
        """Draws the kernel from `rngs.params`; `padding` zeros go on every side."""
        self.size, self.stride, self.padding, self.dimensions = size, stride, padding, dimensions
        fan_in = size**dimensions * channels_in
        self.kernel = nnx.Param(init(rngs.params(), (fan_in, channels_out), dtype))
        self.bias = nnx.Param(jnp.zeros((channels_out,), dtype)) if bias else None
        self.dtype = dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (n, *space, channels_in) to (n, *space', channels_out)."""
        patches = self._patches(x)
        product = self._biased(patches.reshape(-1, patches.shape[-1]) @ self._kernel())
        return product.reshape(*patches.shape[:-1], -1)

    def pooled(self, x: jax.Array) -> jax.Array:
        """`max_pool_2x2(self(x))` for size 3, stride 1, padding 1, in fewer and plainer passes.

        Outputs are made window by window, so that the maximum is one of four arrays side by side
        and nothing is computed for a row or column that pooling leaves out. With few channels that
        is a product of 4×4 patches with four shifted kernels next to each other: nearly twice the
        multiplications, but on a shape that matrix units like, and less than half the patches.

        Maps (n, height, width, channels_in) to (n, height // 2, width // 2, channels_out).
        """
        n, height, width, channels = x.shape
        space = (height // 2, width // 2)
        padded = jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
        if channels <= _FEW_CHANNELS:
            corners = self._by_tile(padded, space)
        else:
            corners = self._by_corner(padded, space)
        rows = [_larger(corners[b], corners[2 + b]) for b in (0, 1)]
        return self._biased(_larger(*rows)).reshape(n, *space, -1)

    def _kernel(self) -> jax.Array:
        return self.kernel[...].astype(self.dtype)

    def _biased(self, y: jax.Array) -> jax.Array:
        return y if self.bias is None else (y + self.bias[...][None, :]).astype(y.dtype)

    def _by_tile(self, padded: jax.Array, space: tuple[int, int]) -> list[jax.Array]:
        """Outputs at the four corners of every window, each (windows, channels_out)."""
        channels = padded.shape[-1]
        kernel = self._kernel().reshape(3, 3, channels, -1)
        shifted = [
            jnp.pad(kernel, [(a, 1 - a), (b, 1 - b), (0, 0), (0, 0)]).reshape(16 * channels, -1)
            for a, b in _CORNERS
        ]
        tiles = [
            padded[:, i : i + 2 * space[0] : 2, j : j + 2 * space[1] : 2]
            for i, j in itertools.product(range(4), repeat=2)
        ]
        patches = jnp.concatenate(tiles, axis=-1).reshape(-1, 16 * channels)
        return jnp.split(patches @ jnp.concatenate(shifted, axis=1), 4, axis=1)

    def _by_corner(self, padded: jax.Array, space: tuple[int, int]) -> list[jax.Array]:
        """As `_by_tile`, from ordinary patches: those of one corner after those of another."""
        parity = {(a, b): padded[:, a::2, b::2] for a, b in _CORNERS}

        def cut(i: int, j: int) -> jax.Array:
            rows, columns = slice(i // 2, i // 2 + space[0]), slice(j // 2, j // 2 + space[1])
            return parity[i % 2, j % 2][:, rows, columns]

        offsets = [*itertools.product(range(3), repeat=2)]
        corners = [
            jnp.concatenate([cut(a + i, b + j) for i, j in offsets], axis=-1) for a, b in _CORNERS
        ]
        patches = jnp.stack(corners)
        if traced_axes().data == 1:  # see `product`
            patches = patches.reshape(-1, 9 * padded.shape[-1])
        outputs = patches @ self._kernel()
        return [*outputs.reshape(4, -1, self.kernel.shape[-1])]

    def _patches(self, x: jax.Array) -> jax.Array:
        if self.size == 1 and not self.padding:
            return x[(slice(None), *[slice(None, None, self.stride)] * self.dimensions)]
        space = x.shape[1:-1]
        sides = [(self.padding, self.padding)] * self.dimensions
        padded = jnp.pad(x, [(0, 0), *sides, (0, 0)])
        out = [(s + 2 * self.padding - self.size) // self.stride + 1 for s in space]
        last = [(o - 1) * self.stride + 1 for o in out]
        cuts = [
            (slice(None), *(slice(i, i + e, self.stride) for i, e in zip(o, last, strict=True)))
            for o in itertools.product(range(self.size), repeat=self.dimensions)
        ]
        return jnp.concatenate([padded[cut] for cut in cuts], axis=-1)


def max_pool_2x2(x: jax.Array) -> jax.Array:
    """Maximum over non-overlapping 2×2 windows; an odd last row or column is left out.

    Maps (n, height, width, channels) to (n, height // 2, width // 2, channels). A reshape and two
    maxima: the gradient of XLA's reduce-window is 3 to 8 times slower on CPU. Where two values in a
    window are tied, or all four, they share the gradient equally.
    """
    n, height, width, channels = x.shape
    even = x[:, : height // 2 * 2, : width // 2 * 2]
    windows = even.reshape(n, height // 2, 2, width // 2, 2, channels)
    rows = _larger(windows[:, :, 0], windows[:, :, 1])
    return _larger(rows[:, :, :, 0], rows[:, :, :, 1])


@jax.custom_jvp
def _larger(a: jax.Array, b: jax.Array) -> jax.Array:
    """The maximum, with a gradient that compares a with b only and is shared where they tie.

    That of `jnp.max` compares the values with the result: where XLA computes them a second time and
    rounds differently, none is equal to it, and the gradient is 0/0.
    """
    return jnp.maximum(a, b)


@_larger.defjvp
def _larger_jvp(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    # As a number, a's share is one array to keep for the way back, where branches would be two.
    (a, b), (da, db) = primals, tangents
    share = ((a > b).astype(a.dtype) + (a >= b).astype(a.dtype)) / 2
    return _larger(a, b), share * da + (1 - share) * db


def linear(
    features_in: int,
    features_out: int,
    *,
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
    init: jax.nn.initializers.Initializer = he_normal,
) -> "Dense":
    """A dense layer: weights from `init` (He et al. 2015 unless given), bias zero."""
    return Dense(
        features_in, features_out, kernel_init=init, param_dtype=dtype, dtype=dtype, rngs=rngs
    )


class Dense(nnx.Linear):
    """nnx's, with `product`, and with the bias added before the result is rounded (`precision`)."""

    def __call__(self, inputs: jax.Array, out_sharding: None = None) -> jax.Array:
        """Maps (..., features_in) to (..., features_out), in the dtype of computation."""
        y = product(inputs.astype(self.dtype), self.kernel[...].astype(self.dtype))
        assert self.bias is not None
        return (y + self.bias[...].reshape(*[1] * (y.ndim - 1), -1)).astype(self.dtype)


def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """x (..., features_in) times kernel (features_in, features_out), in a form good for gradients.

    The gradient of a product with an array of more axes contracts several of them; XLA on CPU then
    copies both factors into another layout first, and runs at a third of the speed. And a gradient
    with more rows than columns takes twice as long as its transpose, so that a kernel which narrows
    is turned first if there are rows enough to pay for that; the barrier keeps XLA from turning it
    back. Where examples are spread over devices, their axis stays one of its own: no sharding
    survives that merges it with one before it.
    """
    if traced_axes().data > 1:
        return x @ kernel
    flat = x.reshape(-1, x.shape[-1])
    if len(flat) > kernel.shape[0] > kernel.shape[1]:
        turned = jax.lax.optimization_barrier(kernel.T)
        y = jax.lax.dot_general(flat, turned, (((1,), (1,)), ((), ())))
    else:
        y = flat @ kernel
    return y.reshape(*x.shape[:-1], -1)
