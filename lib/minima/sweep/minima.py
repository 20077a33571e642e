"""What kept minima predict: inputs through many cells' snapshots at once, one program for all.

Classes of the test set, logits of any inputs, and probabilities under dropout that stays on.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from minima.record.snapshots import Snapshots
from minima.runtime.mesh import put, traced_axes
from minima.sweep.branch import from_arrays
from minima.sweep.lane import minimum_of
from minima.sweep.passes import CHUNK
from minima.sweep.placement import Placement
from minima.sweep.plan import Plan
from minima.sweep.program import blank_initial
from minima.sweep.slabs import empty
from minima.tasks.models import Noise, Params, State
from minima.tasks.task import Arrays, Task, to_arrays

_GROUP = 16  # minima a device takes at a time

Point = tuple[int, int]  # (number of the cell, updates at the snapshot)
Variables = tuple[Params, State]


def predict_test_set(
    plan: Plan, snapshots: Snapshots, points: Sequence[Point], mesh: jax.sharding.Mesh
) -> np.ndarray:
    """What kept states predict on the plan's test set: classes, or a regression's numbers.

    Args:
      plan: whose cells these are.
      snapshots: where their states are kept.
      points: which cells, after which updates.
      mesh: from `plan.layout.make_mesh`, or any of one axis called `program.AXIS`.

    Returns:
      (points, *shape of the test labels) int32, or in the model's dtype for a regression.

    Raises:
      UserError: a state is missing or damaged.
    """
    found = _of_states(plan, snapshots, points, mesh, _predictor, (), ())
    labels = plan.dataset.test.labels
    return np.concatenate(found) if found else np.zeros((0, *labels.shape), np.int32)


def predict_logits(
    plan: Plan,
    snapshots: Snapshots,
    points: Sequence[Point],
    inputs: np.ndarray,
    mesh: jax.sharding.Mesh,
) -> np.ndarray:
    """Logits of kept states on any inputs of the dataset's kind.

    One executable serves all states and all inputs of one length: ask for splits together.

    Args:
      plan, snapshots, points, mesh: as `predict_test_set` has them.
      inputs: (n, *input shape), raw as a split of the plan's dataset has them.

    Returns:
      (points, n, classes), or (points, n, length, classes), in the model's dtype.

    Raises:
      UserError: a state is missing or damaged.
    """
    found = _of_states(plan, snapshots, points, mesh, _logits, (), (inputs,))
    return np.concatenate(found) if found else np.zeros((0, len(inputs), 0), np.float32)


def predict_with_dropout(
    plan: Plan,
    snapshots: Snapshots,
    points: Sequence[Point],
    inputs: np.ndarray,
    mesh: jax.sharding.Mesh,
    rates: Sequence[float],
    draws: int,
    seed: int = 0,
) -> np.ndarray:
    """Monte Carlo dropout: mean probabilities over draws of the masks that training had.

    Gal & Ghahramani 2016 (arXiv:1506.02142), equation 6. Batch norm keeps its running statistics.
    Masks follow from seed, cell, draw and the input's place; rates and draws are traced, so one
    executable serves all states, rates and numbers of draws.

    Args:
      plan, snapshots, points, inputs, mesh: as `predict_logits` has them.
      rates: (points,) the probability of dropping a unit; 0 gives the plain prediction.
      draws: how many, at least 1.
      seed: of the masks.

    Returns:
      (points, n, classes) probabilities in the model's dtype.

    Raises:
      UserError: a state is missing or damaged.
    """
    cells = np.array([cell for cell, _ in points], np.int32)
    rows = (np.array(rates, plan.recipe.task.model.dtype), cells)
    asked = (inputs, np.int32(draws), np.int32(seed))
    found = _of_states(plan, snapshots, points, mesh, _with_dropout, rows, asked)
    return np.concatenate(found) if found else np.zeros((0, len(inputs), 0), np.float32)


def _of_states(
    plan: Plan,
    snapshots: Snapshots,
    points: Sequence[Point],
    mesh: jax.sharding.Mesh,
    program: Callable[[Task, jax.sharding.Mesh], jax.stages.Wrapped],
    rows: tuple[np.ndarray, ...],
    asked: tuple[Any, ...],
) -> list[np.ndarray]:
    """What a program returns for every point, group by group.

    Args:
      plan, snapshots, points, mesh: see `predict_test_set`.
      program: made for a task on a mesh; of (variables and rows, arrays, what is asked).
      rows: arrays (points, ...) that go with the states.
      asked: arrays that all states share.
    """
    task = plan.recipe.task
    arrays = empty(to_arrays(plan.dataset, task.model.dtype))
    place = Placement.on(mesh, task.model, plan.layout.fully_sharded)
    arrays, compute = put((arrays, asked), place.everywhere), program(task, mesh)
    fewest = max(1, -(-len(points) // place.groups))
    width, like = min(_GROUP, fewest) * place.groups, blank_initial(plan.recipe)
    found = []
    for begin in range(0, len(points), width):
        group = [
            from_arrays(snapshots.read(*point), like) for point in points[begin : begin + width]
        ]
        filled = group + [like] * (width - len(group))
        variables = jax.tree.map(lambda *states: np.stack(states), *map(minimum_of, filled))
        beside = [_filled(row[begin : begin + width], width) for row in rows]
        stacked = (variables, *beside)
        with place.tracing():
            computed = compute(put(stacked, place.stacked(stacked)), *arrays)
        found.append(np.asarray(computed)[: len(group)])
    return found


def _filled(row: np.ndarray, width: int) -> np.ndarray:
    return np.concatenate([row, np.zeros((width - len(row), *row.shape[1:]), row.dtype)])


@functools.lru_cache
def _predictor(task: Task, mesh: jax.sharding.Mesh) -> jax.stages.Wrapped:
    def one(row: tuple[Variables], arrays: Arrays, asked: tuple[()]) -> jax.Array:
        inputs, labels = arrays.test

        def predict(index: jax.Array) -> jax.Array:
            weights = jnp.ones((len(index),), task.model.dtype)
            picked = inputs[index], labels[index], weights
            return task.evaluation_sums(*row[0], arrays, *picked)[1]

        return _in_chunks(predict, len(labels))

    return _of_rows(one, task, mesh)


@functools.lru_cache
def _logits(task: Task, mesh: jax.sharding.Mesh) -> jax.stages.Wrapped:
    def one(row: tuple[Variables], arrays: Arrays, asked: tuple[jax.Array]) -> jax.Array:
        (inputs,) = asked
        return _in_chunks(lambda index: task.logits(*row[0], arrays, inputs[index]), len(inputs))

    return _of_rows(one, task, mesh)


@functools.lru_cache
def _with_dropout(task: Task, mesh: jax.sharding.Mesh) -> jax.stages.Wrapped:
    def one(
        row: tuple[Variables, jax.Array, jax.Array],
        arrays: Arrays,
        asked: tuple[jax.Array, jax.Array, jax.Array],
    ) -> jax.Array:
        (variables, rate, cell), (inputs, draws, seed) = row, asked
        own = jax.random.fold_in(jax.random.key(seed), cell)

        def drawn(draw: jax.Array) -> jax.Array:
            key = jax.random.fold_in(own, draw)

            def predict(index: jax.Array) -> jax.Array:
                keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(index)
                logits = task.logits(*variables, arrays, inputs[index], Noise(keys, rate))
                return jax.nn.softmax(logits)

            return _in_chunks(predict, len(inputs))

        shape = jax.eval_shape(drawn, draws)
        total = jax.lax.fori_loop(
            0, draws, lambda draw, so_far: so_far + drawn(draw), jnp.zeros(shape.shape, shape.dtype)
        )
        return total / draws.astype(total.dtype)

    return _of_rows(one, task, mesh)


def _in_chunks(predict: Callable[[jax.Array], jax.Array], n: int) -> jax.Array:
    """What is predicted for n examples, of which `predict` takes some by their index, (chunk,)."""
    devices = traced_axes().data
    chunk = devices * min(-(-n // devices), CHUNK)
    starts = jnp.arange(-(-n // chunk), dtype=jnp.int32) * chunk

    def part(start: jax.Array) -> jax.Array:
        return predict(jnp.minimum(start + jnp.arange(chunk, dtype=jnp.int32), n - 1))

    parts = jax.lax.map(part, starts)
    return parts.reshape(-1, *parts.shape[2:])[:n]


def _of_rows(one: Callable[..., jax.Array], task: Task, mesh: jax.sharding.Mesh) -> Any:
    """A function of one state as a program of many, one after the other."""

    def group(rows: tuple[Any, ...], arrays: Arrays, asked: tuple[Any, ...]) -> jax.Array:
        return jax.lax.map(lambda row: one(row, arrays, asked), rows)

    return Placement.on(mesh, task.model).jit(group, (True, False, False))
