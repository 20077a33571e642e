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

Linear = Callable[[Params], Params]


@dataclass(frozen=True)
class Operator:
    """A symmetric matrix.

    Attributes:
      product: vector (dimension,) -> vector (dimension,).
      dimension: number of parameters.
      dtype: of the vectors.
      form: vector -> vᵀ A v, where that costs less than a product; None where it doesn't.
    """

    product: Callable[[jax.Array], jax.Array]
    dimension: int
    dtype: jnp.dtype
    form: Callable[[jax.Array], jax.Array] | None = None

    def __call__(self, vector: jax.Array) -> jax.Array:
        """The product with one vector."""
        return self.product(vector)

    def quadratic(self, vector: jax.Array) -> jax.Array:
        """vᵀ A v, a scalar: all that estimates of a trace need."""
        return vector @ self.product(vector) if self.form is None else self.form(vector)


def hessian(objective: Objective, params: Params, data: Chunks) -> Operator:
    """H v of the mean loss: the derivative of its gradient along v.

    vᵀ H v is the loss's second derivative along v, for which forward over forward mode will do: no
    pass backwards, so about half the work.
    """

    def linear(chunk: Chunks) -> Linear:
        return jax.linearize(jax.grad(lambda p: objective.total(p, chunk)), params)[1]

    def curve(chunk: Chunks, v: Params) -> jax.Array:
        def slope(p: Params) -> jax.Array:
            return jax.jvp(lambda q: objective.total(q, chunk), (p,), (v,))[1]

        return jax.jvp(slope, (params,), (v,))[1]

    return _flat(linear, params, data, curve)


def gauss_newton(objective: Objective, params: Params, data: Chunks) -> Operator:
    """G v = Σ Jᵀ L J v: J the outputs' Jacobian, L the loss's Hessian in them (Schraudolph 2002).

    For softmax cross-entropy and squared error it is the true Fisher information.
    """

    def linear(chunk: Chunks) -> Linear:
        def losses(outputs: jax.Array) -> jax.Array:
            return jnp.sum(objective.loss(outputs, chunk.labels) * chunk.weights)

        return _sandwich(objective, params, chunk, losses)

    return _flat(linear, params, data)


def true_fisher(objective: Objective, params: Params, data: Chunks) -> Operator:
    """F v for a softmax classifier: the mean of Jᵀ (diag p - p pᵀ) J v over examples and positions.

    Labels are those the network itself predicts, with its probabilities (Amari 1998), whatever
    the loss; see `gauss_newton`.
    """

    def linear(chunk: Chunks) -> Linear:
        def log_partition(outputs: jax.Array) -> jax.Array:
            values = jax.nn.logsumexp(outputs, axis=-1)
            return jnp.sum(jnp.mean(values.reshape(len(values), -1), axis=1) * chunk.weights)

        return _sandwich(objective, params, chunk, log_partition)

    return _flat(linear, params, data)


def empirical_fisher(objective: Objective, params: Params, data: Chunks) -> Operator:
    """The second moment of per-example gradients, times v: the mean of g gᵀ v.

    Not the Fisher information (Kunstner et al. 2019); it is what gradient noise is made of.
    """

    def linear(chunk: Chunks) -> Linear:
        def losses(p: Params) -> jax.Array:
            return objective.loss(objective.apply(p, chunk.inputs), chunk.labels)

        slopes = jax.linearize(losses, params)[1]
        pull = jax.linear_transpose(slopes, params)
        return lambda v: pull(slopes(v) * chunk.weights)[0]

    return _flat(linear, params, data)


def preconditioned(operator: Operator, preconditioner: jax.Array) -> Operator:
    """P^-1/2 A P^-1/2 v for a diagonal P > 0: for Adam, √v̂ + ε, and A the Hessian.

    Its largest eigenvalue is P⁻¹A's, which decides the stability of preconditioned gradient descent
    (Cohen et al. 2022, arXiv:2207.14484).
    """
    root = jax.lax.rsqrt(preconditioner)
    return Operator(
        lambda v: root * operator(root * v),
        operator.dimension,
        operator.dtype,
        lambda v: operator.quadratic(root * v),
    )


def relative(operator: Operator, flat: jax.Array) -> Operator:
    """|w| ∘ A (|w| ∘ v): curvature in steps relative to each weight, as in adaptive sharpness.

    Its eigenvalues and its trace, Σ w_i² A_ii, are the same at all rescaled parameters: where
    f(D w) = f(w) for a diagonal D, the Hessian at D w is D⁻¹ H D⁻¹. The curvature behind Kwon et
    al. 2021 (arXiv:2102.11600) and Andriushchenko et al. 2023 (arXiv:2302.07011, section 2).

    Args:
      operator: of the minimum, such as its Hessian.
      flat: its parameters, (dimension,).
    """
    size = jnp.abs(flat)
    return Operator(
        lambda v: size * operator(size * v),
        operator.dimension,
        operator.dtype,
        lambda v: operator.quadratic(size * v),
    )


def dense(operator: Operator) -> jax.Array:
    """The matrix itself, (dimension, dimension): for small networks, and for tests."""
    unit_vectors = jnp.eye(operator.dimension, dtype=operator.dtype)
    return jax.lax.map(operator, unit_vectors, batch_size=64)


def _flat(
    linear: Callable[[Chunks], Linear],
    params: Params,
    data: Chunks,
    curve: Callable[[Chunks, Params], jax.Array] | None = None,
) -> Operator:
    """An operator from the linear map of every chunk, and the quadratic form where it is cheap."""
    flat, unravel = ravel_pytree(params)

    def form(vector: jax.Array) -> jax.Array:
        assert curve is not None
        v = unravel(vector)
        return over_chunks(lambda chunk: curve(chunk, v), data)

    if len(data.weights) == 1:
        # Linearised here, outside of whatever loop takes the products.
        whole = linear(jax.tree.map(lambda x: x[0], data))

        def product(vector: jax.Array) -> jax.Array:
            return ravel_pytree(whole(unravel(vector)))[0]

    else:

        def product(vector: jax.Array) -> jax.Array:
            v = unravel(vector)
            return ravel_pytree(over_chunks(lambda chunk: linear(chunk)(v), data))[0]

    return Operator(product, flat.size, flat.dtype, None if curve is None else form)


def _sandwich(
    objective: Objective,
    params: Params,
    chunk: Chunks,
    value: Callable[[jax.Array], jax.Array],
) -> Linear:
    """v -> Jᵀ S J v, S the Hessian of `value` in the outputs."""
    outputs, push = jax.linearize(lambda p: objective.apply(p, chunk.inputs), params)
    pull = jax.linear_transpose(push, params)
    curve = jax.linearize(jax.grad(value), outputs)[1]
    return lambda v: pull(curve(push(v)))[0]
