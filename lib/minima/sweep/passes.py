"""Evaluation passes over a split: sums in chunks, the same whoever walks it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minima.runtime.mesh import traced_axes
from minima.tasks.models import Params, State
from minima.tasks.objectives import Sums
from minima.tasks.task import Arrays, Task

CHUNK = 256
_POSITIONS = 1024  # of sequences: more activations than this leave a core's cache


class Pass(NamedTuple):
    """An evaluation pass so far: sums, and the lowest and highest prediction."""

    sums: Sums
    low: jax.Array
    high: jax.Array


def begin_pass(task: Task) -> Pass:
    """A pass that has seen nothing."""
    zero = jnp.zeros((), task.model.dtype)
    if task.tolerance is None:
        bounds = jnp.full((), 2**31 - 1, jnp.int32), jnp.full((), -1, jnp.int32)
    else:
        bounds = jnp.full_like(zero, jnp.inf), jnp.full_like(zero, -jnp.inf)
    return Pass(Sums(zero, zero, zero), *bounds)


def chunk_of(task: Task) -> int:
    """Examples of a pass at a time: CHUNK, or few enough sequences, a power of two.

    Sequences are tokens, signals with channels, and nodes of a graph.

    On one core of a CPU, 16 windows of 64 characters at a time are twice as fast as 256.
    """
    shape = task.model.settings.input_shape
    if task.kind not in ("tokens", "graph") and (task.kind, len(shape)) != ("signal", 2):
        return CHUNK
    fitting = max(1, _POSITIONS // shape[0])
    return min(CHUNK, 1 << (fitting.bit_length() - 1))


def evaluation_pass(
    task: Task,
    variables: tuple[Params, State],
    arrays: Arrays,
    inputs: jax.Array,
    labels: jax.Array,
    count: Any,
    so_far: Pass,
) -> Pass:
    """Adds the first `count` examples of inputs and labels (n, ...), chunk by chunk."""
    n, dtype, devices = len(labels), task.model.dtype, traced_axes().data
    chunk = devices * min(-(-n // devices), chunk_of(task))

    def add(i: jax.Array, carry: Pass) -> Pass:
        index = i * chunk + jnp.arange(chunk, dtype=jnp.int32)
        inside = index < count
        index = jnp.minimum(index, count - 1)  # padding repeats the last one with weight zero
        # Over a mesh the examples may lie in parts already, which picking some would gather.
        whole = devices > 1 and chunk == n
        picked = (inputs, labels) if whole else (inputs[index], labels[index])
        sums, predictions = task.evaluation_sums(*variables, arrays, *picked, inside.astype(dtype))
        return Pass(
            jax.tree.map(jnp.add, carry.sums, sums),
            jnp.minimum(carry.low, predictions.min()),
            jnp.maximum(carry.high, predictions.max()),
        )

    return jax.lax.fori_loop(0, -(-count // chunk), add, so_far)


def means(
    task: Task,
    variables: tuple[Params, State],
    arrays: Arrays,
    inputs: jax.Array,
    labels: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """(mean loss, accuracy) of an evaluation pass, and whether all predictions are one class.

    A regression has none: one number for all examples is a result there, not a collapse.
    """
    n = len(labels)
    if n == 0:
        return jnp.full((2,), jnp.nan, task.model.dtype), jnp.zeros((), bool)
    whole = evaluation_pass(task, variables, arrays, inputs, labels, n, begin_pass(task))
    sums = whole.sums
    one = whole.low == whole.high if task.tolerance is None else jnp.zeros((), bool)
    return jnp.stack([sums.loss, sums.correct]) / sums.weight, one
