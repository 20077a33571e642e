"""Real runs under a real Slurm: whatever happens on the way, the numbers of an undisturbed run."""

import pytest
from cluster import wait_for
from sweeps import LONGER, SMOKE, paused, same

import minima

pytestmark = pytest.mark.slow


def test_an_array_of_shards_and_a_gathering_are_the_unsplit_run(sweeps, unsplit):
    expected = unsplit(SMOKE)  # first: what it has compiled the shards read
    sweeps.submit(SMOKE, "--shards=4")
    run = sweeps.end()
    same(run, expected)
    assert sweeps("status").splitlines()[-1] == "4 done"
    assert list((run / "tensorboard").rglob("*tfevents*"))
    assert minima.load(run).info["status"] == "complete"


def test_preempted_saved_queued_again_and_resumed(sweeps, unsplit):
    expected = unsplit(LONGER)
    sweeps.submit(LONGER, "--shards=2", "--partition=low", "--sbatch=--exclusive")
    wait_for(lambda: sweeps.cells("0-of-2") and sweeps.cells("1-of-2"), 300)
    before = [sweeps.cells(f"{shard}-of-2") for shard in (0, 1)]
    urgent = ("sbatch", "--partition=high", "--nodes=2", "--exclusive", "--output=/dev/null")
    sweeps.slurm.run(*urgent, "--wrap=sleep 1")
    run = sweeps.end()
    assert max(before) < 9, "came too late to disturb"
    assert any(paused(sweeps, run, f"{shard}-of-2") for shard in (0, 1))
    same(run, expected)


def test_a_node_that_dies_costs_no_more_than_time(sweeps, unsplit):
    expected = unsplit(LONGER)
    sweeps.submit(LONGER, "--shards=2", "--sbatch=--exclusive")
    wait_for(lambda: sweeps.cells("0-of-2"), 300)
    jobs = sweeps.slurm.run("squeue", "--noheader", "--array", "--format=%K %N").split("\n")
    node = dict(line.split()[:2] for line in jobs if line.startswith("0 "))["0"]
    sweeps.slurm.kill_node(node)
    try:
        run = sweeps.end()
    finally:
        sweeps.slurm.start_node(node)
        sweeps.slurm.wait_until_idle()
    assert minima.load(run / "shards" / "0-of-2").info["resumes"] >= 1
    assert not list(sweeps.out.glob("launch/failures-*.txt"))  # no fault of the experiment's
    same(run, expected)
