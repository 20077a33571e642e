"""What a sweep of a million cells in a thousand shards costs beside training.

    python benchmarks/million_cells.py [--seeds=1000] [--shards=1000] [--parts=plan,gather,results]

Each part runs in a process of its own and prints its seconds, those of CPU time, and its peak
memory: `plan` is `prepare`, the split and its description; `gather` merges synthetic cells of the
usual size (ten evaluations) from all shards; `again` gathers once more, which adds nothing;
`results` writes results.csv and results.nc; `whole` is the command without --shard on the gathered
run: it trains nothing and writes results and TensorBoard. Cells are 10 batch sizes × 100 rates ×
the seeds, without snapshots.
"""

import argparse
import dataclasses
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from minima.record.shards import Shard
from minima.sweep.config import GridConfig, ProcessesConfig, RecordConfig, SweepConfig, TaskConfig

EXPERIMENT = "million_cells"
PARTS = ("plan", "gather", "again", "results", "whole")
METRICS = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="a thousand cells each")
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--workdir", help="kept; default: a folder that is removed")
    parser.add_argument("--only", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    workdir = Path(options.workdir or tempfile.mkdtemp(prefix="million-cells-"))
    config = sweep_config(options.seeds, options.shards, workdir)
    if options.only:
        print(json.dumps(measured(lambda: run_part(options.only, config))))
        return 0
    try:
        if set(options.parts.split(",")) - {"plan"} and not any(workdir.glob("*/*/shards")):
            print(f"{write_shards(config) / 2**20:,.0f} MiB of cells in {workdir}", flush=True)
        print(
            f"{'part':<10}{'seconds':>9}{'CPU':>9}{'peak MiB':>10}  {1000 * options.seeds:,} cells"
        )
        for part in options.parts.split(","):
            own = [f"--seeds={options.seeds}", f"--shards={options.shards}", f"--only={part}"]
            command = [sys.executable, __file__, *own, f"--workdir={workdir}"]
            found = json.loads(subprocess.check_output(command).splitlines()[-1])
            print(f"{part:<10}{found['seconds']:9.1f}{found['cpu']:9.1f}", end="")
            print(f"{found['peak'] / 2**20:10,.0f}", flush=True)
    finally:
        if not options.workdir:
            shutil.rmtree(workdir)
    return 0


def sweep_config(seeds: int, shards: int, workdir: Path) -> SweepConfig:
    """10 batch sizes × 100 rates × seeds; the first of the shards."""
    return SweepConfig(
        task=TaskConfig(dataset="mnist1d", model="mlp"),
        grid=GridConfig(
            batch_sizes=tuple(2**k for k in range(2, 12)),
            learning_rates=tuple(round(1e-3 * 1.1**k, 9) for k in range(100)),
            seeds=tuple(range(seeds)),
        ),
        record=RecordConfig(workdir=str(workdir)),
        processes=ProcessesConfig(Shard(0, shards)),
    )


def run_part(part: str, config: SweepConfig) -> None:
    """One of PARTS."""
    from minima import sweep
    from minima.record import cells, results
    from minima.record.gather import gather

    if part == "plan":
        record = dataclasses.replace(config.record, plan_only=True)
        plan = sweep.prepare(dataclasses.replace(config, record=record), EXPERIMENT).plan
        print(sweep.describe(plan), file=sys.stderr)
        return
    if part == "whole":
        prepared = sweep.prepare(
            dataclasses.replace(config, processes=ProcessesConfig()), EXPERIMENT
        )
        assert sweep.execute(prepared, "") == 0
        return
    (run,) = Path(config.record.workdir).glob("*/*")
    if part == "results":
        axes = dict(config.make_grid().axes)
        results.write_results(run, axes, cells.read(run / "cells.jsonl"))
        return
    found = gather(run)
    assert found.complete
    assert found.added == (0 if part == "again" else len(config.make_grid()))


def write_shards(config: SweepConfig) -> int:
    """Shards as training leaves them, of cells that look like trained ones; returns their bytes."""
    from minima import sweep
    from minima.record.cells import encode
    from minima.record.run_directory import RunDirectory
    from minima.sweep.sharding import shards_of_cells

    prepared = sweep.prepare(config, EXPERIMENT)
    shard = config.processes.shard
    assert shard is not None
    owners = shards_of_cells(prepared.plan, shard.count)
    axes, grid, written = dict(prepared.plan.grid.axes), prepared.plan.grid, 0
    lines: dict[int, list[bytes]] = {}
    numbers = random.Random(0)
    for number, owner in enumerate(owners.tolist()):
        lines.setdefault(owner, []).append(encode(synthetic_cell(grid[number], numbers)))
    where = (config.record.workdir, EXPERIMENT, prepared.run_id, prepared.identity, "")
    for index in range(shard.count):
        with RunDirectory.open(*where, axes, Shard(index, shard.count)) as run:
            data = b"".join(lines.pop(index, []))
            run.path("cells.jsonl").write_bytes(data)
            run.update_info(status="complete", cells=data.count(b"\n"))
            written += len(data)
    return written


def synthetic_cell(where: dict, numbers: random.Random) -> dict:
    """A finished cell with random numbers of the usual lengths."""
    curve = {name: [round(numbers.random(), 8) for _ in range(10)] for name in METRICS}
    steps = [100 * k for k in range(1, 11)]
    return {
        "cell": where,
        "status": "complete",
        "steps": 1000,
        "examples": 1000 * where["batch_size"],
        **{name: numbers.random() for name in METRICS},
        "test_loss": numbers.random(),
        "test_accuracy": numbers.random(),
        "last_finite": {"step": 1000, **{name: values[-1] for name, values in curve.items()}},
        "trajectory": {"step": steps, "examples": [32 * s for s in steps], **curve},
    }


def measured(work: Callable[[], None]) -> dict[str, float]:
    """Seconds, those of CPU time and peak memory in bytes of this process."""
    begin, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    status = Path("/proc/self/status").read_text()
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert peak is not None
    return {"seconds": seconds, "cpu": cpu, "peak": 1024.0 * int(peak[1])}


if __name__ == "__main__":
    sys.exit(main())
