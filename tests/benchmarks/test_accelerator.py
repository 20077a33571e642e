"""The one call for a card, at sizes for a CPU: every part of ours runs."""

import subprocess
import sys
from pathlib import Path

import pytest

import accelerator

ROOT = Path(__file__).parents[2]


@pytest.mark.long
def test_every_part_of_ours_runs_on_a_cpu_and_says_what_did_not():
    command = [sys.executable, "benchmarks/accelerator.py", "--small"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == (
        "not run: PyTorch beside us (no --peers); full sizes (--small); "
        "an accelerator (this is a CPU)"
    )
    said = {line.partition(": ")[0] for line in lines}
    assert {"peak", "sequences", "losses, bfloat16", "mlp"} <= said
    assert any(line.startswith("losses, default: cpu and CPU differ by 0") for line in lines)


def test_what_fails_is_named_and_leaves_the_rest(capsys):
    class Broken:
        def run(self, side):
            raise subprocess.CalledProcessError(1, side.command, stderr="no such card")

    parts = accelerator.Parts(Broken())
    assert parts.run("peak", "matmul_peak.py") == {}
    assert accelerator.same_losses(parts) == {}
    assert parts.failed[0] == "peak (failed)"
    assert len(parts.failed) == 5
    assert "no such card" in capsys.readouterr().err
