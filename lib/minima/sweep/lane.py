"""One lane: the state of a cell while it trains, and the pure functions that move it.

A lane walks its stream one microbatch at a time, or a wider piece where its batch has room for one,
adds up gradient sums, and updates whenever it has consumed its own batch size. It stops by itself:
a loss that isn't finite freezes it here, everything else in `evaluations`, on the device, with its
status and parameters.
"""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from minima.record.dataset import METRICS as FINALS
from minima.sweep import averaging, group_objectives, stream
from minima.sweep.averaging import Average
from minima.sweep.budgets import METRICS, Status
from minima.sweep.examples import Slab
from minima.sweep.optimizers import DECOUPLED, Features, make_optimizer
from minima.sweep.schedules import Schedule, batch_size_at, examples_seen, hyper_at
from minima.sweep.stream import Purpose
from minima.sweep.training_pass import training_pass
from minima.tasks.models import Params, State, mup, trainable
from minima.tasks.objectives import Sums
from minima.tasks.task import Arrays, Task


@dataclass(frozen=True)
class Recipe:
    """Everything about a lane that is compiled in: shapes and switches, no hyperparameter values.

    Attributes:
      task: model, objective, augmentation.
      optimizer: a name in `optimizers.OPTIMIZERS`.
      features: regularisers and schedule parts that some cell uses.
      num_examples: size of the training set; what an epoch is counted in.
      microbatch: examples per micro-step; at most the training set's size.
      wide: wider micro-steps, rising; a lane takes the widest that the rest of its batch fills.
        For blocks of one lane only: under vmap every width would be computed for every lane.
      evaluations: length of a trajectory; no cell evaluates more often.
      target: (metric, at_least) of a target budget, or None; the value itself is traced.
      early_stopping: keep the best validated parameters, a second copy of them.
      phases: of the cells' timelines; the same number for all.
      snapshots: report the lanes' whole state, so that the host can keep it at evaluations.
      slab: examples of a lane's stream that the host sends at a time; 0 where the training set
        lies on the device.
      branch: fresh lanes take up a state that comes with the order.
      sam_examples: examples whose own gradient a sharpness-aware one climbs; 0 for the batch.
      groups: of the training examples, where some objective looks at them; else 0.
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
    wide: tuple[int, ...] = ()
    sam_examples: int = 0
    groups: int = 0

    @property
    def couples_examples(self) -> bool:
        """Whether an example's gradient depends on its whole batch: one program per batch size."""
        climbs_batches = self.features.sharpness_aware != "none" and not self.sam_examples
        return self.task.model.couples_examples or climbs_batches or self.groups > 0

    @property
    def widths(self) -> tuple[int, ...]:
        """Examples of a micro-step, rising."""
        return (self.microbatch, *self.wide)


class Snapshot(NamedTuple):
    """All that a cell's future depends on besides its order, between two of its updates.

    Attributes:
      params, state, opt_state: the model, its running statistics, its optimiser.
      epoch, position: int32, where the stream stands.
      average: of the weights, or None where none is taken.
      adversary: (groups,), what each group's loss weighs in group DRO, or None.
    """

    params: Params
    state: State
    opt_state: Any
    epoch: Any
    position: Any
    average: Average | None = None
    adversary: Any = None


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
      gradient: sum of gradients over the current batch; means nothing before its first piece.
      weight: sum of weights over the current batch.
      tally: training-pass sums since the last evaluation.
      evaluations: int32, rows of the trajectory that are filled.
      trajectory: (evaluations, 4) in the order of `budgets.METRICS`.
      trajectory_step: (evaluations,) int32.
      final: (6,) in the order of FINALS, NaN until finished.
      best: early stopping's memory, or None.
      average: of the weights, or None.
      adversary: of group DRO, (groups,), or None.
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
    average: Average | None
    adversary: jax.Array | None


class Piece(NamedTuple):
    """What a micro-step found.

    Attributes:
      gradient: sum of gradients over its examples.
      first: bool, it opens its batch.
    """

    gradient: Params
    first: Any


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
        average=begin.average,
        adversary=begin.adversary,
    )


def micro_step(
    recipe: Recipe, lane: Lane, order: Order, arrays: Arrays, slab: Slab | None = None
) -> tuple[Lane, Piece]:
    """Consumes the next microbatch, or marks the lane diverged; the gradient comes beside it.

    A batch size that isn't a multiple of the microbatch ends in a short one, padded with examples
    of weight zero; the stream moves on by the real ones only. Which width a lane takes depends on
    nothing but how much of its batch is left.
    """
    left = batch_size_at(order.schedule, lane.step) - lane.consumed
    passes = [
        functools.partial(training_pass, recipe, lane, order, arrays, slab, width)
        for width in recipe.widths
    ]
    if recipe.wide:
        rank = jnp.sum(left >= jnp.array(recipe.wide, jnp.int32), dtype=jnp.int32)
        gradient, sums, state, adversary = jax.lax.switch(rank, passes, left)
        width = jnp.array(recipe.widths, jnp.int32)[rank]
    else:
        gradient, sums, state, adversary = passes[0](left)
        width = jnp.full((), recipe.microbatch, jnp.int32)
    take, piece = jnp.minimum(width, left), Piece(gradient, lane.consumed == 0)
    epoch, position = stream.wrap(lane.epoch, lane.position + take, recipe.num_examples)
    lane = lane._replace(
        status=jnp.where(jnp.isfinite(sums.loss), lane.status, Status.DIVERGED),
        epoch=epoch,
        position=position,
        consumed=lane.consumed + take,
        state=state,
        adversary=adversary,
        weight=lane.weight + sums.weight,
        tally=jax.tree.map(jnp.add, lane.tally, sums),
    )
    return lane, piece


def wants_update(lane: Lane, order: Order) -> jax.Array:
    """Whether the current batch is complete, bool scalar."""
    batch_size = batch_size_at(order.schedule, lane.step)
    return (lane.status == Status.RUNNING) & (lane.consumed == batch_size)


def accumulate(lane: Lane, piece: Piece) -> Lane:
    """Adds a micro-step's gradient to those of its batch, so that none has to be cleared first."""

    def add(total: jax.Array, new: jax.Array) -> jax.Array:
        return jnp.where(piece.first, new, total + new)

    return lane._replace(gradient=jax.tree.map(add, lane.gradient, piece.gradient))


def update(recipe: Recipe, lane: Lane, piece: Piece, order: Order) -> Lane:
    """One parameter update from the mean gradient of a batch whose last piece this is."""
    total = accumulate(lane, piece).gradient
    share = 1 / lane.weight  # cheaper to multiply by in each pass than a stored quotient to read
    mean = jax.tree.map(lambda g: g * share, total)
    optimizer = _optimizer(recipe, order, lane.step)
    change, opt_state = optimizer.update(mean, lane.opt_state, lane.params)
    params = optax.apply_updates(lane.params, change)
    step, zero = lane.step + 1, jnp.zeros((), jnp.int32)
    return lane._replace(
        step=step,
        consumed=zero,
        due=step == order.schedule.evaluations[lane.evaluations],
        params=params,
        opt_state=opt_state,
        weight=jnp.zeros_like(lane.weight),
        average=_average(recipe, lane, params, order),
    )


def _average(recipe: Recipe, lane: Lane, params: Params, order: Order) -> Average | None:
    """The average after an update to `params`."""
    if lane.average is None:
        return None
    keep = hyper_at(order.schedule, lane.step, recipe.features).average_keep
    anew = lane.step <= order.schedule.average_start
    average = averaging.include(lane.average, params, keep, anew)
    mean = trainable.joined(recipe.task.model, average.params, params)
    return average._replace(params=mean)


def initial_snapshot(recipe: Recipe, order: Order) -> Snapshot:
    """Where a cell starts: at a trunk's state, or with fresh weights at the stream's beginning."""
    if order.initial is not None:
        return order.initial
    zero = jnp.zeros((), jnp.int32)
    key = stream.purpose_key(order.seed, Purpose.INITIALISATION)
    params, state = recipe.task.model.init(key)
    opt_state = _optimizer(recipe, order, zero).init(params)
    average = averaging.begin(params) if recipe.features.average != "none" else None
    adversary = None
    if recipe.features.group_dro:
        adversary = group_objectives.begin(recipe.groups, recipe.task.model.dtype)
    return Snapshot(params, state, opt_state, zero, zero, average, adversary)


def snapshot(lane: Lane) -> Snapshot:
    """The lane's state; worth keeping where no batch is half consumed."""
    return Snapshot(*(getattr(lane, name) for name in Snapshot._fields))


def minimum_of(kept: Lane | Snapshot) -> tuple[Params, State]:
    """What is evaluated and measured of a lane or its snapshot: the average, where one is taken."""
    params = kept.params if kept.average is None else kept.average.params
    return params, kept.state


def _optimizer(recipe: Recipe, order: Order, step: jax.Array) -> optax.GradientTransformation:
    hyper = hyper_at(order.schedule, step, recipe.features)
    if group_objectives.penalised(recipe.features) and recipe.optimizer not in DECOUPLED:
        scale = group_objectives.scale_of(recipe.features, hyper, examples_seen(hyper, step))
        hyper = hyper._replace(weight_decay=hyper.weight_decay / scale)
    optimizer = make_optimizer(recipe.optimizer, hyper, recipe.features)
    optimizer = mup.rescaled(recipe.task.model, recipe.optimizer, optimizer)
    return trainable.restrained(recipe.task.model, optimizer)
