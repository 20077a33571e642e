"""Real experiments under a real Slurm, as the tests of several files submit them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cluster import Cluster

import minima

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "experiments" / "batch_size_vs_learning_rate.py"
SMOKE = ("--preset=smoke", "--model=mlp")
# Some seconds of training for each of two processes, so that there is time to come between.
LONGER = ("--model=mlp", "--batch_sizes=16,64", "--learning_rates=0.01,0.1,100", "--seeds=3")
LONGER += ("--budget=16epochs", "--evaluations=5", "--checkpoint_seconds=0.2")


class Sweeps:
    """Submits to the cluster, from a folder of its own."""

    def __init__(self, slurm: Cluster, launch: Callable, folder: Path) -> None:
        self.slurm, self._launch, self.folder = slurm, launch, folder
        self.out = folder / "out"

    def __call__(self, verb: str, *words: str | Path) -> str:
        result = self._launch(
            "slurm.py", verb, f"--out={self.out}", *words,
            cwd=self.folder, environment=self.slurm.environment,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout

    def submit(self, flags: tuple[str, ...], *words: str) -> None:
        """Queues the experiment."""
        self("submit", *words, "--", SCRIPT, *flags)

    def cells(self, shard: str) -> int:
        """How many cells a shard has finished."""
        found = list(self.out.glob(f"runs/*/*/shards/{shard}/cells.jsonl"))
        return found[0].read_bytes().count(b"\n") if found else 0

    def failures(self, shard: int) -> str:
        """What the shard's script has on record."""
        path = self.out / "launch" / f"failures-{shard}.txt"
        return path.read_text() if path.exists() else ""

    def end(self) -> Path:
        """Waits, and returns the run that was gathered and judged."""
        self.slurm.wait_until_empty(600)
        logs = {path.name: path.read_text() for path in self.out.glob("launch/log-*.txt")}
        runs = [path.parent for path in self.out.glob("runs/*/*/results.csv")]
        assert len(runs) == 1, logs
        return runs[0]


def run_unsplit(flags: tuple[str, ...], folder: Path, environment: dict[str, str]) -> Path:
    """What one process on one machine gives: its run."""
    command = [sys.executable, str(SCRIPT), *flags]
    how = {"cwd": folder, "env": environment, "capture_output": True, "timeout": 600}
    subprocess.run(command, check=True, **how)
    [run] = [path.parent for path in folder.glob("runs/*/*/results.csv")]
    return run


def paused(sweeps: Sweeps, run: Path, part: str) -> bool:
    """Whether a part was taken up again; it must have saved itself before, and nothing else."""
    # What paused within a minute of its start is on record as a failure, by its code.
    records = "".join(sweeps.failures(shard) for shard in range(2)).splitlines()
    assert all(" exit code 75 " in record for record in records), records
    return minima.load(run / "shards" / part).info["resumes"] > 0


def same(run: Path, other: Path) -> None:
    """Bit for bit: every number of every cell, the verdict, and the minima themselves."""
    for name in ("results.csv", "verdict.json"):
        assert (run / name).read_bytes() == (other / name).read_bytes()
    minima_of = [
        {path.relative_to(each): path.read_bytes() for path in each.glob("snapshots/**/*.*")}
        for each in (run, other)
    ]
    assert minima_of[0] == minima_of[1]
    assert len(minima_of[0]) > 8
