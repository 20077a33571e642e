"""Keskar's sharpness as published: ten iterations of L-BFGS-B in a box around the minimum."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy import optimize

from minima.landscape.objective import Chunks, Objective, Params
from minima.landscape.precision import arithmetic, cast
from minima.landscape.result import Measured

ITERATIONS = 10


def published(
    objective: Objective,
    params: Params,
    data: Chunks,
    epsilon: float = 1e-3,
    *,
    dtype: str | None = None,
) -> Measured:
    """100 · (max f - f) / (1 + f) over |z_i| ≤ ε (|w_i| + 1) (Keskar et al. 2017, metric 2.1).

    The maximiser runs on the host in float64 and starts at the minimum, where the gradient is
    small: where the network itself is in float32 it may not move at all, so ask for dtype
    "float64". A value of zero or less is reported as it is, not converged. `sharpness.keskar_box`
    has a maximiser that does not stop at ten iterations.

    Raises:
      ValueError: a dtype there is not.
    """
    with arithmetic(dtype):
        return _published(objective, cast(params, dtype), cast(data, dtype), epsilon)


def _published(objective: Objective, params: Params, data: Chunks, epsilon: float) -> Measured:
    flat, unravel = ravel_pytree(params)
    box = epsilon * (np.abs(np.asarray(flat, np.float64)) + 1)

    @jax.jit
    def loss_and_slope(step: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.value_and_grad(lambda z: objective.mean(unravel(flat + z), data))(step)

    def negative(step: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = loss_and_slope(jnp.asarray(step, flat.dtype))
        return -float(value), -np.asarray(slope, np.float64)

    start = np.zeros_like(box)
    at = -negative(start)[0]
    bounds = optimize.Bounds(-box, box)
    # All ten: SciPy's tolerances are absolute and would not let it start where losses are small.
    options = {"maxiter": ITERATIONS, "ftol": 0, "gtol": 0}
    found = optimize.minimize(
        negative, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    value = 100 * (-found.fun - at) / (1 + at)
    return Measured(value, sample_size=_count(data), converged=math.isfinite(value) and value > 0)


def _count(data: Chunks) -> int:
    return int(np.count_nonzero(np.asarray(data.weights)))
