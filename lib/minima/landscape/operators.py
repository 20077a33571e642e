"""Symmetric matrices known by their products: Hessian, Gauss-Newton, Fisher, and preconditioned.

Each is taken at given parameters and over given examples, and acts on flat vectors with an entry
per parameter. Products are forward over reverse mode (Pearlmutter 1994), so the network may not
hide a `custom_vjp`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from minima.landscape.objective import Chunks, Objective, Params, over_chunks


@dataclass(frozen=True)
class Operator:
    """A symmetric matrix.

    Attributes:
      product: vector (dimension,) -> vector (dimension,).
      dimension: number of parameters.
      dtype: of the vectors.
    """

    product: Callable[[jax.Array], jax.Array]
    dimension: int
    dtype: jnp.dtype

    def __call__(self, vector: jax.Array) -> jax.Array:
        """The product with one vector."""
        return self.product(vector)


def hessian(objective: Objective, params: Params, data: Chunks) -> Operator:
    """H v of the mean loss: the derivative of its gradient along v."""

    def product(chunk: Chunks, v: Params) -> Params:
        gradient = jax.grad(lambda p: objective.total(p, chunk))
        return jax.jvp(gradient, (params,), (v,))[1]

    return _flat(product, params, data)


def gauss_newton(objective: Objective, params: Params, data: Chunks) -> Operator:
    """G v = Σ Jᵀ L J v: J the outputs' Jacobian, L the loss's Hessian in them (Schraudolph 2002).

    For softmax cross-entropy and squared error it is the true Fisher information.
    """

    def product(chunk: Chunks, v: Params) -> Params:
        def losses(outputs: jax.Array) -> jax.Array:
            return jnp.sum(objective.loss(outputs, chunk.labels) * chunk.weights)

        return _sandwich(objective, params, chunk, v, jax.grad(losses))

    return _flat(product, params, data)


def true_fisher(objective: Objective, params: Params, data: Chunks) -> Operator:
    """F v for a softmax classifier: the mean of Jᵀ (diag p - p pᵀ) J v over examples and positions.

    Labels are those the network itself predicts, with its probabilities (Amari 1998), whatever
    the loss; see `gauss_newton`.
    """

    def product(chunk: Chunks, v: Params) -> Params:
        def log_partition(outputs: jax.Array) -> jax.Array:
            values = jax.nn.logsumexp(outputs, axis=-1)
            return jnp.sum(jnp.mean(values.reshape(len(values), -1), axis=1) * chunk.weights)

        return _sandwich(objective, params, chunk, v, jax.grad(log_partition))

    return _flat(product, params, data)


def empirical_fisher(objective: Objective, params: Params, data: Chunks) -> Operator:
    """The second moment of per-example gradients, times v: the mean of g gᵀ v.

    Not the Fisher information (Kunstner et al. 2019); it is what gradient noise is made of.
    """

    def product(chunk: Chunks, v: Params) -> Params:
        def losses(p: Params) -> jax.Array:
            return objective.loss(objective.apply(p, chunk.inputs), chunk.labels)

        slopes = jax.jvp(losses, (params,), (v,))[1]
        return jax.vjp(losses, params)[1](slopes * chunk.weights)[0]

    return _flat(product, params, data)


def preconditioned(operator: Operator, preconditioner: jax.Array) -> Operator:
    """P^-1/2 A P^-1/2 v for a diagonal P > 0: for Adam, √v̂ + ε, and A the Hessian.

    Its largest eigenvalue is P⁻¹A's, which decides the stability of preconditioned gradient descent
    (Cohen et al. 2022, arXiv:2207.14484).
    """
    root = jax.lax.rsqrt(preconditioner)
    return Operator(lambda v: root * operator(root * v), operator.dimension, operator.dtype)


def dense(operator: Operator) -> jax.Array:
    """The matrix itself, (dimension, dimension): for small networks, and for tests."""
    unit_vectors = jnp.eye(operator.dimension, dtype=operator.dtype)
    return jax.lax.map(operator, unit_vectors, batch_size=64)


def _flat(product: Callable[[Chunks, Params], Params], params: Params, data: Chunks) -> Operator:
    flat, unravel = ravel_pytree(params)

    def on_vectors(vector: jax.Array) -> jax.Array:
        v = unravel(vector)
        return ravel_pytree(over_chunks(lambda chunk: product(chunk, v), data))[0]

    return Operator(on_vectors, flat.size, flat.dtype)


def _sandwich(
    objective: Objective,
    params: Params,
    chunk: Chunks,
    v: Params,
    slope: Callable[[jax.Array], jax.Array],
) -> Params:
    """Jᵀ S J v, S the derivative of `slope` in the outputs."""

    def outputs(p: Params) -> jax.Array:
        return objective.apply(p, chunk.inputs)

    at, pull = jax.vjp(outputs, params)
    moved = jax.jvp(outputs, (params,), (v,))[1]
    return pull(jax.jvp(slope, (at,), (moved,))[1])[0]
