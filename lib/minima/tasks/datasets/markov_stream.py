"""The Markov source without end: every training sequence is drawn anew, on the device."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from minima.tasks.datasets import markov
from minima.tasks.datasets.dataset import Dataset, token_dtype

SETTINGS = markov.Settings()


def load_markov_infinite(window: int, validation_fraction: float) -> Dataset:
    """The Markov source whose training windows come from `Draw`.

    The splits are those of markov: both are judged on the same windows. Nothing is trained on
    train: it is a sample that the final training loss is measured on, and its size is what an epoch
    is counted in. Raises UserError if window or validation_fraction does not fit.
    """
    finite = markov.load_markov(SETTINGS, window, validation_fraction)
    source = f"training windows drawn without end; the others {finite.source}"
    return replace(finite, name="markov_infinite", source=source, generator=Draw(window))


@dataclass(frozen=True)
class Draw:
    """Draws windows of the stationary chain, whose entropy is the dataset's.

    Attributes:
      window: T, symbols in an example.
    """

    window: int

    def __call__(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One window and what follows each of its symbols: uint8 (T,) and int32 (T,).

        Steps are exactly as probable as in `markov.transition_matrix`; the first symbol's
        distribution is the stationary one but for the rounding of float32. Integers only: jit and
        vmap change nothing.
        """
        matrix = markov.transition_matrix(SETTINGS)
        start_key, step_key = jax.random.split(key)
        bounds = markov.stationary(matrix).cumsum()[:-1].astype(np.float32)
        uniform = jax.random.uniform(start_key, (), jnp.float32)
        first = jnp.sum(bounds <= uniform, dtype=jnp.int32)
        tickets = jax.random.bits(step_key, (self.window,), jnp.uint8) % np.uint8(markov.TICKETS)
        followers = jnp.asarray(_followers(matrix))

        def step(symbol: jax.Array, ticket: jax.Array) -> tuple[jax.Array, jax.Array]:
            following = followers[symbol, ticket]
            return following, following

        _, labels = jax.lax.scan(step, first, tickets)
        tokens = jnp.concatenate([first[None], labels[:-1]])
        return tokens.astype(token_dtype(len(matrix))), labels


def _followers(matrix: np.ndarray) -> np.ndarray:
    # (symbol, ticket) → the symbol that this ticket was dealt to, int32.
    tickets = (matrix * markov.TICKETS).astype(int)
    return np.stack([np.repeat(np.arange(len(matrix)), row) for row in tickets]).astype(np.int32)
