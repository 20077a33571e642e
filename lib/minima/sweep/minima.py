"""What kept minima predict: the test set through many cells' snapshots at once."""

import functools
from collections.abc import Sequence

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
from minima.tasks.models import Params, State
from minima.tasks.task import Arrays, Task, to_arrays

_GROUP = 16  # minima a device takes at a time

Point = tuple[int, int]  # (number of the cell, updates at the snapshot)


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
    task = plan.recipe.task
    arrays = empty(to_arrays(plan.dataset, task.model.dtype))
    place = Placement.on(mesh, task.model, plan.layout.fully_sharded)
    arrays, predict = put(arrays, place.everywhere), _predictor(task, mesh)
    width, like = _GROUP * place.groups, blank_initial(plan.recipe)
    found = []
    for begin in range(0, len(points), width):
        group = [
            from_arrays(snapshots.read(*point), like) for point in points[begin : begin + width]
        ]
        filled = group + [like] * (width - len(group))
        stacked = jax.tree.map(lambda *rows: np.stack(rows), *map(minimum_of, filled))
        with place.tracing():
            predicted = predict(put(stacked, place.stacked(stacked)), arrays)
        found.append(np.asarray(predicted)[: len(group)])
    labels = plan.dataset.test.labels
    return np.concatenate(found) if found else np.zeros((0, *labels.shape), np.int32)


@functools.lru_cache
def _predictor(task: Task, mesh: jax.sharding.Mesh) -> jax.stages.Wrapped:
    def one(variables: tuple[Params, State], arrays: Arrays) -> jax.Array:
        inputs, labels = arrays.test
        n, devices = len(labels), traced_axes().data
        chunk = devices * min(-(-n // devices), CHUNK)
        starts = jnp.arange(-(-n // chunk), dtype=jnp.int32) * chunk

        def predict(start: jax.Array) -> jax.Array:
            index = jnp.minimum(start + jnp.arange(chunk, dtype=jnp.int32), n - 1)
            weights = jnp.ones((chunk,), task.model.dtype)
            picked = inputs[index], labels[index], weights
            return task.evaluation_sums(*variables, arrays, *picked)[1]

        parts = jax.lax.map(predict, starts)
        return parts.reshape(-1, *parts.shape[2:])[:n]

    def group(variables: tuple[Params, State], arrays: Arrays) -> jax.Array:
        return jax.lax.map(lambda row: one(row, arrays), variables)

    return Placement.on(mesh, task.model).jit(group, (True, False))
