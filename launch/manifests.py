"""What Kubernetes is asked for, as the plain values of its JSON: pure functions of a submission.

Single-host shards are one Indexed Job, which retries each index by itself. A shard on several hosts
is a JobSet of its own: in a common one, a failure would start all of them again.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import tpu
from submission import Submission

Manifest = dict[str, Any]

LABEL = "minima-submission"  # on everything that belongs to one
SHARD = "minima-shard"  # on the pods of a JobSet
INDEX = "batch.kubernetes.io/job-completion-index"  # Kubernetes' own, on the pods of a Job
CONTAINER = "experiment"
GRACE_SECONDS = 120  # between SIGTERM and SIGKILL, to save
USER_ERROR, SAVED = 2, 75

# The words after the script are its arguments, never read by the shell; `shards` maps the index.
_PICK = 'shards=({shards}); exec python "$@" "--shard=${{shards[$JOB_COMPLETION_INDEX]}}/{count}"'


def sweep(name: str, submission: Submission, number: int) -> list[Manifest]:
    """What trains the shards of the submission's job `number`, and the memory of the submission."""
    job, shards = submission.jobs[number]
    command = submission.command.arguments(workdir(submission), multihost=submission.hosts > 1)
    if submission.hosts == 1:
        pick = _PICK.format(shards=" ".join(map(str, shards)), count=submission.shards)
        pod = _pod(name, submission, ["bash", "-c", pick, "shard", *command])
        return [memory(name, submission), _job(name, job, submission, len(shards), pod)]
    sets = [memory(name, submission)]
    for shard in shards:
        words = ["python", *command, f"--shard={shard}/{submission.shards}"]
        pod = _pod(name, submission, words, {SHARD: str(shard)})
        sets.append(_job_set(name, f"{job}-{shard}", submission, pod))
    return sets


def gathering(name: str, submission: Submission) -> list[Manifest]:
    """What puts the shards together, judges and draws."""
    where = workdir(submission)
    command = submission.command.arguments(where, multihost=submission.hosts > 1)
    words = ["python", "launch/gather.py", where, "--", *command]
    pod = _pod(name, submission, words)
    own = f"{name}-gather"
    if submission.hosts > 1:
        return [_job_set(name, own, submission, pod)]
    return [_job(name, own, submission, 1, pod)]


def memory(name: str, submission: Submission) -> Manifest:
    """The submission itself, kept where its jobs are: any machine can ask for it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(name, name, submission),
        "data": {"submission.json": submission.to_json()},
    }


def workdir(submission: Submission) -> str:
    """Where the runs are: the experiment's --workdir."""
    return f"{submission.settings['out'].rstrip('/')}/runs"


def document(manifests: Sequence[Manifest]) -> str:
    """JSON for `kubectl apply -f -`."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}, indent=2)


def literal(word: str) -> str:
    """A word that Kubernetes passes on as it is: it replaces $(NAME), and reads $$ as $."""
    return word.replace("$", "$$")


def _job(name: str, own: str, submission: Submission, shards: int, pod: Manifest) -> Manifest:
    settings = submission.settings
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(name, own, submission),
        "spec": {
            "completionMode": "Indexed",
            "completions": shards,
            "parallelism": min(settings["at_once"] or shards, shards),
            "backoffLimitPerIndex": settings["max_restarts"],
            "maxFailedIndexes": shards,  # a shard that fails ends no other
            "podReplacementPolicy": "Failed",  # never two of one shard
            "podFailurePolicy": {
                "rules": [
                    _on_exit("FailIndex", USER_ERROR),
                    _on_exit("Ignore", SAVED),  # a pause: again, and at no cost
                    {
                        "action": "Ignore",  # maintenance, preemption: likewise
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                ]
            },
            "template": pod,
        },
    }


def _job_set(name: str, own: str, submission: Submission, pod: Manifest) -> Manifest:
    metadata = _metadata(name, own, submission)
    # All hosts of a slice, and nobody else's: a node pool is one slice.
    exclusive = "alpha.jobset.sigs.k8s.io/exclusive-topology"
    metadata["annotations"] = {exclusive: "cloud.google.com/gke-nodepool"}
    hosts = {
        "parallelism": submission.hosts,
        "completions": submission.hosts,
        "completionMode": "Indexed",
        "backoffLimit": 0,  # a group lives and dies as a whole
        "podFailurePolicy": {"rules": [_on_exit("FailJob", USER_ERROR)]},
        "podReplacementPolicy": "Failed",
        "template": pod,
    }
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": metadata,
        "spec": {
            "failurePolicy": {
                "maxRestarts": submission.settings["max_restarts"],
                "rules": [
                    {
                        "name": "usererror",
                        "action": "FailJobSet",
                        "onJobFailureReasons": ["PodFailurePolicy"],
                    }
                ],
            },
            "replicatedJobs": [{"name": "hosts", "replicas": 1, "template": {"spec": hosts}}],
        },
    }


def _pod(
    name: str, submission: Submission, words: Sequence[str], labels: Mapping[str, str] | None = None
) -> Manifest:
    settings = submission.settings
    part = tpu.parse(settings["accelerator"])
    nodes = {
        "cloud.google.com/gke-tpu-accelerator": part.generation.gke_accelerator,
        "cloud.google.com/gke-tpu-topology": part.topology,
    }
    spec: Manifest = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "containers": [
            {
                "name": CONTAINER,
                "image": settings["image"],
                "command": [literal(word) for word in words[:1]],
                "args": [literal(word) for word in words[1:]],
                "resources": {"limits": {"google.com/tpu": part.chips_per_host}},
            }
        ],
    }
    if settings["spot"]:
        nodes["cloud.google.com/gke-spot"] = "true"
        # GKE taints the nodes of a spot pool so where its maker asked for it.
        spot = {"key": "cloud.google.com/gke-spot", "operator": "Equal", "value": "true"}
        spec["tolerations"] = [spot | {"effect": "NoSchedule"}]
    if settings["service_account"]:
        spec["serviceAccountName"] = settings["service_account"]
    spec["nodeSelector"] = nodes
    return {"metadata": {"labels": {LABEL: name, **(labels or {})}}, "spec": spec}


def _metadata(name: str, own: str, submission: Submission) -> Manifest:
    namespace = submission.settings["namespace"]
    return {"name": own, "namespace": namespace, "labels": {LABEL: name}}


def _on_exit(action: str, code: int) -> Manifest:
    return {
        "action": action,
        "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [code]},
    }
