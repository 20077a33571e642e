"""A plane as one process per cell, as many at a time as there are cores.

    python benchmarks/peers/flax_cells.py cnn_small DATA.npz

Runs one cell of every batch size and prints one JSON line with how many that are: the plane's other
cells cost the same.
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from workloads import WORKLOADS

CELL = Path(__file__).with_name("flax_cell.py")


def main(name: str, path: str) -> None:
    """Times the processes, start to end."""
    work = WORKLOADS[name]
    rate = work.learning_rates[0]

    def train(batch_size: int) -> None:
        command = [sys.executable, str(CELL), name, path, str(batch_size), str(rate)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    begin = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(train, work.batch_sizes))
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "cells": len(work.batch_sizes)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
