"""A sweep on TPUs under Kubernetes (GKE): an Indexed Job of single-host shards, or JobSets.

Kubernetes owns the queue and the retries. Which command, image and shards belong to --out is kept
in a ConfigMap beside the jobs, so status, resume, gather and delete work from any machine.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import manifests
import tpu
from command import Command, ask, count, line, positive, run
from minima.runtime.errors import UserError
from submission import Submission


def _build(commands: argparse._SubParsersAction) -> None:
    submit = commands.add_parser("submit", help="queue a sweep: ... -- SCRIPT FLAGS")
    submit.add_argument("--shards", type=positive, required=True, help="parts of the sweep")
    submit.add_argument(
        "--accelerator", required=True, metavar="SLICE", help="per shard, such as v5e-8 or v6e-16"
    )
    submit.add_argument("--hosts", type=positive, help="of a slice; found from --accelerator")
    submit.add_argument("--image", required=True, help="that launch/Dockerfile made")
    submit.add_argument("--service_account", default="", help="Kubernetes' own, for the bucket")
    submit.add_argument("--spot", action="store_true", help="on spot nodes")
    submit.add_argument(
        "--at_once", type=count, default=0, help="shards that run at a time (0: all); single-host"
    )
    submit.add_argument(
        "--max_restarts",
        type=count,
        default=3,
        help="of a shard that failed (3); on several hosts pauses count too, so give it more",
    )
    submit.set_defaults(call=_submit)
    for name, call, text in (
        ("status", _status, "how far every shard is"),
        ("resume", _resume, "queue again the shards that failed"),
        ("gather", _gather, "put the shards together, judge and draw, as a job"),
        ("delete", _delete, "end all of it and forget the submission; the bucket stays"),
    ):
        commands.add_parser(name, help=text).set_defaults(call=call)
    for name, parser in commands.choices.items():
        parser.add_argument("--out", required=True, metavar="gs://…", help="folder of the results")
        parser.add_argument("--namespace", default="default", help="Kubernetes' namespace")
        if name != "status":
            parser.add_argument("--dry_run", action="store_true", help="print all, run nothing")


def _submit(options: argparse.Namespace) -> None:
    if not re.match(r"\w+://.", options.out):
        raise UserError(f"--out={options.out}: pods share no disk; use a bucket, such as gs://…")
    part = tpu.parse(options.accelerator)
    if options.hosts not in (None, part.hosts):
        raise UserError(f"--hosts={options.hosts}: {options.accelerator} has {part.hosts}")
    if part.hosts > 1 and options.at_once:
        raise UserError("--at_once: JobSets start as nodes come; leave it out, or use Kueue")
    command = Command.of(options.experiment, moves=True)
    names = ("out", "accelerator", "image", "service_account", "spot", "at_once", "max_restarts")
    settings = {name: getattr(options, name) for name in (*names, "namespace")}
    name = _name(options.out)
    shards = tuple(range(options.shards))
    submission = Submission(
        command, "", options.shards, part.hosts, part.hosts, settings,
        jobs=((f"{name}-0", shards),),
    )  # fmt: skip
    command.check(manifests.workdir(submission), part.hosts > 1)
    if not options.dry_run and _known(options):
        raise UserError(
            f"--out={options.out}: is submitted; resume or delete it, or choose another"
        )
    _apply(options, manifests.sweep(name, submission, 0))


def _status(options: argparse.Namespace) -> None:
    submission = _load(options)
    states = _states(options, submission)
    for shard, state in sorted(states.items()):
        print(f"{shard}/{submission.shards}", state)
    found = list(states.values())
    print(", ".join(f"{found.count(state)} {state}" for state in sorted(set(found))))
    for job in _objects(options, submission):
        if job["metadata"]["name"].endswith("-gather"):
            print("gather", _ended(job) or "queued or running")


def _resume(options: argparse.Namespace) -> None:
    submission, name = _load(options), _name(options.out)
    failed = [s for s, state in sorted(_states(options, submission).items()) if state == "failed"]
    print(f"{len(failed)} of {submission.shards} shards to be queued again")
    if failed:
        job = (f"{name}-{len(submission.jobs)}", tuple(failed))
        submission = replace(submission, jobs=(*submission.jobs, job))
        _apply(options, manifests.sweep(name, submission, len(submission.jobs) - 1))


def _gather(options: argparse.Namespace) -> None:
    submission, name = _load(options), _name(options.out)
    kind = _kind(submission)
    # The pods of a finished job stay what they were: to gather again needs a new one.
    _do(options, "delete", kind, f"{name}-gather", "--ignore-not-found", "--wait=true")
    _apply(options, manifests.gathering(name, submission))


def _delete(options: argparse.Namespace) -> None:
    submission, name = _load(options), _name(options.out)
    kinds = f"{_kind(submission)},configmap"
    _do(options, "delete", kinds, f"--selector={manifests.LABEL}={name}")


def _states(options: argparse.Namespace, submission: Submission) -> dict[int, str]:
    """What each shard is, by the last job that had it: done, failed, running or queued."""
    jobs = {job["metadata"]["name"]: job for job in _objects(options, submission)}
    running = _running(options)
    states: dict[int, str] = {}
    for name, shards in submission.jobs:
        for index, shard in enumerate(shards):
            if submission.hosts > 1:
                own = f"{name}-{shard}"
                state = _ended(jobs[own]) if own in jobs else "failed"
                active = own in running
            else:
                state = _index_state(jobs[name], index) if name in jobs else "failed"
                active = f"{name}/{index}" in running
            states[shard] = state or ("running" if active else "queued")
    return states


def _running(options: argparse.Namespace) -> set[str]:
    """`JOB/index` of a Job's pods that run, `JOBSET` of a set's."""
    found = set()
    for pod in _get(options, "pods"):
        labels, notes = pod["metadata"]["labels"], pod["metadata"].get("annotations", {})
        if pod.get("status", {}).get("phase") == "Running":
            job = labels.get("job-name", "")
            own = f"{job}/{notes.get(manifests.INDEX)}"
            found.add(labels.get("jobset.sigs.k8s.io/jobset-name", own))
    return found


def _index_state(job: dict[str, Any], index: int) -> str:
    status = job.get("status", {})
    for field, state in (("completedIndexes", "done"), ("failedIndexes", "failed")):
        if index in _indices(status.get(field, "")):
            return state
    return "failed" if _ended(job) == "failed" else ""


def _ended(job: dict[str, Any]) -> str:
    """Whether a Job or JobSet is done or failed; "" where it goes on."""
    held = {
        condition["type"]
        for condition in job.get("status", {}).get("conditions", [])
        if condition["status"] == "True"
    }
    return "done" if held & {"Complete", "Completed"} else "failed" if "Failed" in held else ""


def _indices(text: str) -> Iterator[int]:
    """Reads Kubernetes' `0,2-4`."""
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _kind(submission: Submission) -> str:
    return "jobset" if submission.hosts > 1 else "job"


def _objects(options: argparse.Namespace, submission: Submission) -> list[dict[str, Any]]:
    return _get(options, _kind(submission))


def _get(options: argparse.Namespace, kind: str) -> list[dict[str, Any]]:
    selector = f"--selector={manifests.LABEL}={_name(options.out)}"
    return json.loads(ask(*_kubectl(options, "get", kind, selector, "--output=json")))["items"]


def _known(options: argparse.Namespace) -> str:
    """The submission's text, or "" where the cluster knows none."""
    maps = _get(options, "configmap")
    return maps[0]["data"]["submission.json"] if maps else ""


def _load(options: argparse.Namespace) -> Submission:
    text = _known(options)
    if not text:
        raise UserError(
            f"--out={options.out}: nothing was submitted there in namespace {options.namespace}"
        )
    return Submission.from_json(text, f"ConfigMap {_name(options.out)}")


def _apply(options: argparse.Namespace, objects: list[manifests.Manifest]) -> None:
    text, command = manifests.document(objects), _kubectl(options, "apply", "--filename=-")
    if options.dry_run:
        print(f"$ {line(command)} <<'EOF'\n{text}\nEOF")
        return
    print(ask(*command, given=text), end="")
    again = ["python", "launch/gke.py", "status", f"--out={options.out}"]
    print("status: ", line([*again, f"--namespace={options.namespace}"]))


def _do(options: argparse.Namespace, *words: str) -> None:
    command = _kubectl(options, *words)
    print("$", line(command))
    if not options.dry_run:
        print(ask(*command), end="")


def _kubectl(options: argparse.Namespace, *words: str) -> list[str]:
    return ["kubectl", f"--namespace={options.namespace}", *words]


def _name(out: str) -> str:
    """A name for what belongs to a folder of results, within what Kubernetes allows."""
    stem = re.sub(r"[^a-z0-9]+", "-", out.rstrip("/").rsplit("/", 1)[-1].lower()).strip("-")
    return (
        f"minima-{stem[:20] or 'sweep'}-{hashlib.sha256(out.rstrip('/').encode()).hexdigest()[:6]}"
    )


if __name__ == "__main__":
    sys.exit(run("gke.py", __doc__, None, _build))
