"""What every test runs under: two CPU devices and no rank promotion. And a count of compiles.

MINIMA_TEST_DEVICES asks for another number of devices: `test_mesh.py` starts pytest with eight.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from minima.runtime.compilation import count_compilations

# Before any test can start a backend: afterwards these two are read no more.
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", int(os.environ.get("MINIMA_TEST_DEVICES", "2")))
jax.config.update("jax_numpy_rank_promotion", "raise")
# Many tests run the same programs; each is compiled once, and not again in the next session. Every
# worker has a folder of its own: JAX writes an entry in place, and another may read half of it.
_CACHE = Path(__file__).parents[1] / ".pytest_cache" / "xla"
_CACHE = _CACHE / os.environ.get("PYTEST_XDIST_WORKER", "main")
jax.config.update("jax_compilation_cache_dir", str(_CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture
def counts_compilations(tmp_path: Path) -> Iterator[Callable[[], AbstractContextManager]]:
    """Count executables: `with counts_compilations() as seen: ...`, then read `seen.count`."""
    settings = {
        "jax_enable_compilation_cache": True,
        "jax_compilation_cache_dir": str(tmp_path / "compiled"),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    _configure(settings)
    yield count_compilations
    _configure(before)


def _configure(settings: dict[str, object]) -> None:
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # the directory is read only when the cache is first used
