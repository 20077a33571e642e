"""Sharpness-aware gradients: those of a point uphill, where the loss is larger nearby.

SAM (Foret et al. 2021, arXiv:2010.01412) takes the gradient at w + ε, one step of length ρ up the
loss of m examples (m-sharpness; Andriushchenko & Flammarion 2022, arXiv:2206.06232). ASAM (Kwon et
al. 2021, arXiv:2102.11600) measures length by the size of each weight, so that rescaling weights
changes nothing. Mixed with the plain gradient, one less than the share a of it, SAM's is a penalty
a·ρ·|∇L| on the gradient's norm (Zhao, Zhang & Hu 2022, arXiv:2202.03599).

What is climbed is the examples' loss alone: weight decay acts afterwards, at w. Everything random
(dropout, augmentation, labels) is the same in both passes; running statistics are the first one's.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from minima.sweep.optimizers import Hyper
from minima.tasks.models import Params

# Kwon et al.'s η; here in the size of all parameters, biases and norms included.
_ETA = 0.01

Loss = Callable[[Params], tuple[jax.Array, Any]]


def gradient(rule: str, loss: Loss, params: Params, hyper: Hyper) -> tuple[Params, Any]:
    """The gradient of a loss by a rule, and what the loss returns beside its value at `params`.

    Args:
      rule: "none", "sam" or "asam"; "none" is the plain gradient, and costs one pass, not two.
      loss: of params, with an auxiliary value; a sum or a mean, direction is all that counts.
      params: where.
      hyper: `rho` and `rho_share` are read; scalars in the params' dtype.
    """
    here, aux = jax.grad(loss, has_aux=True)(params)
    if rule == "none":
        return here, aux
    uphill = jax.tree.map(jnp.add, params, ascent(rule, params, here, hyper.rho))
    there, _ = jax.grad(loss, has_aux=True)(uphill)
    share = hyper.rho_share
    return jax.tree.map(lambda g, above: (1 - share) * g + share * above, here, there), aux


def ascent(rule: str, params: Params, gradient: Params, rho: jax.Array) -> Params:
    """The step of length ρ that climbs a linear loss the furthest; nothing at a gradient of 0.

    SAM: ρ g / |g|. ASAM: ρ T² g / |T g| with T = |w| + η.
    """
    if rule == "sam":
        return jax.tree.map(lambda g: rho * g, _direction(gradient))
    size = jax.tree.map(lambda w: jnp.abs(w) + _ETA, params)
    direction = _direction(jax.tree.map(jnp.multiply, size, gradient))
    return jax.tree.map(lambda t, d: rho * t * d, size, direction)


def _direction(tree: Params) -> Params:
    """A tree over its norm; first over its largest entry, so that no square is lost in rounding.

    Well-fitted examples have gradients whose squares are 0 in float32.
    """
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(tree)]))
    scale = jnp.where(largest == 0, 1, largest)
    scaled = jax.tree.map(lambda leaf: leaf / scale, tree)
    norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(scaled)))
    return jax.tree.map(lambda leaf: leaf / jnp.maximum(norm, 1), scaled)
