"""What a job's script makes of an exit code, with stand-ins for Slurm's two programs."""

import os
import subprocess

import pytest

import batch
from command import Command
from submission import Submission

SRUN = '#!/bin/bash\nprintf "%s\\n" "$@" >srun.txt\nexit "$CODE"\n'
SCONTROL = '#!/bin/bash\necho "$@" >>scontrol.txt\nexit "$REFUSED"\n'


@pytest.fixture
def job(tmp_path):
    """Runs a shard's script: its exit code, whether it queued itself again, its failures so far."""
    programs = {"srun": SRUN, "scontrol": SCONTROL, "sleep": "#!/bin/bash\n"}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    settings = {"accelerator": "", "max_restarts": 2, "at_once": 0, "sbatch": []}
    submission = Submission(Command("x.py", ()), str(tmp_path), 4, 1, 1, settings)
    out = tmp_path / "out"
    (out / "launch").mkdir(parents=True)

    def job(code, seconds=0, refused=0):
        (tmp_path / "scontrol.txt").unlink(missing_ok=True)
        environment = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "CODE": str(code),
            "REFUSED": str(refused),
            "SECONDS": str(seconds),  # where bash starts to count
            "SLURM_JOB_ID": "7",
            "SLURM_ARRAY_TASK_ID": "3",
            "SLURM_JOB_NODELIST": "n1",
        }
        script = batch.shard_script(out, submission)
        result = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment)
        failures = out / "launch" / "failures-3.txt"
        lines = failures.read_text().splitlines() if failures.exists() else []
        return result.returncode, (tmp_path / "scontrol.txt").exists(), len(lines)

    job.folder = tmp_path
    return job


@pytest.mark.parametrize("code", [0, 2])
def test_done_and_a_mistake_are_final(job, code):
    assert job(code) == (code, False, 0)
    words = (job.folder / "srun.txt").read_text().splitlines()
    assert "--kill-on-bad-exit=1" in words
    assert words[-1] == "--shard=3/4"


def test_a_pause_costs_nothing_however_often(job):
    for _ in range(5):
        assert job(75, seconds=batch.SHORTEST_PAUSE) == (75, True, 0)


def test_a_pause_at_once_is_a_failure(job):
    assert job(75) == (75, True, 1)


@pytest.mark.parametrize("code", [1, 134, 137])
def test_a_failure_is_tried_again_in_bounds(job, code):
    assert [job(code) for _ in range(4)] == [
        (code, True, 1),
        (code, True, 2),
        (code, False, 3),
        (code, False, 4),
    ]


def test_what_cannot_be_queued_or_counted_ends(job):
    assert job(1, refused=1) == (1, True, 1)
    for path in (job.folder / "out" / "launch").iterdir():
        path.unlink()
    (job.folder / "out" / "launch").rmdir()  # as good as a full disk, also for root
    code, again, _ = job(1)
    assert code != 0
    assert not again
