"""States of cells, kept to branch from and to measure: one npz file per cell and update.

`RUN/snapshots/cell-<number in results.csv>/step-<updates>.npz` holds arrays by name, such as
`params/hidden/0/kernel`; NumPy alone reads them, and the zip format carries a checksum of each.
Where weights are averaged, `average/hidden/0/kernel` is what was evaluated.
"""

import io
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minima.record.files import write_atomically
from minima.runtime.errors import UserError

_STEP = re.compile(r"step-(\d+)\.npz")


class Snapshots:
    """The snapshots of one run."""

    def __init__(self, run_directory: Path | str) -> None:
        """Looks into `run_directory`; creates nothing."""
        self.directory = Path(run_directory) / "snapshots"

    def write(self, cell: int, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Keeps a cell's state after `step` updates, whole or not at all.

        Raises:
          DiskFull: no room; what was there is intact.
        """
        path = self._path(cell, step)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.savez(content, **arrays)  # type: ignore[arg-type]
        write_atomically(path, content.getvalue())

    def steps(self, cell: int) -> tuple[int, ...]:
        """After which updates states of this cell were kept, rising."""
        folder = self._path(cell, 0).parent
        names = [_STEP.fullmatch(path.name) for path in folder.glob("step-*.npz")]
        return tuple(sorted(int(name[1]) for name in names if name))

    def read(self, cell: int, step: int) -> dict[str, np.ndarray]:
        """A kept state, arrays by name.

        Raises:
          UserError: it is missing or damaged.
        """
        path = self._path(cell, step)
        try:
            with np.load(path) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: can't be read ({error}); train that run again") from error

    def take(self, others: "Snapshots", cell: int) -> None:
        """Keeps what another directory has of a cell too, without a copy where both share a disk.

        Raises:
          DiskFull: no room; what was there is intact.
        """
        for step in others.steps(cell):
            path, there = self._path(cell, step), others._path(cell, step)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(there, path)
            except FileExistsError:
                continue
            except OSError:  # another disk, or one that knows no links
                write_atomically(path, there.read_bytes())

    def _path(self, cell: int, step: int) -> Path:
        return self.directory / f"cell-{cell:06d}" / f"step-{step:09d}.npz"


def by_name(prefix: str, tree: Any) -> dict[str, np.ndarray]:
    """The leaves of nested dicts and lists, named by their path: `prefix/key/0/key`."""
    if isinstance(tree, Mapping):
        entries = list(tree.items())
    elif isinstance(tree, list | tuple):
        entries = list(enumerate(tree))
    else:
        return {prefix: np.asarray(tree)}
    leaves: dict[str, np.ndarray] = {}
    for key, entry in entries:
        leaves |= by_name(f"{prefix}/{key}", entry)
    return leaves
