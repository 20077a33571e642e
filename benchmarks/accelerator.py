"""Everything that is asked of an accelerator, in one call: python benchmarks/accelerator.py

Prints and keeps (results/accelerator-….json): the card's matrix-product peaks; whether it finds the
losses that a CPU finds, in float32 and in bfloat16; the longest sequences it trains on with
bfloat16, blocks computed again and attention by chunks; training rates by lanes under one vmap
until memory ends; and planes of 256 cells and more against a PyTorch loop, plain and compiled, on
the same card. The peers need a PyTorch that sees the card (--peers=PYTHON). What did not run is
said at the end. Made for one card; about ten minutes. --small goes through all of ours at sizes
for a CPU, and keeps nothing.
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
PRECISIONS = ("default", "bfloat16")


def main() -> int:
    """Runs every part; one that fails is said so and leaves the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="runs of either side")
    parser.add_argument("--peers", default="", help="a Python whose PyTorch sees the card")
    parser.add_argument("--small", action="store_true", help="every part of ours, on a CPU too")
    args = parser.parse_args()
    found: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": machine.commit(),
    }
    models = ("mlp",) if args.small else MODELS
    with Runner(sys.executable, args.peers or sys.executable) as runner:
        parts = Parts(runner)
        peak = found["peak"] = parts.run("peak", "matmul_peak.py")
        found["losses"] = same_losses(parts)
        small = ("--small",) if args.small else ()
        found["sequences"] = parts.run("sequences", "long_sequences.py", *small)
        for model in models:
            widths = ("--widths=1",) if args.small else ()
            found[model] = {
                f"widths, {kind}": parts.run(
                    f"{model}: widths, {kind}",
                    "widths.py",
                    model,
                    f"--compute_dtype={kind}",
                    *widths,
                )
                for kind in PRECISIONS
            }
            sizes = ("--cells=8",) if args.small else (f"--seeds={SEEDS[model]}",)
            repeats = 1 if args.small else args.repeats
            plane = race(parts, row(model, sizes, bool(args.peers)), repeats)
            found[model]["plane"] = plane
            print(f"{model}: plane: {json.dumps(plane)}", flush=True)
            if peak and plane["ours"]:
                flops = WORKLOADS[model].flops / statistics.median(plane["ours"])
                shares = {k: flops / peak[k] for k in ("bfloat16", "float32")}
                print(f"{model}: {flops / 1e12:.3g} TFLOP/s, of the peaks {shares}", flush=True)
    not_run = found["not_run"] = parts.failed + left_out(found, args.small, bool(args.peers))
    if not args.small:
        keep(found)
    print("not run: " + ("; ".join(not_run) or "nothing"))
    return 1 if parts.failed else 0


class Parts:
    """Runs sides and remembers which failed."""

    def __init__(self, runner: Runner):
        """Takes what runs commands."""
        self.runner, self.failed = runner, list[str]()

    def run(self, name: str, file: str, *arguments: str, on_cpu: bool = False) -> dict[str, Any]:
        """What one of our sides says, which is printed; or nothing where it fails."""
        variables = ("JAX_PLATFORMS=cpu",) if on_cpu else ()
        side = Side(name, (f"benchmarks/sides/{file}", *arguments), variables=variables)
        try:
            said = self.runner.run(side)
        except subprocess.CalledProcessError as error:
            self.fail(name, error)
            return {}
        print(f"{name}: {json.dumps(said)}", flush=True)
        return said

    def fail(self, name: str, error: subprocess.CalledProcessError) -> None:
        """Says why a part failed."""
        self.failed.append(f"{name} (failed)")
        print(f"{name}: {error.stderr[-500:]}", file=sys.stderr, flush=True)


def same_losses(parts: Parts) -> dict[str, Any]:
    """The first training losses on this device beside those of a CPU, and their largest gap."""
    found: dict[str, Any] = {}
    for kind in PRECISIONS:
        here = parts.run(f"losses, {kind}", "first_losses.py", kind)
        there = parts.run(f"losses, {kind}, on a CPU", "first_losses.py", kind, on_cpu=True)
        if here and there:
            pairs = [
                (a, b)
                for mine, theirs in zip(here["losses"], there["losses"], strict=True)
                for a, b in zip(mine, theirs, strict=True)
            ]
            gap = max(abs(a - b) / max(1, abs(b)) for a, b in pairs)
            found[kind] = {"here": here, "on a CPU": there, "largest gap": gap}
            print(f"losses, {kind}: {here['device']} and CPU differ by {gap:.2g}", flush=True)
    return found


def row(model: str, sizes: tuple[str, ...], peers: bool) -> Row:
    """A plane of many seeds against PyTorch, which trains one seed of it at the same rate."""
    side, path = "benchmarks/sides/minima_plane.py", "benchmarks/peers/torch_plane.py"
    plain = (path, model, "{data}", "--device=cuda")
    return Row(
        model,
        model,
        Side("minima", (side, model, *sizes)),
        (
            Side("PyTorch", plain, peer=True),
            Side("PyTorch, compiled", (*plain, "--compile"), peer=True),
        )
        if peers
        else (),
        WANTED.get(model, 1.0),
        per="examples",
        data=model if peers else "",
    )


def race(parts: Parts, row: Row, repeats: int) -> dict[str, Any]:
    """Seconds per example of every side, alternately; ours in bfloat16 as well."""
    narrow = Side("ours, bfloat16", (*row.ours.command, "--compute_dtype=bfloat16"))
    sides = {"ours": row.ours, narrow.name: narrow, **{peer.name: peer for peer in row.peers}}
    figures: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            try:
                figures[name].append(parts.runner.figure(row, side))
            except subprocess.CalledProcessError as error:
                parts.fail(f"{row.name}, {name}", error)
    return figures


def left_out(found: dict[str, Any], small: bool, peers: bool) -> list[str]:
    """What this call was not made to do."""
    missing = [] if peers else ["PyTorch beside us (no --peers)"]
    if small:
        missing.append("full sizes (--small)")
    if "cpu" in str(found["peak"].get("device", "")).lower():
        missing.append("an accelerator (this is a CPU)")
    return missing


def keep(found: dict[str, Any]) -> None:
    """Writes the results of a whole call."""
    RESULTS.mkdir(exist_ok=True)
    kind = str(found["peak"].get("device", "unknown")).replace(" ", "-")
    path = RESULTS / f"accelerator-{kind}-{found['date'][:10]}.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(f"kept: {path}")


if __name__ == "__main__":
    sys.exit(main())
