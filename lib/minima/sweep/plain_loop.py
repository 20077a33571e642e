"""A cell trained the plain way: whole batches, one after the other, by optax.

It knows neither lanes nor microbatches. Like the engine it needs the stream, the model and the
optimiser; every rule about gradients it writes out for itself.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from minima.sweep.examples import Place, example_index, flipped, training_examples
from minima.sweep.group_objectives import Batch
from minima.sweep.lane import Snapshot, initial_snapshot
from minima.sweep.optimizers import DECOUPLED, Hyper, make_optimizer
from minima.sweep.plain_groups import divisor, plain_objective
from minima.sweep.plan import Cell, Plan
from minima.sweep.schedules import hyper_at
from minima.sweep.stream import Purpose, example_keys, place_key
from minima.tasks.models import Noise, Params, State, mup, trainable
from minima.tasks.task import Arrays, Regularisation, to_arrays

Step = tuple[Snapshot, jax.Array]  # the state after an update, and its training loss


def plain_losses(plan: Plan, cell: Cell) -> Iterator[float]:
    """Trains a cell on whole batches with optax, update by update; yields training losses."""
    n = len(plan.dataset.train)
    update, order, timeline = jax.jit(_updater(plan, cell)), plan.order(cell), plan.timeline(cell)
    carry = initial_snapshot(plan.recipe, order)
    begin = int(carry.epoch) * n + int(carry.position)
    for step in range(timeline.steps):
        seen = np.arange(timeline.examples(step), timeline.examples(step + 1)) + begin
        epoch, position = (part.astype(np.int32) for part in np.divmod(seen, n))
        carry, loss = update(carry, np.int32(step), epoch, position)
        yield float(loss)


def _updater(plan: Plan, cell: Cell) -> Callable[..., Step]:
    recipe, schedule = plan.recipe, jax.tree.map(jnp.asarray, plan.order(cell).schedule)
    task, features = recipe.task, recipe.features
    arrays = jax.device_put(to_arrays(plan.dataset, task.model.dtype))

    def update(carry: Snapshot, step: jax.Array, epoch: jax.Array, position: jax.Array) -> Step:
        hyper = hyper_at(schedule, step, features)
        params, size = carry.params, len(epoch)
        if features.weight_noise:
            params = _noisy(params, cell, hyper, epoch[0], position[0])

        def add(so_far: tuple[Any, Params, State], place: tuple[Any, Any]) -> tuple[Any, None]:
            """Value and gradient of a piece's share of the mean loss, and the state after."""
            value, gradient, state = so_far

            def loss(params: Params) -> tuple[jax.Array, Any]:
                inputs, labels, weights, extras = _examples(plan, cell, arrays, *place)
                there = jnp.ones_like(weights)
                outputs, after = task.training_outputs(params, state, arrays, inputs, there, extras)
                sums = task.sums(outputs, labels, weights, extras.smoothing)
                mean = sums.loss / sums.weight * (jnp.sum(weights) / total)
                if not recipe.groups:
                    return mean, (mean, after, None)
                groups = arrays.groups[example_index(_place(plan, cell, *place))]
                batch = Batch(outputs, labels, weights, groups, extras.smoothing)
                found = plain_objective(recipe, hyper, step, carry.adversary, batch)
                return found[0], (mean, after, found[1])

            rise, (more, state, adversary) = _by_rule(features.sharpness_aware, loss, params, hyper)
            return (value + more, _plus(gradient, rise), state), adversary

        total = jnp.sum(_examples(plan, cell, arrays, epoch, position)[2])
        piece = _piece(plan, size)
        whole = size // piece * piece
        pieces = (epoch[:whole].reshape(-1, piece), position[:whole].reshape(-1, piece))
        nothing = jnp.zeros((), task.model.dtype), jax.tree.map(jnp.zeros_like, params)
        so_far, adversary = jax.lax.scan(add, (*nothing, carry.state), pieces)
        if whole < size:
            so_far, _ = add(so_far, (epoch[whole:], position[whole:]))
        loss, gradient, state = so_far
        if recipe.optimizer not in DECOUPLED:
            scale = divisor(recipe, hyper, step)
            hyper = hyper._replace(weight_decay=hyper.weight_decay / scale)
        optimizer = make_optimizer(recipe.optimizer, hyper, features)
        optimizer = mup.rescaled(task.model, recipe.optimizer, optimizer)
        optimizer = trainable.restrained(task.model, optimizer)
        change, opt_state = optimizer.update(gradient, carry.opt_state, carry.params)
        params = optax.apply_updates(carry.params, change)
        if adversary is not None:  # of a group objective, whose batch is one piece
            carry = carry._replace(adversary=adversary[0])
        return carry._replace(params=params, state=state, opt_state=opt_state), loss

    return update


def _piece(plan: Plan, size: int) -> int:
    """Batches are whole, but for ghost norm and m-sharpness, which pieces of them define."""
    ghost = plan.recipe.task.model.settings.norm == "ghost"
    piece = plan.recipe.microbatch if ghost else plan.recipe.sam_examples
    return min(piece or size, size)


def _by_rule(
    rule: str, loss: Callable[[Params], Any], params: Params, hyper: Hyper
) -> tuple[Params, Any]:
    """The gradient by the rule, and what else the loss returns."""
    plain, aux = jax.grad(loss, has_aux=True)(params)
    if rule == "none":
        return plain, aux
    # With T = 1 Kwon et al. 2021's step is that of Foret et al. 2021.
    (flat, rebuilt), (weights, _) = ravel_pytree(plain), ravel_pytree(params)
    size = jnp.abs(weights) + 0.01 if rule == "asam" else jnp.ones_like(weights)
    norm = jnp.linalg.norm(size * flat)
    step = rebuilt(hyper.rho * size**2 * flat / jnp.where(norm == 0, 1, norm))
    above, _ = jax.grad(loss, has_aux=True)(_plus(params, step))
    a = hyper.rho_share
    return jax.tree.map(lambda g, up: (1 - a) * g + a * up, plain, above), aux


def _noisy(params: Params, cell: Cell, hyper: Hyper, epoch: Any, position: Any) -> Params:
    key = place_key(np.int32(cell["seed"]), Purpose.WEIGHT_NOISE, epoch, position)
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    noise = [
        jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)
    ]
    scaled = [hyper.weight_noise * draw for draw in noise]
    return _plus(params, jax.tree.unflatten(structure, scaled))


def _examples(
    plan: Plan, cell: Cell, arrays: Arrays, epoch: jax.Array, position: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, Regularisation]:
    """Inputs, labels, weights and everything random of the examples at these places."""
    task, features, seed = plan.recipe.task, plan.recipe.features, np.int32(cell["seed"])
    # These are the same in every phase.
    hyper = jax.tree.map(lambda by_phase: by_phase[0], plan.order(cell, fresh=False).schedule.hyper)

    def keys(purpose: Purpose) -> jax.Array:
        return example_keys(seed, purpose, epoch, position)

    place = _place(plan, cell, epoch, position)
    noise = hyper.label_noise if features.label_noise else None
    inputs, labels = training_examples(task, place, arrays, None, noise)
    labels = flipped(task, place, labels, hyper.label_flips if features.label_flips else None)
    augments = task.augmentation != "none"
    extras = Regularisation(
        keys(Purpose.AUGMENTATION) if augments else None,
        Noise(keys(Purpose.DROPOUT), hyper.dropout) if features.dropout else None,
        hyper.label_smoothing if features.label_smoothing else None,
    )
    weights = jnp.ones(len(labels), task.model.dtype)
    if features.reweighting:
        weights += hyper.reweighting * (arrays.weights[example_index(place)] - 1)
    return inputs, labels, weights, extras


def _place(plan: Plan, cell: Cell, epoch: jax.Array, position: jax.Array) -> Place:
    return Place(np.int32(cell["seed"]), epoch, position, len(plan.dataset.train))


def _plus(tree: Params, other: Params) -> Params:
    return jax.tree.map(jnp.add, tree, other)
