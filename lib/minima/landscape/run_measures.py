"""The kept minima of a run, measured: many at once by one program, each on disk when it is done.

A minimum is measured on the examples that its cell was trained on, labels as its cell saw them
(label noise is the cell's own), by the task's plain mean loss: without dropout, augmentation or
label smoothing, and with batch normalisation by running statistics, which are held fixed.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from minima.landscape.estimators import Estimate
from minima.landscape.measure import measured
from minima.landscape.measure_program import Data, Kind, Row, Shapes, compiled
from minima.landscape.objective import chunks
from minima.landscape.panels import Panel
from minima.landscape.precision import arithmetic
from minima.landscape.result import Measured
from minima.record import measures, results
from minima.record.cells import key as cell_key
from minima.record.cells import plain
from minima.record.run_directory import RunDirectory
from minima.record.snapshots import Snapshots
from minima.runtime.errors import UserError
from minima.runtime.mesh import fetch, put
from minima.sweep.branch import from_arrays
from minima.sweep.lane import Snapshot, minimum_of
from minima.sweep.minima import Point
from minima.sweep.optimizers import Features
from minima.sweep.passes import chunk_of
from minima.sweep.placement import Placement
from minima.sweep.plan import Plan
from minima.sweep.program import blank_initial
from minima.tasks.task import Arrays, Task, to_arrays

_GROUP = 4  # minima a device takes at a time: what a kill may cost
_CHUNK = 1024  # examples at a time, where they are small

Progress = Callable[[int, int], None]  # told how many minima are done, and how many there are


def kept_minima(
    plan: Plan, directory: Path | str, cells: Iterable[int] | None = None
) -> list[Point]:
    """Where the finished cells of a run ended, in grid order: (number, updates).

    Cells that diverged have no minimum and are left out, as are those that kept no state.

    Args:
      plan: of the run.
      directory: of the run.
      cells: numbers of those that are asked for; None for all.
    """
    snapshots, wanted = Snapshots(directory), None if cells is None else set(cells)
    found = []
    for record in results.load(directory).cells:
        number = plan.grid.index(record["cell"])
        if record["status"] == "diverged" or (wanted is not None and number not in wanted):
            continue
        if record["steps"] in snapshots.steps(number):
            found.append((number, record["steps"]))
    return sorted(found)


def check_panel(plan: Plan, panel: Panel) -> None:
    """Raises UserError where the panel does not know how the run's optimiser works."""
    name = plan.recipe.optimizer
    if panel.optimizers and name not in panel.optimizers:
        known = ", ".join(panel.optimizers)
        raise UserError(f"panel {panel.name}: knows {known}, the run was trained by {name}")
    if panel.optimizers and plan.config.task.parametrisation == "mup":
        raise UserError(f"panel {panel.name}: does not know the rates of --parametrisation=mup")


def measure_points(
    plan: Plan,
    directory: Path | str,
    points: Sequence[Point],
    panel: Panel,
    *,
    examples: int,
    mesh: jax.sharding.Mesh,
    seed: int = 0,
    dtype: str | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Measured]]:
    """Measures kept states of a run, or reads what has been measured before.

    Every minimum is appended to `RUN/measures.jsonl` as soon as its group is done, so a kill loses
    no more than that, and the same call measures what is missing. One compilation serves all cells
    of a run, and other runs of the same model on the same data. Matrix products have the highest
    precision; probes are independent from minimum to minimum.

    Args:
      plan: whose cells these are.
      directory: of its run.
      points: which cells, after which updates; each must have been kept (see `kept_minima`).
      panel: what is measured, e.g. `panels.PANELS["hessian"]`.
      examples: how many of the training examples, the first ones; 0 for all.
      mesh: from `plan.layout.make_mesh`, or any of one axis called `program.AXIS`.
      seed: of random probes.
      dtype: "float32" or "float64"; None for that of training.
      progress: called after each group.

    Returns:
      For each point its estimates by name, in the panel's order; not-finite values are NaN.

    Raises:
      UserError: a state is missing or damaged, the run is in use, or the panel knows nothing of the
        optimiser.
      ValueError: another dtype.
      DiskFull: no room for the next line; all before it are kept.
    """
    check_panel(plan, panel)
    count, dtype = _resolved(plan, examples, dtype)
    way = {"panel": panel.name, "examples": count, "seed": seed, "dtype": dtype}
    with RunDirectory.hold(directory) as run, arithmetic(dtype):
        known = _known(run.directory, way)
        missing = [point for point in dict.fromkeys(points) if _key(plan, point) not in known]
        done = 0
        for lines, cost in _groups(plan, Snapshots(directory), missing, panel, way, mesh):
            for line in lines:
                measures.append(run.directory, line)
            sums, name = run.info().get("measures") or {}, cost_key(plan, panel.name, count, dtype)
            run.update_info(measures={**sums, name: cost.added_to(sums.get(name))})
            done += len(lines)
            if progress is not None:
                progress(done, len(missing))
        known = _known(run.directory, way)
    return [
        {name: Measured(**entry) for name, entry in known[_key(plan, point)].items()}
        for point in points
    ]


def cost_key(plan: Plan, panel: str, examples: int, dtype: str | None) -> str:
    """Where run.json has what it took, under `measures`: minima, seconds, compile_seconds."""
    count, kind = _resolved(plan, examples, dtype)
    return f"{panel}, {count} examples, {kind}"


def _resolved(plan: Plan, examples: int, dtype: str | None) -> tuple[int, str]:
    size = len(plan.dataset.train)
    return min(examples or size, size), dtype or plan.recipe.task.model.dtype


@dataclass(frozen=True)
class _Cost:
    """What a group took."""

    minima: int
    seconds: float
    compile_seconds: float

    def added_to(self, sums: dict[str, Any] | None) -> dict[str, Any]:
        """The sums with this."""
        return {name: (sums or {}).get(name, 0) + value for name, value in asdict(self).items()}


def _key(plan: Plan, point: Point) -> tuple[Any, int]:
    number, step = point
    return cell_key({"cell": plan.cells[number]}), step


def _known(directory: Path, way: dict[str, Any]) -> dict[tuple[Any, int], dict[str, Any]]:
    """What was measured that way, by cell and updates; the file's torn last line is cut off."""
    lines = measures.read(directory, repair=True)
    same = [line for line in lines if all(line[name] == value for name, value in way.items())]
    return {(cell_key(line), line["steps"]): line["measured"] for line in same}


def _groups(
    plan: Plan,
    snapshots: Snapshots,
    points: Sequence[Point],
    panel: Panel,
    way: dict[str, Any],
    mesh: jax.sharding.Mesh,
) -> Iterator[tuple[list[measures.Line], _Cost]]:
    """The lines of what is missing, as many at a time as the devices take."""
    if not points:
        return
    kind = _kind(plan, panel, way["dtype"])
    place = Placement.on(mesh, kind.task.model, plan.layout.fully_sharded)
    data = _data(plan, way["examples"], kind.task, way["seed"], place)
    width = _GROUP * place.groups
    for begin in range(0, len(points), width):
        group = points[begin : begin + width]
        places, rows = _rows(plan, snapshots, group, panel, place)
        started = time.perf_counter()
        names, program = compiled(kind, mesh, Shapes.of(rows), Shapes.of(data))
        ready = time.perf_counter()
        found = fetch(program(rows, data))
        cost = _Cost(len(group), time.perf_counter() - ready, ready - started)
        lines = []
        for (number, step), at in zip(group, places, strict=True):
            mine = (Estimate(*(field[at] for field in estimate)) for estimate in found)
            pairs = zip(names, mine, strict=True)
            entries = {name: asdict(measured(one, way["examples"])) for name, one in pairs}
            where = {"cell": plan.cells[number], "steps": step}
            lines.append({**where, **way, "measured": plain(entries)})
        yield lines, cost


def _kind(plan: Plan, panel: Panel, dtype: str) -> Kind:
    task, features = plan.recipe.task, plan.recipe.features
    settings = replace(task.model.settings, parameter_dtype=dtype)
    return Kind(
        task=replace(task, model=replace(task.model, settings=settings)),
        trained=task,
        features=Features(
            warmup=features.warmup, decay=features.decay, label_noise=features.label_noise
        ),
        panel=panel,
    )


def _data(plan: Plan, count: int, task: Task, seed: int, place: Placement) -> Data:
    """On the devices; where labels would be, the chunks hold the examples' indices."""
    arrays = to_arrays(plan.dataset, task.model.dtype)
    small = task.kind in ("signal", "vector")
    index = np.arange(count, dtype=np.int32)
    size = _CHUNK if small else chunk_of(task)
    inputs, dtype, parts = arrays.train[0][:count], task.model.dtype, place.parts
    pieces = put(chunks(inputs, index, size, dtype, parts=parts), place.examples(1))
    none: Any = ()
    constants = Arrays(none, none, none, arrays.mean, arrays.std)
    others = arrays.train[1][:count], constants, np.int32(seed)
    return Data(pieces, *put(others, place.everywhere))


def _rows(
    plan: Plan,
    snapshots: Snapshots,
    group: Sequence[Point],
    panel: Panel,
    place: Placement,
) -> tuple[list[int], Row]:
    """A group stacked and on the devices, dealt out evenly; and where each of it lies."""
    like = blank_initial(plan.recipe)
    places = [i % place.groups * _GROUP + i // place.groups for i in range(len(group))]
    blank = _row(plan, like, (0, 0), panel)._replace(real=np.bool_(False))
    rows = [blank] * (_GROUP * place.groups)
    for at, point in zip(places, group, strict=True):
        rows[at] = _row(plan, from_arrays(snapshots.read(*point), like), point, panel)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *rows)
    return places, put(stacked, place.stacked(stacked))


def _row(plan: Plan, snapshot: Snapshot, point: Point, panel: Panel) -> Row:
    number, step = point
    params, state = minimum_of(snapshot)
    opt_state = snapshot.opt_state if panel.optimizers else None
    # Not fresh: a branch's initial weights are those of its seed, as its trunk's are.
    order = plan.order(plan.cells[number], fresh=False)
    # How often a cell was evaluated is not to make another program.
    schedule = order.schedule._replace(evaluations=np.zeros(0, np.int32))
    order = order._replace(schedule=schedule, initial=None)
    numbers = np.bool_(True), np.int32(number), np.int32(step)
    return Row(*numbers, params, state, opt_state, order)
