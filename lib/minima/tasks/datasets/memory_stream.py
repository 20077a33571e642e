"""Adding and copying without end: every training example is drawn anew, on the device."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from minima.tasks.datasets import memory
from minima.tasks.datasets.dataset import token_dtype


@dataclass(frozen=True)
class Adding:
    """Draws the adding problem, of the distribution of `memory.sums`.

    Attributes:
      window: steps.
    """

    window: int

    def __call__(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One example and its sum: float32 (window, 2) and a float32 scalar."""
        numbers_key, first_key, second_key = jax.random.split(key, 3)
        half = self.window // 2
        numbers = jax.random.uniform(numbers_key, (self.window,), jnp.float32)
        first = jax.random.randint(first_key, (), 0, half, jnp.int32)
        second = jax.random.randint(second_key, (), half, self.window, jnp.int32)
        steps = jnp.arange(self.window, dtype=jnp.int32)
        marks = ((steps == first) | (steps == second)).astype(jnp.float32)
        # Read, not summed up under the marks: the order of a sum changes with the width of vmap.
        return jnp.stack([numbers, marks], axis=1), numbers[first] + numbers[second]


@dataclass(frozen=True)
class Copying:
    """Draws the copying task, of the distribution of `memory.copies`.

    Attributes:
      window: steps.
    """

    window: int

    def __call__(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One example and what is asked of each of its steps: uint8 (window,), int32 (window,)."""
        symbols = jax.random.randint(key, (memory.COPIED,), 0, memory.NUM_SYMBOLS, jnp.int32)
        between = self.window - 2 * memory.COPIED - 1
        blank = jnp.full((between,), memory.BLANK, jnp.int32)
        end = jnp.full((memory.COPIED,), memory.BLANK, jnp.int32)
        tokens = jnp.concatenate([symbols, blank, jnp.full((1,), memory.RECALL, jnp.int32), end])
        unasked = jnp.full((self.window - memory.COPIED,), -1, jnp.int32)
        labels = jnp.concatenate([unasked, symbols])
        return tokens.astype(token_dtype(memory.NUM_SYMBOLS + 2)), labels
