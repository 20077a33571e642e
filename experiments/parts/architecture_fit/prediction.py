"""What one prediction costs: weights, operations, memory, time."""

import json
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import numpy as np

from minima.record.files import write_atomically
from minima.runtime import costs
from minima.tasks.task import Task
from parts.architecture_fit.config import FIT, INTACT, Key

if TYPE_CHECKING:
    from minima.sweep.run import Prepared

_REPEATS = 30
Cost = Mapping[str, float]  # parameters, flops, bytes, milliseconds


def costs_of(prepared: "Mapping[Key, Prepared]", directory: Path) -> dict[tuple[str, str], Cost]:
    """By task and model, for one example.

    Operations are counted; bytes are the compiler's (weights, input, output, temporary); times are
    medians on this machine. What was measured once is kept in predictions.json and not again.
    """
    file = directory / "predictions.json"
    known: dict[str, dict[str, float]] = json.loads(file.read_text()) if file.exists() else {}
    chosen = {
        (key.task, key.model): each.plan.recipe.task
        for key, each in prepared.items()
        if (key.part, key.version) == (FIT, INTACT)
    }
    for (task, model), asked in chosen.items():
        if f"{task}/{model}" not in known:
            known[f"{task}/{model}"] = _measured(asked)
            write_atomically(file, json.dumps(known, indent=1) + "\n")
    return {(task, model): known[f"{task}/{model}"] for task, model in chosen}


def _measured(task: Task) -> dict[str, float]:
    model = task.model
    params, state = jax.jit(model.init)(jax.random.key(0))
    kind = np.int32 if model.settings.kind == "tokens" else np.float32
    x = np.ones((1, *model.settings.input_shape), kind)

    def predict(params: object, x: jax.Array) -> jax.Array:
        return model.apply(params, state, x)[0]

    compiled = jax.jit(predict).lower(params, x).compile()
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(compiled(params, x))
        seconds.append(time.perf_counter() - start)
    return {
        "parameters": model.count_parameters(),
        "flops": costs.count(predict, params, x).flops,
        "bytes": costs.memory(compiled).total,
        "milliseconds": 1000 * statistics.median(seconds),
    }
