"""What machine this is, and the most arithmetic one of its cores does."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from row import Side
from runner import ROOT, Runner

_PEAKS = (
    Side("XLA", ("benchmarks/sides/peak.py",), cores=1),
    Side("PyTorch", ("benchmarks/peers/torch_peak.py",), peer=True, cores=1),
)


def describe(runner: Runner) -> dict[str, Any]:
    """Processor, cores, versions, and the best float32 matrix product found on one core."""
    peaks = {side.name: runner.run(side)["flops_per_second"] for side in _PEAKS}
    return {
        "kind": f"{_processor()} {os.cpu_count()} cores",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "jax": importlib.metadata.version("jax"),
        "peak": max(peaks.values()),
        "peaks": peaks,
    }


def sentence(about: dict[str, Any]) -> str:
    """The machine in one line."""
    peaks = ", ".join(f"{name} {peak / 1e9:.0f}" for name, peak in about["peaks"].items())
    versions = f"Python {about['python']}, jax {about['jax']}"
    return f"{about['kind']}; {versions}; sgemm peak of a core, GFLOP/s: {peaks}"


def commit() -> str:
    """The checked-out commit, with a + where files differ from it."""
    short = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True
    )
    return short.stdout.strip()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
