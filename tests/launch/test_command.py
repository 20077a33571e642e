import subprocess
import sys
from pathlib import Path

import pytest

from command import Command
from minima.runtime.errors import UserError

STAND_IN = str(Path(__file__).with_name("stand_in.py"))


def test_ours_come_last():
    command = Command.of([STAND_IN, "--flagfile=run.flags", "--a=1"])
    ours = ["--workdir=w", "--shard=1/2", "--multihost"]
    assert command.arguments("w", "1/2", True) == [STAND_IN, "--flagfile=run.flags", "--a=1", *ours]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "no experiment to launch"),
        (["--preset=gpu"], "no experiment to launch"),
        (["nowhere.py"], "nowhere.py: no such file"),
        ([STAND_IN, "--workdir=elsewhere"], "--workdir=elsewhere: leave it out"),
        ([STAND_IN, "--workdir", "elsewhere"], "--workdir: leave it out"),
        ([STAND_IN, "-shard=0/2"], "-shard=0/2: leave it out"),
        ([STAND_IN, "--multihost"], "--multihost: leave it out"),
        ([STAND_IN, "--plan_only"], "--plan_only: leave it out"),
        ([STAND_IN, "--help"], "--help: leave it out"),
        ([STAND_IN, "--a=\udcff"], "is not UTF-8"),
    ],
)
def test_what_is_no_command(words, says):
    with pytest.raises(UserError, match=says):
        Command.of(words)


def test_what_runs_in_a_copy_of_the_repository_is_named_from_its_root():
    with pytest.raises(UserError, match="start here at its root"):
        Command.of([STAND_IN], moves=True)


def test_the_experiment_looks_at_its_flags_first():
    Command.of([STAND_IN, "--good"]).check("w", False)
    with pytest.raises(UserError, match=r"stand_in\.py: --bad: a flag that is wrong"):
        Command.of([STAND_IN, "--bad"]).check("w", False)


@pytest.mark.parametrize("flag", ["--batch_sise=16", "--seeds=0", "--flagfile=nowhere", "32"])
def test_a_real_experiment_refuses_before_anything_is_queued(launch, tmp_path, flag):
    script = Path(__file__).parents[2] / "experiments" / "batch_size_vs_learning_rate.py"
    result = launch("slurm.py", "submit", "--out=o", "--shards=2", "--", script, flag, cwd=tmp_path)
    assert result.returncode == 2
    assert flag.split("=")[0] in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_launchers_import_no_jax():
    code = "import slurm, gke, tpu_vm, gather, sys; sys.exit('jax' in sys.modules)"
    folder = Path(__file__).parents[2] / "launch"
    assert subprocess.run([sys.executable, "-c", code], cwd=folder).returncode == 0
