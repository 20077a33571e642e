"""What one device finds, to lay beside another's: first_losses.py COMPUTE_DTYPE

Trains a small transformer with blocks computed again and attention by chunks, and prints one JSON
line: its training losses after each of the first updates.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import jax

from minima.sweep import prepare
from minima.sweep.budgets import Budget
from minima.sweep.config import EngineConfig, GridConfig, SweepConfig, TaskConfig, TrainingConfig

sys.path.insert(0, str(Path(__file__).parents[1]))
from sides.minima_plane import train_bare

UPDATES = 20  # as far as the contract reaches


def main(compute_dtype: str) -> None:
    """Trains two cells in one block on one device."""
    task = TaskConfig(dataset="kjv", window=32, train_examples=640, validation_fraction=0.01)
    task = replace(task, model="transformer", width=32, depth=2, remat=True, attention_chunk=8)
    budget = Budget(steps=UPDATES)
    training = TrainingConfig(optimizer="adam", budget=budget, evaluations=UPDATES)
    config = SweepConfig(
        task=task,
        grid=GridConfig((32,), (0.003,), (0, 1)),
        training=replace(training, compute_dtype=compute_dtype),
        engine=EngineConfig(microbatch=32, lanes=2, block=2, devices=1),
    )
    cells, seconds = train_bare(prepare(config, "benchmark"))
    cells = sorted(cells, key=lambda record: record["cell"]["seed"])
    losses = [record["trajectory"]["train_loss"] for record in cells]
    kind = jax.devices()[0].device_kind
    print(json.dumps({"seconds": seconds, "device": kind, "losses": losses}))


if __name__ == "__main__":
    main(*sys.argv[1:])
