"""Ends a process that is alive but no longer moves: JAX's runtime only notices dead ones."""

import threading
import time
from collections.abc import Callable

from minima.runtime.processes import end_stuck


class Watchdog:
    """Calls `bark(seconds)` once nothing has moved for longer than `seconds`, in a `with` block.

    What moves calls `beat`. A limit of 0 is none.
    """

    def __init__(self, seconds: float, bark: Callable[[float], None] = end_stuck) -> None:
        """Starts with the block."""
        self._seconds, self._bark = seconds, bark
        self._last, self._over = time.monotonic(), threading.Event()

    def beat(self) -> None:
        """Tells that something moved."""
        self._last = time.monotonic()

    def __enter__(self) -> "Watchdog":
        """The watchdog, watching."""
        self.beat()
        if self._seconds:
            threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Watches no more."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(min(1.0, self._seconds / 4)):
            still = time.monotonic() - self._last
            if still > self._seconds:
                self._bark(still)
                return
