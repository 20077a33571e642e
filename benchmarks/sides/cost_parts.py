"""What a sweep's parts cost on one device: cost_parts.py MODEL. Prints one JSON line.

Seconds to compile, per micro-step, per example, per update, per look at the validation set, per
finished cell (its last look at all splits and its record on disk): slopes between two measurements
that differ in nothing else. Of a finished cell's, what its record takes alone; and what measuring a
minimum takes (the default panels over 1,000 examples).
"""

import dataclasses
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from minima import sweep
from minima.landscape.panels import PANELS
from minima.landscape.run_measures import kept_minima, measure_points
from minima.record import cells as cell_lines
from minima.record import results
from minima.record.board import Board
from minima.runtime import devices
from minima.sweep.budgets import Budget
from minima.sweep.lane import Recipe
from minima.sweep.program import AXIS, Layout, blank_order, compile_program, empty_lanes
from minima.sweep.run import Prepared
from minima.tasks.task import to_arrays

sys.path.insert(0, str(Path(__file__).parents[1]))
from sides.minima_plane import configure
from workloads import WORKLOADS

MICROBATCHES = (32, 128)
NEVER = 2**30
SECONDS = 0.5


class Bench:
    """One lane of one program on one device."""

    def __init__(self, recipe: Recipe, dataset: Any):
        """Compiles, and remembers how long it took."""
        self.recipe, self.layout = recipe, Layout(1, 1, 1)
        mesh = devices.make_mesh(AXIS, 1)
        self.split = jax.NamedSharding(mesh, jax.P(AXIS))
        self.everywhere = jax.NamedSharding(mesh, jax.P())
        host = to_arrays(dataset, recipe.task.model.dtype)
        self.arrays = jax.device_put(host, self.everywhere)
        begin = time.perf_counter()
        self.program = compile_program(recipe, self.layout, mesh, self.arrays)
        self.compile_seconds = time.perf_counter() - begin

    def seconds_per_step(self, batch_size: int) -> float:
        """Of a micro-step in the middle of a run without evaluations; the best of three."""
        order = blank_order(self.recipe, 1)
        schedule = order.schedule
        hyper = schedule.hyper._replace(
            batch_size=np.full_like(schedule.hyper.batch_size, batch_size)
        )
        schedule = schedule._replace(
            hyper=hyper,
            evaluations=np.full_like(schedule.evaluations, NEVER),
            steps=np.full_like(schedule.steps, NEVER),
        )
        go_on = order._replace(schedule=schedule, divergence_loss=np.full((1,), np.inf, np.float32))
        fresh = go_on._replace(fresh=np.ones(1, bool))
        lanes = jax.device_put(empty_lanes(self.recipe, self.layout), self.split)
        lanes = self._run(lanes, fresh, 1)[0]
        steps, seconds = 8, 0.0
        while seconds < SECONDS:
            steps *= 2
            lanes, seconds = self._run(lanes, go_on, steps)
        best = seconds
        for _ in range(2):
            lanes, seconds = self._run(lanes, go_on, steps)
            best = min(best, seconds)
        return best / steps

    def _run(self, lanes: Any, order: Any, steps: int) -> tuple[Any, float]:
        order, limit = (
            jax.device_put(order, self.split),
            jax.device_put(np.int32(steps), self.everywhere),
        )
        begin = time.perf_counter()
        lanes = jax.block_until_ready(self.program(lanes, order, limit, self.arrays, None)[0])
        return lanes, time.perf_counter() - begin


def whole_sweep(model: str, folder: Path, cells: int, evaluations: int) -> tuple[float, Prepared]:
    """Training seconds of a run of cells of one short epoch, records and all; and the run."""
    config = configure(WORKLOADS[model], str(folder), 1, seeds=cells)
    config = dataclasses.replace(
        config,
        grid=dataclasses.replace(config.grid, batch_sizes=(32,), learning_rates=(1e-4,)),
        training=dataclasses.replace(
            config.training, budget=Budget(steps=evaluations), evaluations=evaluations
        ),
    )
    prepared = sweep.prepare(config, "benchmark")
    sweep.execute(prepared, "")
    info = json.loads((prepared.directory / "run.json").read_text())
    return info["train_seconds"], prepared


def record(prepared: Prepared, folder: Path) -> float:
    """Seconds to put a finished cell on disk and into TensorBoard."""
    run = results.load(prepared.directory)
    shutil.copy(prepared.directory / "run.json", folder)
    board = Board(folder, run.axes)
    board.start([])
    begin = time.perf_counter()
    for cell in run.cells:
        cell_lines.append(folder / "cells.jsonl", cell)
        board.add(cell)
    return (time.perf_counter() - begin) / len(run.cells)


def measure(prepared: Prepared) -> float:
    """Seconds to measure a minimum, without compiling."""
    mesh = devices.make_mesh(AXIS, 1)
    points = kept_minima(prepared.plan, prepared.directory)
    seconds = 0.0
    for name in ("hessian", "sharpness", "noise"):
        measure_points(
            prepared.plan, prepared.directory, points, PANELS[name], examples=1000, mesh=mesh
        )
    for cost in results.load(prepared.directory).info["measures"].values():
        seconds += cost["seconds"] / cost["minima"]
    return seconds


def main(model: str) -> None:
    """Measures and prints."""
    plan = sweep.prepare(configure(WORKLOADS[model], "runs", 1), "benchmark").plan
    small, large = (
        Bench(dataclasses.replace(plan.recipe, microbatch=m, wide=()), plan.dataset)
        for m in MICROBATCHES
    )
    steps = [bench.seconds_per_step(NEVER) for bench in (small, large)]
    per_example = (steps[1] - steps[0]) / (MICROBATCHES[1] - MICROBATCHES[0])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (few, _), (many, run) = (whole_sweep(model, folder, 8, looks) for looks in (2, 34))
        more, _ = whole_sweep(model, folder, 40, 2)
        (folder / "record").mkdir()
        recorded, measured = record(run, folder / "record"), measure(run)
    looks = (many - few) / 8 / 32
    print(
        json.dumps(
            {
                "seconds": steps[0],
                "compile": small.compile_seconds,
                "micro_step": max(steps[0] - MICROBATCHES[0] * per_example, 0.0),
                "example": per_example,
                "update": small.seconds_per_step(MICROBATCHES[0]) - steps[0],
                "evaluation": looks,  # with the one update of 32 examples between two looks
                "cell": (more - few) / 32,
                "record": recorded,
                "measure": measured,
                "parameters": plan.recipe.task.model.count_parameters(),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
