"""What a lane measures of itself: evaluations on the way, the minimum at its end.

Budgets, targets, early stopping and divergence are decided here, on the device.
"""

import jax
import jax.numpy as jnp

from minima.sweep.budgets import METRICS, Status
from minima.sweep.examples import labels_of
from minima.sweep.lane import Best, Lane, Order, Recipe, minimum_of
from minima.sweep.passes import means
from minima.sweep.training_pass import label_noise
from minima.tasks.task import Arrays


def evaluate(recipe: Recipe, lane: Lane, order: Order, arrays: Arrays) -> Lane:
    """Appends a row to the trajectory and decides whether the cell goes on.

    The training columns are means over the training passes since the last row (they cost nothing),
    with all their noise and at the weights before any averaging; the validation columns are a pass
    over the whole validation set.
    """
    validation = means(recipe.task, minimum_of(lane), arrays, *arrays.validation)[0]
    train = jnp.stack([lane.tally.loss, lane.tally.correct]) / lane.tally.weight
    row = jnp.concatenate([train, validation])
    lane = lane._replace(
        due=jnp.zeros_like(lane.due),
        tally=jax.tree.map(jnp.zeros_like, lane.tally),
        evaluations=lane.evaluations + 1,
        trajectory=lane.trajectory.at[lane.evaluations].set(row),
        trajectory_step=lane.trajectory_step.at[lane.evaluations].set(lane.step),
        best=_remember(lane, row[2]),
    )
    # A NaN compares false, so this also catches what is not finite.
    sane = (row[0] <= order.divergence_loss) & (
        jnp.isfinite(row[2]) | (len(arrays.validation[1]) == 0)
    )
    status = jnp.where(lane.step >= order.schedule.steps, Status.COMPLETE, Status.RUNNING)
    if lane.best is not None:
        exhausted = lane.best.waited >= order.patience
        status = jnp.where(exhausted, Status.STOPPED_EARLY, status)
    if recipe.target is not None:
        metric, at_least = recipe.target
        value = row[METRICS.index(metric)]
        reached = value >= order.target if at_least else value <= order.target
        status = jnp.where(reached, Status.REACHED_TARGET, status)
    status = jnp.where(sane, status, Status.DIVERGED).astype(jnp.int32)
    return lane._replace(status=status)


def finish(recipe: Recipe, lane: Lane, order: Order, arrays: Arrays) -> Lane:
    """Measures the minimum on all three splits; finds collapsed and late-diverged cells.

    A cell that predicts one and the same class for the whole test set has collapsed, unless it was
    stopped by its target. A training set that isn't on the device is left to the host.
    """
    lane = _recall(lane)
    variables = minimum_of(lane)
    validation, _ = means(recipe.task, variables, arrays, *arrays.validation)
    test, constant = means(recipe.task, variables, arrays, *arrays.test)
    train, finite = jnp.full_like(test, jnp.nan), jnp.isfinite(test[0])
    if not recipe.slab:
        inputs, labels = arrays.train
        index = jnp.arange(len(labels), dtype=jnp.int32)
        labels = labels_of(recipe.task, order.seed, index, labels, label_noise(recipe, order))
        train, _ = means(recipe.task, variables, arrays, inputs, labels)
        finite = finite & jnp.isfinite(train[0])
    collapsed = constant & (lane.status != Status.REACHED_TARGET)
    status = jnp.where(collapsed, Status.COLLAPSED, lane.status)
    status = jnp.where(finite, status, Status.DIVERGED)
    final = jnp.concatenate([train, validation, test])
    return lane._replace(status=status.astype(jnp.int32), final=final)


def _recall(lane: Lane) -> Lane:
    """The lane at its best validated parameters, where early stopping has kept them."""
    if lane.best is None:
        return lane
    best, average = lane.best, lane.average
    if average is not None:
        average = average._replace(params=best.params)
    return lane._replace(params=best.params, state=best.state, average=average)


def _remember(lane: Lane, loss: jax.Array) -> Best | None:
    if lane.best is None:
        return None
    better = loss < lane.best.loss

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(better, new, old)

    now = Best(*minimum_of(lane), loss, jnp.zeros_like(lane.best.waited))
    past = lane.best._replace(waited=lane.best.waited + 1)
    return jax.tree.map(choose, now, past)
