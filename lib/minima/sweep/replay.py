"""Does a recorded cell stand? Trains it again, by the engine and by a plain optax loop.

The engine must repeat the record bit for bit on the same device kind; the plain loop, which knows
neither lanes nor microbatches, must follow it within the reproducibility contract.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from minima.record import results
from minima.record.results import Run
from minima.runtime import devices
from minima.runtime.errors import UserError
from minima.sweep.examples import Place, training_examples
from minima.sweep.grid import Grid
from minima.sweep.lane import Snapshot, initial_snapshot
from minima.sweep.optimizers import make_optimizer
from minima.sweep.plan import Cell, Plan, ProgramPlan
from minima.sweep.program import AXIS
from minima.sweep.reopen import reopen
from minima.sweep.schedules import hyper_at
from minima.sweep.stream import Purpose, example_keys
from minima.sweep.train import train
from minima.tasks.models import Noise, mup
from minima.tasks.task import Arrays, Regularisation, to_arrays

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


def plain_losses(plan: Plan, cell: Cell) -> Iterator[float]:
    """Trains a cell on whole batches with optax, update by update; yields training losses."""
    task, seed, n = plan.recipe.task, np.int32(cell["seed"]), len(plan.dataset.train)
    arrays = jax.device_put(to_arrays(plan.dataset, task.model.dtype))
    order, features = plan.order(cell), plan.recipe.features
    # A ghost norm is defined by pieces of a batch; everything else sees the batch as a whole.
    ghost = plan.recipe.microbatch if task.model.settings.norm == "ghost" else n

    @jax.jit
    def update(carry: Snapshot, step: jax.Array, epoch: jax.Array, position: jax.Array) -> Any:
        def mean_loss(params: Any) -> tuple[jax.Array, Any]:
            total = weight = jnp.zeros((), task.model.dtype)
            after = carry.state
            for at in range(0, len(epoch), ghost):
                place = epoch[at : at + ghost], position[at : at + ghost]
                inputs, labels = _batch(plan, arrays, seed, *place)
                weights = jnp.ones(len(labels), task.model.dtype)
                sums, after = task.training_sums(
                    params, after, arrays, inputs, labels, weights, _extras(plan, cell, *place)
                )
                total, weight = total + sums.loss, weight + sums.weight
            return total / weight, after

        (loss, state), gradient = jax.value_and_grad(mean_loss, has_aux=True)(carry.params)
        hyper = hyper_at(order.schedule, step, features)
        optimizer = make_optimizer(plan.recipe.optimizer, hyper, features)
        optimizer = mup.rescaled(task.model, plan.recipe.optimizer, optimizer)
        change, opt_state = optimizer.update(gradient, carry.opt_state, carry.params)
        params = optax.apply_updates(carry.params, change)
        return carry._replace(params=params, state=state, opt_state=opt_state), loss

    carry, timeline = initial_snapshot(plan.recipe, order), plan.timeline(cell)
    begin = int(carry.epoch) * n + int(carry.position)
    for step in range(timeline.steps):
        seen = np.arange(timeline.examples(step), timeline.examples(step + 1)) + begin
        epoch, position = (part.astype(np.int32) for part in np.divmod(seen, n))
        carry, loss = update(carry, np.int32(step), epoch, position)
        yield float(loss)


def find_cell(grid: Grid, text: str) -> int:
    """The index of the cell that a text names.

    Raises:
      UserError: it names none; says what would.
    """
    cells = grid.cells()
    example = ",".join(f"{name}={value:g}" for name, value in cells[0].items())
    if text.isdigit():
        if int(text) < len(cells):
            return int(text)
        raise UserError(f"cell {text}: the run has {len(cells)}; use 0 to {len(cells) - 1}")
    short = {"bs": "batch_size", "lr": "learning_rate"}
    try:
        parts = dict(part.split("=") for part in text.split(","))
        named = {short.get(name, name): float(value) for name, value in parts.items()}
        if set(named) != set(grid.names):
            raise ValueError
    except ValueError:
        raise UserError(f"cell {text!r}: can't be read; use a number or e.g. {example}") from None
    for i, cell in enumerate(cells):
        if all(np.isclose(named[name], value, rtol=1e-4) for name, value in cell.items()):
            return i
    raise UserError(f"cell {text!r}: not on the grid of this run; use e.g. {example}")


def _batch(plan: Plan, arrays: Arrays, seed: Any, epoch: jax.Array, position: jax.Array) -> Any:
    rate = jnp.asarray(plan.config.training.label_noise, plan.recipe.task.model.dtype)
    noise = rate if plan.recipe.features.label_noise else None
    place = Place(seed, epoch, position, len(plan.dataset.train))
    return training_examples(plan.recipe.task, place, arrays, None, noise)


def _extras(plan: Plan, cell: Cell, epoch: jax.Array, position: jax.Array) -> Regularisation:
    def keys(purpose: Purpose) -> jax.Array:
        return example_keys(np.int32(cell["seed"]), purpose, epoch, position)

    # These are the same in every phase.
    hyper = jax.tree.map(lambda by_phase: by_phase[0], plan.order(cell).schedule.hyper)
    features = plan.recipe.features
    augments = plan.recipe.task.augmentation != "none"
    return Regularisation(
        keys(Purpose.AUGMENTATION) if augments else None,
        Noise(keys(Purpose.DROPOUT), hyper.dropout) if features.dropout else None,
        hyper.label_smoothing if features.label_smoothing else None,
    )


def _by_engine(plan: Plan, index: int) -> dict[str, Any]:
    records: list[dict[str, Any]] = []
    mesh = devices.make_mesh(AXIS, plan.layout.devices)
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
