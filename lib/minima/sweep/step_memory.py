"""Memory of one update against batch size: the whole batch at once, or accumulated.

Both are the engine's own functions on the same task: micro-steps until the batch is complete, then
the update. They differ in the microbatch alone, which for the whole batch is the batch. Programs
are compiled and never run; the numbers are the compiler's own plan of its buffers, so they are the
same on every run of one machine and JAX version.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from minima.runtime.costs import Memory, memory
from minima.sweep import lane as lanes_
from minima.sweep.lane import Lane, Order, Piece, Recipe
from minima.sweep.plan import Plan
from minima.sweep.program import blank_order
from minima.tasks.task import Arrays, to_arrays


@dataclass(frozen=True)
class StepMemory(Memory):
    """Bytes that one update of one lane needs on its device.

    Temporary are activations and gradients, arguments the lane's state and the training set,
    outputs nothing: the lane's state after takes the place of the state before.

    Attributes:
      batch_size: of the update.
      microbatch: examples in one forward and backward pass.
    """

    batch_size: int
    microbatch: int


def whole_batches(plan: Plan, batch_sizes: Sequence[int]) -> list[StepMemory]:
    """One forward and backward pass over the whole batch, for each batch size."""
    measure = _measurer(plan)
    return [replace(measure(size), batch_size=size) for size in batch_sizes]


def accumulated(plan: Plan, batch_sizes: Sequence[int]) -> list[StepMemory]:
    """Passes over the plan's microbatches, their gradients summed, for each batch size.

    The batch size is an argument of the program, not a shape: one executable serves all. Where the
    examples of a batch see each other there are no microbatches, and each size has its own.
    """
    measure, recipe = _measurer(plan), plan.recipe
    coupled = recipe.couples_examples
    return [
        replace(measure(size if coupled else recipe.microbatch), batch_size=size)
        for size in batch_sizes
    ]


def one_update(recipe: Recipe, lane: Lane, order: Order, arrays: Arrays) -> Lane:
    """Micro-steps until a batch is complete, then its update."""

    def more(lane: Lane) -> jax.Array:
        return ~lanes_.wants_update(lane, order)

    def step(lane: Lane) -> Lane:
        # A diverged lane wants no update, ever; here nothing looks at the status.
        after, piece = lanes_.micro_step(recipe, lane, order, arrays)
        return lanes_.accumulate(after._replace(status=lane.status), piece)

    lane = jax.lax.while_loop(more, step, lane)
    nothing = Piece(jax.tree.map(jnp.zeros_like, lane.gradient), first=False)
    return lanes_.update(recipe, lane, nothing, order)


def _measurer(plan: Plan) -> Callable[[int], StepMemory]:
    """A function of the microbatch; what it has compiled once it remembers."""
    recipe = replace(plan.recipe, slab=0, branch=False, wide=())
    arrays = jax.tree.map(_shape, to_arrays(plan.dataset, recipe.task.model.dtype))

    @functools.cache
    def measure(microbatch: int) -> StepMemory:
        # One larger than the training set could not be trained with, but compiles to the size.
        sized = replace(recipe, microbatch=microbatch)
        order = jax.tree.map(_shape, blank_order(sized))
        lane = jax.eval_shape(lambda o: lanes_.start(sized, o), order)
        update = jax.jit(functools.partial(one_update, sized), donate_argnums=0)
        needed = memory(update.lower(lane, order, arrays).compile())
        return StepMemory(**asdict(needed), batch_size=microbatch, microbatch=microbatch)

    return measure


def _shape(x: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(np.shape(x), np.asarray(x).dtype)
