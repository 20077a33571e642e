"""Who gets which GPU: real binding by Slurm, of two files a node that it takes for GPUs."""

import json
from pathlib import Path

import pytest
from cluster import Cluster, missing_programs

STAND_IN = Path(__file__).with_name("stand_in.py")


@pytest.fixture(scope="module")
def gpus(tmp_path_factory):
    if missing := missing_programs():
        pytest.skip(f"no Slurm here ({', '.join(missing)} not installed)")
    try:
        cluster = Cluster(tmp_path_factory.mktemp("slurm"), gpus=True)
    except PermissionError:
        pytest.skip("only root can make the device files that stand in for GPUs")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def seen(gpus, launch, folder, together, *words):
    """Node, visible GPUs, local rank and group size of every process, of those there at a time."""
    environment = gpus.environment | {"STAND_IN": str(folder), "TOGETHER": str(together)}
    result = launch(
        "slurm.py", "submit", "--out=out", *words, "--", STAND_IN,
        cwd=folder, environment=environment,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    gpus.wait_until_empty()
    return sorted(json.loads(path.read_text()) for path in folder.glob("gpus-*"))


def test_a_shard_a_gpu_and_none_is_shared(gpus, launch, tmp_path):
    found = seen(gpus, launch, tmp_path, 4, "--shards=4", "--accelerator=gpu:1")
    assert found == [[node, gpu, "0", "1"] for node in ("n1", "n2") for gpu in ("0", "1")]


def test_a_group_has_a_process_per_gpu_that_sees_them_all(gpus, launch, tmp_path):
    """JAX under Slurm takes the GPU of its local rank: it has to see that one, by that number."""
    found = seen(gpus, launch, tmp_path, 4, "--shards=1", "--hosts=2", "--accelerator=gpu:2")
    assert found == [[node, "0,1", rank, "4"] for node in ("n1", "n2") for rank in ("0", "1")]


def test_a_process_on_one_host_drives_all_its_gpus(gpus, launch, tmp_path):
    found = seen(gpus, launch, tmp_path, 2, "--shards=2", "--accelerator=gpu:2")
    assert found == [[node, "0,1", "0", "1"] for node in ("n1", "n2")]


@pytest.mark.parametrize("accelerator", ["gpu:0", "gpu:a100:b", "gpu 1", "--x"])
def test_what_is_no_accelerator(launch, tmp_path, accelerator):
    result = launch(
        "slurm.py", "submit", "--out=out", "--shards=2", f"--accelerator={accelerator}",
        "--dry_run", "--", STAND_IN, cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 2
    assert "write it like gpu:1 or gpu:a100:8" in result.stderr
