"""One program that measures many minima of a run: what goes in, and what is traced.

Minima lie on a leading axis, split over devices; each device takes one after another, so that the
memory is that of one. Over a mesh of data and model, all devices take the same one. Places left
empty cost nothing.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minima.landscape.estimators import Estimate
from minima.landscape.objective import Chunks, Objective, task_loss
from minima.landscape.panels import Panel, Subject
from minima.landscape.precision import cast
from minima.sweep import stream
from minima.sweep.examples import labels_of
from minima.sweep.lane import Order
from minima.sweep.optimizers import Features
from minima.sweep.placement import Placement
from minima.sweep.schedules import hyper_at
from minima.sweep.stream import Purpose
from minima.tasks.models import Params, State
from minima.tasks.task import Arrays, Task


@dataclass(frozen=True)
class Kind:
    """All that is compiled in.

    Attributes:
      task: in the dtype of the measurement.
      trained: in the dtype of training, which initial weights depend on.
      features: those that hyperparameters and labels depend on.
      panel: what is measured.
    """

    task: Task
    trained: Task
    features: Features
    panel: Panel


class Row(NamedTuple):
    """One minimum as the program takes it; stacked. `real` is False for a place left empty."""

    real: Any
    number: Any
    step: Any
    params: Params
    state: State
    opt_state: Any
    order: Order


class Data(NamedTuple):
    """What all minima share: raw inputs and their indices in chunks, clean labels, constants."""

    chunks: Chunks
    labels: Any
    constants: Arrays
    seed: Any


class Shapes(NamedTuple):
    """A tree of arrays without its values; hashable."""

    structure: Any
    leaves: tuple[jax.ShapeDtypeStruct, ...]

    @classmethod
    def of(cls, tree: Any) -> "Shapes":
        """Of arrays on devices."""
        leaves, structure = jax.tree.flatten(tree)
        shapes = (jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding) for x in leaves)
        return cls(structure, tuple(shapes))

    @property
    def tree(self) -> Any:
        """The shapes as they were."""
        return jax.tree.unflatten(self.structure, self.leaves)


@functools.lru_cache
def compiled(
    kind: Kind, mesh: jax.sharding.Mesh, rows: Shapes, data: Shapes
) -> tuple[tuple[str, ...], Callable[[Row, Data], list[Estimate]]]:
    """The names of what is measured, and the program: (rows, data) -> stacked estimates.

    To be called, and what it returns to be called, inside `precision.arithmetic` of the dtype.
    """
    names: dict[str, None] = {}

    def one(row: Row, data: Data) -> list[Estimate]:
        found = _estimates(kind, row, data)
        names.update(dict.fromkeys(found))  # when traced: a dict comes back in alphabetical order
        return list(found.values())

    def group(rows: Row, data: Data) -> list[Estimate]:
        def place(row: Row) -> list[Estimate]:
            shapes = jax.eval_shape(one, row, data)
            nothing = [jnp.zeros(s.shape, s.dtype) for s in jax.tree.leaves(shapes)]
            blank = jax.tree.unflatten(jax.tree.structure(shapes), nothing)
            return jax.lax.cond(row.real, lambda: one(row, data), lambda: blank)

        return jax.lax.map(place, rows)

    place = Placement.on(mesh, kind.task.model)
    with place.tracing():
        found = place.jit(group, (True, False)).lower(rows.tree, data.tree).compile()
    return tuple(names), found


def _estimates(kind: Kind, row: Row, data: Data) -> dict[str, Estimate]:
    """The panel at one minimum, traced."""
    task, seed, schedule = kind.task, row.order.seed, row.order.schedule
    dtype = task.model.dtype
    params, state, opt_state = cast((row.params, row.state, row.opt_state), dtype)
    initial, _ = kind.trained.model.init(stream.purpose_key(seed, Purpose.INITIALISATION))
    noise = schedule.hyper.label_noise[0] if kind.features.label_noise else None
    index = data.chunks.labels
    flat = index.reshape(-1)
    labels = labels_of(task, seed, flat, data.labels[flat], noise)
    examples = Chunks(
        task.prepare(data.constants, data.chunks.inputs),
        labels.reshape(*index.shape, *labels.shape[1:]),
        data.chunks.weights,
    )
    subject = Subject(
        params=params,
        initial=cast(initial, dtype),
        opt_state=opt_state,
        hyper=hyper_at(schedule, jnp.maximum(row.step - 1, 0), kind.features),
        step=row.step,
    )
    objective = Objective(lambda p, x: task.model.apply(p, state, x)[0], task_loss(task))
    key = jax.random.fold_in(jax.random.key(data.seed), row.number)
    return kind.panel.function(objective, subject, examples, jax.random.fold_in(key, row.step))
