"""Objectives that look at the groups of a batch: the worst one, or how much they differ.

Group DRO (Sagawa et al. 2020, arXiv:1911.08731) weighs the groups' losses by an adversary that
climbs them. Penalties are added to the mean loss: IRMv1 (Arjovsky et al. 2019, arXiv:1907.02893) on
the slope of each environment's loss along the scale of the outputs, V-REx (Krueger et al. 2021,
arXiv:2003.00688) on the variance of the losses, and parity on how far apart the groups' mean scores
are. As in the code of the second and third, an objective whose penalties are above 1 is divided by
them, L2 decay included, and they may be 1 at most in the beginning.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from minima.sweep.optimizers import Features, Hyper

if TYPE_CHECKING:
    from minima.sweep.lane import Recipe

PENALTIES = ("irm_penalty", "vrex_penalty", "parity_penalty")


class Batch(NamedTuple):
    """What an objective looks at.

    Attributes:
      outputs: (n, classes), or (n, 1) of a regression.
      labels: (n,).
      weights: (n,); 0 for padding.
      groups: (n,) int32.
      smoothing: of labels, or None.
    """

    outputs: jax.Array
    labels: jax.Array
    weights: jax.Array
    groups: jax.Array
    smoothing: jax.Array | None


def begin(count: int, dtype: Any) -> jax.Array:
    """The adversary of group DRO before it has seen a loss: all groups alike."""
    return jnp.full((count,), 1 / count, dtype)


def objective(
    recipe: "Recipe", hyper: Hyper, seen: jax.Array, adversary: jax.Array | None, batch: Batch
) -> tuple[jax.Array, jax.Array | None]:
    """The scalar that a batch's update goes down, and the adversary after.

    Args:
      recipe: `task`, `features` and `groups` are read.
      hyper: of the cell.
      seen: examples before this batch; what a penalty's beginning is counted in.
      adversary: (groups,), what each group's loss weighs in group DRO; None without.
      batch: whole; a group that is not in it has no part in a penalty.
    """
    task, features = recipe.task, recipe.features
    outputs = jnp.where(batch.weights[:, None] > 0, batch.outputs, 0)

    def losses(scale: jax.Array) -> jax.Array:
        return task.mean_losses(scale * outputs, batch.labels, batch.smoothing)

    one = jnp.ones((), outputs.dtype)
    each, slopes = jax.jvp(losses, (one,), (one,))
    member = jax.nn.one_hot(batch.groups, recipe.groups, axis=0, dtype=outputs.dtype)
    member = member * batch.weights[None, :]
    there, risks = _means(member, each)
    value = jnp.sum(batch.weights * each) / jnp.sum(batch.weights)
    if adversary is not None:
        climbed = jnp.log(adversary) + hyper.group_dro * jax.lax.stop_gradient(risks)
        adversary = jax.nn.softmax(climbed)
        value = jnp.where(hyper.group_dro > 0, jnp.sum(adversary * risks), value)
    if not penalised(features):
        return value, adversary
    penalties = {
        "irm_penalty": lambda: jnp.mean(jnp.square(_means(member, slopes)[1]), where=there),
        "vrex_penalty": lambda: jnp.var(risks, where=there),
        "parity_penalty": lambda: _parity(features.parity, member, batch.labels, outputs),
    }
    for name, strength in _strengths(features, hyper, seen).items():
        value = value + strength * penalties[name]()
    return value / scale_of(features, hyper, seen), adversary


def looks_at_groups(features: Features) -> bool:
    """Whether a batch is one objective, not a sum over its examples."""
    return features.group_dro or penalised(features)


def penalised(features: Features) -> bool:
    """Whether some cell has a penalty."""
    return any(getattr(features, name) for name in PENALTIES)


def scale_of(features: Features, hyper: Hyper, seen: jax.Array) -> jax.Array:
    """What the objective, and L2 decay with it, is divided by; 1 unless penalties are above it."""
    return jnp.maximum(sum(_strengths(features, hyper, seen).values()), 1)


def _strengths(features: Features, hyper: Hyper, seen: jax.Array) -> dict[str, jax.Array]:
    early = seen < hyper.penalty_warmup_examples
    full = {name: getattr(hyper, name) for name in PENALTIES if getattr(features, name)}
    return {name: jnp.where(early, jnp.minimum(x, 1), x) for name, x in full.items()}


def _means(member: jax.Array, values: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Which groups are there, (groups,), and their means (groups, ...) of values (n, ...), or 0."""
    size = jnp.sum(member, axis=1)
    share = member / jnp.where(size > 0, size, 1)[:, None]
    return size > 0, share @ values


def _parity(rule: str, member: jax.Array, labels: jax.Array, outputs: jax.Array) -> jax.Array:
    """The mean over pairs of groups of the squared difference of their mean scores.

    Scores are probabilities; with more than two classes, half the sum over them. Over all examples
    for demographic parity, those of class 1 for equal opportunity; the mean over the classes for
    equalised odds.
    """
    scores = jax.nn.softmax(outputs)
    if rule == "demographic_parity":
        return _apart(member, scores)
    if rule == "equal_opportunity":
        return _apart(member * (labels == 1)[None, :], scores)
    classes = range(outputs.shape[-1])
    each = [_apart(member * (labels == k)[None, :], scores) for k in classes]
    return jnp.mean(jnp.stack(each))


def _apart(member: jax.Array, scores: jax.Array) -> jax.Array:
    there, means = _means(member, scores)
    count = jnp.sum(there)
    middle = jnp.sum(means, axis=0) / jnp.maximum(count, 1)
    squares = jnp.sum(jnp.square(means - middle[None, :]), axis=1)
    return jnp.sum(squares, where=there) / jnp.maximum(count - 1, 1)
