"""What ends a process: here, that nobody reads what it prints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minima.runtime.interrupts import READER_GONE, ends_with_its_reader

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


def test_another_broken_pipe_stays_an_error(monkeypatch):
    reading, writing = os.pipe()
    with open(reading), open(writing, "w") as out, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        with pytest.raises(BrokenPipeError, match="a store"), ends_with_its_reader():
            raise BrokenPipeError("a store hung up")
