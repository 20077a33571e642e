"""The plan: cells, programs, widths, memory and time, decided before anything compiles."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from minima.runtime.errors import UserError
from minima.runtime.mesh import abstract
from minima.sweep import probe
from minima.sweep.branch import Trunk, open_trunk
from minima.sweep.budgets import Budget
from minima.sweep.checks import (
    check_groups,
    check_labels,
    check_memory,
    check_mesh,
    check_norm,
    check_phases,
    check_range,
    check_steps,
)
from minima.sweep.combinations import grouped
from minima.sweep.config import SweepConfig
from minima.sweep.grid import Grid
from minima.sweep.hyperparameters import asked, features_of, hyperparameters
from minima.sweep.lane import Order, Recipe
from minima.sweep.layout import resolve_layout, resolve_slab, resolve_widths
from minima.sweep.optimizers import Hyper
from minima.sweep.placement import Placement
from minima.sweep.pretrained import Pretrained, open_pretrained
from minima.sweep.program import Layout, blank_initial, empty_lanes
from minima.sweep.schedules import Schedule
from minima.sweep.sharding import shards_of_cells
from minima.sweep.timeline import Timeline, make_timeline
from minima.tasks import datasets
from minima.tasks.datasets.dataset import Dataset
from minima.tasks.model_choice import ModelChoice
from minima.tasks.models.sharding import Cut, Path
from minima.tasks.task import Task, make_task

Cell = dict[str, Any]


@dataclass(frozen=True)
class ProgramPlan:
    """One executable: what is compiled in, and the indices of the cells it trains."""

    recipe: Recipe
    cells: Sequence[int]


@dataclass(frozen=True)
class Plan:
    """What a sweep will do.

    Attributes:
      config: what was asked for.
      dataset: the data, as the model reads them.
      grid: every cell, in order.
      programs: one for all cells, or one per batch size where a model couples examples.
      layout: lanes over devices and blocks, the same for all programs.
      examples_per_second: of the whole machine, from the probe's table, or None.
      trunk: where cells start, if not from scratch, or None.
      watched: None; or train this many updates only, with an evaluation after each.
    """

    config: SweepConfig
    dataset: Dataset
    grid: Grid
    programs: tuple[ProgramPlan, ...]
    layout: Layout
    examples_per_second: float | None
    trunk: Trunk | Pretrained | None = None
    watched: int | None = None

    @property
    def cells(self) -> Grid:
        """Every cell of the grid, in its order, whatever part of them is trained here."""
        return self.grid

    @functools.cached_property
    def part(self) -> Sequence[int]:
        """Indices of the cells that this process trains, rising: all, or those of its shard."""
        shard = self.config.processes.shard
        if shard is None:
            return range(len(self.grid))
        return np.flatnonzero(shards_of_cells(self, shard.count) == shard.index).tolist()

    @property
    def recipe(self) -> Recipe:
        """The first program's recipe; programs differ in the microbatch alone."""
        return self.programs[0].recipe

    @property
    def budget(self) -> Budget:
        """When cells stop."""
        return self.config.training.budget

    def timeline(self, cell: Cell) -> Timeline:
        """The course of a cell."""
        timeline = plan_timeline(self.config, cell["batch_size"], len(self.dataset.train))
        return timeline if self.watched is None else timeline.beginning(self.watched)

    def examples(self, cell: Cell) -> int:
        """Examples this cell sees at most."""
        timeline = self.timeline(cell)
        return timeline.examples(timeline.steps)

    def total_examples(self, cells: Sequence[int] | None = None) -> int:
        """Examples that these cells, else all of them, see at most."""
        places = self.grid.places("batch_size")
        counts = np.bincount(places if cells is None else places[np.asarray(cells, np.int64)])
        sizes = self.config.grid.batch_sizes
        each = [self.examples({"batch_size": size}) for size in sizes[: len(counts)]]
        return sum(n * one for n, one in zip(counts.tolist(), each, strict=True))

    def snapshot_steps(self, cell: Cell) -> tuple[int, ...]:
        """Updates after which this cell's state is kept; it is kept where the cell ends, too."""
        return self.timeline(cell).kept(self.config.record.snapshots)

    def order(self, cell: Cell, fresh: bool = True) -> Order:
        """The cell as scalars, and its schedule, for a lane."""
        training, budget = self.config.training, self.budget
        number = np.dtype(self.recipe.task.model.dtype).type
        order = Order(
            fresh=np.bool_(fresh),
            seed=np.int32(cell["seed"]),
            schedule=_schedule(self, cell),
            patience=np.int32(budget.early_stopping or 0),
            target=number(budget.target.value if budget.target else 0),
            divergence_loss=number(training.divergence_loss),
            initial=None,
        )
        if not self.recipe.branch:
            return order
        assert self.trunk is not None
        begin = self.trunk.initial(cell, self.recipe, order) if fresh else None
        return order._replace(initial=blank_initial(self.recipe) if begin is None else begin)

    def snapshot_bytes(self) -> int:
        """Room on disk for the states that are kept."""
        state = _bytes(blank_initial(self.recipe))
        return state * len(self.cells) * self.config.record.snapshots

    def memory_bytes(self) -> int:
        """Device memory for the state of all lanes and the data on every device.

        Reported snapshots are two more copies of what a branch would need: one is read while the
        next is made; orders of a branch hold one.
        """
        recipe = self.recipe
        lane = self._held(empty_lanes(recipe, Layout(1, 1, 1)))
        lane += self._held(blank_initial(recipe, (1,))) * (2 * recipe.snapshots + recipe.branch)
        state, devices = lane * self.layout.lanes, self.layout.devices
        if self.layout.axes:
            state, devices = state * self.layout.axes.size, self.layout.axes.size
        parts = [self.dataset.validation, self.dataset.test]
        parts += [] if self.recipe.slab else [self.dataset.train]
        data = sum(part.inputs.nbytes + part.labels.nbytes for part in parts)
        slabs = self.config.engine.slab_mib * 2**20 if self.recipe.slab else 0
        return state + int(data + slabs) * devices

    @property
    def shards(self) -> dict[Path, Cut] | None:
        """How every parameter lies over the mesh; None with lanes over devices."""
        layout, model = self.layout, self.recipe.task.model
        if layout.axes is None:
            return None
        return Placement.on(abstract(layout.axes), model, layout.fully_sharded).cuts

    def _held(self, lanes: Any) -> int:
        """Bytes of stacked lanes on a device that has them."""
        layout = self.layout
        if layout.axes is None:
            return _bytes(lanes)
        model = self.recipe.task.model
        place = Placement.on(abstract(layout.axes), model, layout.fully_sharded)
        shards = jax.tree.map(lambda x, s: s.shard_shape(x.shape), lanes, place.stacked(lanes))
        sizes = jax.tree.map(lambda x, s: math.prod(s) * x.itemsize, lanes, shards)
        return sum(jax.tree.leaves(sizes))

    def resolved(self) -> dict[str, Any]:
        """The choices that bits depend on; pinned in run.json and kept on resume."""
        layout, mesh = self.layout, {}
        if layout.axes:  # where it ran, for `reopen`; a resumed run may lie elsewhere
            mesh = {"mesh": str(layout.axes), "fully_sharded": layout.fully_sharded}
        return {
            "microbatch": self.recipe.microbatch if len(self.programs) == 1 else 0,
            "wide": list(self.recipe.wide),
            "lanes": layout.lanes,
            "block": layout.block,
            "devices": layout.devices,
            **mesh,
        }


def _bytes(tree: Any) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


def load_task(config: SweepConfig) -> tuple[Task, Dataset]:
    """The task, and the data as its model reads them.

    Raises:
      UserError: the data can't be read, or don't fit the model.
    """
    task = config.task
    dataset = datasets.load(
        task.dataset,
        data_dir=task.data_dir,
        validation_fraction=task.validation_fraction,
        test_examples=task.test_examples,
        window=task.window,
        train_examples=task.train_examples,
        image_size=task.image_size,
    )
    return fit_task(config, dataset)


def fit_task(config: SweepConfig, dataset: Dataset) -> tuple[Task, Dataset]:
    """What `load_task` makes of a dataset that is there."""
    asked, training = config.task, config.training
    names = [field.name for field in dataclasses.fields(ModelChoice) if field.name != "name"]
    choice = ModelChoice(asked.model, **{name: getattr(asked, name) for name in names})
    how = asked.augmentation, training.dtype, asked.loss, training.compute_dtype
    return make_task(dataset, choice, *how)


def make_plan(
    config: SweepConfig, task: Task, dataset: Dataset, pinned: Mapping[str, Any] | None = None
) -> Plan:
    """Decides everything that a program's shape depends on.

    Args:
      config: what is asked for.
      task, dataset: from `load_task`.
      pinned: `Plan.resolved()` of the run that is resumed; wins over flags and heuristics.

    Raises:
      UserError: the data and the flags don't go together.
    """
    training, grid = config.training, config.make_grid()
    pinned, num_examples = pinned or {}, len(dataset.train)
    smallest = plan_timeline(config, config.grid.batch_sizes[0], num_examples)
    check_steps(config, num_examples, smallest)
    check_range(config)
    check_labels(config, dataset)
    check_groups(config, dataset)
    trunk = open_trunk(config, dataset.checksum) or open_pretrained(config, task.model)
    widths = resolve_widths(config, task.model.name, num_examples)
    target = training.budget.target
    recipe = Recipe(
        task=task,
        optimizer=training.optimizer,
        features=features_of(config, grid),
        num_examples=num_examples,
        microbatch=widths[0],
        evaluations=training.evaluations,
        target=(target.metric, target.at_least) if target else None,
        early_stopping=training.budget.early_stopping is not None,
        phases=len(training.milestones) + 1,
        snapshots=config.record.snapshots > 0,
        branch=trunk is not None,
        sam_examples=training.sam_examples,
        groups=dataset.num_groups if grouped(config) else 0,
    )
    check_norm(recipe)
    check_phases(config, recipe, num_examples)
    check_mesh(config, task.model)
    table = None
    if config.engine.mesh is None:
        table = probe.lookup(task, training.optimizer, recipe.microbatch)
    count = len(grid) // len(_programs(recipe, grid))
    layout = resolve_layout(config, pinned, count, table)
    widths = resolve_widths(config, task.model.name, num_examples, layout.block)
    if pinned.get("microbatch"):
        widths = (pinned["microbatch"], *pinned.get("wide", ()))
    recipe = dataclasses.replace(recipe, microbatch=widths[0], wide=widths[1:])
    programs = tuple(
        _with_slab(config, program, layout, dataset) for program in _programs(recipe, grid)
    )
    rate = table.examples_per_second(layout.block) if table else None
    if rate and recipe.features.sharpness_aware != "none":
        rate /= 2  # the probe measures plain training, one pass
    plan = Plan(config, dataset, grid, programs, layout, rate, trunk)
    check_memory(plan.memory_bytes(), layout.lanes // layout.devices)
    return plan


def plan_timeline(config: SweepConfig, batch_size: int, num_examples: int) -> Timeline:
    """The course of a cell that starts with this batch size."""
    training = config.training
    return make_timeline(
        training.budget,
        batch_size,
        num_examples,
        training.evaluations,
        training.milestones,
        training.batch_factor,
        training.rate_factor,
        0.0 if training.decay == "none" else training.decay_fraction,
    )


def _schedule(plan: Plan, cell: Cell) -> Schedule:
    """A cell's timeline as the device has it; β2 follows the batch size of each phase."""
    training, timeline = plan.config.training, plan.timeline(cell)
    dtype = np.dtype(plan.recipe.task.model.dtype)
    rows = []
    for phase in timeline.phases:
        values = hyperparameters(training, cell, phase.batch_size)
        rows.append(values | {"learning_rate": values["learning_rate"] * phase.rate})
    columns = {name: np.array([row[name] for row in rows], dtype) for name in Hyper._fields}
    columns["batch_size"] = np.array([phase.batch_size for phase in timeline.phases], np.int32)
    evaluations = np.full(plan.recipe.evaluations, np.iinfo(np.int32).max, np.int32)
    evaluations[: len(timeline.evaluations)] = timeline.evaluations
    return Schedule(
        hyper=Hyper(**columns),
        starts=np.array([phase.start for phase in timeline.phases], np.int32),
        evaluations=evaluations,
        decay_start=np.int32(timeline.decay_start),
        decay_end=np.int32(timeline.decay_end),
        average_start=np.int32(_average_start(plan, cell)),
        steps=np.int32(timeline.steps),
    )


def _average_start(plan: Plan, cell: Cell) -> int:
    """See `Schedule.average_start`; of the whole course, also where only its beginning is run."""
    training = plan.config.training
    if training.average != "swa":
        return -1
    steps = plan_timeline(plan.config, cell["batch_size"], len(plan.dataset.train)).steps
    return steps - max(1, round(asked(training, cell, "average_fraction") * steps))


def _with_slab(
    config: SweepConfig, program: ProgramPlan, layout: Layout, dataset: Dataset
) -> ProgramPlan:
    """The program with its slabs' size, where the training set stays with the host."""
    recipe, train = program.recipe, dataset.train
    size = (train.inputs.nbytes + train.labels.nbytes) // len(train)
    slab = resolve_slab(config, layout, size, recipe.widths[-1], len(train))
    if slab and recipe.task.generator is not None:
        raise UserError(
            f"--slab_mib={config.engine.slab_mib:g}: --dataset={dataset.name} is drawn on the "
            "device; leave the flag out"
        )
    # A finished cell's parameters come to the host, to be measured on the training set there.
    recipe = dataclasses.replace(recipe, slab=slab, snapshots=recipe.snapshots or slab > 0)
    return ProgramPlan(recipe, program.cells)


def _programs(recipe: Recipe, grid: Grid) -> tuple[ProgramPlan, ...]:
    """One program; or, where an example sees its whole batch, one per batch size."""
    if not recipe.couples_examples:
        return (ProgramPlan(recipe, range(len(grid))),)
    places = grid.places("batch_size")
    return tuple(
        ProgramPlan(
            dataclasses.replace(recipe, microbatch=size, wide=()),
            np.flatnonzero(places == place).tolist(),
        )
        for place, size in sorted(enumerate(dict(grid.axes)["batch_size"]), key=lambda x: x[1])
    )
