"""Checkpoints of processes in lockstep: the first one has them, the others take theirs from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minima.record.checkpoints import Checkpoints
from minima.runtime.processes import from_first, group
from minima.runtime.transfers import arrays_from_first


def open_checkpoints(directory: Path) -> "Checkpoints | SharedCheckpoints":
    """The checkpoints in a directory of this process's, or of the first of those in lockstep."""
    return SharedCheckpoints(directory) if group().lockstep else Checkpoints(directory)


class SharedCheckpoints:
    """As `Checkpoints`; every process makes the same calls."""

    def __init__(self, directory: Path) -> None:
        """Opens the first process's; the directory means nothing to the others."""
        self._own = Checkpoints(directory) if group().is_first else None

    def save(self, step: int, tree: Any, meta: Mapping[str, Any]) -> None:
        """The first process saves; see `Checkpoints.save`."""
        if self._own:
            self._own.save(step, tree, meta)

    def restore(self, abstract: Any) -> tuple[int, Any, dict[str, Any]] | None:
        """What the first process restores, in all of them; see `Checkpoints.restore`.

        The leaves of `abstract` are arrays.
        """
        tree = abstract

        def look() -> tuple[int, dict[str, Any]] | None:
            nonlocal tree
            found = self._own.restore(abstract) if self._own else None
            if found is None:
                return None
            tree = found[1]
            return found[0], found[2]

        found = from_first(look)
        return None if found is None else (found[0], arrays_from_first(tree), found[1])

    def wait(self) -> None:
        """Returns when the first process's last save is on disk, there."""
        if self._own:
            self._own.wait()

    def close(self) -> None:
        """Waits, and lets go."""
        if self._own:
            self._own.close()

    def __enter__(self) -> "SharedCheckpoints":
        """The checkpoints themselves."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes, with or without an exception under way."""
        self.close()
