"""Trains a sweep for an experiment: progress while it goes, and what to do where it was stopped."""

import shlex
import sys
from typing import TYPE_CHECKING

from minima import sweep
from minima.record.progress import Progress
from minima.runtime.processes import group

if TYPE_CHECKING:
    from minima.sweep.run import Prepared


def train(prepared: "Prepared", flagfile: str) -> int | None:
    """Trains what is missing of a sweep, or of this process's shard of it, and says how it stands.

    Returns:
      None where the whole sweep is there and the experiment goes on. Else the exit code to leave
      with: 0 for a shard that is done, since what follows a sweep needs all of it; or that of a
      sweep that was stopped.
    """
    # Of a group of processes the first one has the terminal; the others' output is dropped.
    with Progress(None if group().is_first else sys.stdout) as progress:
        code = sweep.execute(prepared, flagfile, progress)
    if prepared.shard is None and not code:
        return None
    if prepared.shard is None:
        from minima.record import results

        print_plane(prepared)
        missing = len(prepared.plan.cells) - len(results.load(prepared.directory).cells)
        print(f"stopped with {missing} cells to go; the same command goes on from here")
    else:
        print(_stand(prepared))
    print(f"run: {prepared.place}")
    return code


def _stand(prepared: "Prepared") -> str:
    """How far this process's shard is, and what to do with it."""
    plan, done = prepared.plan, sweep.finished(prepared)
    text = f"shard {prepared.shard}: {done:,} of {len(plan.cells):,} cells done"
    if done < len(plan.part):
        return f"{text}, {len(plan.part) - done:,} to go; the same command goes on from here"
    return f"{text}; gather with: python -m minima gather {shlex.quote(prepared.whole_place)}"


def print_plane(prepared: "Prepared") -> None:
    """The plane of a run's test accuracies, in the terminal."""
    from minima.record import results, terminal

    run = results.load(prepared.directory)
    terminal.print_plane(terminal.make_console(), run.axes, run.cells)
