"""Everything that is asked of an accelerator, in one call: python benchmarks/accelerator.py

Prints and keeps (results/accelerator-….json): the card's matrix-product peaks, training rates by
lanes under one vmap until memory ends, and planes of 256 cells and more against a PyTorch loop,
plain and compiled, on the same card. The peers need a PyTorch that sees the card (--peers=PYTHON);
without one, ours are measured alone. Made for one card; about ten minutes.
"""

import argparse
import datetime
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import machine
from row import Row, Side
from runner import Runner
from workloads import WORKLOADS

RESULTS = Path(__file__).parent / "results"
MODELS = ("cnn_small", "lstm", "transformer")
WANTED = {"cnn_small": 30.0}  # times PyTorch
SEEDS = {"cnn_small": 6, "lstm": 43, "transformer": 43}  # at least 256 cells each


def main() -> int:
    """Runs every part; one that fails is said so and leaves the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="runs of either side")
    parser.add_argument("--peers", default="", help="a Python whose PyTorch sees the card")
    args = parser.parse_args()
    found: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": machine.commit(),
    }
    with Runner(sys.executable, args.peers or sys.executable) as runner:
        peak = attempt(runner, Side("peak", ("benchmarks/sides/matmul_peak.py",)))
        found["peak"] = peak
        print(f"{peak.get('device')}: {json.dumps(peak)}", flush=True)
        for model in MODELS:
            widths = attempt(runner, Side("widths", ("benchmarks/sides/widths.py", model)))
            plane = race(runner, row(model, bool(args.peers)), args.repeats)
            found[model] = {"widths": widths, "plane": plane}
            print(f"{model}: {json.dumps(found[model])}", flush=True)
            if peak and plane.get("ours"):
                flops = WORKLOADS[model].flops / statistics.median(plane["ours"])
                shares = {k: flops / peak[k] for k in ("bfloat16", "float32")}
                print(f"{model}: {flops / 1e12:.2f} TFLOP/s, of the peaks {shares}", flush=True)
    RESULTS.mkdir(exist_ok=True)
    kind = str(found["peak"].get("device", "unknown")).replace(" ", "-")
    path = RESULTS / f"accelerator-{kind}-{found['date'][:10]}.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(f"kept: {path}")
    return 0


def row(model: str, peers: bool) -> Row:
    """A plane of many seeds against PyTorch, which trains one seed of it at the same rate."""
    side, path = "benchmarks/sides/minima_plane.py", "benchmarks/peers/torch_plane.py"
    plain = (path, model, "{data}", "--device=cuda")
    return Row(
        model,
        model,
        Side("minima", (side, model, f"--seeds={SEEDS[model]}")),
        (
            Side("PyTorch", plain, peer=True),
            Side("PyTorch, compiled", (*plain, "--compile"), peer=True),
        )
        if peers
        else (),
        WANTED.get(model, 1.0),
        per="examples",
        data=model,
    )


def race(runner: Runner, row: Row, repeats: int) -> dict[str, Any]:
    """Seconds per example of every side, alternately."""
    figures: dict[str, list[float]] = {"ours": [], **{peer.name: [] for peer in row.peers}}
    for _ in range(repeats):
        for name, side in (("ours", row.ours), *((peer.name, peer) for peer in row.peers)):
            try:
                figures[name].append(runner.figure(row, side))
            except subprocess.CalledProcessError as error:
                print(f"{row.name}, {name}: {error.stderr[-500:]}", file=sys.stderr)
    return figures


def attempt(runner: Runner, side: Side) -> dict[str, Any]:
    """What a side says, or nothing where it fails."""
    try:
        return runner.run(side)
    except subprocess.CalledProcessError as error:
        print(f"{side.name}: {error.stderr[-500:]}", file=sys.stderr)
        return {}


if __name__ == "__main__":
    sys.exit(main())
