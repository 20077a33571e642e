"""A program: one compiled executable that moves many lanes by one segment.

Lanes lie on a leading axis, split over all devices without any communication; or every lane is
spread over a mesh (see `placement`). On each device they form blocks: `jax.lax.map` goes from block
to block, `jax.vmap` spans the lanes of a block. Blocks of one lane are the best on CPUs, where a
finished lane then costs nothing and a lane's bits can't depend on its neighbours; one wide block is
the point of an accelerator.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minima.runtime import devices
from minima.runtime import mesh as mesh_
from minima.runtime.axes import Axes
from minima.sweep import evaluations
from minima.sweep import lane as lanes_
from minima.sweep.budgets import Status
from minima.sweep.examples import Slab
from minima.sweep.lane import Lane, Order, Piece, Recipe, Snapshot
from minima.sweep.optimizers import Hyper
from minima.sweep.placement import LANES, Placement
from minima.sweep.schedules import Schedule
from minima.tasks.task import Arrays

AXIS = LANES


class Report(NamedTuple):
    """What the host reads after a segment; leading lane axis, never donated.

    `snapshot` is None unless the recipe asks for it; see `Lane` for the other fields.
    """

    status: Any
    step: Any
    consumed: Any
    evaluations: Any
    trajectory: Any
    trajectory_step: Any
    final: Any
    snapshot: Snapshot | None = None

    @classmethod
    def of(cls, recipe: Recipe, lanes: Lane) -> "Report":
        """The reported fields of (stacked) lanes."""
        fields = {name: getattr(lanes, name) for name in cls._fields if name != "snapshot"}
        return cls(**fields, snapshot=lanes_.snapshot(lanes) if recipe.snapshots else None)


@dataclass(frozen=True)
class Layout:
    """How many lanes a program has and how they lie.

    Attributes:
      devices: number of devices, each with the same number of lanes; 1 where a lane has a mesh.
      lanes: lanes in all; a multiple of devices · block.
      block: lanes under one `jax.vmap`.
      axes: of the mesh over which every lane is spread; None for lanes over devices.
      fully_sharded: parameters are spread over the data axis too.
    """

    devices: int
    lanes: int
    block: int
    axes: Axes | None = None
    fully_sharded: bool = False

    def __post_init__(self) -> None:
        if self.lanes < 1 or self.lanes % (self.devices * self.block):
            raise ValueError(f"{self.lanes} lanes don't split into {self.devices}×{self.block}")

    def make_mesh(self) -> jax.sharding.Mesh:
        """The mesh that programs of this layout run on.

        Raises:
          ValueError: there are fewer devices.
        """
        if self.axes is None:
            return devices.make_mesh(AXIS, self.devices)
        return mesh_.make(self.axes)


def empty_lanes(recipe: Recipe, layout: Layout) -> Lane:
    """Host arrays of zeros in the shape of a program's lanes; status 0 is EMPTY."""
    shape = jax.eval_shape(lambda o: lanes_.start(recipe, o), _blank(recipe, ()))
    return jax.tree.map(lambda s: np.zeros((layout.lanes, *s.shape), s.dtype), shape)


def blank_order(recipe: Recipe, lanes: int | None = None) -> Order:
    """An order that asks for nothing: host arrays, scalars or with a leading axis of `lanes`."""
    shape = () if lanes is None else (lanes,)
    order = _blank(recipe, shape)
    return order._replace(initial=blank_initial(recipe, shape)) if recipe.branch else order


@functools.lru_cache
def blank_initial(recipe: Recipe, shape: tuple[int, ...] = ()) -> Snapshot:
    """A snapshot of zeros in the shape of a lane's state, with leading axes of that shape."""
    begin = jax.eval_shape(lambda o: lanes_.snapshot(lanes_.start(recipe, o)), _blank(recipe, ()))
    return jax.tree.map(lambda s: np.zeros((*shape, *s.shape), s.dtype), begin)


def _blank(recipe: Recipe, shape: tuple[int, ...]) -> Order:
    dtype, phases = np.dtype(recipe.task.model.dtype), (*shape, recipe.phases)
    zero, none, one = np.zeros(shape, dtype), np.zeros(shape, np.int32), np.ones(shape, np.int32)
    hyper = dict.fromkeys(Hyper._fields, np.zeros(phases, dtype))
    schedule = Schedule(
        hyper=Hyper(**hyper | {"batch_size": np.ones(phases, np.int32)}),
        starts=np.zeros(phases, np.int32),
        evaluations=np.ones((*shape, recipe.evaluations), np.int32),
        decay_start=none,
        decay_end=one,
        average_start=none,
        steps=one,
    )
    return Order(
        fresh=np.zeros(shape, bool),
        seed=none,
        schedule=schedule,
        patience=one,
        target=zero,
        divergence_loss=zero,
        initial=None,
    )


def compile_program(
    recipe: Recipe, layout: Layout, mesh: jax.sharding.Mesh, arrays: Arrays
) -> Callable[..., tuple[Lane, Report]]:
    """Compiles `segment(lanes, orders, limit, arrays, slabs) -> (lanes, report)`.

    A segment moves every running lane to its next evaluation, or by at most `limit` (int32 scalar)
    micro-steps. Where a segment ends changes no number: it is only a place to look. The lanes'
    buffers are donated.

    Args:
      recipe: what a lane does.
      layout: how lanes lie.
      mesh: from `layout.make_mesh`.
      arrays: the data on the device (only shapes and shardings matter here). `slabs` holds a
        `Slab` per lane where the recipe has the training set with the host, otherwise None.
    """
    place = Placement.on(mesh, recipe.task.model, layout.fully_sharded)

    def abstract(x: Any, sharding: jax.sharding.Sharding) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

    lanes = empty_lanes(recipe, layout)
    lanes = jax.tree.map(abstract, lanes, place.stacked(lanes))
    orders = blank_order(recipe, layout.lanes)
    orders = jax.tree.map(abstract, orders, place.stacked(orders))
    limit = jax.ShapeDtypeStruct((), jnp.int32, sharding=place.everywhere)
    slabs = blank_slabs(recipe, layout, arrays, place)
    segment = place.jit(
        lambda *arguments: _segment(recipe, layout, *arguments),
        (True, True, False, False, True),
        (place.stacked(lanes), _reported(recipe, lanes, place)),
        donate_argnums=0,
    )
    with place.tracing():
        return segment.lower(lanes, orders, limit, arrays, slabs).compile()


def _reported(recipe: Recipe, lanes: Lane, place: Placement) -> Report:
    """A report is whole on every device, so that any process can read it; but for the states."""
    report = Report.of(recipe, lanes)
    whole = jax.tree.map(lambda _: place.everywhere, report._replace(snapshot=None))
    return whole._replace(snapshot=place.stacked(report.snapshot))


def blank_slabs(recipe: Recipe, layout: Layout, arrays: Arrays, place: Placement) -> Slab | None:
    """The shapes of a program's slabs, or None where it takes none."""
    if not recipe.slab:
        return None

    def abstract(shape: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype, sharding=place.slab())

    rows = (layout.lanes, place.parts, -(-recipe.slab // place.parts))
    begin = jax.ShapeDtypeStruct(
        (layout.lanes,), np.int32, sharding=place.stacked(np.zeros(layout.lanes, np.int32))
    )
    inputs, labels = (abstract((*rows, *p.shape[1:]), p.dtype) for p in arrays.train)
    return Slab(inputs, labels, begin, begin)


def _segment(
    recipe: Recipe,
    layout: Layout,
    lanes: Lane,
    orders: Order,
    limit: jax.Array,
    arrays: Arrays,
    slabs: Slab | None,
) -> tuple[Lane, Report]:
    blocks = layout.lanes // layout.devices // layout.block

    def fold(x: jax.Array) -> jax.Array:
        return x.reshape(blocks, layout.block, *x.shape[1:])

    def unfold(x: jax.Array) -> jax.Array:
        return x.reshape(blocks * layout.block, *x.shape[2:])

    def run(block: tuple[Lane, Order, Slab | None]) -> Lane:
        return _run_block(recipe, *block, limit, arrays)

    moved = jax.lax.map(run, jax.tree.map(fold, (lanes, orders, slabs)))
    moved = jax.tree.map(unfold, moved)
    return moved, Report.of(recipe, moved)


def _run_block(
    recipe: Recipe,
    lanes: Lane,
    orders: Order,
    slabs: Slab | None,
    limit: jax.Array,
    arrays: Arrays,
) -> Lane:
    """Moves a block of lanes, each to its next evaluation or by `limit` micro-steps."""
    lanes = _when(orders.fresh, lambda _, order: lanes_.start(recipe, order), lanes, orders)

    def moving(lanes: Lane) -> jax.Array:
        return (lanes.status == Status.RUNNING) & ~lanes.due

    def more(carry: tuple[jax.Array, Lane]) -> jax.Array:
        return (carry[0] < limit) & jnp.any(moving(carry[1]))

    def step(carry: tuple[jax.Array, Lane]) -> tuple[jax.Array, Lane]:
        count, lanes = carry
        nothing = jax.tree.map(jnp.zeros_like, lanes.gradient)
        idle = lanes, Piece(nothing, jnp.zeros_like(lanes.due))
        lanes, pieces = _masked(
            moving(lanes),
            lambda one, order, slab: lanes_.micro_step(recipe, one, order, arrays, slab),
            idle,
            (lanes, orders, slabs),
        )
        ready = jax.vmap(lanes_.wants_update)(lanes, orders)

        def accumulate(lanes: Lane) -> Lane:
            return jax.vmap(lanes_.accumulate)(lanes, pieces)

        def close(lanes: Lane) -> Lane:
            update, others = functools.partial(lanes_.update, recipe), accumulate(lanes)
            return _masked(ready, update, others, (lanes, pieces, orders))

        # The sum is taken on either side, so that it becomes a part of the update's own passes.
        lanes = _once(~jnp.any(ready), accumulate, lanes)
        return count + 1, _once(jnp.any(ready), close, lanes)

    lanes = jax.lax.while_loop(more, step, (jnp.zeros((), jnp.int32), lanes))[1]
    due = (lanes.status == Status.RUNNING) & lanes.due
    lanes = _when(
        due, lambda one, order: evaluations.evaluate(recipe, one, order, arrays), lanes, orders
    )
    done = due & (lanes.status != Status.RUNNING) & (lanes.status != Status.DIVERGED)
    return _when(
        done, lambda one, order: evaluations.finish(recipe, one, order, arrays), lanes, orders
    )


def _when(mask: jax.Array, function: Callable[..., Lane], lanes: Lane, orders: Order) -> Lane:
    """Applies a lane function where mask, shape (block,), holds; skips it if it holds nowhere."""

    def apply(lanes: Lane) -> Lane:
        return _masked(mask, function, lanes, (lanes, orders))

    return jax.lax.cond(jnp.any(mask), apply, lambda lanes: lanes, lanes)


def _once(condition: jax.Array, function: Callable[[Lane], Lane], lanes: Lane) -> Lane:
    """What a function makes of lanes, or the lanes themselves.

    For what happens at every micro-step. A loop of one turn or none: a loop's state stays where it
    lies in memory, whereas `lax.cond` copies all of it on either side.
    """

    def turn(carry: tuple[jax.Array, Lane]) -> tuple[jax.Array, Lane]:
        return jnp.zeros((), bool), function(carry[1])

    return jax.lax.while_loop(lambda carry: carry[0], turn, (condition, lanes))[1]


def _masked(
    mask: jax.Array, function: Callable[..., Any], others: Any, arguments: tuple[Any, ...]
) -> Any:
    """What a function of one lane makes of a block's arguments; outside the mask, `others`.

    In a block of one, callers have already made sure that the mask holds.
    """
    if len(mask) == 1:
        first = jax.tree.map(lambda x: x[0], arguments)
        return jax.tree.map(lambda x: x[None], function(*first))

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(mask.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return jax.tree.map(choose, jax.vmap(function)(*arguments), others)
