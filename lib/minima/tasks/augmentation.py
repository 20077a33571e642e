"""Random augmentations, one key per example, so that batch sizes see the same pictures."""

import jax
import jax.numpy as jnp

from minima.runtime.errors import UserError

AUGMENTATIONS = {
    "none": (),
    "shift": ("image", "signal"),
    "shift_flip": ("image",),
}


def check(augmentation: str, kind: str) -> None:
    """Raises UserError if this kind of data ("image", "signal", …) can't be augmented so."""
    if augmentation != "none" and kind not in AUGMENTATIONS[augmentation]:
        kinds = " or ".join(AUGMENTATIONS[augmentation])
        held = kind if kind.endswith("s") else kind + "s"
        raise UserError(
            f"--augmentation={augmentation}: needs {kinds} data, this dataset holds {held}; "
            "use --augmentation=none"
        )


def augment(augmentation: str, kind: str, inputs: jax.Array, keys: jax.Array) -> jax.Array:
    """Augments raw inputs (n, height, width[, channels]) or signals (n, time[, channels]).

    "shift" moves an example by up to a fourteenth of its extent along each axis (2 pixels of 28),
    filling with zeros; "shift_flip" also mirrors images left to right with probability 1/2.
    """
    if augmentation == "none":
        return inputs
    axes = 2 if kind == "image" else 1

    def one(x: jax.Array, key: jax.Array) -> jax.Array:
        shift_key, flip_key = jax.random.split(key)
        reach = [max(1, extent // 14) for extent in x.shape[:axes]]
        padding = [(r, r) for r in reach] + [(0, 0)] * (x.ndim - axes)
        top = jnp.array([2 * r + 1 for r in reach])
        offsets = jax.random.randint(shift_key, (axes,), 0, top)
        starts = [offsets[i] for i in range(axes)] + [0] * (x.ndim - axes)
        moved = jax.lax.dynamic_slice(jnp.pad(x, padding), starts, x.shape)
        if augmentation == "shift":
            return moved
        return jnp.where(jax.random.bernoulli(flip_key), moved[:, ::-1], moved)

    return jax.vmap(one)(inputs, keys)
