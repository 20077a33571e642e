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
from minima.sweep.examples import Place, Slab, labels_of, training_examples
from minima.sweep.optimizers import Features, Hyper, make_optimizer
from minima.sweep.passes import means
from minima.sweep.schedules import Schedule, batch_size_at, hyper_at
from minima.sweep.stream import Purpose
from minima.tasks.models import Noise, Params, State, mup
from minima.tasks.objectives import Sums
from minima.tasks.task import Arrays, Regularisation, Task


@dataclass(frozen=True)
class Recipe:
    """Everything about a lane that is compiled in: shapes and switches, no hyperparameter values.

    Attributes:
      task: model, objective, augmentation.
      optimizer: a name in `optimizers.OPTIMIZERS`.
      features: regularisers and schedule parts that some cell uses.
      num_examples: size of the training set; what an epoch is counted in.
      microbatch: examples per micro-step; at most the training set's size.
      evaluations: length of a trajectory; no cell evaluates more often.
      target: (metric, at_least) of a target budget, or None; the value itself is traced.
      early_stopping: keep the best validated parameters, a second copy of them.
      phases: of the cells' timelines; the same number for all.
      snapshots: report the lanes' whole state, so that the host can keep it at evaluations.
      slab: examples of a lane's stream that the host sends at a time; 0 where the training set
        lies on the device.
      branch: fresh lanes take up a state that comes with the order.
    """

    task: Task
    optimizer: str
    features: Features
    num_examples: int
    microbatch: int
    evaluations: int
    target: tuple[str, bool] | None = None
    early_stopping: bool = False
    phases: int = 1
    snapshots: bool = False
    slab: int = 0
    branch: bool = False


class Snapshot(NamedTuple):
    """All that a cell's future depends on besides its order, between two of its updates.

    Attributes:
      params, state, opt_state: the model, its running statistics, its optimiser.
      epoch, position: int32, where the stream stands.
    """

    params: Params
    state: State
    opt_state: Any
    epoch: Any
    position: Any


class Order(NamedTuple):
    """What the host asks of a lane. All scalars (a leading lane axis in a program) but schedules.

    Attributes:
      fresh: start a new cell; the lane's old state is dropped.
      seed: int32.
      schedule: hyperparameters over the updates, and when to evaluate.
      patience: int32, evaluations.
      target: value of the target metric, in the model's dtype.
      divergence_loss: mean training loss above which the cell counts as diverged.
      initial: where a branch starts; None for cells that start from scratch.
    """

    fresh: Any
    seed: Any
    schedule: Schedule
    patience: Any
    target: Any
    divergence_loss: Any
    initial: Snapshot | None


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
    begin = initial_snapshot(recipe, order)
    params, state = begin.params, begin.state
    dtype = jnp.dtype(recipe.task.model.dtype)
    zero, none = jnp.zeros((), jnp.int32), jnp.zeros((), dtype)
    infinite = jnp.full((), jnp.inf, dtype)
    best = Best(params, state, infinite, zero) if recipe.early_stopping else None
    return Lane(
        status=jnp.full((), Status.RUNNING, jnp.int32),
        step=zero,
        epoch=begin.epoch,
        position=begin.position,
        consumed=zero,
        due=jnp.zeros((), bool),
        params=params,
        state=state,
        opt_state=begin.opt_state,
        gradient=jax.tree.map(jnp.zeros_like, params),
        weight=none,
        tally=Sums(none, none, none),
        evaluations=zero,
        trajectory=jnp.full((recipe.evaluations, len(METRICS)), jnp.nan, dtype),
        trajectory_step=jnp.zeros((recipe.evaluations,), jnp.int32),
        final=jnp.full((len(FINALS),), jnp.nan, dtype),
        best=best,
    )


def micro_step(
    recipe: Recipe, lane: Lane, order: Order, arrays: Arrays, slab: Slab | None = None
) -> Lane:
    """Consumes the next microbatch: adds its gradient sum, or marks the lane diverged.

    A batch size that isn't a multiple of the microbatch ends in a short one, padded with examples
    of weight zero; the stream moves on by the real ones only.
    """
    batch_size, num_examples = batch_size_at(order.schedule, lane.step), recipe.num_examples
    slot = jnp.arange(recipe.microbatch, dtype=jnp.int32)
    take = jnp.minimum(recipe.microbatch, batch_size - lane.consumed)
    epoch, position = _wrap(lane.epoch, lane.position + slot, num_examples)
    place, noise = Place(order.seed, epoch, position, num_examples), label_noise(recipe, order)
    inputs, labels = training_examples(recipe.task, place, arrays, slab, noise)
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
    """Whether the current batch is complete, bool scalar."""
    batch_size = batch_size_at(order.schedule, lane.step)
    return (lane.status == Status.RUNNING) & (lane.consumed == batch_size)


def update(recipe: Recipe, lane: Lane, order: Order) -> Lane:
    """One parameter update from the mean gradient of a complete batch."""
    mean = jax.tree.map(lambda g: g / lane.weight, lane.gradient)
    optimizer = _optimizer(recipe, order, lane.step)
    change, opt_state = optimizer.update(mean, lane.opt_state, lane.params)
    step = lane.step + 1
    return lane._replace(
        step=step,
        consumed=jnp.zeros_like(lane.consumed),
        due=step == order.schedule.evaluations[lane.evaluations],
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
    validation = means(recipe.task, (lane.params, lane.state), arrays, *arrays.validation)[0]
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
    kept = lane if lane.best is None else lane.best
    variables = (kept.params, kept.state)
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
    return lane._replace(
        status=status.astype(jnp.int32), params=kept.params, state=kept.state, final=final
    )


def initial_snapshot(recipe: Recipe, order: Order) -> Snapshot:
    """Where a cell starts: at a trunk's state, or with fresh weights at the stream's beginning."""
    if order.initial is not None:
        return order.initial
    zero = jnp.zeros((), jnp.int32)
    key = stream.purpose_key(order.seed, Purpose.INITIALISATION)
    params, state = recipe.task.model.init(key)
    opt_state = _optimizer(recipe, order, zero).init(params)
    return Snapshot(params, state, opt_state, zero, zero)


def snapshot(lane: Lane) -> Snapshot:
    """The lane's state; worth keeping where no batch is half consumed."""
    return Snapshot(*(getattr(lane, name) for name in Snapshot._fields))


def _optimizer(recipe: Recipe, order: Order, step: jax.Array) -> optax.GradientTransformation:
    hyper = hyper_at(order.schedule, step, recipe.features)
    optimizer = make_optimizer(recipe.optimizer, hyper, recipe.features)
    return mup.rescaled(recipe.task.model, recipe.optimizer, optimizer)


def _fixed(order: Order) -> Hyper:
    """The hyperparameters that are the same in every phase: probabilities."""
    return jax.tree.map(lambda by_phase: by_phase[0], order.schedule.hyper)


def _wrap(epoch: jax.Array, position: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    over = position >= size
    return epoch + over, jnp.where(over, position - size, position)


def label_noise(recipe: Recipe, order: Order) -> jax.Array | None:
    """The probability that a training label is redrawn, or None where none is."""
    return _fixed(order).label_noise if recipe.features.label_noise else None


def _regularisation(
    recipe: Recipe, order: Order, epoch: jax.Array, position: jax.Array
) -> Regularisation:
    def keys(purpose: Purpose) -> jax.Array:
        return stream.example_keys(order.seed, purpose, epoch, position)

    augments, features = recipe.task.augmentation != "none", recipe.features
    return Regularisation(
        augmentation_keys=keys(Purpose.AUGMENTATION) if augments else None,
        noise=Noise(keys(Purpose.DROPOUT), _fixed(order).dropout) if features.dropout else None,
        smoothing=_fixed(order).label_smoothing if features.label_smoothing else None,
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
