"""Real runs under a real Slurm: whatever happens on the way, the numbers of an undisturbed run."""

import subprocess
import sys
from pathlib import Path

import pytest
from cluster import wait_for

import minima

SCRIPT = Path(__file__).parents[2] / "experiments" / "batch_size_vs_learning_rate.py"
SMOKE = ("--preset=smoke", "--model=mlp")
# Some seconds of training for each of two shards, so that there is time to come between.
LONGER = ("--model=mlp", "--batch_sizes=16,64", "--learning_rates=0.01,0.1,100", "--seeds=3")
LONGER += ("--budget=16epochs", "--evaluations=5", "--checkpoint_seconds=0.2")


class Sweeps:
    """Submits to the cluster, from a folder of its own."""

    def __init__(self, slurm, launch, folder):
        self.slurm, self._launch, self.folder = slurm, launch, folder
        self.out = folder / "out"

    def __call__(self, verb, *words):
        result = self._launch(
            "slurm.py", verb, f"--out={self.out}", *words,
            cwd=self.folder, environment=self.slurm.environment,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout

    def submit(self, flags, *words):
        self("submit", *words, "--", SCRIPT, *flags)

    def cells(self, shard):
        """How many cells a shard has finished."""
        found = list(self.out.glob(f"runs/*/*/shards/{shard}/cells.jsonl"))
        return found[0].read_bytes().count(b"\n") if found else 0

    def end(self):
        """Waits, and returns the run that was gathered and judged."""
        self.slurm.wait_until_empty(240)
        logs = {path.name: path.read_text() for path in self.out.glob("launch/log-*.txt")}
        runs = [path.parent for path in self.out.glob("runs/*/*/results.csv")]
        assert len(runs) == 1, logs
        return runs[0]


@pytest.fixture
def sweeps(slurm, launch, tmp_path):
    yield Sweeps(slurm, launch, tmp_path)
    for line in slurm.queue():
        slurm.run("scancel", line.split()[0])
    slurm.wait_until_empty()


@pytest.fixture(scope="module")
def unsplit(slurm, tmp_path_factory):
    """What one process on one machine gives, by flags."""
    known = {}

    def unsplit(flags):
        if flags not in known:
            folder = tmp_path_factory.mktemp("unsplit")
            command = [sys.executable, str(SCRIPT), *flags]
            subprocess.run(command, cwd=folder, env=slurm.environment, check=True, timeout=120,
                           capture_output=True)  # fmt: skip
            [run] = [path.parent for path in folder.glob("runs/*/*/results.csv")]
            known[flags] = run
        return known[flags]

    return unsplit


def same(run, other):
    """Bit for bit: every number of every cell, the verdict, and the minima themselves."""
    for name in ("results.csv", "verdict.json"):
        assert (run / name).read_bytes() == (other / name).read_bytes()
    minima_of = [
        {path.relative_to(each): path.read_bytes() for path in each.glob("snapshots/**/*.*")}
        for each in (run, other)
    ]
    assert minima_of[0] == minima_of[1]
    assert len(minima_of[0]) > 8


@pytest.mark.slow
def test_an_array_of_shards_and_a_gathering_are_the_unsplit_run(sweeps, unsplit):
    expected = unsplit(SMOKE)  # first: what it has compiled the shards read
    sweeps.submit(SMOKE, "--shards=4")
    run = sweeps.end()
    same(run, expected)
    assert sweeps("status").splitlines()[-1] == "4 done"
    assert list((run / "tensorboard").rglob("*tfevents*"))
    assert minima.load(run).info["status"] == "complete"


@pytest.mark.slow
def test_preempted_saved_queued_again_and_resumed(sweeps, unsplit):
    expected = unsplit(LONGER)
    sweeps.submit(LONGER, "--shards=2", "--partition=low", "--sbatch=--exclusive")
    wait_for(lambda: sweeps.cells("0-of-2") and sweeps.cells("1-of-2"), 60)
    before = [sweeps.cells(f"{shard}-of-2") for shard in (0, 1)]
    urgent = ("sbatch", "--partition=high", "--nodes=2", "--exclusive", "--output=/dev/null")
    sweeps.slurm.run(*urgent, "--wrap=sleep 1")
    run = sweeps.end()
    assert max(before) < 9, "came too late to disturb"
    resumed = [path for path in sorted(run.glob("shards/*")) if minima.load(path).info["resumes"]]
    assert resumed
    for path in resumed:
        [line] = (sweeps.out / "launch" / f"failures-{path.name[0]}.txt").read_text().splitlines()
        assert "exit code 75 " in line  # it saved; in less than a minute, or it were not on record
    same(run, expected)


@pytest.mark.slow
def test_a_node_that_dies_costs_no_more_than_time(sweeps, unsplit):
    expected = unsplit(LONGER)
    sweeps.submit(LONGER, "--shards=2", "--sbatch=--exclusive")
    wait_for(lambda: sweeps.cells("0-of-2"), 60)
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
