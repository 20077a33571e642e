"""What a function costs: operations and bytes counted in its jaxpr, memory by the compiler.

XLA's own `cost_analysis` counts the body of a loop once, however often it runs, and what it counts
depends on backend and fusion. Here the program is walked before it is compiled: a scan costs its
length times its body. The count is exact, the same on every backend, needs shapes only, and takes
a fraction of a second for sequences that would fit no memory.

What is counted: 2mnk for a product of (m, k) with (k, n), likewise convolutions; one operation for
each element of an elementwise result, comparisons and selections among them; one for each element
that a reduction takes in beyond the first. Floating-point numbers only: places, masks and random
bits are free, and so is whatever moves, reshapes or converts.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Free: they move, reshape, convert or make numbers, or are of whole numbers only.
_FREE = _names(
    """
    argsort bitcast_convert_type broadcast_in_dim clamp_index concatenate convert_element_type copy
    copy_p device_put dynamic_slice dynamic_update_slice expand_dims gather iota
    optimization_barrier pad population_count random_bits random_clone random_fold_in random_seed
    random_split random_unwrap random_wrap real reduce_precision reshape rev scatter
    sharding_constraint shift_left shift_right_arithmetic shift_right_logical slice split squeeze
    stack stop_gradient threefry2x32 tile transpose unstack
    """
)
_ELEMENTWISE = _names(
    """
    abs add add_any and ceil clamp div eq floor ge gt integer_pow is_finite le lt max min mul ne neg
    nextafter not or rem round select_n sign square sub xor
    """
)
# The compiler, too, counts these apart: what one costs in additions depends on the machine.
_TRANSCENDENTAL = _names(
    """
    acos acosh asin asinh atan atan2 atanh cbrt cos cosh digamma erf erf_inv erfc exp exp2 expm1
    lgamma log log1p log2 logistic pow rsqrt sin sinh sqrt tan tanh
    """
)
_REDUCTIONS = _names(
    """
    argmax argmin reduce_and reduce_max reduce_min reduce_or reduce_prod reduce_sum reduce_xor
    """
)
_CUMULATIVE = {"cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum"}
_CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")  # parameters that hold what is called


@dataclass(frozen=True)
class Work:
    """Operations of one run of a function, and bytes.

    Attributes:
      products: of matrix products and convolutions.
      elementwise: additions, comparisons, reductions …, of all else.
      transcendental: exponentials, roots and their kin, one for each number.
      bytes: read and written, if every operation read its arguments from memory and wrote its
        results there: no fusion, no cache.
    """

    products: int = 0
    elementwise: int = 0
    transcendental: int = 0
    bytes: int = 0

    @property
    def flops(self) -> int:
        """All operations on floating-point numbers."""
        return self.products + self.elementwise + self.transcendental

    def __add__(self, other: "Work") -> "Work":
        """One after the other."""
        return Work(*(a + b for a, b in zip(_numbers(self), _numbers(other), strict=True)))

    def __mul__(self, times: int) -> "Work":
        """Again and again."""
        return Work(*(times * number for number in _numbers(self)))


@dataclass(frozen=True)
class Memory:
    """Bytes on one device, as the compiler plans its buffers.

    Attributes:
      temporary: that live during the call only.
      arguments: of the caller.
      outputs: but for those that take the place of an argument.
    """

    temporary: int
    arguments: int
    outputs: int

    @property
    def total(self) -> int:
        """The peak."""
        return self.temporary + self.arguments + self.outputs


def count(function: Callable[..., Any], *arguments: Any) -> Work:
    """The work of `function(*arguments)`; arrays, or shapes as `jax.ShapeDtypeStruct`.

    Of a `lax.cond`, the dearest branch. A custom rule's own function counts, not its derivative.

    Raises:
      ValueError: a `lax.while_loop`, whose turns nobody knows beforehand, or a primitive that has
        no rule here.
    """
    return _of(jax.make_jaxpr(function)(*arguments).jaxpr)


def memory(compiled: Any) -> Memory:
    """What an executable (`jax.jit(f).lower(…).compile()`) needs.

    Raises:
      RuntimeError: this backend's compiler doesn't say.
    """
    found = compiled.memory_analysis()
    if found is None:
        raise RuntimeError(f"the compiler of {jax.default_backend()} tells nothing of memory")
    return Memory(
        found.temp_size_in_bytes,
        found.argument_size_in_bytes,
        found.output_size_in_bytes - found.alias_size_in_bytes,
    )


def subprograms(equation: JaxprEqn) -> Iterator[tuple[Jaxpr, int]]:
    """What an equation calls, each with how often; the branches of a cond, once each.

    Raises:
      ValueError: a `lax.while_loop`.
    """
    name, params = equation.primitive.name, equation.params
    if name == "while":
        raise ValueError(
            "a while loop runs as often as its data say, so its cost can't be counted; use "
            "lax.scan, or lax.fori_loop with plain numbers for bounds"
        )
    if name == "cond":
        yield from ((plain(branch), 1) for branch in params["branches"])
    elif name == "scan":
        yield plain(params["jaxpr"]), params["length"]
    elif name not in _REDUCTIONS:
        held = [params[key] for key in _CALLS if key in params]
        yield from ((plain(each), 1) for each in held if isinstance(each, Jaxpr | ClosedJaxpr))


def plain(jaxpr: Jaxpr | ClosedJaxpr) -> Jaxpr:
    """Without its constants."""
    return jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr


def is_product(equation: JaxprEqn) -> bool:
    """Whether it is a matrix product or a convolution."""
    return equation.primitive.name in ("dot_general", "conv_general_dilated")


def _of(jaxpr: Jaxpr) -> Work:
    return sum((_of_equation(equation) for equation in jaxpr.eqns), Work())


def _of_equation(equation: JaxprEqn) -> Work:
    called = [_of(body) * times for body, times in subprograms(equation)]
    if equation.primitive.name == "cond":
        return max(called, key=lambda work: work.flops)
    if called:
        return sum(called, Work())
    moved = sum(map(_bytes, (*equation.invars, *equation.outvars)))
    return _operations(equation) + Work(bytes=moved)


def _operations(equation: JaxprEqn) -> Work:
    name, result = equation.primitive.name, equation.outvars[0]
    if name == "dot_general":
        (summed, _), _ = equation.params["dimension_numbers"]
        first: Any = equation.invars[0].aval
        shape = first.shape
        return Work(products=2 * _size(result) * math.prod(shape[axis] for axis in summed))
    if name == "conv_general_dilated":
        kernel, numbers = equation.invars[1], equation.params["dimension_numbers"]
        filters: Any = kernel.aval
        outputs = filters.shape[numbers.rhs_spec[0]]
        return Work(products=2 * _size(result) * (_size(kernel) // outputs))
    if name in _FREE or not any(map(_is_floating, (*equation.invars, *equation.outvars))):
        return Work()
    if name in _TRANSCENDENTAL:
        return Work(transcendental=_size(result))
    if name in _ELEMENTWISE:
        return Work(elementwise=_size(result))
    if name == "one_minus_square":
        return Work(elementwise=2 * _size(result))
    if name in _REDUCTIONS:
        return Work(elementwise=_size(equation.invars[0]) - _size(result))
    if name in _CUMULATIVE:
        return Work(elementwise=_size(result))
    if name in ("scatter-add", "scatter_add"):
        return Work(elementwise=_size(equation.invars[2]))
    raise ValueError(f"no rule says what {name} costs; add one to minima.runtime.costs")


def _size(variable: Any) -> int:
    return math.prod(variable.aval.shape)


def _bytes(variable: Any) -> int:
    dtype = getattr(variable.aval, "dtype", None)
    if dtype is None or jnp.issubdtype(dtype, jax.dtypes.extended):
        return 0
    return _size(variable) * int(dtype.itemsize)


def _is_floating(variable: Any) -> bool:
    dtype = getattr(variable.aval, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jnp.inexact)


def _numbers(work: Work) -> tuple[int, int, int, int]:
    return work.products, work.elementwise, work.transcendental, work.bytes
