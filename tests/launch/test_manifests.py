"""Manifests, strictly and offline: against the types of Kubernetes' and JobSet's own schemas."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
from kubeflow_trainer_api import models
from odd_flags import ODD
from pods import start
from pydantic import ValidationError

import manifests
from command import Command
from submission import Submission

STAND_IN = str(Path(__file__).with_name("stand_in.py"))
KINDS = {
    "ConfigMap": models.IoK8sApiCoreV1ConfigMap,
    "Job": models.IoK8sApiBatchV1Job,
    "JobSet": models.JobsetV1alpha2JobSet,
}
# What the schemas leave to words: Kubernetes 1.33's reference, and JobSet's.
WORDS = {
    "completionMode": {"Indexed"},
    "podReplacementPolicy": {"Failed"},
    "restartPolicy": {"Never"},
    "operator": {"In", "Equal"},
    "effect": {"NoSchedule"},
    "onJobFailureReasons": {"PodFailurePolicy"},
    "apiVersion": {"v1", "batch/v1", "jobset.x-k8s.io/v1alpha2"},
}
ACTIONS = {"Job": {"FailIndex", "Ignore"}, "JobSet": {"FailJob", "FailJobSet"}}
SETTINGS = {
    "out": "gs://bucket/sharp", "namespace": "default", "image": "registry/minima:1",
    "service_account": "runner", "spot": True, "at_once": 2, "max_restarts": 3,
}  # fmt: skip


def submission(accelerator, hosts, shards=4, flags=("--preset=gpu",)):
    settings = SETTINGS | {"accelerator": accelerator}
    command = Command(STAND_IN, tuple(flags))
    jobs = (("s-0", tuple(range(shards))),)
    return Submission(command, "", shards, hosts, hosts, settings, jobs)


def everything():
    for accelerator, hosts in (("v5e-8", 1), ("v6e-1", 1), ("v6e-16", 4)):
        asked = submission(accelerator, hosts)
        yield from manifests.sweep("s", asked, 0) + manifests.gathering("s", asked)


def leaves(value, path=()):
    """Every leaf of a manifest with its path."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for name, entry in pairs:
            yield from leaves(entry, (*path, name))
    else:
        yield path, value


def check(manifest):
    """Raises where a name, a type or a word is not one that the API knows."""
    read = KINDS[manifest["kind"]].from_dict(manifest)
    known = dict(leaves(read.to_dict()))  # what the schema has no name for is dropped on the way
    for path, value in leaves(manifest):
        if known.get(path) != value:
            raise ValueError(f"{path}: unknown or of another type")
        name = next(each for each in reversed(path) if isinstance(each, str))
        if name == "action" and value not in ACTIONS[manifest["kind"]]:
            raise ValueError(f"{path}: {value}")
        if name in WORDS and value not in WORDS[name]:
            raise ValueError(f"{path}: {value}")


@pytest.mark.parametrize(
    "manifest", list(everything()), ids=lambda each: f"{each['kind']}-{each['metadata']['name']}"
)
def test_the_apis_know_every_word(manifest):
    check(json.loads(json.dumps(manifest)))


def mistakes(manifest):
    """The manifest, once with each of its names misspelt, and once with each number as a text."""
    free = {"labels", "annotations", "nodeSelector", "data", "limits"}  # any name goes
    for path, value in leaves(manifest):
        for depth, name in enumerate(path):
            if isinstance(name, str) and not free & set(path[:depth]):
                wrong = copy.deepcopy(manifest)
                inside = wrong
                for step in path[:depth]:
                    inside = inside[step]
                inside[name + "s"] = inside.pop(name)
                yield wrong
        if isinstance(value, int) and not free & set(path):
            wrong = copy.deepcopy(manifest)
            inside = wrong
            for step in path[:-1]:
                inside = inside[step]
            inside[path[-1]] = str(value)
            yield wrong


def test_the_check_finds_every_misspelling():
    for manifest in everything():
        for wrong in mistakes(manifest):
            with pytest.raises((ValueError, ValidationError, KeyError)):
                check(wrong)


def arguments(folder, shard):
    return json.loads((folder / f"started-{shard}-0.json").read_text())


def test_flags_reach_the_shards_of_a_job_unchanged_and_run_nothing(tmp_path):
    asked = submission("v5e-8", 1, 9, ODD)
    asked = replace(asked, jobs=(*asked.jobs, ("s-1", (3, 7))))
    job = manifests.sweep("s", asked, 1)[1]  # what is queued again
    assert job["spec"]["completions"] == 2
    for index, shard in enumerate((3, 7)):
        names = {"JOB_COMPLETION_INDEX": str(index), "VAR": "replaced"}
        assert (
            start(job["spec"]["template"], tmp_path, tmp_path, STAND_IN=str(tmp_path), **names) == 0
        )
        ours = ["--workdir=gs://bucket/sharp/runs", f"--shard={shard}/9"]
        assert arguments(tmp_path, f"{shard}-of-9") == [*ODD, *ours]
    assert not list(tmp_path.rglob("pwned*"))


def test_flags_reach_a_group_unchanged_and_run_nothing(tmp_path):
    sets = manifests.sweep("s", submission("v6e-16", 4, 2, ODD), 0)[1:]
    assert [each["metadata"]["name"] for each in sets] == ["s-0-0", "s-0-1"]
    for shard, each in enumerate(sets):
        spec = each["spec"]["replicatedJobs"][0]["template"]["spec"]
        assert spec["completions"] == 4
        assert (
            start(spec["template"], tmp_path, tmp_path, STAND_IN=str(tmp_path), VAR="replaced") == 0
        )
        ours = ["--workdir=gs://bucket/sharp/runs", "--multihost", f"--shard={shard}/2"]
        assert arguments(tmp_path, f"{shard}-of-2") == [*ODD, *ours]
    assert not list(tmp_path.rglob("pwned*"))


def test_an_exit_code_is_the_experiments_own(tmp_path):
    """The shell before it gives way to it, so that Kubernetes sees 2 and 75 and signals arrive."""
    (tmp_path / "codes-0-of-4").write_text("75")
    job = manifests.sweep("s", submission("v5e-8", 1), 0)[1]
    names = {"STAND_IN": str(tmp_path), "JOB_COMPLETION_INDEX": "0"}
    assert start(job["spec"]["template"], tmp_path, tmp_path, **names) == 75


def test_a_slice_is_asked_for_by_its_own_names():
    pod = manifests.sweep("s", submission("v6e-16", 4), 0)[1]["spec"]["replicatedJobs"][0]
    spec = pod["template"]["spec"]["template"]["spec"]
    assert spec["containers"][0]["resources"]["limits"] == {"google.com/tpu": 4}
    assert spec["nodeSelector"] == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v6e-slice",
        "cloud.google.com/gke-tpu-topology": "4x4",
        "cloud.google.com/gke-spot": "true",
    }
