"""The persistent compilation cache, and a count of what was really compiled."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.monitoring

from minima.runtime.caches import cache_directory


def use_compilation_cache(directory: Path | None = None) -> None:
    """Keeps every compiled program on disk, so that a second start compiles nothing.

    A directory already set (by JAX_COMPILATION_CACHE_DIR) is respected. JAX's thresholds are
    lowered: by default it keeps only what took a second to compile.
    """
    if jax.config.values["jax_compilation_cache_dir"] is None:
        path = directory or cache_directory() / "xla"
        jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@dataclass
class Compilations:
    """How many programs were compiled; what came out of the cache is not counted."""

    count: int = 0


# JAX's backend-compile event also fires on a cache hit; a miss is what really compiles.
_MISS = "/jax/compilation_cache/cache_misses"


@contextlib.contextmanager
def count_compilations() -> Iterator[Compilations]:
    """Counts what JAX compiles inside the block; needs the compilation cache to be in use."""
    seen = Compilations()

    def on_event(event: str, **_: object) -> None:
        if event == _MISS:
            seen.count += 1

    jax.monitoring.register_event_listener(on_event)
    try:
        yield seen
    finally:
        jax.monitoring.unregister_event_listener(on_event)
