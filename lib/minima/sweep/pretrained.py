"""Cells that start from weights of others: the minima of a finished run, or a file from outside.

Only weights and running statistics come along; optimiser, place in the data, schedule and budget
begin as for any cell (a branch, see there, takes up all of it). Inputs are standardised by the mean
and standard deviation of the data that are trained on now, as everywhere; those that the weights
have seen before play no part.
"""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np

from minima.record import results
from minima.record.mirrored import locate
from minima.record.results import Run
from minima.record.run_directory import read_info
from minima.record.snapshots import Snapshots
from minima.record.weight_files import SUFFIXES, read_weights
from minima.runtime.errors import UserError
from minima.sweep import averaging
from minima.sweep.config import BranchConfig, SweepConfig
from minima.sweep.grid import Grid
from minima.sweep.lane import Order, Recipe, Snapshot, initial_snapshot
from minima.sweep.weight_map import Fit, Shape, fit, listed, read_map, taken_up
from minima.tasks.models import Model
from minima.tasks.models.trainable import path_of, select

Cell = dict[str, Any]
Arrays = dict[str, np.ndarray]
Start = tuple[int, int | None]  # (number of the pretrained cell, updates at its minimum)


@dataclass(frozen=True)
class Pretrained:
    """Where every cell starts.

    Attributes:
      source: the flag, for messages.
      run: whose minima they are, or None for a file.
      starts: per cell, which minimum; none left (None) where the pretrained cell diverged.
      weights: of a file, by its own names.
      shapes: of parameters and running statistics, by our names.
      fit: what is taken up, and what starts fresh.
    """

    label: ClassVar[str] = "start"
    source: str
    run: Run | None
    starts: dict[tuple[Any, ...], Start]
    weights: Arrays
    shapes: dict[str, Shape]
    fit: Fit

    def describe(self) -> str:
        """One line: whose weights, and what starts fresh."""
        gone = sum(step is None for _, step in self.starts.values())
        minima = f", minima of {len(set(self.starts.values()))} cells" if self.run else ""
        diverged = f", {gone} diverged" if gone else ""
        words = listed(self.fit, self.shapes)
        return f"{self.source.partition('=')[2]}{minima}{diverged}; fresh: {words}"

    def initial(self, cell: Cell, recipe: Recipe, order: Order) -> Snapshot:
        """A fresh state for the cell with the weights of others in it.

        From a pretrained cell that diverged it is NaN, so that the cell diverges at its first
        update: it stays a result, and no cell goes missing.
        """
        fresh = jax.tree.map(np.asarray, _starter(recipe)(order._replace(initial=None)))
        weights, number = self.weights, 0
        if self.run is not None:
            number, step = self.starts[tuple(cell.values())]
            if step is None:
                return fresh._replace(params=jax.tree.map(_nan, fresh.params))
            weights = weights_of(Snapshots(self.run.path).read(number, step))
        dtype = recipe.task.model.dtype
        taken = taken_up(weights, self.fit, self.shapes, dtype, self.source)
        params, state = _replaced(fresh.params, taken), _replaced(fresh.state, taken)
        average = fresh.average
        if average is not None:
            average = jax.tree.map(np.asarray, averaging.begin(params))
        return fresh._replace(params=params, state=state, average=average)


def open_pretrained(config: SweepConfig, model: Model) -> Pretrained | None:
    """What `--initial_weights` names, fitted to the model; None where nothing is asked for.

    Raises:
      UserError: it can't be read, or does not fit; names the flag.
    """
    asked = config.branch
    if not asked.initial_weights:
        return None
    shapes = _shapes(model)
    names = tuple(shapes)
    fresh = select(names, asked.fresh_weights, "fresh_weights", model.name)
    mapped, source = read_map(asked.weight_map, names), f"--initial_weights={asked.initial_weights}"
    run, starts = None, {}
    if file := _file(asked):
        weights = weights_of(read_weights(file, "initial_weights"))
    else:
        run = results.load(asked.initial_weights)
        starts = _starts(config, run)
        point = next(((n, step) for n, step in starts.values() if step is not None), None)
        if point is None:
            raise UserError(f"{source}: all of its cells diverged, and left no weights")
        weights = weights_of(Snapshots(run.path).read(*point))
    found = fit(weights, shapes, mapped, fresh, source)
    taken_up(weights, found, shapes, model.dtype, source)  # refuses what is not finite
    return Pretrained(source, run, starts, {} if run else weights, shapes, found)


def fingerprint(asked: BranchConfig) -> str:
    """What tells these initial weights from others: a run's identity, a file's content.

    Raises:
      UserError: there is no such file or run.
    """
    if file := _file(asked):
        digest = hashlib.sha256(_bytes("initial_weights", file))
    else:
        info = read_info(locate(asked.initial_weights, "--initial_weights"))
        digest = hashlib.sha256(str(info.get("config_sha256")).encode())
    if asked.weight_map:
        digest.update(_bytes("weight_map", Path(asked.weight_map).expanduser()))
    return digest.hexdigest()


def weights_of(arrays: Arrays) -> Arrays:
    """Parameters and running statistics of a snapshot by our names; other arrays as they are.

    Where weights were averaged, the average is what was evaluated.
    """
    if not any(name.startswith("params/") for name in arrays):
        return arrays
    found: Arrays = {}
    for prefix in ("params/", "state/", "average/"):
        mine = [name for name in arrays if name.startswith(prefix)]
        found |= {name.removeprefix(prefix): arrays[name] for name in mine}
    return found


def _file(asked: BranchConfig) -> Path | None:
    path = Path(asked.initial_weights).expanduser()
    return path if path.suffix in SUFFIXES else None


def _bytes(flag: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"--{flag}={path}: cannot be read ({error.strerror})") from error


def _shapes(model: Model) -> dict[str, Shape]:
    params, state = jax.eval_shape(model.init, jax.random.key(0))
    leaves = [
        leaf for tree in (params, state) for leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]
    return {path_of(path): leaf.shape for path, leaf in leaves}


def _starts(config: SweepConfig, run: Run) -> dict[tuple[Any, ...], Start]:
    grid = SweepConfig.from_identity(run.config).make_grid()
    kept, source = Snapshots(run.path), f"--initial_weights={run.path}"
    records = {grid.index(record["cell"]): record for record in run.cells}
    starts: dict[tuple[Any, ...], Start] = {}
    for cell in config.make_grid():
        number = _pretrained_cell(config, grid, cell)
        if number not in records:
            raise UserError(
                f"{source}: its cell {grid[number]} has not finished; run its command again first"
            )
        steps, diverged = kept.steps(number), records[number]["status"] == "diverged"
        if not steps and not diverged:
            raise UserError(
                f"{source}: kept no weights of cell {number}; train it with --snapshots=1 or more"
            )
        starts[tuple(cell.values())] = (number, None if diverged else steps[-1])
    return starts


def _pretrained_cell(config: SweepConfig, grid: Grid, cell: Cell) -> int:
    """The cell with the same seed; on other axes what is asked for, else the only, else its own."""
    asked = config.branch
    named = {"batch_size": asked.trunk_batch_size, "learning_rate": asked.trunk_learning_rate}
    there: Cell = {}
    for name, values in grid.axes:
        only = values[0] if len(values) == 1 and name != "seed" else None
        value = named.get(name) or (cell.get(name) if only is None else only)
        if value is None:
            raise UserError(
                f"--initial_weights={asked.initial_weights}: has {len(values)} values of {name}; "
                "start from a run that has one"
            )
        there[name] = value
    try:
        return grid.index(there)
    except ValueError as error:
        raise UserError(
            f"--initial_weights={asked.initial_weights}: {error}; name its cells by "
            "--trunk_batch_size and --trunk_learning_rate, and choose --seeds that it has"
        ) from error


@functools.lru_cache
def _starter(recipe: Recipe) -> jax.stages.Wrapped:
    return jax.jit(functools.partial(initial_snapshot, recipe))


def _replaced(tree: Any, taken: Arrays) -> Any:
    """The tree with those of its leaves that were taken up."""

    def replace(path: Any, leaf: np.ndarray) -> np.ndarray:
        return taken.get(path_of(path), leaf)

    return jax.tree_util.tree_map_with_path(replace, tree)


def _nan(leaf: np.ndarray) -> np.ndarray:
    return np.full_like(leaf, np.nan)
