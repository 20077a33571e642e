"""Runs the sides of rows as commands, each in a process of its own."""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from row import Row, Side

ROOT = Path(__file__).parents[1]


class Runner:
    """Knows the two Pythons, and the folder for data that both sides read."""

    def __init__(self, ours: str, peers: str):
        """Takes the paths of both interpreters."""
        # Not resolved: an environment's python is a link to the interpreter it was made from.
        self.pythons = {False: str(Path(ours).absolute()), True: str((ROOT / peers).absolute())}
        self.scratch = tempfile.TemporaryDirectory(prefix="minima-benchmark-")

    def __enter__(self) -> "Runner":
        """The runner itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Removes the data."""
        self.scratch.cleanup()

    def figure(self, row: Row, side: Side) -> float:
        """Seconds per unit of the row's work in one run of a side.

        Raises:
          CalledProcessError: the side failed; its stderr says how.
        """
        data = self._data(row.data) if row.data else ""
        found = self.run(side, data)
        seconds = found["whole_seconds"] if row.whole else found["seconds"]
        return seconds / (found[row.per] if row.per else 1)

    def run(self, side: Side, data: str = "") -> dict[str, Any]:
        """The last line that a side prints, as JSON, with `whole_seconds` from start to end."""
        with tempfile.TemporaryDirectory(dir=self.scratch.name) as folder:
            places = {"data": data, "folder": folder}
            command = [part.format(**places) for part in (self.pythons[side.peer], *side.command)]
            added = dict(v.format(**places).split("=", 1) for v in side.variables)
            cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
            pinned = ["taskset", "-c", ",".join(map(str, cores[: side.cores]))]
            if side.cores and cores:
                command = [*pinned, *command]
            begin = time.perf_counter()
            done = subprocess.run(
                command,
                check=True,
                cwd=ROOT,
                env=os.environ | added,
                capture_output=True,
                text=True,
            )
            whole = time.perf_counter() - begin
        last = done.stdout.strip().rpartition("\n")[2]
        found = json.loads(last) if last.startswith("{") else {}
        return found | {"whole_seconds": whole}

    def _data(self, workload: str) -> str:
        path = Path(self.scratch.name) / f"{workload}.npz"
        if not path.exists():
            export = ("benchmarks/sides/export_data.py", workload, str(path))
            self.run(Side("export", export))
        return str(path)
