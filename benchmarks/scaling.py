"""What 10⁵ and 10⁶ cells would cost: python benchmarks/scaling.py

Measures the parts of a sweep on one core of this machine (sides/cost_parts.py), keeps them in
results/, and writes scaling.md: the cost model, its measured parts, and what they come to on
accelerators, whose figures are assumptions and marked so.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
from row import Side
from runner import Runner
from workloads import WORKLOADS, Workload

HERE = Path(__file__).parent
EXAMPLES, BATCH, EVALUATIONS = 20_000, 64, 5  # of a cell: five epochs of 4,000
_PARTS = ("example", "micro_step", "update", "evaluation", "cell", "record", "measure")
SPLITS = 7_000  # examples of the last look
PASSES = 8  # over the parameters in an update: gradient, momentum, weights, read and written
SHARES = (0.03, 0.1, 0.3)  # of peak arithmetic under a wide vmap of small networks


@dataclass(frozen=True)
class Device:
    """Published figures of an accelerator, and how many make the machine.

    Attributes:
      name: of the machine.
      count: chips.
      hosts: machines that write records, each its own.
      flops: dense matrix products a second of a chip, at the precision JAX takes by default.
      bandwidth: bytes a second of a chip's memory.
    """

    name: str
    count: int
    hosts: int
    flops: float
    bandwidth: float


DEVICES = (
    Device("one H100 SXM (TF32)", 1, 1, 494e12, 3.35e12),
    Device("v5e-8 (bf16 passes)", 8, 1, 197e12, 0.82e12),
    Device("v5p-256, 128 chips (bf16 passes)", 128, 32, 459e12, 2.77e12),
)


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(WORKLOADS), help="which to measure")
    args = parser.parse_args()
    with Runner(sys.executable, sys.executable) as runner:
        parts = {
            model: runner.run(Side("parts", ("benchmarks/sides/cost_parts.py", model), cores=1))
            for model in args.models.split(",")
        }
    kept = {"commit": machine.commit(), "parts": parts}
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "cost_parts.json").write_text(json.dumps(kept, indent=1) + "\n")
    (HERE / "scaling.md").write_text(page(kept))


def core_seconds(parts: dict[str, Any]) -> dict[str, float]:
    """Seconds of one core for one cell, part by part."""
    updates = EXAMPLES / BATCH
    return {
        "examples": EXAMPLES * parts["example"],
        "micro-steps": updates * parts["micro_step"],
        "updates": updates * parts["update"],
        "evaluations": EVALUATIONS * parts["evaluation"],
        "record and last look": parts["cell"],
    }


def hours(work: Workload, parts: dict[str, Any], device: Device, cells: int, share: float) -> float:
    """Of a sweep on a machine, at a share of peak arithmetic: the slower of device and records."""
    looks = (EVALUATIONS * 1000 + SPLITS) / 3  # a forward pass is a third of a training pass
    arithmetic = work.flops * (EXAMPLES + looks) / (share * device.flops)
    memory = EXAMPLES / BATCH * PASSES * 4 * parts["parameters"] / device.bandwidth
    training = cells * (arithmetic + memory) / device.count
    return max(training, cells * parts["record"] / device.hosts) / 3600


def page(kept: dict[str, Any]) -> str:
    """scaling.md."""
    lines = [_HEAD.format(commit=kept["commit"], examples=EXAMPLES, batch=BATCH, looks=EVALUATIONS)]
    names = (
        "compile",
        "example",
        "micro_step",
        "update",
        "evaluation",
        "cell",
        "record",
        "measure",
    )
    lines.append(
        "| model | parameters | compile, s | " + " | ".join(f"{n}, µs" for n in names[1:]) + " |"
    )
    lines.append("|---|---|---|" + "---|" * (len(names) - 1))
    for model, parts in kept["parts"].items():
        micro = " | ".join(f"{1e6 * parts[n]:,.1f}" for n in names[1:])
        lines.append(f"| {model} | {parts['parameters']:,} | {parts['compile']:.1f} | {micro} |")
    lines.append(_CORE)
    lines.append(
        "| model | "
        + " | ".join(core_seconds(next(iter(kept["parts"].values()))))
        + " | in all | 10⁵ cells, days |"
    )
    lines.append("|---|---|---|---|---|---|---|---|")
    for model, parts in kept["parts"].items():
        each = core_seconds(parts)
        total = sum(each.values())
        shown = " | ".join(f"{seconds:.2f}" for seconds in each.values())
        lines.append(f"| {model} | {shown} | {total:.2f} s | {1e5 * total / 86400:.1f} |")
    lines.append(_ACCELERATORS)
    lines.append("| model | machine | 10⁵ cells, hours | 10⁶ cells, hours |")
    lines.append("|---|---|---|---|")
    for model, parts in kept["parts"].items():
        for device in DEVICES:
            spans = [
                " / ".join(f"{hours(WORKLOADS[model], parts, device, n, s):,.2g}" for s in SHARES)
                for n in (10**5, 10**6)
            ]
            lines.append(f"| {model} | {device.name} | {spans[0]} | {spans[1]} |")
    return "\n".join(lines) + "\n"


_HEAD = """# What 10⁵ and 10⁶ cells cost

Written by `python benchmarks/scaling.py` (commit {commit}). A sweep takes

    compile · programs + cells · (examples · example + micro-steps · micro_step + updates · update
                                  + evaluations · evaluation + cell) / devices

with a cell of {examples:,} examples in batches of {batch}, and {looks} looks at the validation set
(1,000 images, or 1,227 windows of text). `cell` is a finished cell's last look at all splits and
its record on disk; `record` of that the record alone, which the host writes while devices train;
`measure` comes on top where every minimum is measured (curvature, sharpness and noise over 1,000
examples).

## Measured: one core of a CPU
"""

_CORE = """
A cell, in seconds of that core (and 10⁵ of them on it):
"""

_ACCELERATORS = """
## Not measured: accelerators

No accelerator was at hand. These are the same work at 3 / 10 / 30 % of the published dense peak
(what a wide vmap of such small networks reaches is the great unknown, which
`python benchmarks/accelerator.py` measures), with eight passes over the parameters an update at the
published memory bandwidth; or the time that hosts take to write the records (measured above, one
process a host), whichever is longer. Compiling takes seconds once; launches of small kernels are
left out: 256 lanes and more share them. Published figures: H100 SXM 494 TFLOP/s TF32, 3.35 TB/s;
v5e 197 TFLOP/s bf16, 0.82 TB/s; v5p 459 TFLOP/s bf16, 2.77 TB/s.
"""


if __name__ == "__main__":
    main()
