"""The arithmetic of measurements: products at full precision, 64 bits on request."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

DTYPES = ("float32", "float64")


@contextmanager
def arithmetic(dtype: str | None = None) -> Iterator[None]:
    """Matrix products at the highest precision; with "float64", 64-bit arrays while it lasts.

    64 bits need not be on before: JAX compiles anew for them. Results should be fetched inside.

    Raises:
      ValueError: another dtype.
    """
    if dtype not in (None, *DTYPES):
        raise ValueError(f"dtype={dtype!r}: choose {' or '.join(DTYPES)}, or None for the weights'")
    with jax.default_matmul_precision("highest"):
        if dtype != "float64":
            yield
            return
        with jax.enable_x64(True):
            yield


def cast(tree: Any, dtype: str | None) -> Any:
    """A pytree, its floating arrays in another dtype; None changes nothing. Inside `arithmetic`."""

    def one(x: Any) -> Any:
        return x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return tree if dtype is None else jax.tree.map(lambda x: one(_array(x)), tree)


def _array(x: Any) -> Any:
    return x if isinstance(x, jax.Array) else np.asarray(x)
