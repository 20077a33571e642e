"""A run at a glance: what was trained, how far it came, what is best, and what to type next."""

import shlex
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minima.record.cells import FAILED, Axes, Cell
from minima.record.intervals import Mean, interval
from minima.record.mirrored import worker
from minima.record.plane import best_rates, panels
from minima.record.results import Run
from minima.record.terminal import print_plane

if TYPE_CHECKING:
    from rich.console import Console

_FILES = {
    "results.csv": "a row per cell",
    "results.nc": "the same with curves: minima.load(RUN).results",
    "figures/plane.png": "the heat map",
    "figures/landscape.png": "heat maps of what was measured at the minima",
    "cells.jsonl": "the truth: a line per finished cell",
    "measures.jsonl": "the truth of what was measured: a line per minimum and panel",
    "run.flags": "a flagfile that repeats the run",
    "log.txt": "what happened when",
}
_CONFIG = ("task", "grid", "training")


def print_run(console: "Console", run: Run) -> None:
    """Prints a finished, running or interrupted run; reads only, and needs no lock."""
    process = worker(run.path)
    console.print(f"{'run':<10}{run.path}", markup=False, soft_wrap=True)
    for name, text in _head(run, process):
        _print(console, name, text)
    if run.cells:
        print_plane(console, run.axes, run.cells)
        _print_best(console, run)
    head = "files"
    for name, what in _FILES.items():
        if (run.path / name).exists():
            _print(console, head, f"{name:<23}{what}")
            head = ""
    # Whole, however narrow the window: it is there to be copied.
    console.print(f"{'next':<10}{next_command(run, process)}", markup=False, soft_wrap=True)


def best_of(axes: Axes, cells: Sequence[Cell]) -> Iterator[tuple[float, float, Mean, Mean]]:
    """Of each batch size its best rate, and there the test accuracy and loss over seeds.

    Rates are chosen as `plane.best_rates` says: on validation data, and only where every seed
    trained; a batch size without such a rate is left out.
    """
    best, _ = best_rates(axes, cells, "test_accuracy")
    for batch, rate in best.items():
        point = (batch, rate)
        mine = [c for c in cells if (c["cell"]["batch_size"], c["cell"]["learning_rate"]) == point]
        accuracy, loss = (
            interval([cell[name] for cell in mine]) for name in ("test_accuracy", "test_loss")
        )
        yield batch, rate, accuracy, loss


def next_command(run: Run, process: str | None) -> str:
    """What to type next: the rest of the run, or a look at it."""
    look = f"make tensorboard LOGDIR={shlex.quote(str(run.path / 'tensorboard'))}"
    missing = run.info.get("status") != "complete"
    script = next(iter(run.info.get("argv") or ()), "")
    if process is None and missing and script:
        flagfile = shlex.quote(str(run.path / "run.flags"))
        return f"python {shlex.quote(script)} --flagfile={flagfile}"
    if (run.path / "tensorboard").exists():
        return look
    return f"python -m minima compare {shlex.quote(str(run.path))} ANOTHER_RUN"


def _head(run: Run, process: str | None) -> Iterator[tuple[str, str]]:
    info = run.info
    yield "state", _state(run, process)
    for name in _CONFIG:
        group = run.config.get(name)
        if isinstance(group, Mapping):
            yield (
                name,
                ", ".join(
                    f"{leaf} {_value(value)}"
                    for leaf, value in group.items()
                    if value not in ("", ())
                ),
            )
    yield "cells", _counts(run)
    yield "cost", _cost(info)
    versions = info.get("versions") or {}
    code = f"minima {versions.get('minima')}, jax {versions.get('jax')}"
    git = info.get("git") or {}
    commit = f", commit {git['commit'][:10]}" if git.get("commit") else ""
    changed = " with changes" if git.get("dirty") else ""
    yield "code", code + commit + changed


def _state(run: Run, process: str | None) -> str:
    status = run.info.get("status", "unknown")
    if process is not None:
        return f"running, process {process}"
    return "interrupted; it resumes with the same command" if status == "running" else status


def _counts(run: Run) -> str:
    total = 1
    for values in run.axes.values():
        total *= len(values)
    counts = Counter(cell["status"] for cell in run.cells)
    parts = [f"{count} {status}" for status, count in counts.most_common()]
    return f"{len(run.cells)} of {total}" + (": " + ", ".join(parts) if parts else "")


def _cost(info: Mapping[str, Any]) -> str:
    seconds = info.get("train_seconds")
    if seconds is None:
        return "known when the run ends"
    device = info.get("devices") or {}
    parts = [
        f"{seconds:,.1f} s of training",
        f"{info.get('compile_seconds') or 0:,.1f} s of compiling",
        f"{(info.get('peak_memory_bytes') or 0) / 2**20:,.0f} MiB of host memory",
        f"{device.get('device_count')} × {device.get('device_kind')}",
    ]
    resumes = info.get("resumes") or 0
    return ", ".join(parts) + (f", {resumes} resumes" if resumes else "")


def _print_best(console: "Console", run: Run) -> None:
    for label, axes, cells in panels(run.axes, run.cells):
        _print(console, "best", f"rate of each batch size; mean ± 95 % over seeds {label}".rstrip())
        for batch, rate, accuracy, loss in best_of(axes, cells):
            what = f"test accuracy {accuracy.describe(100, unit=' %')}"
            what += f", test loss {loss.describe(1, 3)}"
            _print(console, "", f"{batch:>6} at {rate:<9.3g} {what}")
    failed = Counter(cell["status"] for cell in run.cells if cell["status"] in FAILED)
    if failed:
        counted = " and ".join(f"{count} {name}" for name, count in failed.items())
        _print(console, "", f"{counted} cells are in no mean")


def _print(console: "Console", name: str, text: str) -> None:
    """A line under a name, its text wrapped beside it."""
    lines = textwrap.wrap(text, max(console.width - 10, 40), drop_whitespace=False)
    for line in lines or [""]:
        console.print(f"{name:<10}{line.rstrip()}", markup=False, soft_wrap=True)
        name = ""


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(_value(entry) for entry in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
