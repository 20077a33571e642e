"""Curves as minima writes them, one file a cell and one Event a step: FOLDER CELLS METRICS POINTS

Prints one JSON line.
"""

import json
import sys
import time

import numpy as np

from minima.record.tensorboard import curve_events, write_events


def write(folder: str, cells: int, metrics: int, points: int) -> None:
    """Writes a run per cell."""
    tags = [f"curves/metric{metric:03d}" for metric in range(metrics)]
    steps = np.arange(points)
    values = np.repeat(1 / (1 + steps)[:, None], metrics, axis=1)
    for cell in range(cells):
        write_events(f"{folder}/cell{cell:06d}", "cell", curve_events(tags, steps, values))


if __name__ == "__main__":
    count = [int(argument) for argument in sys.argv[2:]]
    begin = time.perf_counter()
    write(sys.argv[1], *count)
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "points": count[0] * count[1] * count[2]}))
