"""Numbers of a symmetric matrix that is known by its products only, each with its error.

Everything is traced: under `jax.lax.map` or `jax.vmap` one compilation measures many minima.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from matfree import decomp

from minima.landscape.operators import Operator

_TOLERANCE = 1e-2  # a residual below this share of an eigenvalue counts as converged


class Estimate(NamedTuple):
    """A number with its error; arrays of one shape.

    Attributes:
      value: the estimate.
      standard_error: over probes, NaN where nothing is random.
      residual: distance to the nearest true eigenvalue at most, NaN where it is none.
      converged: whether the residual, or the standard error, is small beside the value.
      probes: int32, random vectors behind the standard error; 1 for Krylov methods.
    """

    value: jax.Array
    standard_error: jax.Array
    residual: jax.Array
    converged: jax.Array
    probes: jax.Array


class Ritz(NamedTuple):
    """What Lanczos knows after k products; ascending.

    Attributes:
      values: (k,) approximate eigenvalues.
      weights: (k,) squared overlaps of the start with their vectors; they sum to 1.
      residuals: (k,) bounds: within each lies a true eigenvalue.
    """

    values: jax.Array
    weights: jax.Array
    residuals: jax.Array


def lanczos(operator: Operator, start: jax.Array, steps: int) -> Ritz:
    """Lanczos with full reorthogonalisation (matfree), from `start`, at most as long as it."""
    steps = min(steps, len(start))
    algorithm = decomp.tridiag_sym(steps, reortho="full", custom_vjp=False)
    _, small, beyond, _ = algorithm(operator.product, start)
    values, vectors = jnp.linalg.eigh(small)
    # |A y - θ y| = |what is left of the Krylov space| · |last entry of the small eigenvector|
    return Ritz(values, vectors[0] ** 2, jnp.linalg.norm(beyond) * jnp.abs(vectors[-1]))


def largest_eigenvalues(
    operator: Operator, key: jax.Array, steps: int = 30, count: int = 1
) -> Estimate:
    """The `count` largest (not: largest in modulus) eigenvalues by Lanczos, in falling order.

    A value is from below; its residual bounds the distance to some eigenvalue, and a residual
    above 1 % of the value says that more steps are needed.
    """
    ritz = lanczos(operator, _direction(operator, key), steps)
    values = ritz.values[::-1][:count]
    return _exact(values, ritz.residuals[::-1][:count])


def power_iteration(operator: Operator, key: jax.Array, steps: int = 100) -> Estimate:
    """The eigenvalue of largest modulus, with the residual |A v - θ v| after `steps` products."""
    start = _direction(operator, key)

    def step(_: jax.Array, v: jax.Array) -> jax.Array:
        moved = operator(v)
        return moved / jnp.linalg.norm(moved)

    v = jax.lax.fori_loop(0, steps - 1, step, start / jnp.linalg.norm(start))
    moved = operator(v)
    value = v @ moved
    return _exact(value, jnp.linalg.norm(moved - value * v))


def trace(operator: Operator, key: jax.Array, probes: int = 30) -> Estimate:
    """Hutchinson's estimate (1989): the mean of vᵀ A v over random signs v."""
    signs = _signs(operator, key, probes)
    return mean_of(_each(operator.quadratic, signs))


def trace_plus_plus(operator: Operator, key: jax.Array, products: int = 60) -> Estimate:
    """Hutch++ (Meyer et al. 2021): the trace on a sketched range exactly, Hutchinson on the rest.

    Spends a third of the products on finding the range, a third on its trace and a third on
    probes; the standard error is the probes'.
    """
    basis, rest = _range_and_rest(operator, key, products // 3)
    inside = jnp.sum(_each(operator.quadratic, basis))
    outside = mean_of(_each(operator.quadratic, rest))
    return _judged(inside + outside.value, outside.standard_error, len(rest))


def squared_frobenius(operator: Operator, key: jax.Array, products: int = 90) -> Estimate:
    """The sum of squared entries, and of squared eigenvalues: |A Q|² exactly, probes for the rest.

    Split as in `trace_plus_plus`: without it a few large eigenvalues make |A v|² so skewed that t
    intervals over thirty probes hold in 92 % of draws only (measured).
    """
    basis, rest = _range_and_rest(operator, key, products // 3)
    inside = jnp.sum(jnp.square(_each(operator, basis)))
    outside = mean_of(jnp.sum(jnp.square(_each(operator, rest)), axis=1))
    return _judged(inside + outside.value, outside.standard_error, len(rest))


def trace_and_frobenius(
    operator: Operator, key: jax.Array, products: int = 60
) -> tuple[Estimate, Estimate]:
    """`trace_plus_plus` and `squared_frobenius` from the same products, each as good as alone."""
    basis, rest = _range_and_rest(operator, key, products // 3)
    along, across = _each(operator, basis), _each(operator, rest)

    def whole(inside: jax.Array, outside: jax.Array) -> Estimate:
        found = mean_of(jnp.sum(outside, axis=1))
        return _judged(jnp.sum(inside) + found.value, found.standard_error, len(rest))

    return whole(basis * along, rest * across), whole(jnp.square(along), jnp.square(across))


def density(operator: Operator, key: jax.Array, probes: int = 10, steps: int = 80) -> Ritz:
    """The spectrum as a measure, by stochastic Lanczos quadrature (Ghorbani et al. 2019).

    Returns Ritz values and weights of all probes, each of shape (probes · steps,), the weights
    summing to 1: a histogram of them is the density.
    """
    starts = _signs(operator, key, probes)
    ritz = jax.lax.map(lambda start: lanczos(operator, start, steps), starts)
    flat = jax.tree.map(lambda x: x.reshape(-1), ritz)
    return flat._replace(weights=flat.weights / probes)


def _each(function: Callable[[jax.Array], jax.Array], vectors: jax.Array) -> jax.Array:
    """A function of each row of (count, dimension).

    On CPUs one after another: several at a time leave the cache and take two to five times as long
    (measured, MLP of 6,538 parameters, 1,000 examples).
    """
    if jax.default_backend() == "cpu":
        return jax.lax.map(function, vectors)
    return jax.vmap(function)(vectors)


def _range_and_rest(operator: Operator, key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """An orthonormal basis of A times random signs, and signs with that range taken out of them.

    Both are (count, dimension), or as many as there are dimensions; see `_orthonormal` for a basis
    that has fewer.
    """
    count = min(count, operator.dimension)
    sketch_key, probe_key = jax.random.split(key)
    sketch = _each(operator, _signs(operator, sketch_key, count))
    basis = _orthonormal(sketch)
    probes = _signs(operator, probe_key, count)
    return basis, probes - (probes @ basis.T) @ basis


def _orthonormal(rows: jax.Array) -> jax.Array:
    """Rows (count, dimension) made orthonormal in turn; zero where one lies in the span so far.

    Gram-Schmidt, each row twice. LAPACK's QR has threads of its own, which get into each other's
    way where every core is a device: five times the time of all the products (measured).
    """

    def outside(row: jax.Array, basis: jax.Array) -> tuple[jax.Array, jax.Array]:
        rest = row - (basis @ row) @ basis
        norm = jnp.linalg.norm(rest)
        return rest / jnp.where(norm > 0, norm, 1), norm

    def add(i: jax.Array, basis: jax.Array) -> jax.Array:
        first, _ = outside(rows[i], basis)
        again, left = outside(first, basis)
        # What the second time takes away was rounding, unless nothing but rounding was left.
        return basis.at[i].set(jnp.where(left > 0.5, again, 0))

    return jax.lax.fori_loop(0, len(rows), add, jnp.zeros_like(rows))


def _direction(operator: Operator, key: jax.Array) -> jax.Array:
    return jax.random.normal(key, (operator.dimension,), operator.dtype)


def _signs(operator: Operator, key: jax.Array, count: int) -> jax.Array:
    return jax.random.rademacher(key, (count, operator.dimension), operator.dtype)


def mean_of(samples: jax.Array) -> Estimate:
    """The mean of independent samples (n,); converged where its error is a tenth of it at most."""
    error = jnp.std(samples, ddof=1) / jnp.sqrt(len(samples))
    return _judged(jnp.mean(samples), error, len(samples))


def known(value: jax.Array) -> Estimate:
    """A number without a random or iterative part."""
    nothing = jnp.full_like(value, jnp.nan)
    return Estimate(value, nothing, nothing, jnp.isfinite(value), jnp.zeros((), jnp.int32))


def _judged(value: jax.Array, error: jax.Array, probes: int) -> Estimate:
    nothing = jnp.full_like(value, jnp.nan)
    small = error <= 0.1 * jnp.abs(value)
    return Estimate(value, error, nothing, small, jnp.full_like(value, probes, jnp.int32))


def _exact(value: jax.Array, residual: jax.Array) -> Estimate:
    nothing = jnp.full_like(value, jnp.nan)
    small = residual <= _TOLERANCE * jnp.abs(value)
    return Estimate(value, nothing, residual, small, jnp.ones_like(value, jnp.int32))
