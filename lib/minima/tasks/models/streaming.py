"""Language models that read one token at a time, and what they must remember in between.

A recurrent network keeps its states, whatever came before; a transformer keeps keys and values of
every token so far. Logits are those of the whole model, which `tests` hold these to.
"""

from typing import Any

import jax
import jax.numpy as jnp

from minima.tasks.models.attention import attention
from minima.tasks.models.recurrent import Recurrent
from minima.tasks.models.transformer import Transformer

Memory = Any  # a list with a tuple of arrays for each layer or block


def start(module: Recurrent | Transformer, n: int) -> Memory:
    """What is remembered before the first token, of n sequences at once."""
    if isinstance(module, Recurrent):
        sides = [layer[0] for layer in module.layers]
        return [(jnp.zeros((n, side.hidden), side.dtype),) * side.carried for side in sides]
    block = module.blocks[0]
    features = block.qkv.kernel[...].shape[0] // block.heads
    none = jnp.zeros((n, block.heads, features, 0), block.qkv.dtype)
    return [(none, none) for _ in module.blocks]


def step(
    module: Recurrent | Transformer, memory: Memory, token: jax.Array
) -> tuple[Memory, jax.Array]:
    """Reads the next token (n,) of every sequence; what is remembered, and logits (n, classes)."""
    assert module.encoder is not None  # tokens always have one
    x = module.encoder(token[:, None])
    if isinstance(module, Recurrent):
        x, after = x[:, 0], []
        for layer, carry in zip(module.layers, memory, strict=True):
            after.append(layer[0].step(x, carry))
            x = after[-1][0].astype(x.dtype)
        return after, module.readout(x)
    if module.positions is not None:
        place = memory[0][0].shape[3]
        x = (x + module.positions[...][None, place : place + 1]).astype(x.dtype)
    kept = []
    for block, cache in zip(module.blocks, memory, strict=True):
        x, cache = _attend(block, x, cache)
        kept.append(cache)
    return kept, module.readout(module.norm(x, None))[:, 0]


def _attend(
    block: Any, x: jax.Array, cache: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """One block for the newest token, x (n, 1, width), which sees all that are in the cache."""
    n, _, width = x.shape
    parts = block.qkv(block.norms[0](x, None)).reshape(n, 3 * block.heads, -1, 1)
    q, *new = jnp.split(parts, 3, axis=1)
    k, v = (jnp.concatenate(pair, axis=3) for pair in zip(cache, new, strict=True))
    seen = attention(q, k, v, causal=False).reshape(n, 1, width)
    x = x + block.attended(seen)
    return x + block.narrow(jax.nn.gelu(block.wide(block.norms[1](x, None)))), (k, v)


def size(memory: Memory) -> int:
    """Bytes of what is remembered."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(memory))
