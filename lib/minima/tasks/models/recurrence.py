"""A scan over states whose gradient for the state's matrix is one product over all time steps.

Reverse mode through a plain scan adds up the matrix's gradient step by step, reading and writing
the whole of it each time. Here the tangent of the matrix enters before the scan, as one product
with the stacked states, and so the gradient leaves it as one. Written as a rule for tangents, not
for cotangents, it serves forward mode, and forward over reverse, as well.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from minima.runtime.mesh import traced_axes

Carry = tuple[jax.Array, ...]
Step = Callable[[Carry, jax.Array, Any], Carry]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def recur(
    step: Step, start: int, backwards: bool, given: jax.Array, inside: Any, matrix: jax.Array
) -> jax.Array:
    """The states of carry = step(carry, given[t] + carry[0] @ matrix, inside[t]) for all t.

    Args:
      step: a function of arrays; it uses neither the matrix nor any other parameter.
      start: number of arrays (n, hidden) in the carry; the first is the state. All begin at zero.
      backwards: from the last time step to the first.
      given: (time, n, gates · hidden), added to the products with the state.
      inside: (time, n, ...), what else a step reads, or None.
      matrix: (hidden, gates · hidden).

    Returns:
      The states after every step, (time, n, hidden).
    """
    return _scan(step, start, backwards, given, inside, matrix)[0]


@recur.defjvp
def _recur_jvp(
    step: Step, start: int, backwards: bool, primals: Any, tangents: Any
) -> tuple[jax.Array, jax.Array]:
    given, inside, matrix = primals
    d_given, d_inside, d_matrix = tangents
    states, push, before = jax.linearize(
        lambda *read: _scan(step, start, backwards, read[0], read[1], matrix),
        given,
        inside,
        has_aux=True,
    )
    if traced_axes().data == 1:  # see `layers.product`
        before = before.reshape(-1, before.shape[-1])
    moved = before @ d_matrix
    return states, push(d_given + moved.reshape(given.shape), d_inside)


def _scan(
    step: Step, start: int, backwards: bool, given: jax.Array, inside: Any, matrix: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The states after and before every step."""
    turned = jax.lax.optimization_barrier(matrix.T)

    def move(carry: Carry, read: Any) -> tuple[Carry, tuple[jax.Array, jax.Array]]:
        now = step(carry, read[0] + _product(carry[0], matrix, turned), read[1])
        return now, (now[0], carry[0])

    zero = jnp.zeros((given.shape[1], matrix.shape[0]), given.dtype)
    return jax.lax.scan(move, (zero,) * start, (given, inside), reverse=backwards)[1]


@jax.custom_jvp
def _product(state: jax.Array, matrix: jax.Array, turned: jax.Array) -> jax.Array:
    """state @ matrix; `turned` is the matrix's transpose, which the gradient multiplies with.

    XLA on CPU would turn the matrix anew in every step back. The tangents of the matrix are left
    out: where a scan is differentiated, `recur` has taken them already.
    """
    return state @ matrix


@_product.defjvp
def _product_jvp(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    state, matrix, turned = primals
    return state @ matrix, jax.lax.dot_general(tangents[0], turned, (((1,), (1,)), ((), ())))
