"""A sweep of one small cell, start to end: python benchmarks/sides/first_step.py"""

import json
import tempfile

from minima import sweep
from minima.sweep.budgets import Budget
from minima.sweep.config import GridConfig, RecordConfig, SweepConfig, TrainingConfig


def main() -> None:
    """Trains it and prints the parts that the run knows of."""
    with tempfile.TemporaryDirectory() as workdir:
        config = SweepConfig(
            grid=GridConfig((32,), (0.01,), (0,)),
            training=TrainingConfig(budget=Budget(steps=1), evaluations=1),
            record=RecordConfig(workdir=workdir),
        )
        prepared = sweep.prepare(config, "benchmark")
        code = sweep.execute(prepared, "")
    print(json.dumps({"code": code}))


if __name__ == "__main__":
    main()
