"""How much of a program must happen one after the other: its longest chain of matrix products.

With as many processors as it likes, a program takes no less time than its chain. For a recurrent
network that is a product for each time step, for attention a few for each layer.

Chains are a matrix: the longest from each input to each output of a jaxpr, in products, or -inf
where nothing leads from one to the other. Sums of lengths, and the longer of two ways, are a
product of such matrices in the max-plus algebra; so a scan is a power, and costs log(length).
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn, Literal

from minima.runtime.costs import is_product, plain, subprograms

_Lengths = np.ndarray  # (outputs, inputs), float64


def longest_chain(function: Callable[..., Any], *arguments: Any) -> int:
    """Matrix products on the longest way from the arguments to a result of a function.

    Of a `lax.cond`, the longest branch.

    Args:
      function: traceable.
      *arguments: arrays, or shapes as `jax.ShapeDtypeStruct`.

    Raises:
      ValueError: a `lax.while_loop`, whose turns nobody knows beforehand.
    """
    lengths = _of(jax.make_jaxpr(function)(*arguments).jaxpr)
    return int(max(lengths.max(initial=0.0), 0.0))


def _of(jaxpr: Jaxpr) -> _Lengths:
    """(outputs, inputs + 1): the last column is of what needs no input."""
    inputs = (*jaxpr.constvars, *jaxpr.invars)
    rows = np.full((len(inputs) + 1, len(inputs) + 1), -np.inf)
    np.fill_diagonal(rows, 0.0)
    found: dict[Any, np.ndarray] = dict(zip(inputs, rows, strict=False))

    def of(variable: Any) -> np.ndarray:
        return rows[-1] if isinstance(variable, Literal) else found[variable]

    for equation in jaxpr.eqns:
        given = np.array([*map(of, equation.invars), rows[-1]])
        for variable, row in zip(equation.outvars, _times(_step(equation), given), strict=True):
            found[variable] = row
    return np.array([of(variable) for variable in jaxpr.outvars]).reshape(-1, len(inputs) + 1)


def _step(equation: JaxprEqn) -> _Lengths:
    """(outputs, inputs + 1) of one equation."""
    bodies = [_of(body) for body, _ in subprograms(equation)]
    if equation.primitive.name == "cond":
        # Whatever decides comes before everything.
        index = np.max([body.max(axis=1, initial=0.0) for body in bodies], axis=0)
        return np.column_stack([index, np.max(bodies, axis=0)])
    if equation.primitive.name == "scan":
        return _scan(equation, bodies[0])
    if bodies:
        return bodies[0]
    length = float(is_product(equation))
    return np.full((len(equation.outvars), len(equation.invars) + 1), length)


def _scan(equation: JaxprEqn, body: _Lengths) -> _Lengths:
    """A body (constants, carry, slices -> carry, results), so often in a row."""
    constants, carried = equation.params["num_consts"], equation.params["num_carry"]
    inputs = len(plain(equation.params["jaxpr"]).invars)
    # A state in which all inputs stay but the carry, which the body replaces.
    turn = np.full((inputs + 1, inputs + 1), -np.inf)
    np.fill_diagonal(turn, 0.0)
    turn[constants : constants + carried] = body[:carried]
    before = _power(turn, max(equation.params["length"] - 1, 0))
    return _times(body, before)


def _times(after: _Lengths, before: _Lengths) -> _Lengths:
    """One after the other, max-plus."""
    lengths: _Lengths = np.max(after[:, :, None] + before[None], axis=1, initial=-np.inf)
    return lengths


def _power(matrix: _Lengths, times: int) -> _Lengths:
    result = np.full(matrix.shape, -np.inf)
    np.fill_diagonal(result, 0.0)
    while times:
        if times % 2:
            result = _times(matrix, result)
        matrix, times = _times(matrix, matrix), times // 2
    return result
