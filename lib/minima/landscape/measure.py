"""The default panel at one minimum: what `minima.measure` does."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from minima.landscape import estimators, noise, norms, operators, sharpness
from minima.landscape.estimators import Estimate
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
ADAPTIVE_RHO, SAM_RHO, AVERAGE_RHO, KESKAR_EPSILON = 0.5, 0.05, 0.1, 1e-3


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
    pairs = ((name, _measured(one, len(data[0]))) for name, one in found.items())
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
    keys = iter(jax.random.split(key, 4))
    hessian = operators.hessian(objective, params, data)
    top = estimators.largest_eigenvalues(hessian, next(keys), LANCZOS_STEPS)
    gradient = objective.gradient(params, data)
    return {
        "loss": known(objective.mean(params, data)),
        "gradient_norm": known(norms.weight_norm(gradient)),
        "weight_norm": known(norms.weight_norm(params)),
        "lambda_max": jax.tree.map(lambda x: x[0], top),
        "trace": estimators.trace(hessian, next(keys), PROBES),
        "squared_frobenius": estimators.squared_frobenius(hessian, next(keys), 3 * PROBES),
        "sam_sharpness": sharpness.ascent(objective, params, data, SAM_RHO),
        "adaptive_sharpness": sharpness.adaptive(objective, params, data, ADAPTIVE_RHO),
        "average_sharpness": sharpness.average_case(
            objective, params, data, next(keys), AVERAGE_RHO, probes=PROBES
        ),
        "keskar_sharpness": sharpness.keskar_box(objective, params, data, KESKAR_EPSILON),
        "fisher_rao": known(norms.fisher_rao(objective, params, data)),
        "noise_scale": known(noise.exact(objective, params, data).scale),
    }


def known(value: jax.Array) -> Estimate:
    """A number without a random or iterative part."""
    nothing = jnp.full_like(value, jnp.nan)
    return Estimate(value, nothing, nothing, jnp.isfinite(value), jnp.zeros((), jnp.int32))


def _measured(found: Estimate, examples: int) -> Measured:
    return Measured(
        float(found.value),
        float(found.standard_error),
        float(found.residual),
        sample_size=examples,
        probes=int(np.asarray(found.probes)),
        converged=bool(found.converged),
    )
