"""Where minima keeps what can be made again: compiled programs, measurements, downloads."""

import os
from pathlib import Path


def cache_directory() -> Path:
    """`$XDG_CACHE_HOME/minima`, or `~/.cache/minima`; deleting it costs time only."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "minima"
