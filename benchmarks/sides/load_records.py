"""How long TensorBoard takes to read curves: FOLDER minima|tensorboardX CELLS METRICS POINTS

Writes them first, untimed, then reads them with TensorBoard's own reader, all points kept, as
`--samples_per_plugin=scalars=0` asks. Prints one JSON line.
"""

import json
import sys
import time
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

sys.path.insert(0, str(Path(__file__).parents[1]))


def main(folder: str, writer: str, *count: str) -> None:
    """Reads every run, and counts the points that came through."""
    if writer == "minima":
        from sides.minima_records import write
    else:
        from peers.tensorboardx_records import write
    cells, metrics, points = map(int, count)
    write(folder, cells, metrics, points)
    begin, found = time.perf_counter(), 0
    for run in sorted(Path(folder).iterdir()):
        reader = EventAccumulator(str(run), size_guidance={"tensors": 0, "scalars": 0})
        reader.Reload()
        tags = reader.Tags()
        found += sum(len(reader.Tensors(tag)) for tag in tags["tensors"])
        found += sum(len(reader.Scalars(tag)) for tag in tags["scalars"])
    if found != cells * metrics * points:
        sys.exit(f"{found} points came through of {cells * metrics * points}")
    print(json.dumps({"seconds": time.perf_counter() - begin, "points": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
