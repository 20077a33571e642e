"""The trunk of a branch: the finished run whose cells' states new cells take up."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import numpy as np

from minima.record import results
from minima.record.results import Run
from minima.record.snapshots import Snapshots, by_name
from minima.runtime.errors import UserError
from minima.sweep import averaging
from minima.sweep.config import SweepConfig
from minima.sweep.grid import Grid
from minima.sweep.lane import Order, Recipe, Snapshot
from minima.sweep.program import blank_initial

Cell = dict[str, Any]

_OF_WEIGHTS = ("initial_weights", "weight_map", "fresh_weights")


@dataclass(frozen=True)
class Trunk:
    """Where every cell of a branch starts.

    Attributes:
      run: the trunk, finished.
      grid: its cells.
      starts: per cell of the branch, (number of its trunk cell, updates at the snapshot); no
        snapshot for a trunk cell that diverged.
    """

    label: ClassVar[str] = "trunk"
    run: Run
    grid: Grid
    starts: dict[tuple[Any, ...], tuple[int, int | None]]

    def describe(self) -> str:
        """One line: which run, and how far its cells had come."""
        steps = [step for _, step in self.starts.values() if step is not None]
        gone = len(self.starts) - len(steps)
        span = f"after {min(steps):,} to {max(steps):,} updates" if steps else "no state left"
        return f"{self.run.path}, {span}" + (f", {gone} diverged" if gone else "")

    def initial(self, cell: Cell, recipe: Recipe, order: Order) -> Snapshot:
        """The state that a cell takes up.

        From a trunk cell that diverged it is NaN, so that the cell diverges at its first update: it
        stays a result, and no cell goes missing.
        """
        like = blank_initial(recipe)
        number, step = self.starts[tuple(cell.values())]
        if step is None:
            return jax.tree.map(_poisoned, like)
        return _taken_up(Snapshots(self.run.path).read(number, step), like)


def open_trunk(config: SweepConfig, checksum: str) -> Trunk | None:
    """The trunk that `--branch_from` names, or None; `checksum` is that of the data to train on.

    Raises:
      UserError: it can't be branched from as asked; names the flag.
    """
    asked = config.branch
    if not asked.branch_from:
        _refuse_without_trunk(config)
        return None
    run = results.load(asked.branch_from)
    trunk = SweepConfig.from_identity(run.config)
    _check_same(config, trunk, run, checksum)
    grid = trunk.make_grid()
    kept = Snapshots(run.path)
    records = {grid.index(record["cell"]): record for record in run.cells}
    starts: dict[tuple[Any, ...], tuple[int, int | None]] = {}
    for cell in config.make_grid():
        number = _trunk_cell(config, grid, cell)
        if number not in records:
            raise UserError(
                f"--branch_from={asked.branch_from}: its cell {grid[number]} has not "
                "finished; run the trunk's command again first"
            )
        diverged = records[number]["status"] == "diverged"
        steps = kept.steps(number)
        wanted = asked.branch_snapshot or max(len(steps), 1)
        if wanted > len(steps) and not diverged:
            raise UserError(
                f"--branch_snapshot={asked.branch_snapshot}: cell {number} of "
                f"{asked.branch_from} kept {len(steps)}; train the trunk with --snapshots={wanted} "
                "or more"
            )
        last = asked.branch_snapshot == 0
        gone = wanted > len(steps) or (diverged and last)
        starts[tuple(cell.values())] = (number, None if gone else steps[wanted - 1])
    return Trunk(run, grid, starts)


def to_arrays(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """A lane's state as arrays by name, host or device.

    The optimiser's are numbered: its tree changes with what is chained before the rule, its arrays
    don't.
    """
    leaves = jax.tree.leaves(snapshot.opt_state)
    return {
        **by_name("params", snapshot.params),
        **by_name("state", snapshot.state),
        **{f"opt_state/{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)},
        "epoch": np.asarray(snapshot.epoch),
        "position": np.asarray(snapshot.position),
        **_average_arrays(snapshot),
        **({} if snapshot.adversary is None else {"adversary": np.asarray(snapshot.adversary)}),
    }


def _average_arrays(snapshot: Snapshot) -> dict[str, np.ndarray]:
    average = snapshot.average
    if average is None:
        return {}
    return {
        **by_name("average", average.params),
        "average_weight": np.asarray(average.weight),
    }


def from_arrays(arrays: dict[str, np.ndarray], like: Snapshot) -> Snapshot:
    """The inverse of `to_arrays`.

    Raises:
      UserError: the arrays are those of another model or optimiser.
    """
    found = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    wanted = {name: (array.shape, array.dtype) for name, array in to_arrays(like).items()}
    if found != wanted:
        name = sorted(n for n in {*found, *wanted} if found.get(n) != wanted.get(n))[0]
        raise UserError(
            f"--branch_from: {name} is {found.get(name, 'missing')} in the snapshot and "
            f"{wanted.get(name, 'missing')} here; branch with the trunk's model and optimiser"
        )
    leaves, structure = jax.tree.flatten(like)
    places = to_arrays(jax.tree.unflatten(structure, range(len(leaves))))
    names = sorted(places, key=lambda name: int(places[name]))
    return jax.tree.unflatten(structure, [arrays[name] for name in names])


def _taken_up(arrays: dict[str, np.ndarray], like: Snapshot) -> Snapshot:
    """A trunk's state; an average, an adversary go on where both have one, else begin or end.

    The weights are the trunk's last ones in any case: its optimiser stands there.
    """
    parts = {"average", "adversary"}
    begun = {name.partition("/")[0] for name in arrays} & parts
    kept = {name for name in parts if getattr(like, name) is not None}
    own = {
        name: array
        for name, array in arrays.items()
        if name.startswith(tuple(begun & kept)) or not name.startswith(tuple(parts))
    }
    taken = from_arrays(own, like._replace(**dict.fromkeys(parts - begun, None)))
    fresh = {}
    if "average" in kept - begun:
        fresh["average"] = jax.tree.map(np.asarray, averaging.begin(taken.params))
    if "adversary" in kept - begun:
        fresh["adversary"] = np.full_like(like.adversary, 1 / len(like.adversary))
    return taken._replace(**fresh)


def _poisoned(leaf: np.ndarray) -> np.ndarray:
    return np.full_like(leaf, math.nan if np.issubdtype(leaf.dtype, np.floating) else 0)


def _trunk_cell(config: SweepConfig, grid: Grid, cell: Cell) -> int:
    asked = config.branch
    there = dict(cell)
    if asked.trunk_batch_size:
        there["batch_size"] = asked.trunk_batch_size
    if asked.trunk_learning_rate:
        there["learning_rate"] = asked.trunk_learning_rate
    try:
        return grid.index(there)
    except ValueError as error:
        raise UserError(
            f"--branch_from={asked.branch_from}: no cell with {error}; choose batch sizes, rates "
            "and seeds of the trunk, or name its cells by --trunk_batch_size and "
            "--trunk_learning_rate"
        ) from error


def _refuse_without_trunk(config: SweepConfig) -> None:
    if config.branch.initial_weights:
        return
    for name, value in dataclasses.asdict(config.branch).items():
        if value and name not in _OF_WEIGHTS:
            raise UserError(f"--{name}={value}: says where a branch starts; set --branch_from")


def _check_same(config: SweepConfig, trunk: SweepConfig, run: Run, checksum: str) -> None:
    """A branch differs from its trunk in how it trains, not in what."""
    if trunk.training.budget.early_stopping is not None:
        raise UserError(
            f"--branch_from={run.path}: stopped early, so its cells' last weights are not those "
            "their optimisers stand at; branch from a run without early_stopping"
        )
    free = ("augmentation", "data_dir", "trainable")
    pairs = [
        (f.name, getattr(config.task, f.name), getattr(trunk.task, f.name))
        for f in dataclasses.fields(config.task)
        if f.name not in free
    ]
    pairs += [
        (name, getattr(config.training, name), getattr(trunk.training, name))
        for name in ("optimizer", "dtype")
    ]
    for name, here, there in pairs:
        if here != there:
            raise UserError(f"--{name}={here}: --branch_from={run.path} has {there}; use that")
    if run.config["data_sha256"] != checksum:
        raise UserError(
            f"--branch_from={run.path}: was trained on other data (another sha256); restore them"
        )
