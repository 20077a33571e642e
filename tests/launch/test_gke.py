"""The launcher against a kubectl that only remembers."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

FLAGS = ("--image=registry/minima:1", "--out=gs://bucket/sharp")
HERE = Path(__file__).parent


class Kubernetes:
    """Runs the launcher, and plays the controllers."""

    def __init__(self, launch, folder):
        self._launch, self.folder, self.store = launch, folder, folder / "store.json"
        shutil.copy(HERE / "stand_in.py", folder)
        program = f'#!/bin/bash\nexec {sys.executable} {HERE / "kubectl.py"} "$@"\n'
        (folder / "kubectl").write_text(program)
        (folder / "kubectl").chmod(0o755)
        path = f"{folder}:{os.environ['PATH']}"
        self.environment = os.environ | {"PATH": path, "KUBECTL_STORE": str(self.store)}

    def __call__(self, verb, *words, code=0):
        words = (*words, "--", "stand_in.py", "--a=$(b)") if verb == "submit" else words
        result = self._launch("gke.py", verb, *words, cwd=self.folder, environment=self.environment)
        assert result.returncode == code, result.stderr
        return result.stdout if code == 0 else result.stderr

    def objects(self, kind):
        return {
            each["metadata"]["name"]: each
            for each in json.loads(self.store.read_text())
            if each["kind"] == kind
        }

    def set_status(self, name, status, kind="Job"):
        objects = json.loads(self.store.read_text())
        [mine] = [x for x in objects if x["metadata"]["name"] == name and x["kind"] == kind]
        mine["status"] = status
        self.store.write_text(json.dumps(objects))

    def add_pod(self, labels, annotations=None):
        objects = json.loads(self.store.read_text())
        owner = next(iter(self.objects("ConfigMap").values()))["metadata"]["labels"]
        metadata = {"name": "pod", "labels": owner | labels, "annotations": annotations or {}}
        pod = {"kind": "Pod", "metadata": metadata, "status": {"phase": "Running"}}
        self.store.write_text(json.dumps([*objects, pod]))


@pytest.fixture
def kubernetes(launch, tmp_path):
    return Kubernetes(launch, tmp_path)


def states(text):
    return [line.split(" ", 1)[1] for line in text.splitlines() if "/" in line.split()[0]]


def test_single_host_shards(kubernetes):
    kubernetes("submit", *FLAGS, "--accelerator=v5e-8", "--shards=4")
    [name] = kubernetes.objects("Job")
    assert states(kubernetes("status", FLAGS[1])) == ["queued"] * 4
    kubernetes.set_status(name, {"completedIndexes": "0,2", "failedIndexes": "3"})
    label = {"job-name": name}
    kubernetes.add_pod(label, {"batch.kubernetes.io/job-completion-index": "1"})
    shown = kubernetes("status", FLAGS[1])
    assert states(shown) == ["done", "running", "done", "failed"]
    assert shown.splitlines()[-1] == "2 done, 1 failed, 1 running"

    again = kubernetes("resume", FLAGS[1])
    assert "1 of 4 shards to be queued again" in again
    first, second = sorted(kubernetes.objects("Job"))
    assert kubernetes.objects("Job")[second]["spec"]["completions"] == 1
    assert states(kubernetes("status", FLAGS[1])) == ["done", "running", "done", "queued"]
    kubernetes.set_status(first, {"completedIndexes": "0-2", "failedIndexes": "3"})
    kubernetes.set_status(second, {"completedIndexes": "0"})
    assert kubernetes("status", FLAGS[1]).splitlines()[-1] == "4 done"
    assert "0 of 4" in kubernetes("resume", FLAGS[1])

    kubernetes("gather", FLAGS[1])
    gathering = f"{first.removesuffix('-0')}-gather"
    kubernetes.set_status(gathering, {"conditions": [{"type": "Complete", "status": "True"}]})
    assert kubernetes("status", FLAGS[1]).splitlines()[-1] == "gather done"
    kubernetes("gather", FLAGS[1])  # anew
    assert "status" not in kubernetes.objects("Job")[gathering]
    kubernetes("delete", FLAGS[1])
    assert not kubernetes.objects("Job")
    assert not kubernetes.objects("ConfigMap")
    assert "nothing was submitted there" in kubernetes("status", FLAGS[1], code=2)


def test_shards_on_several_hosts(kubernetes):
    kubernetes("submit", *FLAGS, "--accelerator=v6e-16", "--shards=3", "--hosts=4")
    first, second, third = sorted(kubernetes.objects("JobSet"))
    for name, kind in ((first, "Completed"), (second, "Failed")):
        status = {"conditions": [{"type": kind, "status": "True"}]}
        kubernetes.set_status(name, status, "JobSet")
    kubernetes.add_pod({"jobset.sigs.k8s.io/jobset-name": third, "job-name": f"{third}-hosts-0"})
    assert states(kubernetes("status", FLAGS[1])) == ["done", "failed", "running"]
    kubernetes("resume", FLAGS[1])
    assert len(kubernetes.objects("JobSet")) == 4
    assert states(kubernetes("status", FLAGS[1])) == ["done", "queued", "running"]
    kubernetes("gather", FLAGS[1])
    assert len(kubernetes.objects("JobSet")) == 5


def test_a_dry_run_asks_nobody(kubernetes):
    shown = kubernetes("submit", *FLAGS, "--accelerator=v5e-8", "--shards=4", "--dry_run")
    assert not kubernetes.store.exists()
    command, text = shown.split(" <<'EOF'\n")
    assert command == "$ kubectl --namespace=default apply --filename=-"
    kinds = [each["kind"] for each in json.loads(text.removesuffix("\nEOF\n"))["items"]]
    assert kinds == ["ConfigMap", "Job"]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--accelerator=v5e-8", "--out=here"), "--out=here: pods share no disk"),
        (("--accelerator=gpu:1",), "--accelerator=gpu:1: write v5e or v6e"),
        (("--accelerator=v6e-16", "--hosts=1"), "--hosts=1: v6e-16 has 4"),
        (("--accelerator=v6e-16", "--at_once=2"), "--at_once: JobSets start as nodes come"),
    ],
)
def test_mistakes(kubernetes, flags, says):
    assert says in kubernetes("submit", *FLAGS, "--shards=4", *flags, code=2)
    assert not kubernetes.store.exists()


def test_no_second_submission(kubernetes):
    words = (*FLAGS, "--accelerator=v5e-8", "--shards=4")
    kubernetes("submit", *words)
    assert "is submitted" in kubernetes("submit", *words, code=2)
    assert "4 of" not in kubernetes("status", FLAGS[1])


def test_no_kubectl(launch, kubernetes):
    kubernetes.environment["PATH"] = str(kubernetes.folder / "nowhere")
    assert "kubectl: not on the PATH" in kubernetes("status", FLAGS[1], code=2)
