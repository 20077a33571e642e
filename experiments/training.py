"""Trains a sweep for an experiment: progress while it goes, and what to do where it was stopped."""

from typing import TYPE_CHECKING

from minima import sweep
from minima.record import results, terminal
from minima.record.progress import Progress

if TYPE_CHECKING:
    from minima.sweep.run import Prepared


def train(prepared: "Prepared", flagfile: str) -> int:
    """Trains what is missing of a sweep; returns an exit code, and says what one means."""
    with Progress() as progress:
        code = sweep.execute(prepared, flagfile, progress)
    if code:
        print_plane(prepared)
        missing = len(prepared.plan.cells) - len(results.load(prepared.directory).cells)
        print(f"stopped with {missing} cells to go; the same command goes on from here")
        print(f"run: {prepared.place}")
    return code


def print_plane(prepared: "Prepared") -> None:
    """The plane of a run's test accuracies, in the terminal."""
    run = results.load(prepared.directory)
    terminal.print_plane(terminal.make_console(), run.axes, run.cells)
