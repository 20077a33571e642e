"""How far the loss rises around a minimum: worst and average cases, plain and in units of weights.

A maximiser that finds no rise, or no finite number, has failed, and its `converged` says so.
Perturbations act on all parameters, flattened; "adaptive" ones are measured in units of the size of
each weight, so that rescaling two layers against each other changes nothing (Kwon et al. 2021).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from minima.landscape.estimators import Estimate, mean_of
from minima.landscape.objective import Chunks, Objective, Params

_STEPS = 20  # of a maximiser: Andriushchenko et al. 2023 use as many of their Auto-PGD


class Ball(NamedTuple):
    """Where a maximiser may look: w + scale · u with u in a ball of norm 2 or of norm infinity.

    Attributes:
      scale: (parameters,), units of each weight.
      radius: scalar.
      euclidean: the norm; a Python bool.
    """

    scale: jax.Array
    radius: jax.Array
    euclidean: bool


def ascent(objective: Objective, params: Params, data: Chunks, rho: float) -> Estimate:
    """SAM's sharpness: L(w + ρ g / |g|) - L(w), one step up (Foret et al. 2021, equation 2)."""
    gradient = ravel_pytree(objective.gradient(params, data))[0]
    step = rho * gradient / jnp.linalg.norm(gradient)
    return _rise(_along(objective, params, data)(step) - objective.mean(params, data))


def chunkwise_ascent(objective: Objective, params: Params, data: Chunks, rho: float) -> Estimate:
    """m-sharpness: the mean over chunks of m examples of each chunk's own ascent.

    Foret et al. 2021, section 4.1; Andriushchenko and Flammarion 2022. m is the size of the chunks
    that `data` has; see `objective.regrouped`. The standard error is over chunks.
    """

    def one(chunk: Chunks) -> tuple[jax.Array, jax.Array]:
        share = jnp.sum(chunk.weights)
        # Of its own mean loss; a chunk of padding alone counts for nothing.
        weights = chunk.weights / jnp.where(share > 0, share, 1)
        alone = jax.tree.map(lambda x: x[None], chunk._replace(weights=weights))
        rise = ascent(objective, params, alone, rho).value
        return jnp.where(share > 0, rise, 0), share

    rises, shares = jax.lax.map(one, data)
    value = jnp.sum(rises * shares) / jnp.sum(shares)
    spread = jnp.sqrt(jnp.sum(shares * jnp.square(rises - value)) / jnp.sum(shares))
    count = jnp.sum(shares > 0)
    error = spread / jnp.sqrt(count - 1)  # NaN, and no error known, for a single chunk
    return _rise(value)._replace(standard_error=error, probes=count.astype(jnp.int32))


def worst_case(
    objective: Objective, params: Params, data: Chunks, ball: Ball, steps: int = _STEPS
) -> Estimate:
    """The largest rise that projected gradient ascent finds in a ball, L(w + scale · u) - L(w).

    The first step goes to the boundary, the later ones are shorter and shorter; what counts is the
    best point seen, so that more steps never find less.
    """
    loss = _along(objective, params, data)

    def scaled(u: jax.Array) -> jax.Array:
        return loss(ball.scale * u)

    def step(state: tuple[jax.Array, jax.Array], t: jax.Array) -> tuple[tuple, None]:
        u, best = state
        value, slope = jax.value_and_grad(scaled)(u)
        u = _project(u + 2 * ball.radius / (1 + t) * _direction(slope, ball), ball)
        return (u, jnp.fmax(best, value)), None

    start = jnp.zeros_like(ball.scale)
    at = scaled(start)
    times = jnp.arange(steps, dtype=at.dtype)
    (u, best), _ = jax.lax.scan(step, (start, at), times)
    return _rise(jnp.fmax(best, scaled(u)) - at)


def adaptive(
    objective: Objective, params: Params, data: Chunks, rho: float, steps: int = _STEPS
) -> Estimate:
    """Worst-case adaptive sharpness: the largest rise over |δ / |w||₂ ≤ ρ (Kwon et al. 2021)."""
    flat = ravel_pytree(params)[0]
    ball = Ball(jnp.abs(flat), jnp.asarray(rho, flat.dtype), euclidean=True)
    return worst_case(objective, params, data, ball, steps)


def keskar_box(
    objective: Objective, params: Params, data: Chunks, epsilon: float = 1e-3, steps: int = 50
) -> Estimate:
    """100 · (max f - f) / (1 + f) over |z_i| ≤ ε (|w_i| + 1), by a proper maximiser.

    Keskar et al. 2017, metric 2.1 with A = I; see `keskar.published` for their ten steps of
    L-BFGS-B.
    """
    flat = ravel_pytree(params)[0]
    ball = Ball(jnp.abs(flat) + 1, jnp.asarray(epsilon, flat.dtype), euclidean=False)
    found = worst_case(objective, params, data, ball, steps)
    return found._replace(value=100 * found.value / (1 + objective.mean(params, data)))


def relative_box(
    objective: Objective, params: Params, data: Chunks, epsilon: float = 1e-3, steps: int = _STEPS
) -> Estimate:
    """Keskar's number without the 1 that keeps his box absolute: over |z_i| ≤ ε |w_i|.

    So it does not change under rescaling; `keskar_box` does, most where weights are small.
    """
    flat = ravel_pytree(params)[0]
    ball = Ball(jnp.abs(flat), jnp.asarray(epsilon, flat.dtype), euclidean=False)
    found = worst_case(objective, params, data, ball, steps)
    return found._replace(value=100 * found.value / (1 + objective.mean(params, data)))


def average_case(
    objective: Objective,
    params: Params,
    data: Chunks,
    key: jax.Array,
    rho: float,
    *,
    adaptive: bool = True,
    probes: int = 30,
) -> Estimate:
    """The mean rise under Gaussian noise of standard deviation ρ |w_i|, or ρ if not adaptive.

    Andriushchenko et al. 2023, equation 2, with norm 2. A probe is a pair of opposite noises: the
    slope, which says nothing of sharpness, cancels.
    """
    flat = ravel_pytree(params)[0]
    scale = rho * (jnp.abs(flat) if adaptive else jnp.ones_like(flat))
    loss, at = _along(objective, params, data), objective.mean(params, data)
    keys = jax.random.split(key, probes)

    def rise(k: jax.Array) -> jax.Array:
        step = scale * jax.random.normal(k, flat.shape, flat.dtype)
        return (loss(step) + loss(-step)) / 2 - at

    return mean_of(jax.lax.map(rise, keys))


def _along(objective: Objective, params: Params, data: Chunks) -> Callable[[jax.Array], jax.Array]:
    """The mean loss as a function of a flat perturbation."""
    flat, unravel = ravel_pytree(params)
    return lambda step: objective.mean(unravel(flat + step), data)


def _direction(slope: jax.Array, ball: Ball) -> jax.Array:
    """Of steepest ascent in the ball's norm, of length 1."""
    if not ball.euclidean:
        return jnp.sign(slope)
    norm = jnp.linalg.norm(slope)
    return jnp.where(norm > 0, slope / jnp.where(norm > 0, norm, 1), 0)


def _project(u: jax.Array, ball: Ball) -> jax.Array:
    if not ball.euclidean:
        return jnp.clip(u, -ball.radius, ball.radius)
    return u * jnp.minimum(1, ball.radius / jnp.maximum(jnp.linalg.norm(u), ball.radius))


def _rise(value: jax.Array) -> Estimate:
    nothing = jnp.full_like(value, jnp.nan)
    found = jnp.isfinite(value) & (value > 0)
    return Estimate(value, nothing, nothing, found, jnp.zeros((), jnp.int32))
