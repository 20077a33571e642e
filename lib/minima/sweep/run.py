"""A sweep from config to results on disk: what an experiment calls."""

import logging
import re
import resource
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minima.record import results
from minima.record.board import Board
from minima.record.checkpoints import Checkpoints
from minima.record.files import DiskFull, explained
from minima.record.progress import Progress
from minima.record.run_directory import RunDirectory, config_hash, read_info
from minima.record.snapshots import Snapshots
from minima.runtime import compilation, devices
from minima.runtime.interrupts import STOPPED_AND_SAVED, StopRequest, stop_request
from minima.sweep.branch import to_arrays
from minima.sweep.config import SweepConfig
from minima.sweep.description import describe
from minima.sweep.lane import Snapshot
from minima.sweep.plan import Plan, load_task, make_plan
from minima.sweep.train import Totals, train

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A planned sweep and the place it will be kept; nothing is written yet.

    Attributes:
      plan: what will be done.
      experiment: name of the experiment, a folder under --workdir.
      run_id: follows from the config and the data, so the same command finds the same run.
      identity: the config and the data's checksum, as JSON values.
    """

    plan: Plan
    experiment: str
    run_id: str
    identity: dict[str, Any]

    @property
    def directory(self) -> Path:
        """Where the run is or will be."""
        return Path(self.plan.config.record.workdir) / self.experiment / self.run_id


def prepare(config: SweepConfig, experiment: str) -> Prepared:
    """Checks everything and plans; the first call that touches JAX.

    Raises:
      UserError: a flag, a file or a combination is wrong; nothing was written.
    """
    # No CPU device without a core of its own: where more are asked for, the plan refuses.
    axes = config.engine.mesh
    wanted = min(axes.size if axes else config.engine.devices, devices.cores())
    devices.configure(config.training.dtype, wanted or None)
    compilation.use_compilation_cache()
    task, dataset = load_task(config)
    identity = config.identity() | {"data_sha256": dataset.checksum}
    if config.branch.branch_from:
        identity["trunk"] = read_info(Path(config.branch.branch_from)).get("config_sha256")
    name = re.sub(r"\W+", "-", f"{task.model.name}-{Path(config.task.dataset).stem}")
    run_id = f"{name}-{config.training.optimizer}-{config_hash(identity)[:10]}"
    run_json = Path(config.record.workdir) / experiment / run_id / "run.json"
    pinned = read_info(run_json.parent).get("resolved") if run_json.exists() else None
    plan = make_plan(config, task, dataset, pinned)
    return Prepared(plan, experiment, run_id, identity)


def execute(prepared: Prepared, flagfile: str, progress: Progress | None = None) -> int:
    """Trains what is missing and writes every result; the same call resumes.

    Args:
      prepared: from `prepare`.
      flagfile: a text that repeats the command, kept as run.flags.
      progress: told how far the sweep is.

    Returns:
      An exit code: 0 when every cell is done, 75 when it stopped early with all finished cells, and
      those in training, saved.

    Raises:
      UserError: another process works on this run.
      DiskFull: there is no room even to start.
    """
    plan, record = prepared.plan, prepared.plan.config.record
    axes = dict(plan.grid.axes)
    where = (record.workdir, prepared.experiment, prepared.run_id)
    opened = RunDirectory.open(*where, prepared.identity, flagfile, axes)
    with opened as run, stop_request() as stop:
        try:
            _log_to(run.path("log.txt"))
            _log.info("plan\n%s", describe(plan))
            model = plan.recipe.task.model.name
            run.update_info(resolved=plan.resolved(), model=model, devices=devices.description())
            keeper = _Keeper(run, plan)
            keeper.start()
            totals = _train(plan, run, keeper, stop, progress)
            _write_results(run, plan, totals, keeper.compilations)
            keeper.finish()
        except OSError as error:
            full = explained(error, run.directory)
            if not isinstance(full, DiskFull):
                raise
            print(f"error: {full.strerror}", file=sys.stderr)
            return STOPPED_AND_SAVED
        return STOPPED_AND_SAVED if totals.stopped else 0


class _Keeper:
    """Puts each finished cell on disk: first the truth, then what TensorBoard shows of it."""

    def __init__(self, run: RunDirectory, plan: Plan) -> None:
        self.run, self.plan = run, plan
        self.compilations = 0
        record, axes = plan.config.record, dict(plan.grid.axes)
        self.board = Board(run.directory, axes, record.tensorboard_cells)
        self.snapshots = Snapshots(run.directory)
        self.shows = record.tensorboard

    def start(self) -> None:
        """Shows the sweep, and the cells that a kill left out."""
        if self.shows:
            self.board.start(self.run.cells())

    def __call__(self, cell: dict[str, Any]) -> None:
        self.run.append_cell(cell)
        _log.info("cell %s: %s after %d steps", cell["cell"], cell["status"], cell["steps"])
        if self.shows:
            self.board.add(cell)

    def keep(self, cell: int, step: int, snapshot: Snapshot) -> None:
        """Puts a state on disk."""
        self.snapshots.write(cell, step, to_arrays(snapshot))

    def finish(self) -> None:
        """Shows how the sweep stands, after its results are on disk."""
        if self.shows:
            self.board.finish()


def _train(
    plan: Plan, run: RunDirectory, keeper: _Keeper, stop: StopRequest, progress: Progress | None
) -> Totals:
    done = [plan.grid.index(cell["cell"]) for cell in run.cells()]
    if len(done) == len(plan.cells):
        return Totals()
    mesh = plan.layout.make_mesh()
    with (
        Checkpoints(run.path("checkpoints")) as checkpoints,
        compilation.count_compilations() as compilations,
    ):
        totals = train(
            plan,
            mesh,
            keeper,
            on_snapshot=keeper.keep,
            done=done,
            checkpoints=checkpoints,
            checkpoint_seconds=plan.config.record.checkpoint_seconds,
            stop=stop,
            progress=progress,
        )
    keeper.compilations = compilations.count
    return totals


def _write_results(run: RunDirectory, plan: Plan, totals: Totals, compilations: int) -> None:
    cells, info = run.cells(), run.info()
    run.update_info(
        status="stopped" if totals.stopped else "complete",
        cells=len(plan.cells),
        cells_by_status=dict(Counter(cell["status"] for cell in cells)),
        compilations=info.get("compilations", 0) + compilations,
        compile_seconds=info.get("compile_seconds", 0.0) + totals.compile_seconds,
        train_seconds=info.get("train_seconds", 0.0) + totals.train_seconds,
        peak_memory_bytes=max(info.get("peak_memory_bytes", 0), _peak_memory_bytes()),
    )
    results.write_results(run.directory, dict(plan.grid.axes), cells)


def _peak_memory_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: its maximum includes what a large parent held when it started this process.
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
        if found:
            return 1024 * int(found[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes elsewhere


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Says nothing: a line that finds no room on the disk is the least of its troubles."""


def _log_to(path: Path) -> None:
    """Sends minima's own log, and nobody else's, to the run's log.txt."""
    logger = logging.getLogger("minima")
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()
    try:
        handler = _LogFile(path)
    except OSError as error:
        raise explained(error, path) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # absl's root handler would print it all on the terminal
