"""The plan: cells, programs, widths, memory and time, decided before anything compiles."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from minima.runtime import devices
from minima.runtime.errors import UserError
from minima.sweep import probe
from minima.sweep.budgets import Budget
from minima.sweep.config import SweepConfig, TrainingConfig
from minima.sweep.grid import Grid
from minima.sweep.lane import Order, Recipe
from minima.sweep.layout import resolve_layout, resolve_microbatch
from minima.sweep.optimizers import DEFAULT_MOMENTA, Features, Hyper
from minima.sweep.program import Layout, empty_lanes
from minima.tasks import datasets
from minima.tasks.datasets.dataset import Dataset
from minima.tasks.models import Settings
from minima.tasks.task import ModelChoice, Task, make_task

Cell = dict[str, Any]

_FEW_UPDATES = 100


@dataclass(frozen=True)
class ProgramPlan:
    """One executable: what is compiled in, and the indices of the cells it trains."""

    recipe: Recipe
    cells: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """What a sweep will do.

    Attributes:
      config: what was asked for.
      dataset: the data, as the model reads them.
      grid, cells: every point, in grid order.
      programs: one for all cells, or one per batch size where a model couples examples.
      layout: lanes over devices and blocks, the same for all programs.
      examples_per_second: of the whole machine, from the probe's table, or None.
    """

    config: SweepConfig
    dataset: Dataset
    grid: Grid
    cells: tuple[Cell, ...]
    programs: tuple[ProgramPlan, ...]
    layout: Layout
    examples_per_second: float | None

    @property
    def recipe(self) -> Recipe:
        """The first program's recipe; programs differ in the microbatch alone."""
        return self.programs[0].recipe

    @property
    def budget(self) -> Budget:
        """When cells stop."""
        return self.config.training.budget

    def max_steps(self, cell: Cell) -> int:
        """Updates after which this cell has used up its budget."""
        return self.budget.max_steps(cell["batch_size"], len(self.dataset.train))

    def eval_every(self, cell: Cell) -> int:
        """Updates between two evaluations of this cell."""
        return math.ceil(self.max_steps(cell) / self.config.training.evaluations)

    def examples(self, cell: Cell) -> int:
        """Examples this cell sees at most."""
        return self.max_steps(cell) * cell["batch_size"]

    def order(self, cell: Cell, fresh: bool = True) -> Order:
        """The cell as scalars for a lane."""
        training, number = self.config.training, np.dtype(self.recipe.task.model.dtype).type
        values = {name: number(value) for name, value in hyperparameters(training, cell).items()}
        hyper = Hyper(**values | {"batch_size": np.int32(cell["batch_size"])})
        budget = self.budget
        return Order(
            fresh=np.bool_(fresh),
            seed=np.int32(cell["seed"]),
            hyper=hyper,
            max_steps=np.int32(self.max_steps(cell)),
            eval_every=np.int32(self.eval_every(cell)),
            patience=np.int32(budget.early_stopping or 0),
            target=number(budget.target.value if budget.target else 0),
            divergence_loss=number(training.divergence_loss),
        )

    def memory_bytes(self) -> int:
        """Device memory for the state of all lanes and the data on every device."""
        lane = empty_lanes(self.recipe, Layout(1, 1, 1))
        state = sum(leaf.nbytes for leaf in jax.tree.leaves(lane)) * self.layout.lanes
        parts = (self.dataset.train, self.dataset.validation, self.dataset.test)
        data = sum(part.inputs.nbytes + part.labels.nbytes for part in parts)
        return state + data * self.layout.devices

    def resolved(self) -> dict[str, int]:
        """The choices that bits depend on; pinned in run.json and kept on resume."""
        return {
            "microbatch": self.recipe.microbatch if len(self.programs) == 1 else 0,
            "lanes": self.layout.lanes,
            "block": self.layout.block,
            "devices": self.layout.devices,
        }

    def describe(self) -> str:
        """The plan in a few lines of plain text."""
        layout, model, data = self.layout, self.recipe.task.model, self.dataset
        sizes = self.config.grid.batch_sizes
        steps = [self.max_steps({"batch_size": b}) for b in sizes]
        total = sum(map(self.examples, self.cells))
        axes = " × ".join(f"{len(v)} {_plural(n, len(v))}" for n, v in self.grid.axes)
        kind = jax.devices()[0].device_kind
        stand_in = " (stand-in)" if data.stand_in else ""
        splits = f"{len(data.train):,}/{len(data.validation):,}/{len(data.test):,}"
        lines = [
            f"cells      {len(self.cells):,} = {axes}",
            f"data       {data.name}{stand_in}: {splits} train/validation/test, "
            f"{'×'.join(map(str, data.input_shape))} "
            f"{data.kind.removesuffix('s')}s, {data.num_classes} "
            f"{'symbols' if data.task == 'language_model' else 'classes'}",
            f"model      {model.name}{_shape(model.settings)}, {model.count_parameters():,} "
            f"parameters, {model.dtype}",
            f"training   {self.recipe.optimizer}, {self.budget}: "
            f"{steps[-1]:,} to {steps[0]:,} updates a cell, {total:,} examples in all",
            f"program    {len(self.programs)}, {layout.lanes} lanes on {layout.devices} × {kind}, "
            f"blocks of {layout.block}, microbatches of "
            f"{', '.join(str(p.recipe.microbatch) for p in self.programs)}",
            f"memory     {self.memory_bytes() / 2**20:,.0f} MiB of state and data on the devices",
            f"time       {self._time(total)}",
        ]
        return "\n".join(lines + self._warnings(sizes[-1], steps[-1]))

    def _time(self, total: int) -> str:
        if self.examples_per_second is None:
            return "unknown; `python -m minima probe` measures this machine once"
        minutes = total / self.examples_per_second / 60
        return f"about {minutes:.1f} minutes at {self.examples_per_second:,.0f} examples/s (probed)"

    def _warnings(self, batch_size: int, steps: int) -> list[str]:
        if steps >= _FEW_UPDATES:
            return []
        return [
            f"warning    batch size {batch_size} gets {steps} updates, too few to tell its own "
            f"effect from undertraining; give it {_FEW_UPDATES} or more (--budget=…)"
        ]


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
    )
    choice = ModelChoice(
        task.model,
        task.width,
        task.depth,
        task.norm,
        task.positions,
        task.parametrisation,
        task.base_width,
    )
    return make_task(dataset, choice, task.augmentation, config.training.dtype)


def make_plan(
    config: SweepConfig, task: Task, dataset: Dataset, pinned: Mapping[str, int] | None = None
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
    _check_steps(config, num_examples)
    _check_range(config)
    target = training.budget.target
    recipe = Recipe(
        task=task,
        optimizer=training.optimizer,
        features=_features(config),
        microbatch=pinned.get("microbatch") or resolve_microbatch(config, num_examples),
        evaluations=training.evaluations,
        target=(target.metric, target.at_least) if target else None,
        early_stopping=training.budget.early_stopping is not None,
    )
    table = probe.lookup(task, training.optimizer, recipe.microbatch)
    cells = tuple(grid.cells())
    programs = _programs(recipe, cells)
    layout = resolve_layout(config, pinned, len(cells) // len(programs), table)
    rate = table.examples_per_second(layout.block) if table else None
    plan = Plan(config, dataset, grid, cells, programs, layout, rate)
    _check_memory(plan)
    return plan


def hyperparameters(training: TrainingConfig, cell: Cell) -> dict[str, float]:
    """The values of `Hyper`'s fields for a cell, in plain numbers.

    What is an axis of the grid is the cell's own; the rest is the same for all, or follows from the
    batch size B where a rule is asked for: the rate scales with B / base or its square root, and
    Adam's β2 is 1/2 to the power B / half-life.
    """
    values: dict[str, Any] = {
        name: cell.get(name, getattr(training, name, None)) for name in Hyper._fields
    }
    momentum, beta2 = DEFAULT_MOMENTA[training.optimizer]
    values["momentum"] = momentum if values["momentum"] is None else values["momentum"]
    values["beta2"] = beta2 if values["beta2"] is None else values["beta2"]
    if training.beta2_half_life:
        values["beta2"] = 0.5 ** (cell["batch_size"] / training.beta2_half_life)
    power = {"none": 0.0, "sqrt": 0.5, "linear": 1.0}[training.learning_rate_scaling]
    values["learning_rate"] *= (cell["batch_size"] / training.base_batch_size) ** power
    return values


def _programs(recipe: Recipe, cells: tuple[Cell, ...]) -> tuple[ProgramPlan, ...]:
    """One program; or, where an example sees its whole batch, one per batch size."""
    if not recipe.task.model.couples_examples:
        return (ProgramPlan(recipe, tuple(range(len(cells)))),)
    sizes = sorted({cell["batch_size"] for cell in cells})
    return tuple(
        ProgramPlan(
            dataclasses.replace(recipe, microbatch=size),
            tuple(i for i, cell in enumerate(cells) if cell["batch_size"] == size),
        )
        for size in sizes
    )


def _shape(settings: Settings) -> str:
    parts = [f"width {settings.width}", f"depth {settings.depth}"]
    parts += [] if settings.norm == "none" else [f"{settings.norm} norm"]
    parts += [] if settings.positions else ["no positions"]
    parts += [f"muP from width {settings.base_width}"] if settings.base_width else []
    return f" ({', '.join(parts)})"


def _features(config: SweepConfig) -> Features:
    training = config.training
    return Features(
        clipping=math.isfinite(training.clip_norm),
        weight_decay=training.weight_decay > 0,
        warmup=training.warmup_examples > 0,
        dropout=training.dropout > 0,
        label_smoothing=training.label_smoothing > 0,
        label_noise=training.label_noise > 0,
    )


def _check_steps(config: SweepConfig, num_examples: int) -> None:
    """Counters on the device are 32-bit; and a batch can't hold an example twice unasked."""
    for batch_size in config.grid.batch_sizes:
        if batch_size > num_examples:
            raise UserError(
                f"--batch_sizes={batch_size}: more than the {num_examples} training examples of "
                f"--dataset={config.task.dataset}; use at most {num_examples}"
            )
    if config.training.budget.max_steps(config.grid.batch_sizes[0], num_examples) >= 2**31:
        raise UserError(f"--budget={config.training.budget}: 2^31 updates or more; use fewer")


def _check_memory(plan: Plan) -> None:
    """On CPUs, devices share the machine's memory; accelerators report their own shortage."""
    needed, there = plan.memory_bytes(), devices.memory_bytes()
    if there is not None and needed > there:
        raise UserError(
            f"--lanes={plan.layout.lanes // plan.layout.devices}: needs {needed / 2**30:,.0f} GiB "
            f"of the {there / 2**30:,.0f} GiB there are; use fewer lanes or a smaller model"
        )


def _check_range(config: SweepConfig) -> None:
    """What the dtype can't hold would train as infinity or as zero."""
    training, info = config.training, np.finfo(config.training.dtype)
    least, most = float(info.tiny), float(info.max)
    named = [("learning_rates", rate) for rate in config.grid.learning_rates]
    named += [(name, getattr(training, name)) for name in ("clip_norm", "weight_decay")]
    named += [("divergence_loss", training.divergence_loss)]
    if training.budget.target:
        named += [("budget", abs(training.budget.target.value))]
    for name, value in named:
        if 0 < value < least or most < value < math.inf:
            raise UserError(
                f"--{name}: {value:g} is outside what {training.dtype} holds; use a number "
                f"between {least:.3g} and {most:.3g}"
            )


def _plural(name: str, count: int) -> str:
    words = name.replace("_", " ")
    return words if count == 1 else words + "s"
