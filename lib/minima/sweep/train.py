"""The host loop: fills lanes, dispatches segments, reads reports one segment behind.

The only place that holds state. Finished cells leave through `on_cell` as soon as their report is
read; everything a restart needs is in a checkpoint of the lanes plus the cells already recorded.
"""

import functools
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from minima.record.checkpoints import Checkpoints
from minima.record.progress import Progress
from minima.record.shared_checkpoints import SharedCheckpoints
from minima.runtime.interrupts import StopRequest
from minima.runtime.mesh import fetch, put
from minima.runtime.processes import agreed
from minima.sweep.budgets import Status
from minima.sweep.cells import cell_record
from minima.sweep.examples import Slab
from minima.sweep.lane import Lane, Order, Snapshot
from minima.sweep.placement import Placement
from minima.sweep.plan import Plan
from minima.sweep.program import Report, blank_order, compile_program, empty_lanes
from minima.sweep.slabs import HostTrainingSet, empty
from minima.sweep.slots import Slot, free_lanes
from minima.tasks.task import Arrays, to_arrays

OnSnapshot = Callable[[int, int, Snapshot], None]

_SEGMENT_SECONDS = 1.0
_FIRST_LIMIT = 256
_LARGEST_LIMIT = 2**20


@dataclass
class Totals:
    """What a call of `train` did.

    Attributes:
      segments: dispatched.
      train_seconds: from the first dispatch to the last report.
      compile_seconds: tracing and compiling, or reading the compilation cache.
      stopped: a stop was asked for before all cells were done.
    """

    segments: int = 0
    train_seconds: float = 0.0
    compile_seconds: float = 0.0
    stopped: bool = False


def train(
    plan: Plan,
    mesh: jax.sharding.Mesh,
    on_cell: Callable[[dict[str, Any]], None],
    *,
    on_snapshot: OnSnapshot = lambda cell, step, snapshot: None,
    done: Iterable[int] = (),
    order: Iterable[int] | None = None,
    checkpoints: Checkpoints | SharedCheckpoints | None = None,
    checkpoint_seconds: float = 60.0,
    stop: StopRequest | None = None,
    progress: Progress | None = None,
    beat: Callable[[], None] = lambda: None,
) -> Totals:
    """Trains every cell of a plan that isn't done.

    Args:
      plan: what to train; of its cells those of `plan.part`.
      mesh: from `plan.layout.make_mesh`.
      on_cell: takes each finished cell's record (see `cells.cell_record`), in the order they end.
      on_snapshot: takes states that the plan keeps: index of the cell, updates done, host arrays.
        A finished cell's comes before its record; after a resume some may come again.
      done: indices of cells that need no training.
      order: which cells in which order; those of `plan.part` by default. It changes no number.
      checkpoints: where to save cells in training, and to look for them first.
      checkpoint_seconds: time between saves.
      stop: looked at between segments; once true, saves and returns.
      progress: told how far the sweep is after every segment.
      beat: called whenever something has moved.
    """
    host = to_arrays(plan.dataset, plan.recipe.task.model.dtype)
    place = Placement.on(mesh, plan.recipe.task.model, plan.layout.fully_sharded)
    arrays = put(empty(host) if plan.recipe.slab else host, place.everywhere)
    stop = StopRequest() if stop is None else stop  # an unasked request is false
    ranks = plan.part if order is None else list(order)
    totals, tally = Totals(), _Tally(plan, set(done), progress)
    for number, program in enumerate(plan.programs):
        mine = frozenset(program.cells)
        queue = [i for i in ranks if i in mine and i not in tally.done]
        if not queue:
            continue
        if stop:
            totals.stopped = True
        if totals.stopped:
            break
        begin = time.perf_counter()
        compiled = compile_program(program.recipe, plan.layout, mesh, arrays)
        ready = time.perf_counter()
        beat()
        kept = HostTrainingSet(program.recipe, host, place) if program.recipe.slab else None
        loop = _Loop(plan, number, place, compiled, arrays, kept, on_cell, on_snapshot, tally)
        loop.restore(checkpoints)
        loop.queue(queue)
        totals.stopped = loop.run(checkpoints, checkpoint_seconds, stop, beat)
        totals.segments = loop.segments
        totals.compile_seconds += ready - begin
        totals.train_seconds += time.perf_counter() - ready
    return totals


class _Tally:
    """Which cells are done, over all programs, and who is told."""

    def __init__(self, plan: Plan, done: set[int], progress: Progress | None) -> None:
        self.plan, self.done, self.progress = plan, done, progress
        self.counts: dict[str, int] = {}
        self.total = float(plan.total_examples(plan.part))
        self.behind = float(plan.total_examples(list(done)))

    def finished(self, cell: int, status: str) -> None:
        """Notes a finished cell; its whole budget counts as behind us."""
        self.done.add(cell)
        self.behind += self.plan.examples(self.plan.cells[cell])
        self.counts[status] = self.counts.get(status, 0) + 1

    def tell(self, running: float) -> None:
        """Tells how far the sweep is; `running` are examples seen by cells still in training."""
        if self.progress:
            cells = len(self.plan.part)
            self.progress.update(self.behind + running, self.total, self.counts, cells)


class _Clock:
    """What depends on time: how long segments are, and when to save. It changes no number."""

    def __init__(self, checkpoint_seconds: float) -> None:
        self._between = checkpoint_seconds
        self._last = self._saved = time.monotonic()

    def tick(self, limit: int) -> tuple[int, bool]:
        """After a segment: the next limit, steered towards a second, and whether to save."""
        now = time.monotonic()
        factor = min(2.0, max(0.5, _SEGMENT_SECONDS / max(now - self._last, 1e-6)))
        self._last = now
        limit = int(min(_LARGEST_LIMIT, max(1, round(limit * factor))))
        return limit, now - self._saved >= self._between

    def saved(self) -> None:
        """Counts from here to the next save."""
        self._saved = time.monotonic()


@dataclass(frozen=True)
class _Flight:
    """A dispatched segment: the report to come, and whose cells were in the lanes."""

    report: Report
    occupants: tuple[int | None, ...]


class _Loop:
    """Lanes on the device, slots and queue on the host."""

    def __init__(
        self,
        plan: Plan,
        number: int,
        place: Placement,
        program: Callable[..., tuple[Lane, Report]],
        arrays: Arrays,
        training_set: HostTrainingSet | None,
        on_cell: Callable[[dict[str, Any]], None],
        on_snapshot: OnSnapshot,
        tally: _Tally,
    ) -> None:
        self.plan, self.number, self.recipe = plan, number, plan.programs[number].recipe
        self.program, self.arrays, self.training_set = program, arrays, training_set
        self.on_cell, self.on_snapshot = on_cell, on_snapshot
        self.tally, self.done = tally, tally.done
        self.place = place
        self.lanes = self._put(empty_lanes(self.recipe, plan.layout))
        self.slots: list[Slot | None] = [None] * plan.layout.lanes
        self.pending: deque[int] = deque()
        self.segments, self.limit = 0, _FIRST_LIMIT
        self._steady: Order | None = None

    def queue(self, order: Iterable[int]) -> None:
        """Lines up the cells that are neither done nor in a lane."""
        taken = self.done | {slot.cell for slot in self.slots if slot}
        self.pending = deque(i for i in order if i not in taken)

    def run(
        self,
        checkpoints: Checkpoints | SharedCheckpoints | None,
        checkpoint_seconds: float,
        stop: StopRequest,
        beat: Callable[[], None],
    ) -> bool:
        """Runs to the end of the queue, or until asked to stop; returns whether it was."""
        flight, clock = None, _Clock(checkpoint_seconds)
        while True:
            following = None if stop else self._dispatch()
            if flight is not None:
                self._collect(flight)
                self.limit, due = agreed(functools.partial(clock.tick, self.limit))
                if due and following is not None and checkpoints:
                    self._save(checkpoints)
                    clock.saved()
                beat()
            flight = following
            if flight is None:
                break
        left = bool(self.pending) or any(s and s.cell not in self.done for s in self.slots)
        if left and checkpoints:
            self._save(checkpoints)
            checkpoints.wait()
        return left

    def restore(self, checkpoints: Checkpoints | SharedCheckpoints | None) -> None:
        """Takes up the lanes of the newest sound checkpoint, if there is one.

        A lane whose cell was recorded after the checkpoint is emptied; one that had finished but
        was not recorded yet is recorded now.
        """
        if checkpoints is None:
            return
        found = checkpoints.restore(empty_lanes(self.recipe, self.plan.layout))
        if found is None:
            return
        self.segments, lanes, meta = found
        if meta["program"] != self.number:
            return  # cells of another program; this one has saved nothing yet
        status = np.array(lanes.status)
        occupants = tuple(None if cell < 0 else cell for cell in meta["cells"])
        for i, cell in enumerate(occupants):
            if cell is None or cell in self.done:
                status[i] = Status.EMPTY
            elif status[i] == Status.RUNNING:
                self.slots[i] = Slot.resumed(
                    cell,
                    self.plan.timeline(self.plan.cells[cell]),
                    self.recipe.widths,
                    self._begin(cell),
                    step=int(lanes.step[i]),
                    consumed=int(lanes.consumed[i]),
                )
        lanes = lanes._replace(status=status)
        self.lanes = self._put(lanes)
        self._collect(_Flight(Report.of(self.recipe, lanes), occupants))

    def _dispatch(self) -> _Flight | None:
        """Puts pending cells into free lanes and starts a segment, if any lane has work."""
        busy = [slot is not None and not slot.finished for slot in self.slots]
        for lane in free_lanes(busy, self.plan.layout.devices)[: len(self.pending)]:
            self.slots[lane] = self._slot(self.pending.popleft())
        working = [slot for slot in self.slots if slot and not slot.finished]
        if not working:
            return None
        orders, slabs = self._orders(), self._slabs()
        longest = self.recipe.slab // self.recipe.widths[-1] if self.recipe.slab else self.limit
        steps = min(self.limit, longest)
        limit = put(np.int32(steps), self.place.everywhere)
        self.lanes, report = self.program(self.lanes, orders, limit, self.arrays, slabs)
        self.segments += 1
        for slot in working:
            slot.advance(steps)
        return _Flight(report, tuple(slot.cell if slot else None for slot in self.slots))

    def _orders(self) -> Order:
        """The orders of all lanes on the device; reused while no lane gets a new cell."""
        fresh = any(slot and slot.fresh for slot in self.slots)
        if not fresh and self._steady is not None:
            return self._steady
        blank = blank_order(self.recipe)
        rows = [
            self.plan.order(self.plan.cells[slot.cell], slot.fresh) if slot else blank
            for slot in self.slots
        ]
        orders = self._put(jax.tree.map(lambda *x: np.stack(x), *rows))
        self._steady = None if fresh else orders
        return orders

    def _slabs(self) -> Slab | None:
        """The examples of the coming segment, gathered while the device works on the last one."""
        if self.training_set is None:
            return None
        cells = [self.plan.cells[slot.cell] if slot else {"seed": 0} for slot in self.slots]
        places = [None if not slot or slot.finished else slot.place() for slot in self.slots]
        return self.training_set.slabs([cell["seed"] for cell in cells], places)

    def _collect(self, flight: _Flight) -> None:
        """Reads a report: keeps snapshots that are due, records the cells that have finished."""
        report = jax.tree.map(np.asarray, flight.report._replace(snapshot=None))
        # States are fetched once, and only where one is wanted.
        states = functools.cache(lambda: fetch(flight.report.snapshot))
        for i, cell in enumerate(flight.occupants):
            if cell is None or cell in self.done:
                continue
            row = jax.tree.map(lambda field, i=i: field[i], report)
            if self._is_due(cell, row):
                self.on_snapshot(cell, int(row.step), _row(states(), i))
            if row.status <= Status.RUNNING:
                continue
            if self.training_set is not None and row.status != Status.DIVERGED:
                row = self._measured(self.training_set, cell, row, _row(states(), i))
            record = cell_record(self.plan, cell, row)
            self.on_cell(record)
            self.tally.finished(cell, record["status"])
            slot = self.slots[i]
            if slot and slot.cell == cell:
                slot.finished = True
        self.tally.tell(self._examples())

    def _is_due(self, cell: int, row: Report) -> bool:
        """Whether a lane stands at an evaluation, not beyond, after which its state is kept."""
        last = row.trajectory_step[row.evaluations - 1] if row.evaluations else -1
        if row.status == Status.DIVERGED or row.step != last or row.consumed:
            return False
        steps = self.plan.snapshot_steps(self.plan.cells[cell])
        return int(last) in steps or bool(steps and row.status > Status.RUNNING)

    def _measured(
        self, training_set: HostTrainingSet, cell: int, row: Report, state: Snapshot
    ) -> Report:
        """The report of a finished cell with its last look at a training set on the host."""
        train = training_set.finals(state, self.plan.order(self.plan.cells[cell], fresh=False))
        status = row.status if np.isfinite(train[0]) else np.int32(Status.DIVERGED)
        return row._replace(status=status, final=np.concatenate([train, row.final[2:]]))

    def _examples(self) -> float:
        """Examples that running cells have seen up to their last evaluation."""
        running = (slot for slot in self.slots if slot and slot.cell not in self.done)
        return float(sum(slot.timeline.examples(slot.step) for slot in running))

    def _save(self, checkpoints: Checkpoints | SharedCheckpoints) -> None:
        lanes = fetch(self.lanes)
        cells = [-1 if slot is None else slot.cell for slot in self.slots]
        checkpoints.save(self.segments, lanes, {"program": self.number, "cells": cells})

    def _put(self, stacked: Any) -> Any:
        """Host arrays with a leading axis of lanes, on the devices."""
        return put(stacked, self.place.stacked(stacked))

    def _slot(self, cell: int) -> Slot:
        timeline = self.plan.timeline(self.plan.cells[cell])
        return Slot(cell, timeline, self.recipe.widths, self._begin(cell))

    def _begin(self, cell: int) -> int:
        """Examples that a cell's trunk has seen; counted only where the host gathers the next."""
        if self.training_set is None:
            return 0
        initial = self.plan.order(self.plan.cells[cell]).initial
        if initial is None:
            return 0
        return int(initial.epoch) * self.recipe.num_examples + int(initial.position)


def _row(states: Snapshot, lane: int) -> Snapshot:
    return jax.tree.map(lambda x: x[lane], states)
