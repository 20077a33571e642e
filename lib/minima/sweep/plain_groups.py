"""Objectives over the groups of a batch, group by group: what the plain loop goes down."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp

from minima.sweep.group_objectives import Batch
from minima.sweep.lane import Recipe
from minima.sweep.optimizers import Hyper


def plain_objective(
    recipe: Recipe, hyper: Hyper, step: jax.Array, adversary: Any, batch: Batch
) -> tuple[jax.Array, Any]:
    """See `group_objectives.objective`; `step` counts the updates before this one."""
    task, features = recipe.task, recipe.features
    outputs, labels, weights, groups, smoothing = batch

    def losses(outputs: jax.Array) -> jax.Array:
        return task.mean_losses(outputs, labels, smoothing)

    each = losses(outputs)
    # A loss's slope along the scale of the outputs is its gradient by them, times them.
    slopes = jnp.sum(outputs * jax.grad(lambda x: jnp.sum(losses(x)))(outputs), axis=-1)
    masks = [weights * (groups == group) for group in range(recipe.groups)]
    there = [jnp.sum(mask) > 0 for mask in masks]
    risks = [_mean(each, mask) for mask in masks]
    value = _mean(each, weights)
    if features.group_dro:
        raised = [q * jnp.exp(hyper.group_dro * r) for q, r in zip(adversary, risks, strict=True)]
        adversary = jax.lax.stop_gradient(jnp.stack(raised) / sum(raised))
        worst = sum(q * r for q, r in zip(adversary, risks, strict=True))
        value = jnp.where(hyper.group_dro > 0, worst, value)
    count = sum(there)
    if features.irm_penalty:
        slope = [_mean(slopes, mask) for mask in masks]
        value += strength(hyper.irm_penalty, hyper, step) * sum(s**2 for s in slope) / count
    if features.vrex_penalty:
        middle = sum(risks) / count
        spread = sum(t * (r - middle) ** 2 for t, r in zip(there, risks, strict=True)) / count
        value += strength(hyper.vrex_penalty, hyper, step) * spread
    if features.parity_penalty:
        scores = jax.nn.softmax(outputs)
        value += strength(hyper.parity_penalty, hyper, step) * _gap(recipe, batch, masks, scores)
    return value / divisor(recipe, hyper, step), adversary


def strength(full: jax.Array, hyper: Hyper, step: jax.Array) -> jax.Array:
    """Of a penalty before this update."""
    seen = step * hyper.batch_size
    return jnp.where(seen < hyper.penalty_warmup_examples, jnp.minimum(full, 1), full)


def divisor(recipe: Recipe, hyper: Hyper, step: jax.Array) -> Any:
    """The sum of all penalties' strengths where that is above 1."""
    names = ("irm_penalty", "vrex_penalty", "parity_penalty")
    on = [getattr(hyper, name) for name in names if getattr(recipe.features, name)]
    return jnp.maximum(sum(strength(full, hyper, step) for full in on), 1) if on else 1


def _gap(recipe: Recipe, batch: Batch, masks: list[jax.Array], scores: jax.Array) -> jax.Array:
    """Pair by pair, and class by class where odds are to be equal."""
    classes = {
        "demographic_parity": [jnp.ones_like(batch.weights)],
        "equal_opportunity": [batch.labels == 1],
        "equalized_odds": [batch.labels == k for k in range(scores.shape[-1])],
    }[recipe.features.parity]
    found = []
    for among in classes:
        gaps, pairs = jnp.zeros(()), jnp.zeros(())
        for one, other in itertools.combinations([mask * among for mask in masks], 2):
            both = (jnp.sum(one) > 0) & (jnp.sum(other) > 0)
            apart = [_mean(score, one) - _mean(score, other) for score in scores.T]
            gaps += both * sum(a**2 for a in apart) / 2
            pairs += both
        found.append(gaps / jnp.maximum(pairs, 1))
    return sum(found[1:], found[0]) / len(found)


def _mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    """Weighted; 0 where all weights are."""
    total = jnp.sum(weights)
    return jnp.sum(values * weights) / jnp.where(total > 0, total, 1)
