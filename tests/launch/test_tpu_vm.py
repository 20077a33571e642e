import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from odd_flags import ODD

FLAGS = ("--name=sharp", "--zone=europe-west4-a", "--project=mine", "--accelerator=v6e-16")
FLAGS += ("--out=gs://bucket/sharp", "--spot", "--service_account=a@b")
# Runs what it is told on "all hosts" as sshd does, through a shell, in the home folder.
GCLOUD = """#!/bin/bash
for word in "$@"; do
  case $word in --command=*) cd "$HOME" && exec bash -c "${word#--command=}" ;; esac
done
"""


@pytest.fixture
def home(tmp_path):
    """A folder with an experiment, and a host on which it lies in minima/."""
    for folder in (tmp_path, tmp_path / "minima"):
        folder.mkdir(exist_ok=True)
        shutil.copy(Path(__file__).with_name("stand_in.py"), folder)
    programs = tmp_path / "minima" / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    return tmp_path


def test_three_commands(launch, home):
    result = launch("tpu_vm.py", "submit", *FLAGS, "--dry_run", "--", "stand_in.py", cwd=home)
    create, ssh, delete = [line for line in result.stdout.splitlines() if line.startswith("$ ")]
    assert create == (
        "$ gcloud compute tpus queued-resources create sharp --node-id=sharp "
        "--accelerator-type=v6e-16 --runtime-version=v2-alpha-tpuv6e --spot --service-account=a@b "
        "--zone=europe-west4-a --project=mine"
    )
    assert shlex.split(ssh)[8] == (
        "--command=cd minima && .venv/bin/python stand_in.py --workdir=gs://bucket/sharp/runs "
        "--multihost"
    )
    assert "delete sharp --force --quiet" in delete


def test_flags_reach_the_experiment_unchanged_and_run_nothing(launch, home):
    (home / "gcloud").write_text(GCLOUD)
    (home / "gcloud").chmod(0o755)
    environment = os.environ | {"HOME": str(home), "STAND_IN": str(home)}
    environment["PATH"] = f"{home}:{environment['PATH']}"
    result = launch(
        "tpu_vm.py", "start", *FLAGS, "--", "stand_in.py", *ODD, cwd=home, environment=environment
    )
    assert result.returncode == 0, result.stderr
    arguments = json.loads((home / "started-all-0.json").read_text())
    assert arguments == [*ODD, "--workdir=gs://bucket/sharp/runs", "--multihost"]
    assert not list(home.rglob("pwned*"))


@pytest.mark.parametrize("verb", ["submit", "start", "status", "delete"])
def test_gcloud_accepts_the_lines(launch, home, verb):
    if not shutil.which("gcloud"):
        pytest.skip("no gcloud here, whose own parser would look at the lines")
    needs = (*FLAGS, "--dry_run", "--", "stand_in.py", "--a=1 $(b)")
    words = needs if verb in ("submit", "start") else (*FLAGS[:3], "--dry_run")
    shown = launch("tpu_vm.py", verb, *words, cwd=home).stdout
    # With no account on record it ends before it asks anybody, and after it has read its flags.
    environment = os.environ | {"CLOUDSDK_CONFIG": str(home / "nobody")}
    command = shlex.split(shown.splitlines()[0].removeprefix("$ "))
    assert command[0] == "gcloud"
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1, result.stderr
    assert "active account" in result.stderr
    typo = [word.replace("--zone", "--zome") for word in command]
    result = subprocess.run(typo, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--out=here",), "--out=here: hosts share no disk"),
        (("--accelerator=v6e-3",), "--accelerator=v6e-3: write v5e or v6e"),
        (("--name=Sharp",), "--name=Sharp: use small letters"),
    ],
)
def test_mistakes(launch, home, flags, says):
    result = launch("tpu_vm.py", "submit", *FLAGS, *flags, "--dry_run", "--", "stand_in.py",
                    cwd=home)  # fmt: skip
    assert (result.returncode, result.stdout) == (2, "")
    assert says in result.stderr
