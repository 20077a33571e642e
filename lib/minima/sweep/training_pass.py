"""One forward and backward pass of a lane, over the next examples of its stream.

All that makes a training pass differ from an evaluation is here: noise in labels and weights,
dropout, augmentation, smoothing, and where the gradient is taken.
"""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from minima.runtime.mesh import traced_axes, whole
from minima.sweep import group_objectives, sharpness_aware, stream
from minima.sweep.examples import Place, Slab, example_index, flipped, training_examples
from minima.sweep.optimizers import Hyper
from minima.sweep.schedules import examples_seen
from minima.sweep.stream import Purpose
from minima.sweep.weight_noise import perturbed
from minima.tasks.models import Noise, Params, State
from minima.tasks.objectives import Sums
from minima.tasks.task import Arrays, Regularisation

if TYPE_CHECKING:
    from minima.sweep.lane import Lane, Order, Recipe


def training_pass(
    recipe: "Recipe",
    lane: "Lane",
    order: "Order",
    arrays: Arrays,
    slab: Slab | None,
    width: int,
    left: jax.Array,
) -> tuple[Params, Sums, State, jax.Array | None]:
    """Gradient sum, sums and state of the next `width` examples, at most `left` of them real.

    Last comes group DRO's adversary, or None. An objective over groups takes the place of the
    mean loss in the gradient; the sums are of the examples' losses in any case.
    """
    slot, num_examples = _slots(recipe, lane, width), recipe.num_examples
    if len(slot) > width:  # padded for the devices that share it: repeats the last example
        left = jnp.minimum(left, width)
    nearby = slot if len(slot) == width else jnp.minimum(slot, width - 1)
    # Whole, lest the walk to an example's index be spread: it asks all of them where to end.
    there = stream.wrap(lane.epoch, lane.position + nearby, num_examples)
    epoch, position = map(whole, there)
    place, noise = Place(order.seed, epoch, position, num_examples), label_noise(recipe, order)
    inputs, labels = training_examples(recipe.task, place, arrays, slab, noise)
    flips = _fixed(order).label_flips if recipe.features.label_flips else None
    labels = flipped(recipe.task, place, labels, flips)
    real = (slot < left).astype(recipe.task.model.dtype)
    weights = real * _counting(recipe, order, place, arrays)
    extras = _regularisation(recipe, order, epoch, position)

    def loss(params: Params) -> tuple[jax.Array, tuple[Sums, State, jax.Array | None]]:
        outputs, state = recipe.task.training_outputs(
            params, lane.state, arrays, inputs, real, extras
        )
        sums = recipe.task.sums(outputs, labels, weights, extras.smoothing)
        if not recipe.groups:
            return sums.loss, (sums, state, None)
        groups = arrays.groups[example_index(place)]
        batch = group_objectives.Batch(outputs, labels, weights, groups, extras.smoothing)
        hyper = _fixed(order)
        seen = examples_seen(hyper, lane.step)
        value, adversary = group_objectives.objective(recipe, hyper, seen, lane.adversary, batch)
        return value * sums.weight, (sums, state, adversary)

    rule, at = recipe.features.sharpness_aware, _gradient_point(recipe, lane, order)
    gradient, (sums, state, adversary) = sharpness_aware.gradient(rule, loss, at, _fixed(order))
    return gradient, sums, state, adversary


def _counting(recipe: "Recipe", order: "Order", place: Place, arrays: Arrays) -> jax.Array | int:
    """What the examples at a place of the stream count, (n,); 1 for all without reweighting."""
    if not recipe.features.reweighting:
        return 1
    own = arrays.weights[example_index(place)]
    return 1 + _fixed(order).reweighting * (own - 1)


def _slots(recipe: "Recipe", lane: "Lane", width: int) -> jax.Array:
    """Places of a micro-step's examples, from the lane's on, in the order in which they lie.

    Under a mesh they lie by device, and which device takes an example follows from its place in the
    stream, place mod devices: so each may hold its own part of the stream, and any stretch of it is
    the same work for all.
    """
    parts, n = traced_axes().data, recipe.num_examples
    if parts == 1:
        return jnp.arange(width, dtype=jnp.int32)
    first = (lane.epoch % parts * (n % parts) + lane.position) % parts
    nearest = (jnp.arange(parts, dtype=jnp.int32) - first) % parts
    rows = jnp.arange(-(-width // parts), dtype=jnp.int32)
    return whole((nearest[:, None] + parts * rows[None, :]).reshape(-1))


def _gradient_point(recipe: "Recipe", lane: "Lane", order: "Order") -> Params:
    """Where gradients are taken: at the weights, or beside them by noise that is drawn per batch.

    Its key is the place in the stream at which the batch begins, so that it does not depend on the
    microbatch, and a branch goes on with the noise that its trunk would have had.
    """
    if not recipe.features.weight_noise:
        return lane.params
    n = recipe.num_examples
    begin = stream.wrap(lane.epoch - 1, lane.position - lane.consumed + n, n)
    key = stream.place_key(order.seed, Purpose.WEIGHT_NOISE, *begin)
    return perturbed(lane.params, key, _fixed(order).weight_noise)


def label_noise(recipe: "Recipe", order: "Order") -> jax.Array | None:
    """The probability that a training label is redrawn, or None where none is."""
    return _fixed(order).label_noise if recipe.features.label_noise else None


def _regularisation(
    recipe: "Recipe", order: "Order", epoch: jax.Array, position: jax.Array
) -> Regularisation:
    def keys(purpose: Purpose) -> jax.Array:
        return stream.example_keys(order.seed, purpose, epoch, position)

    augments, features = recipe.task.augmentation != "none", recipe.features
    return Regularisation(
        augmentation_keys=keys(Purpose.AUGMENTATION) if augments else None,
        noise=Noise(keys(Purpose.DROPOUT), _fixed(order).dropout) if features.dropout else None,
        smoothing=_fixed(order).label_smoothing if features.label_smoothing else None,
    )


def _fixed(order: "Order") -> Hyper:
    """The hyperparameters that are the same in every phase: of regularisers and perturbations."""
    return jax.tree.map(lambda by_phase: by_phase[0], order.schedule.hyper)
