"""A plane as minima trains it, records and all: python benchmarks/sides/minima_plane.py mlp

Prints one JSON line. `seconds` runs from the first dispatch to the last report, with every cell's
record on disk.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from minima import sweep
from minima.record import results
from minima.record.cells import Cell
from minima.sweep.budgets import Budget
from minima.sweep.config import (
    EngineConfig,
    GridConfig,
    RecordConfig,
    SweepConfig,
    TaskConfig,
    TrainingConfig,
)
from minima.sweep.run import Prepared
from minima.sweep.train import train

sys.path.insert(0, str(Path(__file__).parents[1]))
from workloads import WORKLOADS, Workload

LATE = tuple(1e-4 * 2**k for k in range(9))
EARLY = (*LATE[:6], 1e5, 1e6, 1e7)  # the last three diverge within a few updates


def configure(work: Workload, workdir: str = "", count: int = 0, seeds: int = 1) -> SweepConfig:
    """The workload as a sweep on `count` devices (0: all)."""
    return SweepConfig(
        task=TaskConfig(dataset=work.dataset, model=work.model),
        grid=GridConfig(work.batch_sizes, work.learning_rates, tuple(range(seeds))),
        training=TrainingConfig(budget=Budget(epochs=work.epochs), evaluations=work.epochs),
        engine=EngineConfig(devices=count),
        record=RecordConfig(workdir=workdir),
    )


def with_cells(config: SweepConfig, cells: int) -> SweepConfig:
    """A plane of that many short cells, all of the same length: one batch size, many seeds."""
    rates = config.grid.learning_rates
    grid = GridConfig((128,), rates, tuple(range(cells // len(rates))))
    training = replace(config.training, budget=Budget(epochs=2), evaluations=2)
    return replace(config, grid=grid, training=training)


def main() -> None:
    """Trains the plane and prints what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=sorted(WORKLOADS))
    parser.add_argument("--devices", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--cells", type=int, default=0)
    parser.add_argument("--endings", choices=["early", "late"])
    parser.add_argument("--bare", action="store_true", help="write nothing at all")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as workdir:
        config = configure(WORKLOADS[args.model], workdir, args.devices, args.seeds)
        if args.cells:
            config = with_cells(config, args.cells)
        if args.endings:
            rates = EARLY if args.endings == "early" else LATE
            config = replace(config, grid=replace(config.grid, learning_rates=rates))
        prepared = sweep.prepare(config, "benchmark")
        cells, seconds = (train_bare if args.bare else train_recorded)(prepared)
    diverged = sum(cell["status"] == "diverged" for cell in cells)
    expected = len(cells) // 3 if args.endings == "early" else 0
    if diverged != expected:
        sys.exit(f"{diverged} cells diverged, not {expected}")
    plan = prepared.plan
    examples = sum(plan.examples(cell) for cell in plan.cells)
    print(json.dumps({"seconds": seconds, "examples": examples, "cells": len(plan.cells)}))


def train_recorded(prepared: Prepared) -> tuple[list[Cell], float]:
    """The cells and the seconds of a run as a user makes it."""
    if code := sweep.execute(prepared, ""):
        sys.exit(code)
    run = results.load(prepared.directory)
    return run.cells, run.info["train_seconds"]


def train_bare(prepared: Prepared) -> tuple[list[Cell], float]:
    """The same with no record of it."""
    cells: list[Cell] = []
    mesh = prepared.plan.layout.make_mesh()
    return cells, train(prepared.plan, mesh, cells.append).train_seconds


if __name__ == "__main__":
    main()
