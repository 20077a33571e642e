"""Measures what this machine trains per second, once, so that plans can choose widths and times.

Nothing is timed silently inside a run: `python -m minima probe` writes a table to the cache
directory, and the plan reads it.
"""

import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from minima.record.files import write_atomically
from minima.runtime import devices
from minima.runtime.caches import cache_directory
from minima.sweep.lane import Recipe
from minima.sweep.program import AXIS, Layout, blank_order, compile_program, empty_lanes
from minima.tasks.task import Arrays, Task

_SECONDS = 0.5
_REPEATS = 3
# A wider block must be faster by this much: on CPUs, width costs the cheap skipping of idle lanes.
_WORTH_A_BLOCK = 1.1


@dataclass(frozen=True)
class Table:
    """Examples per second of the whole machine, by lanes per block, for one task and microbatch."""

    rates: dict[int, float]

    def best_block(self) -> int:
        """The fastest block width; the narrowest one unless another is 10 % faster."""
        narrow, fastest = min(self.rates), max(self.rates, key=self.rates.__getitem__)
        worth = self.rates[fastest] > _WORTH_A_BLOCK * self.rates[narrow]
        return fastest if worth else narrow

    def examples_per_second(self, block: int) -> float:
        """The rate at this block width, or at the nearest one measured."""
        return self.rates[min(self.rates, key=lambda width: abs(width - block))]


def default_blocks() -> tuple[int, ...]:
    """Widths worth trying on this machine's devices."""
    return (1, 2, 4) if jax.default_backend() == "cpu" else (16, 64, 256, 1024)


def table_path() -> Path:
    """The file that holds what was measured on this machine."""
    return cache_directory() / "probe.json"


def lookup(task: Task, optimizer: str, microbatch: int) -> Table | None:
    """What was measured for this device, task and optimiser at the nearest microbatch, or None."""
    wanted = _key(task, optimizer)
    entries = [entry for entry in _read() if entry["key"] == wanted]
    if not entries:
        return None
    nearest = min(entries, key=lambda entry: abs(entry["microbatch"] - microbatch))
    return Table({int(width): rate for width, rate in nearest["rates"].items()})


def tables(task: Task, optimizer: str, microbatch: int) -> dict[str, Table]:
    """What was measured, by machine, such as "2 × cpu": all that shared this cache directory."""
    here, found = _key(task, optimizer), {}
    asked = {name: value for name, value in here.items() if not name.startswith("device")}
    entries = [entry for entry in _read() if asked.items() <= entry["key"].items()]
    # The nearest microbatch comes last, and stays.
    for entry in sorted(entries, key=lambda entry: -abs(entry["microbatch"] - microbatch)):
        machine = f"{entry['key']['device_count']} × {entry['key']['device_kind']}"
        found[machine] = Table({int(width): rate for width, rate in entry["rates"].items()})
    return found


def measure(
    recipe: Recipe, arrays: Arrays, blocks: Sequence[int], mesh: jax.sharding.Mesh
) -> Iterator[tuple[int, float]]:
    """Yields (block, examples per second of all devices) and saves them to the table at the end."""
    rates = {}
    for block in blocks:
        rates[block] = _rate(recipe, arrays, block, mesh)
        yield block, rates[block]
    key = _key(recipe.task, recipe.optimizer)
    entry = {"key": key, "microbatch": recipe.microbatch, "rates": rates}
    same = (key, recipe.microbatch)
    others = [old for old in _read() if (old["key"], old["microbatch"]) != same]
    table_path().parent.mkdir(parents=True, exist_ok=True)
    write_atomically(table_path(), json.dumps([*others, entry], indent=1))


def _rate(recipe: Recipe, arrays: Arrays, block: int, mesh: jax.sharding.Mesh) -> float:
    """Best of a few timings of training alone: batch size = microbatch, no evaluation."""
    lanes_wanted = block * mesh.size
    layout = Layout(mesh.size, lanes_wanted, block)
    program = compile_program(recipe, layout, mesh, arrays)
    split = jax.NamedSharding(mesh, jax.P(AXIS))
    everywhere = jax.NamedSharding(mesh, jax.P())
    order = blank_order(recipe, lanes_wanted)
    schedule = order.schedule
    sizes = np.full_like(schedule.hyper.batch_size, recipe.microbatch)
    never = np.full_like(schedule.evaluations, 2**31 - 1)
    order = order._replace(
        schedule=schedule._replace(
            hyper=schedule.hyper._replace(batch_size=sizes),
            evaluations=never,
            steps=np.full_like(schedule.steps, 2**31 - 1),
        )
    )
    lanes = jax.device_put(empty_lanes(recipe, layout), split)
    start = jax.device_put(order._replace(fresh=np.ones(lanes_wanted, bool)), split)
    go_on = jax.device_put(order, split)
    lanes = program(lanes, start, jax.device_put(np.int32(1), everywhere), arrays, None)[0]

    def seconds(lanes: Any, steps: int) -> tuple[Any, float]:
        limit = jax.device_put(np.int32(steps), everywhere)
        begin = time.perf_counter()
        lanes = jax.block_until_ready(program(lanes, go_on, limit, arrays, None)[0])
        return lanes, time.perf_counter() - begin

    steps, elapsed = 8, 0.0
    while elapsed < _SECONDS:
        steps *= 2
        lanes, elapsed = seconds(lanes, steps)
    best = elapsed
    for _ in range(_REPEATS):
        lanes, elapsed = seconds(lanes, steps)
        best = min(best, elapsed)
    return steps * recipe.microbatch * lanes_wanted / best


def _key(task: Task, optimizer: str) -> dict[str, Any]:
    about = devices.description()
    settings = json.loads(json.dumps(dataclasses.asdict(task.model.settings)))  # as it is read back
    return {
        "device_kind": about["device_kind"],
        "device_count": about["device_count"],
        "model": task.model.name,
        "settings": settings,
        "augmentation": task.augmentation,
        "optimizer": optimizer,
    }


def _read() -> list[dict[str, Any]]:
    """The table; an unreadable one counts as empty, since it can be measured again."""
    try:
        entries = json.loads(table_path().read_text())
        return [entry for entry in entries if {"key", "microbatch", "rates"} <= set(entry)]
    except (OSError, ValueError, TypeError):
        return []
