"""One lane: the state of a cell while it trains, and the pure functions that move it.

A lane walks its stream one microbatch at a time, adds up gradient sums, and updates whenever it has
consumed its own batch size. It stops by itself: budgets, targets, early stopping and divergence are
decided here, on the device, and freeze the lane with its status and parameters.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from minima.record.dataset import METRICS as FINALS
from minima.sweep import stream
from minima.sweep.budgets import METRICS, Status
from minima.sweep.optimizers import Features, Hyper, make_optimizer
from minima.sweep.stream import Purpose
from minima.tasks.models import Noise, Params, State, mup
from minima.tasks.objectives import Sums
from minima.tasks.task import Arrays, Regularisation, Task

_EVALUATION_CHUNK = 256


@dataclass(frozen=True)
class Recipe:
    """Everything about a lane that is compiled in: shapes and switches, no hyperparameter values.

    Attributes:
      task: model, objective, augmentation.
      optimizer: a name in `optimizers.OPTIMIZERS`.
      features: regularisers and schedule parts that some cell uses.
      microbatch: examples per micro-step; at most the training set's size.
      evaluations: length of a trajectory; no cell evaluates more often.
      target: (metric, at_least) of a target budget, or None; the value itself is traced.
      early_stopping: keep the best validated parameters, a second copy of them.
    """

    task: Task
    optimizer: str
    features: Features
    microbatch: int
    evaluations: int
    target: tuple[str, bool] | None = None
    early_stopping: bool = False


class Order(NamedTuple):
    """What the host asks of a lane. All scalars (a leading lane axis in a program).

    Attributes:
      fresh: start a new cell; the lane's old state is dropped.
      seed: int32.
      hyper: traced hyperparameters.
      max_steps, eval_every, patience: int32; updates, updates, evaluations.
      target: value of the target metric, in the model's dtype.
      divergence_loss: mean training loss above which the cell counts as diverged.
    """

    fresh: Any
    seed: Any
    hyper: Hyper
    max_steps: Any
    eval_every: Any
    patience: Any
    target: Any
    divergence_loss: Any


class Best(NamedTuple):
    """Early stopping's memory: best validated parameters and state, loss, evaluations since."""

    params: Params
    state: State
    loss: jax.Array
    waited: jax.Array


class Lane(NamedTuple):
    """State of one cell. Leaves have a leading lane axis inside a program.

    Attributes:
      status: int32, a `Status`.
      step: int32, parameter updates done.
      epoch, position: int32, where the stream stands.
      consumed: int32, examples of the current batch already seen.
      due: bool, an evaluation is due before the next micro-step.
      params, state, opt_state: the model, its running statistics, its optimiser.
      gradient: sum of gradients over the current batch.
      weight: sum of weights over the current batch.
      tally: training-pass sums since the last evaluation.
      evaluations: int32, rows of the trajectory that are filled.
      trajectory: (evaluations, 4) in the order of `budgets.METRICS`.
      trajectory_step: (evaluations,) int32.
      final: (6,) in the order of FINALS, NaN until finished.
      best: early stopping's memory, or None.
    """

    status: jax.Array
    step: jax.Array
    epoch: jax.Array
    position: jax.Array
    consumed: jax.Array
    due: jax.Array
    params: Params
    state: State
    opt_state: Any
    gradient: Params
    weight: jax.Array
    tally: Sums
    evaluations: jax.Array
    trajectory: jax.Array
    trajectory_step: jax.Array
    final: jax.Array
    best: Best | None


def start(recipe: Recipe, order: Order) -> Lane:
    """A running lane at step 0 for the cell in `order`."""
    key = stream.purpose_key(order.seed, Purpose.INITIALISATION)
    params, state = recipe.task.model.init(key)
    dtype = jnp.dtype(recipe.task.model.dtype)
    zero, none = jnp.zeros((), jnp.int32), jnp.zeros((), dtype)
    infinite = jnp.full((), jnp.inf, dtype)
    best = Best(params, state, infinite, zero) if recipe.early_stopping else None
    return Lane(
        status=jnp.full((), Status.RUNNING, jnp.int32),
        step=zero,
        epoch=zero,
        position=zero,
        consumed=zero,
        due=jnp.zeros((), bool),
        params=params,
        state=state,
        opt_state=_optimizer(recipe, order).init(params),
        gradient=jax.tree.map(jnp.zeros_like, params),
        weight=none,
        tally=Sums(none, none, none),
        evaluations=zero,
        trajectory=jnp.full((recipe.evaluations, len(METRICS)), jnp.nan, dtype),
        trajectory_step=jnp.zeros((recipe.evaluations,), jnp.int32),
        final=jnp.full((len(FINALS),), jnp.nan, dtype),
        best=best,
    )


def micro_step(recipe: Recipe, lane: Lane, order: Order, arrays: Arrays) -> Lane:
    """Consumes the next microbatch: adds its gradient sum, or marks the lane diverged.

    A batch size that isn't a multiple of the microbatch ends in a short one, padded with examples
    of weight zero; the stream moves on by the real ones only.
    """
    batch_size, num_examples = order.hyper.batch_size, len(arrays.train[1])
    slot = jnp.arange(recipe.microbatch, dtype=jnp.int32)
    take = jnp.minimum(recipe.microbatch, batch_size - lane.consumed)
    epoch, position = _wrap(lane.epoch, lane.position + slot, num_examples)
    index = stream.example_indices(order.seed, epoch, position, num_examples)
    inputs = arrays.train[0][index]
    labels = _labels(recipe, order, arrays, index)
    weights = (slot < take).astype(recipe.task.model.dtype)
    extras = _regularisation(recipe, order, epoch, position)

    def loss(params: Params) -> tuple[jax.Array, tuple[Sums, State]]:
        sums, state = recipe.task.training_sums(
            params, lane.state, arrays, inputs, labels, weights, extras
        )
        return sums.loss, (sums, state)

    gradient, (sums, state) = jax.grad(loss, has_aux=True)(lane.params)
    epoch_now, position_now = _wrap(lane.epoch, lane.position + take, num_examples)
    return lane._replace(
        status=jnp.where(jnp.isfinite(sums.loss), lane.status, Status.DIVERGED),
        epoch=epoch_now,
        position=position_now,
        consumed=lane.consumed + take,
        state=state,
        gradient=jax.tree.map(jnp.add, lane.gradient, gradient),
        weight=lane.weight + sums.weight,
        tally=jax.tree.map(jnp.add, lane.tally, sums),
    )


def wants_update(lane: Lane, order: Order) -> jax.Array:
    """Whether the current batch is complete (bool scalar, or one per lane)."""
    return (lane.status == Status.RUNNING) & (lane.consumed == order.hyper.batch_size)


def update(recipe: Recipe, lane: Lane, order: Order) -> Lane:
    """One parameter update from the mean gradient of a complete batch."""
    mean = jax.tree.map(lambda g: g / lane.weight, lane.gradient)
    change, opt_state = _optimizer(recipe, order).update(mean, lane.opt_state, lane.params)
    step = lane.step + 1
    return lane._replace(
        step=step,
        consumed=jnp.zeros_like(lane.consumed),
        due=(step % order.eval_every == 0) | (step == order.max_steps),
        params=optax.apply_updates(lane.params, change),
        opt_state=opt_state,
        gradient=jax.tree.map(jnp.zeros_like, lane.gradient),
        weight=jnp.zeros_like(lane.weight),
    )


def evaluate(recipe: Recipe, lane: Lane, order: Order, arrays: Arrays) -> Lane:
    """Appends a row to the trajectory and decides whether the cell goes on.

    The training columns are means over the training passes since the last row (they cost nothing);
    the validation columns are a pass over the whole validation set.
    """
    validation = _means(recipe, (lane.params, lane.state), arrays, *arrays.validation)[0]
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
    status = jnp.where(lane.step >= order.max_steps, Status.COMPLETE, Status.RUNNING)
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

    Training labels are the ones trained on (label noise included). A cell that predicts one and the
    same class for the whole test set has collapsed, unless it was stopped by its target.
    """
    kept = lane if lane.best is None else lane.best
    variables = (kept.params, kept.state)
    index = jnp.arange(len(arrays.train[1]), dtype=jnp.int32)
    labels = _labels(recipe, order, arrays, index)
    train, _ = _means(recipe, variables, arrays, arrays.train[0], labels)
    validation, _ = _means(recipe, variables, arrays, *arrays.validation)
    test, constant = _means(recipe, variables, arrays, *arrays.test)
    collapsed = constant & (lane.status != Status.REACHED_TARGET)
    status = jnp.where(collapsed, Status.COLLAPSED, lane.status)
    status = jnp.where(jnp.isfinite(train[0] + test[0]), status, Status.DIVERGED)
    final = jnp.concatenate([train, validation, test])
    return lane._replace(
        status=status.astype(jnp.int32), params=kept.params, state=kept.state, final=final
    )


def _optimizer(recipe: Recipe, order: Order) -> optax.GradientTransformation:
    optimizer = make_optimizer(recipe.optimizer, order.hyper, recipe.features)
    return mup.rescaled(recipe.task.model, recipe.optimizer, optimizer)


def _wrap(epoch: jax.Array, position: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    over = position >= size
    return epoch + over, jnp.where(over, position - size, position)


def _labels(recipe: Recipe, order: Order, arrays: Arrays, index: jax.Array) -> jax.Array:
    """Training labels; with label noise, an example's label is redrawn once and for all."""
    labels = arrays.train[1][index]
    if not recipe.features.label_noise:
        return labels
    key = stream.purpose_key(order.seed, Purpose.LABEL_NOISE)
    return recipe.task.noisy_labels(key, index, labels, order.hyper.label_noise)


def _regularisation(
    recipe: Recipe, order: Order, epoch: jax.Array, position: jax.Array
) -> Regularisation:
    def keys(purpose: Purpose) -> jax.Array:
        return stream.example_keys(order.seed, purpose, epoch, position)

    augments, features = recipe.task.augmentation != "none", recipe.features
    return Regularisation(
        augmentation_keys=keys(Purpose.AUGMENTATION) if augments else None,
        noise=Noise(keys(Purpose.DROPOUT), order.hyper.dropout) if features.dropout else None,
        smoothing=order.hyper.label_smoothing if features.label_smoothing else None,
    )


def _remember(lane: Lane, loss: jax.Array) -> Best | None:
    if lane.best is None:
        return None
    better = loss < lane.best.loss

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(better, new, old)

    now = Best(lane.params, lane.state, loss, jnp.zeros_like(lane.best.waited))
    past = lane.best._replace(waited=lane.best.waited + 1)
    return jax.tree.map(choose, now, past)


def _means(
    recipe: Recipe,
    variables: tuple[Params, State],
    arrays: Arrays,
    inputs: jax.Array,
    labels: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """(mean loss, accuracy) of an evaluation pass, and whether all predictions are one class."""
    n, dtype = len(labels), jnp.dtype(recipe.task.model.dtype)
    if n == 0:
        return jnp.full((2,), jnp.nan, dtype), jnp.zeros((), bool)
    chunk = min(n, _EVALUATION_CHUNK)

    def add(i: jax.Array, carry: tuple[Sums, jax.Array, jax.Array]) -> Any:
        totals, low, high = carry
        index = i * chunk + jnp.arange(chunk, dtype=jnp.int32)
        inside = index < n
        index = jnp.minimum(index, n - 1)  # padding repeats the last example with weight zero
        sums, predictions = recipe.task.evaluation_sums(
            *variables, arrays, inputs[index], labels[index], inside.astype(dtype)
        )
        totals = jax.tree.map(jnp.add, totals, sums)
        return totals, jnp.minimum(low, predictions.min()), jnp.maximum(high, predictions.max())

    zero = jnp.zeros((), dtype)
    bounds = jnp.full((), 2**31 - 1, jnp.int32), jnp.full((), -1, jnp.int32)
    start = (Sums(zero, zero, zero), *bounds)
    totals, low, high = jax.lax.fori_loop(0, -(-n // chunk), add, start)
    return jnp.stack([totals.loss, totals.correct]) / totals.weight, low == high
