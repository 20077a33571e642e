"""Curves as tensorboardX writes them, one add_scalar a point: FOLDER CELLS METRICS POINTS

Prints one JSON line.
"""

import json
import sys
import time

from tensorboardX import SummaryWriter


def write(folder: str, cells: int, metrics: int, points: int) -> None:
    """Writes a run per cell."""
    for cell in range(cells):
        with SummaryWriter(f"{folder}/cell{cell:06d}") as writer:
            for step in range(points):
                for metric in range(metrics):
                    writer.add_scalar(f"curves/metric{metric:03d}", 1 / (1 + step), step)


if __name__ == "__main__":
    count = [int(argument) for argument in sys.argv[2:]]
    begin = time.perf_counter()
    write(sys.argv[1], *count)
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "points": count[0] * count[1] * count[2]}))
