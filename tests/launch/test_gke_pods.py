"""What the pods of a sweep run, on this machine: each by itself, with no disk but a bucket."""

import os

import pytest
from pods import start
from sweeps import ROOT, SMOKE, run_unsplit, same

import manifests
from command import Command
from submission import Submission

pytestmark = pytest.mark.slow
STORES = ROOT / "tests" / "record" / "stores"
SETTINGS = {
    "out": "bucket://sweeps/sharp", "accelerator": "v5e-1", "namespace": "default",
    "image": "registry/minima:1", "service_account": "", "spot": False, "at_once": 0,
    "max_restarts": 3,
}  # fmt: skip


@pytest.fixture
def run_pod(tmp_path):
    """Runs the only pod of a Job that has this index, as on a machine of its own."""

    def run_pod(job, index):
        own = tmp_path / f"machine-{len(list(tmp_path.glob('machine-*')))}"
        own.mkdir()
        variables = {"XDG_CACHE_HOME": str(own), "BUCKET": str(tmp_path / "bucket")}
        variables["PYTHONPATH"] = f"{STORES}:{os.environ.get('PYTHONPATH', '')}"
        variables |= {"JAX_PLATFORMS": "cpu", "JOB_COMPLETION_INDEX": str(index)}
        return start(job["spec"]["template"], tmp_path, ROOT, **variables)

    return run_pod


def test_a_sweep_in_a_bucket_is_the_unsplit_run(run_pod, tmp_path):
    script = "experiments/batch_size_vs_learning_rate.py"
    jobs = (("s-0", (0, 1)), ("s-1", (1,)))
    submission = Submission(Command(script, SMOKE), "", 2, 1, 1, SETTINGS, jobs)
    first, again = (manifests.sweep("s", submission, number)[1] for number in (0, 1))
    [gathering] = manifests.gathering("s", submission)
    assert run_pod(gathering, 0) == 2  # before anything has started: it says so, and harms nothing
    assert run_pod(first, 0) == 0
    assert run_pod(gathering, 0) == 1  # a shard is missing
    assert run_pod(again, 0) == 0
    assert run_pod(gathering, 0) == 0

    environment = os.environ | {
        "XDG_CACHE_HOME": str(tmp_path / "machine-0"),
        "JAX_PLATFORMS": "cpu",
    }
    other = run_unsplit(SMOKE, tmp_path, environment)
    [run] = [path.parent for path in (tmp_path / "bucket").glob("**/results.csv")]
    same(run, other)
    assert list(run.glob("tensorboard/**/*tfevents*"))
