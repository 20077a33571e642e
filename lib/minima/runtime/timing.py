"""How long a compiled function takes."""

import time
from collections.abc import Callable
from typing import Any

import jax


def seconds(function: Callable[..., Any], *arguments: Any, repeats: int = 7) -> float:
    """The fastest of several calls: whatever else a machine does can only add to it.

    Each is waited for; the first one, which may compile, is left out.
    """
    jax.block_until_ready(function(*arguments))
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        taken.append(time.perf_counter() - start)
    return min(taken)
