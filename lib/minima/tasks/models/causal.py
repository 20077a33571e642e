"""A causal convolutional network: it hears a fixed stretch of the past, and nothing before it."""

import jax
import jax.numpy as jnp
from flax import nnx

from minima.tasks.models.layers import Conv, Training, dropout, lecun_normal, linear
from minima.tasks.models.norms import make_norm
from minima.tasks.models.remat import in_turn
from minima.tasks.models.sequence import Encoder
from minima.tasks.models.settings import Settings

SIZE = 5  # taps of a convolution


class CausalBlock(nnx.Module):
    """x + relu(convolution(norm(x))) of the present and the four vectors before it."""

    def __init__(self, settings: Settings, *, rngs: nnx.Rngs):
        """Builds the block for vectors of `settings.width` features."""
        width, dtype = settings.width, settings.dtype
        self.convolution = Conv(
            width, width, size=SIZE, padding=0, dimensions=1, dtype=dtype, rngs=rngs
        )
        self.norm = make_norm(settings.norm, width, dtype=dtype, per_position=True)

    def __call__(
        self, x: jax.Array, training: Training | None, layer: int | jax.Array
    ) -> jax.Array:
        """Maps (n, length, width) to the same shape."""
        past = jnp.pad(self.norm(x, training), [(0, 0), (SIZE - 1, 0), (0, 0)])
        hidden = jax.nn.relu(self.convolution(past))
        return x + dropout(hidden, training, layer=layer)


class CausalCNN(nnx.Module):
    """`depth` causal convolutions of `width` channels over tokens or samples, and a read-out.

    A classifier reads the last position, a language model every one; each depends on the last
    `receptive_field(depth)` positions. Weights start as in `CNN`.
    """

    def __init__(self, settings: Settings, *, rngs: nnx.Rngs):
        """Builds encoder, blocks and read-out."""
        width, dtype, self.remat = settings.width, settings.dtype, settings.remat
        self.per_position = settings.per_position
        self.encoder = Encoder(settings, width, patches=False, rngs=rngs)
        self.blocks = nnx.List([CausalBlock(settings, rngs=rngs) for _ in range(settings.depth)])
        classes = settings.num_classes
        self.readout = linear(width, classes, dtype=dtype, rngs=rngs, init=lecun_normal)

    def __call__(self, x: jax.Array, training: Training | None = None) -> jax.Array:
        """Maps (n, length) to logits (n, num_classes), or (n, length, num_classes) per position."""
        blocks = [[block] for block in self.blocks]
        x = in_turn(self.remat, CausalBlock.__call__, blocks, self.encoder(x), training)
        return self.readout(x if self.per_position else x[:, -1])


def receptive_field(depth: int) -> int:
    """Positions that a logit depends on, the present one among them."""
    return 1 + depth * (SIZE - 1)
