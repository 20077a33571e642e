"""Attention over all positions at once, or over chunks of them in memory linear in the length.

Arrays are (n, heads, features, length): with features before positions, and shares divided by
their sum after they have weighted v, XLA on CPU is a fifth faster: it has better kernels for these
products, and the sum's gradient is one over features, not positions. Both ways are written out,
because `jax.nn.dot_product_attention` takes its softmax in float32 always, and fused kernels have
no forward mode, which curvature needs.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from minima.tasks.models.precision import wide


def attention(q: jax.Array, k: jax.Array, v: jax.Array, causal: bool, chunk: int = 0) -> jax.Array:
    """softmax(qᵀ k / √features) v.

    Args:
      q, k, v: (n, heads, features, length), floating.
      causal: a position does not see those that follow it.
      chunk: positions that are looked at together, any number; 0 for all.

    Returns:
      The mixtures, in the shape and dtype of v; sums and softmax are at least float32.
    """
    q = q * q.shape[2] ** -0.5
    if 0 < chunk < q.shape[3]:
        return _chunked(q, k, v, causal, chunk)
    scores = wide(jnp.einsum("nhfq,nhfk->nhqk", q, k))
    if causal:
        past = jnp.tri(q.shape[3], dtype=bool)[None, None]
        scores = jnp.where(past, scores, -jnp.inf)
    largest = jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True))
    shares = jnp.exp(scores - largest)  # a shift changes none of their ratios, nor any slope
    mixed = jnp.einsum("nhfk,nhqk->nhfq", v, shares.astype(v.dtype))
    return (mixed / jnp.sum(shares, axis=-1)[:, :, None]).astype(v.dtype)


class _Mixture(NamedTuple):
    """What a chunk of queries has seen so far, in at least float32.

    Attributes:
      largest: score, (n, heads, chunk); shares are relative to it, so that none overflows.
      total: of the shares, (n, heads, chunk).
      mixed: sum of v by share, (n, heads, features, chunk).
    """

    largest: jax.Array
    total: jax.Array
    mixed: jax.Array


def _chunked(q: jax.Array, k: jax.Array, v: jax.Array, causal: bool, chunk: int) -> jax.Array:
    """Chunk of queries by chunk of queries, each over the chunks of keys with an online softmax.

    Rabe & Staats 2021 (arXiv:2112.05682); the recurrence is that of Milakov & Gimelshein 2018
    (arXiv:1805.02867) and FlashAttention (Dao et al. 2022, arXiv:2205.14135). Scores exist for one
    pair of chunks at a time; on the way back they, and what a chunk of queries had seen, are
    computed again. Padding comes last: no query sees it, and what it sees is cut off.
    """
    n, heads, features, length = q.shape
    count = -(-length // chunk)

    def cut(x: jax.Array) -> jax.Array:
        padded = jnp.pad(x, [(0, 0), (0, 0), (0, 0), (0, count * chunk - length)])
        return jnp.moveaxis(padded.reshape(n, heads, features, count, chunk), 3, 0)

    queries, keys, values = cut(q), cut(k), cut(v)
    numbers = jnp.arange(count, dtype=jnp.int32)
    # Inside a loop nothing could take the second computation for the first.
    again = functools.partial(jax.checkpoint, prevent_cse=False)

    @again
    def mix(query: jax.Array, number: jax.Array) -> jax.Array:
        places = number * chunk + jnp.arange(chunk, dtype=jnp.int32)

        @again
        def see(so_far: _Mixture, key: jax.Array, value: jax.Array, at: jax.Array) -> _Mixture:
            others = at * chunk + jnp.arange(chunk, dtype=jnp.int32)
            seen = jnp.broadcast_to(others[None] < length, (chunk, chunk))
            seen = seen & (others[None] <= places[:, None]) if causal else seen
            return _see(so_far, query, key, value, seen[None, None])

        def step(so_far: _Mixture, other: tuple[jax.Array, ...]) -> tuple[_Mixture, None]:
            if not causal:
                return see(so_far, *other), None
            past = other[2] <= number
            return jax.lax.cond(past, see, lambda kept, *_: kept, so_far, *other), None

        zero = jnp.zeros_like(wide(query))
        start = _Mixture(jnp.full_like(zero[:, :, 0], -jnp.inf), zero[:, :, 0], zero)
        found, _ = jax.lax.scan(step, start, (keys, values, numbers))
        return (found.mixed / found.total[:, :, None]).astype(v.dtype)

    mixed = jax.lax.map(lambda one: mix(*one), (queries, numbers))
    return jnp.moveaxis(mixed, 0, 3).reshape(n, heads, features, -1)[..., :length]


def _see(
    so_far: _Mixture, query: jax.Array, key: jax.Array, value: jax.Array, seen: jax.Array
) -> _Mixture:
    """The mixture with one more chunk of keys, of which a query sees some, (1, 1, chunk, chunk).

    Every query has seen one before, or sees one now: the first chunk holds what all may see.
    """
    scores = jnp.where(seen, wide(jnp.einsum("nhfq,nhfk->nhqk", query, key)), -jnp.inf)
    # Results depend on no shift: as constants they serve derivatives of every order.
    largest = jax.lax.stop_gradient(jnp.maximum(so_far.largest, jnp.max(scores, axis=-1)))
    shares = jnp.exp(scores - largest[..., None])
    kept = jnp.exp(so_far.largest - largest)
    added = wide(jnp.einsum("nhfk,nhqk->nhfq", value, shares.astype(value.dtype)))
    return _Mixture(
        largest,
        so_far.total * kept + jnp.sum(shares, axis=-1),
        so_far.mixed * kept[:, :, None] + added,
    )
