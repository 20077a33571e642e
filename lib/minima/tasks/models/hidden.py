"""A look at hidden layers while a model is traced: models note what each makes of its inputs.

Where nobody watches, noting is the identity on values and adds nothing to what is traced.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax

_watching: ContextVar[list[jax.Array] | None] = ContextVar("watching", default=None)


def noted(x: jax.Array) -> jax.Array:
    """The output x of a hidden layer, (n, ...), unchanged."""
    layers = _watching.get()
    if layers is not None:
        layers.append(x)
    return x


@contextmanager
def watched() -> Iterator[list[jax.Array]]:
    """Collects, in their order, what the models that run inside have noted.

    Blocks that are computed again (see `remat`) run inside of a transformation, so they note
    nothing.
    """
    layers: list[jax.Array] = []
    token = _watching.set(layers)
    try:
        yield layers
    finally:
        _watching.reset(token)
