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
from minima.landscape.precision import arithmetic, cast
from minima.landscape.result import Measured, Measurement

LANCZOS_STEPS, PROBES, CHUNK = 30, 30, 512
EFFORT = panels.Effort(LANCZOS_STEPS, products=3 * PROBES, ascent=20, box=50, probes=PROBES)


def measure(
    apply_fn: Apply,
    params: Params,
    data: tuple[Any, Any],
    loss: Loss = cross_entropy,
    *,
    seed: int = 0,
    chunk: int = CHUNK,
    panel: Callable[..., Mapping[str, Estimate]] | None = None,
    dtype: str | None = None,
) -> Measurement:
    """Curvature and sharpness of anybody's network at its parameters, over the given examples.

    Runs at the highest precision of matrix products, in the parameters' own dtype unless another is
    asked for.

    Args:
      apply_fn: (params, inputs (c, ...)) -> outputs (c, ...); logits for cross-entropy. It may not
        contain a `jax.custom_vjp`.
      params: a pytree of floating arrays, from flax, haiku, equinox, or converted from elsewhere.
      data: (inputs (n, ...), labels (n, ...)).
      loss: (outputs, labels) -> losses (c,).
      seed: of random probes.
      chunk: examples at a time: less takes less memory.
      panel: (objective, params, chunks, key) -> estimates by name; `default_panel` if None,
        `full_panel.full_panel` has more.
      dtype: "float64" for parameters and inputs in 64 bits, whatever they were before. `apply_fn`
        must not cast them back.

    Returns:
      One frozen result that prints as a table.

    Raises:
      ValueError: no examples, or not as many labels as inputs; a dtype there is not.
      TypeError: `apply_fn` can't be differentiated forwards.
    """
    with arithmetic(dtype):
        params = jax.tree.map(jnp.asarray, cast(params, dtype))
        kinds = {leaf.dtype for leaf in jax.tree.leaves(params)}
        inputs, labels = cast(tuple(data), dtype)
        examples = chunks(inputs, labels, chunk, jnp.result_type(*kinds))
        objective, key = Objective(apply_fn, loss), jax.random.key(seed)
        found = _run(default_panel if panel is None else panel, objective, params, examples, key)
    pairs = ((name, measured(one, len(data[0]))) for name, one in found.items())
    return Measurement(dict(pairs))


def _run(
    panel: Callable[..., Mapping[str, Estimate]],
    objective: Objective,
    params: Params,
    examples: Chunks,
    key: jax.Array,
) -> dict[str, Estimate]:
    """All of a panel in one program, in the panel's order."""
    names: list[str] = []

    @jax.jit
    def run(params: Params, examples: Chunks, key: jax.Array) -> list[Estimate]:
        found = panel(objective, params, examples, key)
        names.extend(found)  # when traced: a dict would come back in alphabetical order
        return list(found.values())

    found = jax.device_get(run(params, examples, key))
    return dict(zip(names, found, strict=True))


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
