"""Convolutional networks for images and signals."""

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from minima.tasks.models.layers import (
    ACTIVATIONS,
    Conv,
    Training,
    dropout,
    lecun_normal,
    linear,
    max_pool_2x2,
)
from minima.tasks.models.norms import Affine, BatchNorm, Norm, identity, make_norm
from minima.tasks.models.remat import in_turn
from minima.tasks.models.settings import Settings


class CNN(nnx.Module):
    """Stages of 3×3 convolutions, each stage closed by 2×2 max-pooling; a dense layer; a read-out.

    A stage has `depth` convolutions with ReLU or tanh (one for the small networks, two for the
    VGG-like one; Simonyan & Zisserman 2015). Convolutions and the dense layer of `width` units
    start as `layers.ACTIVATIONS` has them, the read-out from N(0, 1/fan_in), biases at zero.
    Normalisation, if any, comes before each activation, dropout after the dense layer.
    """

    def __init__(self, settings: Settings, *, channels: tuple[int, ...], rngs: nnx.Rngs):
        """Builds the layers; `channels` has an entry per stage."""
        height, breadth = settings.input_shape[:2]
        dtype, depth = settings.dtype, settings.depth
        sizes = [settings.channels, *[c for c in channels for _ in range(depth)]]
        self.depth, self.remat = depth, settings.remat
        self.activate, init = ACTIVATIONS[settings.activation or "relu"]
        self.convolutions = nnx.List(
            [Conv(a, b, dtype=dtype, rngs=rngs, init=init) for a, b in pairwise(sizes)]
        )
        self.norms = nnx.List([make_norm(settings.norm, b, dtype=dtype) for b in sizes[1:]])
        pooled = (height >> len(channels)) * (breadth >> len(channels)) * channels[-1]
        self.dense = linear(pooled, settings.width, dtype=dtype, rngs=rngs, init=init)
        self.dense_norm = make_norm(settings.norm, settings.width, dtype=dtype)
        classes = settings.num_classes
        self.readout = linear(settings.width, classes, dtype=dtype, rngs=rngs, init=lecun_normal)

    def __call__(self, x: jax.Array, training: Training | None = None) -> jax.Array:
        """Maps images (n, height, width[, channels]) to logits (n, num_classes)."""
        x = x[..., None] if x.ndim == 3 else x
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            stage = self._close if (i + 1) % self.depth == 0 else self._convolve
            x = in_turn(self.remat, stage, [[convolution, norm]], x, training)
        x = self.dense_norm(self.dense(x.reshape(x.shape[0], -1)), training)
        return self.readout(dropout(self.activate(x), training, layer=0))

    def _convolve(
        self, convolution: Conv, norm: Norm, x: jax.Array, training: Training | None, *_: Any
    ) -> jax.Array:
        return self.activate(norm(convolution(x), training))

    def _close(
        self, convolution: Conv, norm: Norm, x: jax.Array, training: Training | None, *_: Any
    ) -> jax.Array:
        if norm is identity:
            x = convolution.pooled(x)
        else:
            x = max_pool_2x2(norm(convolution(x), training))
        return self.activate(x)  # rises: after the maximum it is the same, with a quarter of work


class SignalCNN(nnx.Module):
    """The published MNIST-1D network (Greydanus & Kobak 2020): three strided 1-D convolutions.

    Kernel sizes 5, 3, 3, stride 2, padding 1, `width` channels (25), ReLU, a linear read-out over
    all positions: 5,210 parameters for signals of length 40. Initialised as `CNN`.
    """

    def __init__(self, settings: Settings, *, rngs: nnx.Rngs):
        """Builds three convolutions for signals of shape (time[, channels])."""
        dtype, width, self.remat = settings.dtype, settings.width, settings.remat
        sizes = [(settings.channels, 5), (width, 3), (width, 3)]
        self.convolutions = nnx.List(
            [
                Conv(c, width, size=size, stride=2, dimensions=1, dtype=dtype, rngs=rngs)
                for c, size in sizes
            ]
        )
        self.norms = nnx.List([make_norm(settings.norm, width, dtype=dtype) for _ in sizes])
        length = settings.input_shape[0]
        for _, size in sizes:
            length = (length + 2 - size) // 2 + 1
        classes = settings.num_classes
        self.readout = linear(length * width, classes, dtype=dtype, rngs=rngs, init=lecun_normal)

    def __call__(self, x: jax.Array, training: Training | None = None) -> jax.Array:
        """Maps signals (n, time[, channels]) to logits (n, num_classes)."""
        x = x[..., None] if x.ndim == 2 else x
        for layer in zip(self.convolutions, self.norms, strict=True):
            x = in_turn(self.remat, _convolve, [layer], x, training)
        return self.readout(dropout(x.reshape(x.shape[0], -1), training, layer=0))


def _convolve(
    convolution: Conv, norm: Norm, x: jax.Array, training: Training | None, *_: Any
) -> jax.Array:
    return jax.nn.relu(norm(convolution(x), training))


class ResNet(nnx.Module):
    """A residual network for small images (He et al. 2016, section 4.2): 6·depth + 2 layers.

    Three stages of `depth` basic blocks with `width`, 2·width and 4·width channels; the second and
    third halve the resolution. Shortcuts are 1×1 convolutions where the shape changes. The last
    normalisation scale, or without normalisation the last kernel, of every block starts at zero,
    so that blocks start as identities (Goyal et al. 2017; Zhang et al. 2019).
    """

    def __init__(self, settings: Settings, *, rngs: nnx.Rngs):
        """Builds stem, blocks and read-out."""
        dtype, width, norm = settings.dtype, settings.width, settings.norm
        self.remat = settings.remat
        self.stem = Conv(settings.channels, width, dtype=dtype, rngs=rngs)
        self.stem_norm = make_norm(norm, width, dtype=dtype)
        blocks, channels = [], width
        for stage in range(3):
            for i in range(settings.depth):
                stride = 2 if stage and not i else 1
                wanted = width << stage
                blocks.append(Block(channels, wanted, stride, norm, dtype=dtype, rngs=rngs))
                channels = wanted
        self.blocks = nnx.List(blocks)
        classes = settings.num_classes
        self.readout = linear(channels, classes, dtype=dtype, rngs=rngs, init=lecun_normal)

    def __call__(self, x: jax.Array, training: Training | None = None) -> jax.Array:
        """Maps images (n, height, width[, channels]) to logits (n, num_classes)."""
        x = x[..., None] if x.ndim == 3 else x
        x = jax.nn.relu(self.stem_norm(self.stem(x), training))
        x = in_turn(self.remat, Block.__call__, [[block] for block in self.blocks], x, training)
        return self.readout(dropout(jnp.mean(x, axis=(1, 2)), training, layer=0))


class Block(nnx.Module):
    """Two 3×3 convolutions and a shortcut."""

    def __init__(
        self, c_in: int, c_out: int, stride: int, norm: str, *, dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        """Builds the block; `stride` is the first convolution's and the shortcut's."""
        self.first = Conv(c_in, c_out, stride=stride, dtype=dtype, rngs=rngs)
        self.second = Conv(c_out, c_out, dtype=dtype, rngs=rngs)
        last = make_norm(norm, c_out, dtype=dtype)
        self.norms = nnx.List([make_norm(norm, c_out, dtype=dtype), last])
        silent = last.scale if isinstance(last, BatchNorm | Affine) else self.second.kernel
        silent[...] = jnp.zeros_like(silent[...])
        options: dict[str, Any] = {"size": 1, "stride": stride, "padding": 0, "bias": False}
        reshapes = stride > 1 or c_in != c_out
        self.shortcut = Conv(c_in, c_out, **options, dtype=dtype, rngs=rngs) if reshapes else None

    def __call__(self, x: jax.Array, training: Training | None = None, *_: Any) -> jax.Array:
        """Maps (n, h, w, c_in) to (n, ⌈h / stride⌉, ⌈w / stride⌉, c_out)."""
        y = jax.nn.relu(self.norms[0](self.first(x), training))
        y = self.norms[1](self.second(y), training)
        return jax.nn.relu(y + (x if self.shortcut is None else self.shortcut(x)))
