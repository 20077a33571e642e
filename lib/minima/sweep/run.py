"""A sweep from config to results on disk: what an experiment calls."""

import logging
import re
import resource
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minima.record import cells as cell_lines
from minima.record import gather, results
from minima.record.board import Board
from minima.record.files import DiskFull, explained
from minima.record.mirrored import locate
from minima.record.progress import Progress
from minima.record.remote import joined, local_path
from minima.record.run_directory import RunDirectory, config_hash, read_info
from minima.record.shards import Shard, find_shards
from minima.record.shared_checkpoints import open_checkpoints
from minima.record.snapshots import Snapshots
from minima.runtime import compilation, devices
from minima.runtime.interrupts import STOPPED_AND_SAVED, StopRequest
from minima.runtime.processes import agreed, from_first, group, stop_request
from minima.runtime.watchdog import Watchdog
from minima.sweep import parts
from minima.sweep.branch import to_arrays
from minima.sweep.config import ProcessesConfig, SweepConfig
from minima.sweep.description import describe
from minima.sweep.lane import Snapshot
from minima.sweep.plan import Plan, load_task, make_plan
from minima.sweep.pretrained import fingerprint
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
      workdir: of a group of processes, the first one's.
    """

    plan: Plan
    experiment: str
    run_id: str
    identity: dict[str, Any]
    workdir: str = ""

    @property
    def place(self) -> str:
        """The path or URL that names what this process trains, as a user would."""
        place = self.whole_place
        return place if self.shard is None else joined(place, *self.shard.folders)

    @property
    def whole_place(self) -> str:
        """The path or URL that names the run."""
        return joined(self.plan.config.record.workdir, self.experiment, self.run_id)

    @property
    def whole(self) -> Path:
        """Where the run is or will be on this machine."""
        return local_path(self.whole_place)

    @property
    def shard(self) -> Shard | None:
        """The part of the run that this process trains, or None for all of it."""
        return self.plan.config.processes.shard

    @property
    def directory(self) -> Path:
        """Where this process keeps what it trains: the run's directory, or that of the shard."""
        return self.whole if self.shard is None else self.shard.directory(self.whole)


def prepare(config: SweepConfig, experiment: str) -> Prepared:
    """Checks everything and plans; the first call that touches JAX.

    Raises:
      UserError: a flag, a file or a combination is wrong; nothing was written.
      Unreachable: a run is on a store that does not answer.
    """
    workdir, config = config.record.workdir, parts.join(config)
    # No CPU device without a core of its own: where more are asked for, the plan refuses.
    wanted = min(parts.cpu_devices(config), devices.cores())
    devices.configure(config.training.dtype, wanted or None)
    compilation.use_compilation_cache()
    task, dataset = load_task(config)
    own = _identity(config, dataset.checksum)
    identity = from_first(lambda: own)
    parts.check_same(own, identity)
    name = re.sub(r"\W+", "-", f"{task.model.name}-{Path(config.task.dataset).stem}")
    run_id = f"{name}-{config.training.optimizer}-{config_hash(identity)[:10]}"
    place = joined(config.record.workdir, experiment, run_id)
    shard = config.processes.shard
    run = locate(place, "--workdir", shards=shard is None)
    places = [run] if shard is None else [locate(joined(place, *shard.folders)), run]
    plan = make_plan(config, task, dataset, from_first(lambda: _pinned(places)))
    return Prepared(plan, experiment, run_id, identity, from_first(lambda: workdir))


def _identity(config: SweepConfig, checksum: str) -> dict[str, Any]:
    """What the numbers depend on: the config, the data, and where cells start."""
    identity = config.identity() | {"data_sha256": checksum}
    if config.branch.branch_from:
        trunk = locate(config.branch.branch_from, "--branch_from")
        identity["trunk"] = read_info(trunk).get("config_sha256")
    if config.branch.initial_weights:
        identity["initial_sha256"] = fingerprint(config.branch)
    return identity


def _pinned(places: Sequence[Path]) -> dict[str, Any] | None:
    """The layout of the first of these runs that has one."""
    for place in places:
        if (place / "run.json").exists() and (pinned := read_info(place).get("resolved")):
            return pinned
    return None


def execute(prepared: Prepared, flagfile: str, progress: Progress | None = None) -> int:
    """Trains what is missing and writes every result; the same call resumes.

    A shard trains its cells and writes no results. All of a run takes up first what its shards
    hold, so that nothing is trained twice, and refuses while one of them is at work. Every process
    of a group calls this, and gets the same exit code.

    Args:
      prepared: from `prepare`.
      flagfile: a text that repeats the command, kept as run.flags.
      progress: told how far the sweep is.

    Returns:
      An exit code: 0 when every cell is done, 75 when it stopped early with all finished cells, and
      those in training, saved.

    Raises:
      UserError: another process works on this run, or on a shard of it.
      DiskFull: there is no room even to start.
      Unreachable: the workdir is on a store that does not answer.
    """
    if not parts.is_split(prepared):
        return _execute(prepared, flagfile, progress)
    return parts.split(prepared, prepared.workdir, lambda part: _execute(part, flagfile, progress))


def _execute(prepared: Prepared, flagfile: str, progress: Progress | None) -> int:
    plan, record = prepared.plan, prepared.plan.config.record
    axes = dict(plan.grid.axes)
    where = (record.workdir, prepared.experiment, prepared.run_id)
    if prepared.shard is None:
        gather.refuse_busy_shards(prepared.whole)
    opened = RunDirectory.open(*where, prepared.identity, flagfile, axes, prepared.shard)
    with opened as run, stop_request() as stop:
        try:
            _log_to(run.path("log.txt"))
            _log.info("plan\n%s", describe(plan))
            model = plan.recipe.task.model.name
            run.update_info(
                resolved=plan.resolved(),
                model=model,
                devices=devices.description(),
                cells=len(plan.part),
            )
            if prepared.shard is None and find_shards(run.directory):
                gather.merge(run)
            if group().lockstep:
                parts.share(run.directory)
            done = set(agreed(lambda: sorted(_done(prepared))))
            keeper = _Keeper(run, plan)
            keeper.start()
            totals = _train(plan, run, keeper, done, stop, progress)
            _note(run, plan, totals, keeper)
            if prepared.shard is None:
                results.write_results(run.directory, axes, run.cells())
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
        self.shows = record.tensorboard and plan.config.processes.shard is None

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


def finished(prepared: Prepared) -> int:
    """How many of the cells that this process trains are done."""
    return len(_done(prepared))


def _done(prepared: Prepared) -> set[int]:
    """Which of its cells this process need not train; what the whole run has, no shard trains."""
    plan, places = prepared.plan, {prepared.directory, prepared.whole}
    records = (cell for place in places for cell in cell_lines.each(place / "cells.jsonl"))
    done = {plan.grid.index(cell["cell"]) for cell in records}
    return done if prepared.shard is None else done & set(plan.part)


def _train(
    plan: Plan,
    run: RunDirectory,
    keeper: _Keeper,
    done: set[int],
    stop: StopRequest,
    progress: Progress | None,
) -> Totals:
    if len(done) == len(plan.part):
        return Totals()
    mesh = plan.layout.make_mesh()
    with (
        open_checkpoints(run.path("checkpoints")) as checkpoints,
        compilation.count_compilations() as compilations,
        _watchdog(plan.config.processes) as watchdog,
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
            beat=watchdog.beat,
        )
    keeper.compilations = compilations.count
    return totals


def _watchdog(config: ProcessesConfig) -> Watchdog:
    return Watchdog(60 * config.stuck_minutes if group().count > 1 else 0)


def _note(run: RunDirectory, plan: Plan, totals: Totals, keeper: _Keeper) -> None:
    """How the run stands and what it cost, in run.json."""
    info = run.info()
    run.update_info(
        status="stopped" if totals.stopped else "complete",
        cells=len(plan.part),
        cells_by_status=dict(Counter(cell["status"] for cell in run.cells())),
        compilations=info.get("compilations", 0) + keeper.compilations,
        compile_seconds=info.get("compile_seconds", 0.0) + totals.compile_seconds,
        train_seconds=info.get("train_seconds", 0.0) + totals.train_seconds,
        peak_memory_bytes=max(info.get("peak_memory_bytes", 0), _peak_memory_bytes()),
    )


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
