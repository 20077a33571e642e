"""Writes a workload's data as peers read them: python benchmarks/sides/export_data.py mlp DATA.npz

Inputs are prepared (standardised float32, images at the size the model trains at), tokens int64.
"""

import sys
from pathlib import Path

import numpy as np

from minima.sweep.plan import load_task

sys.path.insert(0, str(Path(__file__).parents[1]))
from sides.minima_plane import configure
from workloads import WORKLOADS


def export(model: str, path: str) -> None:
    """Writes train_x, train_y, validation_x, … to the npz file `path`."""
    dataset = load_task(configure(WORKLOADS[model]))[1]
    arrays = {}
    for name in ("train", "validation", "test"):
        split = getattr(dataset, name)
        inputs = split.inputs
        if dataset.kind == "tokens":
            inputs = inputs.astype(np.int64)
        else:
            inputs = ((inputs.astype(np.float32) - dataset.mean) / dataset.std).astype(np.float32)
        arrays |= {f"{name}_x": inputs, f"{name}_y": split.labels}
    np.savez(path, **arrays)


if __name__ == "__main__":
    export(*sys.argv[1:])
