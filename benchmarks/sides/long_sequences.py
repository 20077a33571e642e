"""The longest sequences a device trains on, and how fast: long_sequences.py [--small]

A causal transformer in bfloat16, with blocks computed again and attention by chunks, against the
same without all three. Lengths double until the compiler's own account of memory, or the device,
says no. Prints one JSON line: tokens per second and bytes by length, and where each ended.
"""

import argparse
import json
import string
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from minima.runtime import devices
from minima.sweep import prepare, probe
from minima.sweep.budgets import Budget
from minima.sweep.config import EngineConfig, GridConfig, SweepConfig, TaskConfig, TrainingConfig
from minima.sweep.plan import Plan
from minima.sweep.program import AXIS
from minima.sweep.step_memory import accumulated
from minima.tasks.task import to_arrays

WINDOWS = 16  # of the text; a few are for validation and test
CARD = {"lengths": tuple(2**k for k in range(10, 21)), "width": 512, "depth": 12, "chunk": 512}
SMALL = {"lengths": (32, 64), "width": 16, "depth": 1, "chunk": 16}


def main() -> None:
    """Goes up in length, with everything that saves memory and with nothing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true", help="two short lengths, for a CPU")
    sizes = SMALL if parser.parse_args().small else CARD
    with tempfile.TemporaryDirectory() as folder:
        found = {
            name: climb(Path(folder), sizes, saves=saves)
            for name, saves in (("saving", True), ("plain", False))
        }
    best = max(found["saving"]["tokens_per_second"].values(), default=0)
    print(json.dumps({"seconds": 1 / best if best else None, **found}))


def climb(folder: Path, sizes: dict[str, Any], *, saves: bool) -> dict[str, Any]:
    """Rates and memory by length, until one doesn't fit."""
    rates: dict[int, float] = {}
    needs: dict[int, int] = {}
    limit, ended = memory_limit(), "the longest tried"
    for length in sizes["lengths"]:
        plan = planned(folder, length, sizes, saves=saves)
        try:
            needs[length] = accumulated(plan, [1])[0].total
            if limit is not None and needs[length] > limit:
                ended = f"length {length}: needs {needs[length]:,} bytes of {limit:,}"
                break
            rates[length] = length * rate(plan)
        except jax.errors.JaxRuntimeError as error:
            ended = f"length {length}: {str(error).splitlines()[0][:120]}"
            break
    longest = max(rates, default=0)
    return {"tokens_per_second": rates, "bytes": needs, "longest": longest, "ended": ended}


def planned(folder: Path, length: int, sizes: dict[str, Any], *, saves: bool) -> Plan:
    """A plane of one cell that takes one sequence at a time."""
    path = folder / f"{length}.txt"
    if not path.exists():
        letters = np.random.default_rng(0).choice([*string.ascii_lowercase], WINDOWS * length + 1)
        path.write_text("".join(letters))
    task = TaskConfig(
        dataset=f"text:{path}",
        window=length,
        model="transformer",
        width=sizes["width"],
        depth=sizes["depth"],
    )
    training = TrainingConfig(optimizer="adamw", budget=Budget(epochs=1), evaluations=1)
    if saves:
        task = replace(task, remat=True, attention_chunk=min(sizes["chunk"], length // 2))
        training = replace(training, compute_dtype="bfloat16")
    grid, engine = GridConfig((1,), (1e-4,), (0,)), EngineConfig(1, 1, 1, devices=1)
    return prepare(SweepConfig(task=task, grid=grid, training=training, engine=engine), "x").plan


def rate(plan: Plan) -> float:
    """Sequences per second on one device."""
    mesh = devices.make_mesh(AXIS, 1)
    host = to_arrays(plan.dataset, plan.recipe.task.model.dtype)
    arrays = jax.device_put(host, jax.NamedSharding(mesh, jax.P()))
    return next(probe.measure(plan.recipe, arrays, (1,), mesh))[1]


def memory_limit() -> int | None:
    """Bytes that a device gives out."""
    stats = jax.devices()[0].memory_stats() or {}
    return stats.get("bytes_limit") or devices.memory_bytes()


if __name__ == "__main__":
    main()
