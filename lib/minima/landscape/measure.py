"""The default panel at one minimum: what `minima.measure` does."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from minima.landscape import norms, panels
from minima.landscape.estimators import Estimate, known
from minima.landscape.objective import (
    Apply,
    Chunks,
    Loss,
    Objective,
    Params,
    chunks,
    cross_entropy,
)
from minima.landscape.result import Measured, Measurement

CHUNK = 512
EFFORT = panels.Effort(lanczos=30, products=90, ascent=20, box=50, probes=30)


def measure(
    apply_fn: Apply,
    params: Params,
    data: tuple[Any, Any],
    loss: Loss = cross_entropy,
    *,
    seed: int = 0,
    chunk: int = CHUNK,
    panel: Callable[..., Mapping[str, Estimate]] | None = None,
) -> Measurement:
    """Curvature and sharpness of anybody's network at its parameters, over the given examples.

    Runs at the highest precision of matrix products, in the parameters' own dtype.

    Args:
      apply_fn: (params, inputs (c, ...)) -> outputs (c, ...); logits for cross-entropy. It may not
        contain a `jax.custom_vjp`.
      params: a pytree of floating arrays, from flax, haiku, equinox, or converted from elsewhere.
      data: (inputs (n, ...), labels (n, ...)).
      loss: (outputs, labels) -> losses (c,).
      seed: of random probes.
      chunk: examples at a time: less takes less memory.
      panel: (objective, params, chunks, key) -> estimates by name; `default_panel` if None.

    Returns:
      One frozen result that prints as a table.

    Raises:
      ValueError: no examples, or not as many labels as inputs.
      TypeError: `apply_fn` can't be differentiated forwards.
    """
    params = jax.tree.map(jnp.asarray, params)
    kinds = {leaf.dtype for leaf in jax.tree.leaves(params)}
    dtype = jnp.result_type(*kinds)
    examples = chunks(*data, chunk, dtype)
    objective, key = Objective(apply_fn, loss), jax.random.key(seed)
    chosen = default_panel if panel is None else panel

    names: list[str] = []

    @jax.jit
    def run(params: Params, examples: Chunks, key: jax.Array) -> list[Estimate]:
        found = chosen(objective, params, examples, key)
        names.extend(found)  # when traced: a dict would come back in alphabetical order
        return list(found.values())

    with jax.default_matmul_precision("highest"):
        found = jax.device_get(run(params, examples, key))
    pairs = zip(names, found, strict=True)
    return Measurement({name: measured(one, len(data[0])) for name, one in pairs})


def default_panel(
    objective: Objective, params: Params, data: Chunks, key: jax.Array
) -> dict[str, Estimate]:
    """Traced: loss and gradient, curvature, sharpness, noise and norms of one minimum."""
    curvature_key, rises_key = jax.random.split(key)
    gradient = objective.gradient(params, data)
    return {
        "loss": known(objective.mean(params, data)),
        "gradient_norm": known(norms.weight_norm(gradient)),
        "weight_norm": known(norms.weight_norm(params)),
        **panels.curvature(objective, params, data, curvature_key, EFFORT),
        **panels.rises(objective, params, data, rises_key, EFFORT),
        "fisher_rao": known(norms.fisher_rao(objective, params, data)),
        **panels.gradient_noise(objective, params, data),
    }


def measured(found: Estimate, examples: int) -> Measured:
    """An estimate that has come to the host."""
    return Measured(
        float(found.value),
        float(found.standard_error),
        float(found.residual),
        sample_size=examples,
        probes=int(np.asarray(found.probes)),
        converged=bool(found.converged),
    )
