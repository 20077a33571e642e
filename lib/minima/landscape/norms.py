"""Sizes of a minimum: norms of weights and functions, flatness that no rescaling changes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from minima.landscape.estimators import Estimate, mean_of
from minima.landscape.objective import Chunks, Objective, Params, over_chunks
from minima.landscape.operators import hessian

_HALVINGS = 20


def weight_norm(params: Params) -> jax.Array:
    """|w|₂ over all parameters."""
    return jnp.linalg.norm(ravel_pytree(params)[0])


def distance(params: Params, initial: Params) -> jax.Array:
    """|w - w₀|₂ from the initial weights."""
    return jnp.linalg.norm(ravel_pytree(params)[0] - ravel_pytree(initial)[0])


def fisher_rao(objective: Objective, params: Params, data: Chunks) -> jax.Array:
    """√(wᵀ F w), F the second moment of per-example gradients (Liang et al. 2019).

    Their norm is this times the number of layers, for networks without biases. Rescaling two ReLU
    layers against each other does not change it.
    """

    def squares(chunk: Chunks) -> jax.Array:
        def losses(p: Params) -> jax.Array:
            return objective.loss(objective.apply(p, chunk.inputs), chunk.labels)

        slopes = jax.jvp(losses, (params,), (params,))[1]
        return jnp.sum(jnp.square(slopes) * chunk.weights)

    return jnp.sqrt(over_chunks(squares, data))


def relative_flatness(
    objective: Objective,
    params: Params,
    data: Chunks,
    key: jax.Array,
    layer: Callable[[Params], jax.Array],
    *,
    probes: int = 30,
) -> Estimate:
    """κ = Σ ⟨w_s, w_t⟩ tr H_st over pairs of a layer's neurons (Petzka et al. 2021, definition 3).

    The sum is tr (W Wᵀ ⊗ I) H, and thus the mean of (W V) · H (W V) over matrices V of signs. It
    does not change when the layer is scaled against the one before it or after it.

    Args:
      objective, params, data: the minimum.
      key: of the probes.
      layer: picks the layer's kernel, (inputs, neurons), from the parameters.
      probes: how many.
    """
    product = hessian(objective, params, data)
    flat, unravel = ravel_pytree(params)
    # Where the kernel lies in the flat vector: its gradient there is one.
    embed = jax.linear_transpose(lambda vector: layer(unravel(vector)), flat)
    kernel = layer(params)

    def probe(k: jax.Array) -> jax.Array:
        signs = jax.random.rademacher(k, (kernel.shape[0], kernel.shape[0]), kernel.dtype)
        step = embed(signs @ kernel)[0]
        return step @ product(step)

    return mean_of(jax.lax.map(probe, jax.random.split(key, probes)))


def pac_bayes(
    objective: Objective,
    params: Params,
    data: Chunks,
    key: jax.Array,
    *,
    magnitude_aware: bool = False,
    rise: float = 0.1,
    probes: int = 10,
) -> Estimate:
    """1/σ², σ the largest noise under which the mean loss rises by at most `rise`.

    After Neyshabur et al. 2017 and Jiang et al. 2020 (equations 52 and 61 there, which ask for the
    training error instead of the loss): σ is found by bisection on the same probes. Magnitude-aware
    noise has standard deviation σ |w_i|.
    """
    flat, unravel = ravel_pytree(params)
    scale = jnp.abs(flat) if magnitude_aware else jnp.ones_like(flat)
    keys = jax.random.split(key, probes)
    at = objective.mean(params, data)

    def risen(log_sigma: jax.Array) -> jax.Array:
        def one(k: jax.Array) -> jax.Array:
            noise = jax.random.normal(k, flat.shape, flat.dtype)
            return objective.mean(unravel(flat + jnp.exp(log_sigma) * scale * noise), data)

        return jnp.mean(jax.lax.map(one, keys)) - at

    def halve(_: jax.Array, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bounds
        middle = (low + high) / 2
        inside = risen(middle) <= rise  # a NaN is outside
        return jnp.where(inside, middle, low), jnp.where(inside, high, middle)

    ends = (jnp.asarray(-12.0, flat.dtype), jnp.asarray(4.0, flat.dtype))
    low, high = jax.lax.fori_loop(0, _HALVINGS, halve, ends)
    value = jnp.exp(-2 * low)
    nothing = jnp.full_like(value, jnp.nan)
    found = (low > ends[0]) & (high < ends[1])
    return Estimate(value, nothing, nothing, found, jnp.full((), probes, jnp.int32))


def margins(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """By how much the right logit exceeds the largest other, (n,), for logits (n, classes)."""
    right = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    classes = jnp.arange(logits.shape[1])[None]
    others = jnp.where(classes == labels[:, None], -jnp.inf, logits)
    return right - jnp.max(others, axis=1)


def mean_margin(objective: Objective, params: Params, data: Chunks) -> jax.Array:
    """The mean over examples (and positions) of `margins`; labels are classes, or -1 for none."""

    def total(chunk: Chunks) -> jax.Array:
        outputs = objective.apply(params, chunk.inputs)
        flat = margins(outputs.reshape(-1, outputs.shape[-1]), chunk.labels.reshape(-1))
        asked = (chunk.labels >= 0).reshape(len(outputs), -1)
        return jnp.mean(flat.reshape(len(outputs), -1), axis=1, where=asked) @ chunk.weights

    return over_chunks(total, data)
