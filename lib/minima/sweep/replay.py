"""Does a recorded cell stand? Trains it again, by the engine and by a plain optax loop.

The engine must repeat the record bit for bit on the same device kind; the plain loop, which knows
neither lanes nor microbatches, must follow it within the reproducibility contract.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minima.record import results
from minima.record.results import Run
from minima.runtime.errors import UserError
from minima.sweep.grid import Grid
from minima.sweep.plain_loop import plain_losses
from minima.sweep.plan import Cell, Plan, ProgramPlan
from minima.sweep.reopen import reopen
from minima.sweep.train import train

# The contract (b): how far apart two orders of summation may be, and for how many updates.
TOLERANCES = {"float32": (1e-5, 20), "float64": (1e-10, 50)}


@dataclass(frozen=True)
class Replay:
    """What `replay` found.

    Attributes:
      cell: hyperparameters.
      differences: fields of the record that the engine did not repeat exactly; empty if it did.
      engine, plain: training loss of every update compared, shape (updates,).
      tolerance, horizon: the contract's bound, and up to which update it is promised.
    """

    cell: Cell
    differences: tuple[str, ...]
    engine: np.ndarray
    plain: np.ndarray
    tolerance: float
    horizon: int

    @property
    def first_beyond(self) -> int | None:
        """The first update (from 1) whose losses differ by more than the tolerance, or None."""
        gap = np.abs(self.engine - self.plain) / np.maximum(1, np.abs(self.plain))
        beyond = np.flatnonzero(~(gap <= self.tolerance))
        return int(beyond[0]) + 1 if len(beyond) else None

    @property
    def holds(self) -> bool:
        """Whether the record was repeated and the plain loop agrees as far as promised."""
        first = self.first_beyond
        return not self.differences and (first is None or first > self.horizon)

    def describe(self) -> str:
        """A few lines of plain text."""
        first, n = self.first_beyond, len(self.plain)
        repeated = "repeated bit for bit"
        if self.differences:
            repeated = "NOT repeated: " + "; ".join(self.differences)
        agrees = f"none of {n} updates beyond {self.tolerance:g}"
        if first is not None:
            within = "after" if first > self.horizon else "WITHIN"
            agrees = (
                f"first update beyond {self.tolerance:g}: {first} of {n} ({within} the "
                f"{self.horizon} updates promised): {self.engine[first - 1]:.9g} in the engine, "
                f"{self.plain[first - 1]:.9g} in the plain loop"
            )
        name = ", ".join(f"{axis}={value:g}" for axis, value in self.cell.items())
        return f"cell        {name}\nengine      {repeated}\nplain loop  {agrees}"


def replay(run_dir: Path | str, cell: str, updates: int = 100) -> Replay:
    """Trains one recorded cell again, twice.

    Args:
      run_dir: a run's directory.
      cell: such as "bs=32,lr=0.1,seed=0", or its number in results.csv, counted from 0.
      updates: how many updates the plain loop follows at most.

    Raises:
      UserError: no such run or cell, the cell isn't finished, or the data have changed.
    """
    run = results.load(run_dir)
    plan = reopen(run)
    index = find_cell(plan.grid, cell)
    record = _recorded(run, plan.cells[index], cell)
    again = _by_engine(plan, index)
    count = min(updates, max(1, record["steps"]))
    short = _per_update(plan, count)
    curve = _by_engine(short, index)["trajectory"]["train_loss"]
    plain = [loss for loss, _ in zip(plain_losses(plan, plan.cells[index]), curve, strict=False)]
    tolerance, horizon = TOLERANCES[plan.config.training.dtype]
    return Replay(
        plan.cells[index],
        _differences(record, again),
        np.array(curve),
        np.array(plain),
        tolerance,
        horizon,
    )


def find_cell(grid: Grid, text: str) -> int:
    """The index of the cell that a text names.

    Raises:
      UserError: it names none; says what would.
    """
    example = ",".join(f"{name}={value:g}" for name, value in grid[0].items())
    if text.isdigit():
        if int(text) < len(grid):
            return int(text)
        raise UserError(f"cell {text}: the run has {len(grid)}; use 0 to {len(grid) - 1}")
    short = {"bs": "batch_size", "lr": "learning_rate"}
    try:
        parts = dict(part.split("=") for part in text.split(","))
        named = {short.get(name, name): float(value) for name, value in parts.items()}
        if set(named) != set(grid.names):
            raise ValueError
    except ValueError:
        raise UserError(f"cell {text!r}: can't be read; use a number or e.g. {example}") from None
    place = 0
    for name, values in grid.axes:
        near = np.flatnonzero(np.isclose(named[name], np.array(values, float), rtol=1e-4))
        if not near.size:
            break
        place = place * len(values) + int(near[0])
    else:
        return place
    raise UserError(f"cell {text!r}: not on the grid of this run; use e.g. {example}")


def _by_engine(plan: Plan, index: int) -> dict[str, Any]:
    records: list[dict[str, Any]] = []
    mesh = plan.layout.make_mesh()
    train(plan, mesh, records.append, order=[index])
    return records[0]


def _per_update(plan: Plan, count: int) -> Plan:
    """The same training, evaluated after each of the first `count` updates."""
    programs = tuple(
        ProgramPlan(
            dataclasses.replace(
                program.recipe, evaluations=count, early_stopping=False, target=None
            ),
            program.cells,
        )
        for program in plan.programs
    )
    return dataclasses.replace(plan, watched=count, programs=programs)


def _recorded(run: Run, cell: Cell, text: str) -> dict[str, Any]:
    for record in run.cells:
        if record["cell"] == cell:
            return record
    raise UserError(f"cell {text!r}: not finished in {run.path}; run the same command again first")


def _differences(record: dict[str, Any], again: dict[str, Any]) -> tuple[str, ...]:
    names = [name for name in record if name not in ("cell", "trajectory", "last_finite")]
    pairs = [(name, record[name], again[name]) for name in names]
    return tuple(f"{n} {a!r} recorded, {b!r} now" for n, a, b in pairs if not _same(a, b))


def _same(a: Any, b: Any) -> bool:
    return a == b or (a != a and b != b)
