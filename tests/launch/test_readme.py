"""What README.md tells to type, as far as this machine can tell whether it would be understood."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cluster import Cluster, missing_programs

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "launch" / "README.md").read_text()


def lines(program):
    """The command lines of a program, those that go on joined."""
    blocks = re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
    joined = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in joined if line.startswith(program)]


def conf(name):
    return re.search(rf"`{name}`:\n\n```conf\n(.*?)```", TEXT, re.DOTALL)[1]


@pytest.mark.slow
@pytest.mark.parametrize("line", lines("gcloud"), ids=lambda line: " ".join(line.split()[1:5]))
def test_gcloud_understands(tmp_path, line):
    if not shutil.which("gcloud"):
        pytest.skip("no gcloud here, whose own parser would look at the line")
    values = {"PROJECT": "mine", "REGION": "us-east5", "BUCKET": "mine", "NUMBER": "1"}
    values |= {"HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path / "nobody")}
    result = subprocess.run(
        ["bash", "-c", line], env=os.environ | values, cwd=tmp_path, capture_output=True,
        text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    asks_nobody = "configure-docker" in line  # it writes a file, in this test's home
    assert result.returncode == 0 if asks_nobody else "active account" in result.stderr


LAUNCHERS = [line.split(" ", 1)[1] for line in lines(".venv/bin/python launch/")]


@pytest.mark.parametrize("line", LAUNCHERS, ids=lambda line: " ".join(line.split()[:2]))
def test_launchers_understand(line, tmp_path):
    """With --dry_run where there is one; what was never submitted is all that may be wrong."""
    values = dict(re.findall(r'^export (\w+)="(.*)"$', TEXT, re.MULTILINE))
    values |= {"PROJECT": "mine", "BUCKET": "mine", "IMAGE": "registry/minima:1"}
    for name in ("WHAT", "RUN", "BUCKET", "PROJECT", "IMAGE"):
        line = line.replace(f"${name}", values[name])
    words = line.split("#")[0].split()
    words = [str(tmp_path / "o") if word == "DIR" else word for word in words]
    words = [word.replace("=DIR", f"={tmp_path / 'o'}") for word in words]
    if words[1] != "status" or "tpu_vm" in words[0]:
        words.insert(2, "--dry_run")
    result = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    unknown = "nothing was submitted there" in result.stderr or "kubectl" in result.stderr
    assert result.returncode == 0 or unknown, result.stderr
    assert "usage:" not in result.stderr


class Box(Cluster):
    """One node under README's own slurm.conf, but for names, places and the number of GPUs."""

    nodes = ("n1",)

    def __init__(self, folder):
        super().__init__(folder, gpus=True)
        ours = (folder / "slurm.conf").read_text()
        text = conf("slurm.conf")
        for name, value in re.findall(r"^(Slurm\w+|AuthInfo|StateSaveLocation)=(.*)$", ours, re.M):
            text = re.sub(rf"^{name}=.*\n", "", text, flags=re.MULTILINE) + f"{name}={value}\n"
        host, port = re.search(r"NodeHostname=(\S+) .*Port=\[(\d+)", ours).groups()
        node = f"NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 Gres=gpu:2"
        text = text.replace("NodeName=HOSTNAME CPUs=96 Gres=gpu:8", node)
        (folder / "slurm.conf").write_text(text)
        gres = conf("gres.conf").replace("/dev/nvidia[0-7]", f"{folder}/nvidia[0-1]")
        (folder / "gres.conf").write_text(gres)


@pytest.mark.slow
def test_one_box(launch, tmp_path_factory, tmp_path):
    """README's configuration starts, and gives each of two shards a GPU of its own."""
    if missing := missing_programs():
        pytest.skip(f"no Slurm here ({', '.join(missing)} not installed)")
    try:
        box = Box(tmp_path_factory.mktemp("box"))
    except PermissionError:
        pytest.skip("only root can make the device files that stand in for GPUs")
    stand_in = Path(__file__).with_name("stand_in.py")
    try:
        box.start()
        environment = box.environment | {"STAND_IN": str(tmp_path), "TOGETHER": "2"}
        words = ("--out=out", "--shards=2", "--accelerator=gpu:1", "--", stand_in)
        result = launch("slurm.py", "submit", *words, cwd=tmp_path, environment=environment)
        assert result.returncode == 0, result.stderr
        box.wait_until_empty()
    finally:
        box.stop()
    found = sorted(path.read_text() for path in tmp_path.glob("gpus-*"))
    assert found == ['["n1", "0", "0", "1"]', '["n1", "1", "0", "1"]']
