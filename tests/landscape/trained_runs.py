"""Tiny sweeps, trained and kept as an experiment would keep them."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from minima import sweep
from minima.record import results
from minima.record.snapshots import Snapshots
from minima.runtime import devices
from minima.sweep.branch import from_arrays
from minima.sweep.budgets import parse_budget
from minima.sweep.config import (
    EngineConfig,
    GridConfig,
    RecordConfig,
    SweepConfig,
    TaskConfig,
    TrainingConfig,
)
from minima.sweep.lane import Snapshot
from minima.sweep.plan import Plan
from minima.sweep.program import AXIS, blank_initial
from minima.sweep.run import Prepared

PARTS = {
    "task": TaskConfig,
    "grid": GridConfig,
    "training": TrainingConfig,
    "engine": EngineConfig,
    "record": RecordConfig,
}


@dataclass(frozen=True)
class Trained:
    """A finished run, and its plan."""

    plan: Plan
    directory: Path

    @property
    def records(self) -> dict[int, dict[str, Any]]:
        """Its cells by number."""
        cells = results.load(self.directory).cells
        return {self.plan.grid.index(cell["cell"]): cell for cell in cells}

    def snapshot(self, number: int, step: int) -> Snapshot:
        """A kept state, read by other means than measuring does."""
        arrays = Snapshots(self.directory).read(number, step)
        return from_arrays(arrays, blank_initial(self.plan.recipe))


def train(folder: Path, **values: Any) -> Trained:
    """Trains a sweep on vectors of three classes, or on what `dataset` names; any config leaf."""
    prepared = prepare(folder, **values)
    assert sweep.execute(prepared, "") == 0
    return Trained(prepared.plan, prepared.directory)


def prepare(folder: Path, **values: Any) -> Prepared:
    """The same, not yet trained."""
    data = folder / "vectors.npz"
    if not data.exists():
        np.savez(data, **vectors())
    defaults = {"dataset": f"npz:{data}", "model": "mlp", "width": 8, "batch_sizes": (8,)}
    defaults |= {"learning_rates": (0.1,), "seeds": (0,), "budget": "2epochs", "evaluations": 2}
    defaults |= {"workdir": str(folder), "optimizer": "sgd", "tensorboard": False}
    values = defaults | values
    values["budget"] = parse_budget(values["budget"])
    parts = {}
    for name, kind in PARTS.items():
        mine = {field.name for field in fields(kind)} & set(values)
        parts[name] = kind(**{key: values.pop(key) for key in mine})
    assert not values, f"no such settings: {values}"
    return sweep.prepare(SweepConfig(**parts), "test")


def vectors() -> dict[str, np.ndarray]:
    """Noisy vectors around three centres."""
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 3
    inputs = (rng.normal(size=(3, 5))[labels] + rng.normal(size=(150, 5))).astype(np.float32)
    return {
        "x_train": inputs[:100],
        "y_train": labels[:100],
        "x_test": inputs[100:],
        "y_test": labels[100:],
    }


def mesh(count: int = 2):
    return devices.make_mesh(AXIS, count)
