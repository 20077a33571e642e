"""Noise in the weights: gradients are taken at w + σ·N(0, I), updates made at w.

Noise that is the same in all directions, which that of small batches is not. In the mean it adds
½σ² tr(Hessian) to the loss, to leading order (Orvieto et al. 2022, arXiv:2206.04613).
"""

import jax

from minima.tasks.models import Params


def perturbed(params: Params, key: jax.Array, sigma: jax.Array) -> Params:
    """Every parameter plus σ times a standard normal, drawn by one PRNG key."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    noisy = [
        leaf + sigma * jax.random.normal(k, leaf.shape, leaf.dtype)
        for leaf, k in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(structure, noisy)
