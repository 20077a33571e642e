"""A cell over eight devices is the cell on one. The cases run in a process that has eight."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def eight_devices(*arguments):
    """Runs pytest on eight devices; fails with its report. Every such process shares a cache."""
    places = {"MINIMA_TEST_DEVICES": "8", "PYTEST_XDIST_WORKER": "eight"}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *arguments], env=os.environ | places, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


CASES = ("sweep/mesh_training_cases.py", "landscape/mesh_measures_cases.py")


@pytest.mark.slow
@pytest.mark.parametrize("cases", CASES)
def test_a_mesh_gives_the_numbers_of_one_device(cases):
    assert " passed" in eight_devices(TESTS / cases, "-m", "not long")


@pytest.mark.long
@pytest.mark.parametrize("cases", CASES)
def test_more_shapes_and_every_model_give_the_numbers_of_one_device(cases):
    assert " passed" in eight_devices(TESTS / cases, "-m", "long")
