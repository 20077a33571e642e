"""Shards on two hosts: one JAX group under a real Slurm, which lives and dies as a whole."""

import os
import re
import signal

import pytest
from cluster import wait_for
from sweeps import LONGER, SMOKE, paused, same

pytestmark = pytest.mark.slow
GROUP = ("--shards=1", "--hosts=2")


def parts(sweeps):
    """How many cells each process of the group has finished."""
    return [sweeps.cells(f"{process}-of-2") for process in (0, 1)]


def test_two_hosts_form_one_group(sweeps, unsplit):
    expected = unsplit(SMOKE)
    sweeps.submit(SMOKE, *GROUP)
    run = sweeps.end()
    # JAX counted two processes: each has trained its part of the one shard.
    assert sorted(path.name for path in run.glob("shards/*")) == ["0-of-2", "1-of-2"]
    assert sweeps("status").splitlines()[0] == "0/1 done"
    same(run, expected)


def test_a_group_that_is_preempted_pauses_as_a_whole(sweeps, unsplit):
    expected = unsplit(LONGER)
    sweeps.submit(LONGER, *GROUP, "--partition=low", "--sbatch=--exclusive")
    wait_for(lambda: all(parts(sweeps)), 300)
    urgent = ("sbatch", "--partition=high", "--nodes=2", "--exclusive", "--output=/dev/null")
    sweeps.slurm.run(*urgent, "--wrap=sleep 1")
    run = sweeps.end()
    assert paused(sweeps, run, "0-of-2")
    assert paused(sweeps, run, "1-of-2")
    same(run, expected)


def test_a_process_that_dies_ends_its_group_which_is_started_again(sweeps, unsplit):
    expected = unsplit(LONGER)
    sweeps.submit(LONGER, *GROUP)
    wait_for(lambda: all(parts(sweeps)), 300)
    os.kill(sweeps.slurm.task("n2"), signal.SIGKILL)
    run = sweeps.end()
    assert re.search(r" exit code (134|137|143) ", sweeps.failures(0))
    assert sweeps.failures(0).count("\n") == 1
    same(run, expected)
