"""What kept minima of language models write: token by token, each drawn from what they predict."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from minima.record.snapshots import Snapshots
from minima.sweep.branch import from_arrays
from minima.sweep.lane import minimum_of
from minima.sweep.minima import Point
from minima.sweep.plan import Plan
from minima.sweep.program import blank_initial
from minima.tasks.models import Model, Params, State


def sample_minima(
    plan: Plan,
    snapshots: Snapshots,
    points: Sequence[Point],
    prompts: np.ndarray,
    length: int,
    seeds: Sequence[int],
    temperature: float = 1.0,
) -> np.ndarray:
    """Texts that kept states of a language model write.

    A token's distribution is computed from the window before it, all of it anew: with the model's
    own window as the limit, models of every kind are sampled by the same lines. The same seed draws
    the same luck whatever the model.

    Args:
      plan: whose cells these are; of a language model.
      snapshots: where their states are kept.
      points: which cells, after which updates.
      prompts: (n, p) integer, 1 <= p: how every text begins.
      length: of a text, prompt included.
      seeds: of the luck, one for each point.
      temperature: logits are divided by it; > 0.

    Returns:
      (points, n, length) int32.

    Raises:
      UserError: a state is missing or damaged.
    """
    model, like = plan.recipe.task.model, blank_initial(plan.recipe)
    tokens = np.zeros((len(prompts), length), np.int32)
    tokens[:, : prompts.shape[1]] = prompts
    written = []
    for point, seed in zip(points, seeds, strict=True):
        variables = minimum_of(from_arrays(snapshots.read(*point), like))
        arguments = variables, tokens, jax.random.key(seed), np.float32(temperature)
        written.append(np.asarray(_sample(model, prompts.shape[1], *arguments)))
    return np.stack(written) if written else np.zeros((0, *tokens.shape), np.int32)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _sample(
    model: Model,
    begin: int,
    variables: tuple[Params, State],
    tokens: jax.Array,
    key: jax.Array,
    temperature: jax.Array,
) -> jax.Array:
    """tokens (n, length) with what follows the first `begin` of them drawn."""
    length, window = tokens.shape[1], model.settings.input_shape[0]
    tokens = jnp.pad(tokens, [(0, 0), (0, max(0, window - length))])

    def step(at: jax.Array, tokens: jax.Array) -> jax.Array:
        # What stands behind `at` in the window is seen by no position before it.
        start = jnp.clip(at - window, 0, tokens.shape[1] - window)
        seen = jax.lax.dynamic_slice_in_dim(tokens, start, window, axis=1)
        logits = model.apply(*variables, seen)[0]
        now = jax.lax.dynamic_index_in_dim(logits, at - 1 - start, axis=1, keepdims=False)
        drawn = jax.random.categorical(jax.random.fold_in(key, at), now / temperature)
        return jax.lax.dynamic_update_index_in_dim(tokens, drawn.astype(jnp.int32), at, axis=1)

    return jax.lax.fori_loop(begin, length, step, tokens)[:, :length]
