"""A pre-norm transformer over tokens, samples, patches or nodes: classifier or language model."""

import jax
import jax.numpy as jnp
from flax import nnx

from minima.tasks.models.attention import attention
from minima.tasks.models.layers import Training, dropout, lecun_normal, linear
from minima.tasks.models.norms import make_norm
from minima.tasks.models.remat import in_turn
from minima.tasks.models.sequence import Encoder
from minima.tasks.models.settings import Settings

_HEAD_WIDTH = 16
_EXPANSION = 4
_POSITION_SPREAD = 0.02


class TransformerBlock(nnx.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)) (Vaswani et al. 2017; pre-norm: Xiong 2020).

    Heads of width 16; the mlp is 4 times as wide, with GELU. Weights start from N(0, 1/fan_in),
    the two that write into the residual stream divided by √(2 · depth) (Radford et al. 2019).
    """

    def __init__(self, settings: Settings, *, rngs: nnx.Rngs):
        """Builds the block for vectors of `settings.width` features."""
        width, dtype = settings.width, settings.dtype
        self.heads, self.causal = width // _HEAD_WIDTH, settings.causal
        self.chunk = settings.attention_chunk
        scale = 1 / (2 * settings.depth)
        out = jax.nn.initializers.variance_scaling(scale, "fan_in", "truncated_normal")
        self.norms = nnx.List(
            [make_norm(settings.norm, width, dtype=dtype, per_position=True) for _ in range(2)]
        )
        self.qkv = linear(width, 3 * width, dtype=dtype, rngs=rngs, init=lecun_normal)
        self.attended = linear(width, width, dtype=dtype, rngs=rngs, init=out)
        self.wide = linear(width, _EXPANSION * width, dtype=dtype, rngs=rngs, init=lecun_normal)
        self.narrow = linear(_EXPANSION * width, width, dtype=dtype, rngs=rngs, init=out)

    def __call__(
        self, x: jax.Array, training: Training | None, layer: int | jax.Array
    ) -> jax.Array:
        """Maps (n, length, width) to the same shape."""
        mixed = self.attend(self.norms[0](x, training))
        x = x + dropout(mixed, training, layer=2 * layer)
        hidden = jax.nn.gelu(self.wide(self.norms[1](x, training)))
        return x + dropout(self.narrow(hidden), training, layer=2 * layer + 1)

    def attend(self, x: jax.Array) -> jax.Array:
        """Attention with its projections alone: (n, length, width) to the same shape."""
        n, length, width = x.shape
        turned = jnp.swapaxes(self.qkv(x), 1, 2)
        q, k, v = jnp.split(turned.reshape(n, 3 * self.heads, _HEAD_WIDTH, length), 3, axis=1)
        seen = attention(q, k, v, self.causal, self.chunk).reshape(n, width, length)
        return self.attended(jnp.swapaxes(seen, 1, 2))


class Transformer(nnx.Module):
    """`depth` blocks of `width`, a final norm, and a linear read-out.

    A classifier averages over positions; a language model attends to the past only and reads every
    position. With positions, a learned vector per place, from N(0, 0.02²), is added to the inputs;
    without, a classifier sees a set.
    """

    def __init__(self, settings: Settings, *, rngs: nnx.Rngs):
        """Builds encoder, positions, blocks and read-out."""
        width, dtype = settings.width, settings.dtype
        self.per_position, self.remat = settings.per_position, settings.remat
        self.encoder = Encoder(settings, width, patches=True, rngs=rngs)
        places = jax.random.normal(rngs.params(), (self.encoder.length, width), dtype)
        self.positions = nnx.Param(_POSITION_SPREAD * places) if settings.positions else None
        self.blocks = nnx.List(
            [TransformerBlock(settings, rngs=rngs) for _ in range(settings.depth)]
        )
        self.norm = make_norm(settings.norm, width, dtype=dtype, per_position=True)
        classes = settings.num_classes
        self.readout = linear(width, classes, dtype=dtype, rngs=rngs, init=lecun_normal)

    def __call__(self, x: jax.Array, training: Training | None = None) -> jax.Array:
        """Maps (n, ...) to logits (n, num_classes), or (n, length, num_classes) per position."""
        x = self.encoder(x)
        if self.positions is not None:
            x = (x + self.positions[...][None]).astype(x.dtype)
        blocks = [[block] for block in self.blocks]
        x = in_turn(self.remat, TransformerBlock.__call__, blocks, x, training)
        x = self.norm(x, training)
        return self.readout(x if self.per_position else jnp.mean(x, axis=1))
