"""One endless stream of examples per cell, and the randomness that travels with each example.

Example t of a cell is permutation(seed, t // N)[t % N]: a batch is the next batch_size of them,
straddling epochs, nothing dropped. The permutation is computed for the wanted positions only, by a
format-preserving cipher: a Feistel network on the smallest power of two that holds N, walked along
its cycles until it lands below N (Black & Rogaway 2002; as a shuffle on accelerators: Mitchell et
al. 2021, "Bandwidth-Optimal Random Shuffling for GPUs"). It needs no memory and no sort, so lanes
that differ in seed and epoch cost nothing extra under vmap.
"""

from enum import IntEnum

import jax
import jax.numpy as jnp
import numpy as np

_ROUNDS = 10


class Purpose(IntEnum):
    """What a key is for; one per independent source of randomness in a cell."""

    INITIALISATION = 0
    ORDER = 1
    DROPOUT = 2
    AUGMENTATION = 3
    LABEL_NOISE = 4
    EXAMPLE = 5
    LABEL_FLIPS = 6
    WEIGHT_NOISE = 7


def purpose_key(seed: jax.typing.ArrayLike, purpose: Purpose) -> jax.Array:
    """The PRNG key of a cell for one purpose; seed is an int32 scalar."""
    return jax.random.fold_in(jax.random.key(seed), int(purpose))


def example_keys(
    seed: jax.typing.ArrayLike, purpose: Purpose, epoch: jax.Array, position: jax.Array
) -> jax.Array:
    """Keys fold_in(seed, purpose, epoch, position), shape (n,), for int32 epoch and position."""
    return jax.vmap(lambda e, p: place_key(seed, purpose, e, p))(epoch, position)


def place_key(
    seed: jax.typing.ArrayLike, purpose: Purpose, epoch: jax.Array, position: jax.Array
) -> jax.Array:
    """The key of one place in a stream, int32 scalars."""
    key = purpose_key(seed, purpose)
    return jax.random.fold_in(jax.random.fold_in(key, epoch), position)


def wrap(epoch: jax.Array, position: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """The place of a position that may lie in the next epoch, less than an epoch of `size` away."""
    over = position >= size
    return epoch + over, jnp.where(over, position - size, position)


def _round_keys(seed: jax.typing.ArrayLike, epoch: jax.Array) -> jax.Array:
    key = jax.random.fold_in(purpose_key(seed, Purpose.ORDER), epoch)
    return jax.random.bits(key, (_ROUNDS,), jnp.uint32)


def _hash(x: jax.Array, key: jax.Array) -> jax.Array:
    """Mixes 32 bits with a key (the finaliser of MurmurHash3 by A. Appleby)."""
    x = (x ^ key) * np.uint32(0x9E3779B1)
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


def _feistel(x: jax.Array, keys: jax.Array, bits: int) -> jax.Array:
    """A keyed bijection of [0, 2**bits): the halves take turns, each is xored by the other's hash.

    Shapes: x (n,) uint32, keys (_ROUNDS, n) uint32.
    """
    low_bits = bits // 2
    low_mask, high_mask = np.uint32((1 << low_bits) - 1), np.uint32((1 << (bits - low_bits)) - 1)
    low, high = x & low_mask, x >> low_bits
    for i in range(_ROUNDS):
        if i % 2 == 0:
            high = high ^ (_hash(low, keys[i]) & high_mask)
        else:
            low = low ^ (_hash(high, keys[i]) & low_mask)
    return (high << low_bits) | low


def example_indices(
    seed: jax.typing.ArrayLike, epoch: jax.Array, position: jax.Array, num_examples: int
) -> jax.Array:
    """Which training examples stand at `position` of the shuffled `epoch`.

    Args:
      seed: int32 scalar.
      epoch: int32, shape (n,); at most two different values, one after the other, as in a stretch
        of the stream no longer than the training set.
      position: int32 in [0, num_examples), shape (n,).
      num_examples: N, static, at least 1.

    Returns:
      int32 indices in [0, N), shape (n,). For each seed and epoch a bijection of positions.
    """
    # Tiny sets still get 64 slots: a Feistel network on one or two bits is hardly a shuffle.
    bits = max(6, (num_examples - 1).bit_length())
    first = jnp.min(epoch)
    this, following = _round_keys(seed, first), _round_keys(seed, first + 1)
    keys = jnp.where((epoch == first)[None, :], this[:, None], following[:, None])

    def outside(x: jax.Array) -> jax.Array:
        return x >= np.uint32(num_examples)

    def walk(x: jax.Array) -> jax.Array:
        return jnp.where(outside(x), _feistel(x, keys, bits), x)

    start = _feistel(position.astype(jnp.uint32), keys, bits)
    inside = jax.lax.while_loop(lambda x: jnp.any(outside(x)), walk, start)
    return inside.astype(jnp.int32)
