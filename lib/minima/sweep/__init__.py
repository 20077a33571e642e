"""HOW cells train: grid, plan, program, host loop.

`prepare`, `describe`, `execute` and `finished` are all that an experiment needs; they are loaded on
first use, so that importing this package costs nothing and `--help` stays fast.
"""

from typing import Any

_LAZY = {
    "prepare": "minima.sweep.run",
    "describe": "minima.sweep.description",
    "execute": "minima.sweep.run",
    "finished": "minima.sweep.run",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)
