"""The launcher and a real Slurm; the experiment is a stand-in that keeps the contract."""

import json
from pathlib import Path

import pytest
from odd_flags import ODD

STAND_IN = Path(__file__).with_name("stand_in.py")


class Sweep:
    """A submission of the stand-in, and what became of it."""

    def __init__(self, slurm, launch, folder):
        self.slurm, self._launch, self.folder = slurm, launch, folder
        self.out = folder / "out 100%"
        self.environment = slurm.environment | {"STAND_IN": str(folder)}

    def __call__(self, verb, *words):
        return self._launch(
            "slurm.py", verb, f"--out={self.out}", *words,
            cwd=self.folder, environment=self.environment,
        )  # fmt: skip

    def submit(self, *words, flags=(), **codes):
        for shard, text in codes.items():
            (self.folder / f"codes-{shard.strip('_').replace('_', '-')}").write_text(text)
        result = self("submit", *words, "--", STAND_IN, *flags)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def starts(self, shard):
        return [
            json.loads(path.read_text())
            for path in sorted(self.folder.glob(f"started-{shard}-[0-9]*.json"))
        ]

    def log(self, name):
        return (self.out / "launch" / f"log-{name}.txt").read_text()

    def failures(self, shard):
        path = self.out / "launch" / f"failures-{shard}.txt"
        return path.read_text().splitlines() if path.exists() else []

    def status(self):
        result = self("status")
        assert result.returncode == 0, result.stderr
        return result.stdout.splitlines()


@pytest.fixture
def sweep(slurm, launch, tmp_path):
    yield Sweep(slurm, launch, tmp_path)
    slurm.cancel_all()


@pytest.mark.slow
def test_every_end_of_a_shard(sweep):
    """Done, saved, crashed and tried again in bounds, a mistake: and what status and resume say."""
    sweep.submit(
        "--shards=4", "--max_restarts=2",
        _1_of_4="134\n1\n", _2_of_4="137\n" * 4, _3_of_4="2\n",
    )  # fmt: skip
    sweep.slurm.wait_until_empty()
    assert [len(sweep.starts(f"{i}-of-4")) for i in range(4)] == [1, 3, 3, 1]
    lines = sweep.status()
    assert [line.split()[1] for line in lines[:4]] == ["done", "done", "failed", "failed"]
    assert lines[2].count("failed 3 times, last ") == 1
    assert "exit code 137" in lines[2]
    assert "failed" not in lines[3].split(" ", 2)[2:]  # a mistake was no crash
    assert lines[-1] == "2 done, 2 failed"
    # The gathering ran after all of them, once, and found what is missing. The runs of a stand-in
    # are none, so it ends there.
    assert "error" in sweep.log("gather")
    assert not sweep.starts("all")

    for shard in (2, 3):
        (sweep.folder / f"codes-{shard}-of-4").unlink()
    said = sweep("resume").stdout
    assert "2 of 4 shards are done, 2 to be queued again" in said
    assert "2 shards" in said
    sweep.slurm.wait_until_empty()
    assert [len(sweep.starts(f"{i}-of-4")) for i in range(4)] == [1, 3, 4, 2]
    assert sweep.status()[-1] == "4 done"
    jobs = json.loads((sweep.out / "submission.json").read_text())["jobs"]
    assert [shards for _, shards in jobs] == [[0, 1, 2, 3], [2, 3]]


def test_flags_reach_the_experiment_unchanged_and_run_nothing(sweep):
    sweep.submit("--shards=2", flags=ODD)
    sweep.slurm.wait_until_empty()
    for shard in (0, 1):
        [arguments] = sweep.starts(f"{shard}-of-2")
        ours = [f"--workdir={sweep.out / 'runs'}", f"--shard={shard}/2"]
        assert arguments == [*ODD, *ours]
    assert not list(sweep.folder.rglob("pwned*"))


def test_cancel_and_resume_while_some_wait(sweep):
    sweep.submit("--shards=3", "--at_once=1", "--sbatch=--hold")
    assert [line.split()[1] for line in sweep.status()[:3]] == ["queued"] * 3
    assert "0 to be queued again" in sweep("resume").stdout
    assert sweep("cancel").returncode == 0
    sweep.slurm.wait_until_empty()
    assert sweep.status()[-1] == "3 lost"
    sweep.environment["PATH"] = str(sweep.folder)  # from a machine without Slurm
    first, *shards, _, last = sweep.status()
    assert first.startswith("no queue to ask (squeue: not on the PATH")
    assert [line.split(" ", 1)[1] for line in shards] == ["not done"] * 3
    assert last == "3 not done"


@pytest.mark.slow
def test_a_group_saves_itself_to_the_last(sweep):
    """Whoever has saved first must not get the others killed, nor the pause taken for a crash."""
    (sweep.folder / "slow-0").write_text("4")
    sweep.submit("--shards=1", "--hosts=2", _0_of_1="75\n75\n")
    sweep.slurm.wait_until_empty()
    assert [line.split()[1:4] for line in sweep.failures("0")] == [["exit", "code", "75"]]
    assert sweep.status()[0].startswith("0/1 done")


def test_a_group_that_loses_one_ends_at_once(sweep):
    (sweep.folder / "slow-0").write_text("100")
    sweep.submit("--shards=1", "--hosts=2", "--max_restarts=0", _0_of_1="1\n1\n")
    sweep.slurm.wait_until_empty(30)
    [line] = sweep.failures("0")
    assert int(line.split()[3]) > 2
