"""What ends a process: here, that nobody reads what it prints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minima.runtime.interrupts import READER_GONE

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "minima", "claims"),
        (str(ROOT / "experiments" / "batch_size_vs_learning_rate.py"), "--help"),
    ],
    ids=["minima", "experiment"],
)
def test_a_reader_that_leaves_ends_a_command_without_a_traceback(command):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, *command], stdout=writing, stderr=subprocess.PIPE, text=True
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (READER_GONE, "")
