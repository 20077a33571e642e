"""Puts the shards of a sweep together and then starts the experiment for what needs all of them.

    python launch/gather.py WORKDIR [-- SCRIPT FLAGS]

This is what the launchers' gather jobs run; it does no harm to run it early, or twice.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from minima.runtime.errors import UserError


def main(arguments: Sequence[str]) -> int:
    """Gathers the runs under a workdir; returns 0, or 1 where something is missing."""
    workdir, *rest = arguments
    # In a group of processes, the first gathers; the others meet it where the experiment starts.
    code = gather(workdir) if os.environ.get("JOB_COMPLETION_INDEX", "0") == "0" else 0
    if code or not rest:
        return code
    command = [sys.executable, *rest[1:]]
    print("$", *command, flush=True)
    os.execv(command[0], command)


def gather(workdir: str) -> int:
    """Runs `python -m minima gather` on every run that has shards."""
    runs = runs_with_shards(workdir)
    if not runs:
        raise UserError(f"{workdir}: no shard has started there; see the logs of the shards")
    codes = [subprocess.call([sys.executable, "-m", "minima", "gather", run]) for run in runs]
    return max(codes)


def runs_with_shards(workdir: str) -> list[str]:
    """The runs under a workdir, a path or a URL, of which shards exist."""
    if "://" not in workdir:
        return sorted(str(path.parent) for path in Path(workdir).glob("*/*/shards"))
    from minima.record.remote import Store

    store, runs = Store(workdir), []
    for experiment in store.folders(""):
        for run in store.folders(experiment):
            if "shards" in store.folders(f"{experiment}/{run}"):
                runs.append(f"{workdir.rstrip('/')}/{experiment}/{run}")
    return runs


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        print("error:", error, file=sys.stderr)
        sys.exit(2)
