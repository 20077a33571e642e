"""A sweep as a Slurm array job: a task per shard, and a job after them that gathers.

Slurm owns the queue, preemption and the death of nodes; what is done and what is missing is read
from the run directories. DIR has to be on a file system that all nodes share.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import batch
from command import Command, ask, count, here, line, positive, run
from minima.record.files import write_atomically
from minima.runtime.errors import UserError
from submission import FILE, Submission, finished, load, save


def _build(commands: argparse._SubParsersAction) -> None:
    submit = commands.add_parser("submit", help="queue a sweep: ... -- SCRIPT FLAGS")
    submit.add_argument("--out", required=True, metavar="DIR", help="new folder for all of it")
    submit.add_argument("--shards", type=positive, required=True, help="parts of the sweep")
    submit.add_argument("--hosts", type=positive, default=1, help="machines per shard (1)")
    submit.add_argument(
        "--accelerator", default="", metavar="GRES", help="per machine, such as gpu:1 or gpu:a100:8"
    )
    submit.add_argument("--partition", help="Slurm's partition")
    submit.add_argument("--account", help="Slurm's account")
    submit.add_argument(
        "--time", help="limit of one task, such as 4:00:00; it saves before and goes on after"
    )
    submit.add_argument(
        "--at_once", type=count, default=0, help="shards that run at a time (0: all)"
    )
    submit.add_argument(
        "--max_restarts", type=count, default=3, help="of a shard that failed (3); pauses are free"
    )
    submit.add_argument(
        "--sbatch",
        action="append",
        default=[],
        metavar="OPTION",
        help="any other option of sbatch, such as --sbatch=--mem=64G; may be repeated",
    )
    submit.add_argument("--dry_run", action="store_true", help="print all, run nothing")
    submit.set_defaults(call=_submit)
    for name, call, text in (
        ("status", _status, "how far every shard is"),
        ("resume", _resume, "queue again what is neither done nor queued, and gather after it"),
        ("gather", _gather, "queue the gathering now, whatever is missing"),
        ("cancel", _cancel, "take all of it out of the queue; what is done stays"),
    ):
        parser = commands.add_parser(name, help=text)
        parser.add_argument("--out", required=True, metavar="DIR", help="as it was submitted")
        if call is not _status:
            parser.add_argument("--dry_run", action="store_true", help="print all, run nothing")
        parser.set_defaults(call=call)


def _submit(options: argparse.Namespace) -> None:
    if "://" in options.out:
        raise UserError(f"--out={options.out}: Slurm's nodes need a folder that all of them see")
    out = Path(here(options.out))
    if (out / FILE).exists():
        raise UserError(f"--out={out}: holds a submission; see its status, resume it, or choose "
                        "another folder")  # fmt: skip
    command = Command.of(options.experiment)
    settings = {"accelerator": options.accelerator, "max_restarts": options.max_restarts}
    settings |= {"at_once": options.at_once, "sbatch": _sbatch_options(options)}
    processes = options.hosts * _processes_per_host(options.accelerator, options.hosts)
    submission = Submission(command, here("."), options.shards, options.hosts, processes, settings)
    command.check(str(batch.workdir(out)), processes > 1)
    _queue(out, submission, range(options.shards), options.dry_run)


def _status(options: argparse.Namespace) -> None:
    out = Path(here(options.out))
    submission = load(out)
    done, queued = finished(batch.workdir(out), submission), {}
    unqueued = ""  # what it means not to be in the queue, where we know
    try:
        queued = _queued(submission)
    except UserError as error:
        unqueued = "not done"
        print(f"no queue to ask ({error}); by the run directories:")
    states = []
    for shard in range(submission.shards):
        state = "done" if shard in done else queued.get(str(shard), unqueued or _ended(out, shard))
        states.append(state if state == unqueued else state.split()[0])
        print(f"{shard}/{submission.shards}", state, *_failures(out, shard))
    print("gather", queued.get("gather", "not queued"), *_failures(out, "gather"))
    print(", ".join(f"{states.count(state)} {state}" for state in sorted(set(states))))


def _resume(options: argparse.Namespace) -> None:
    out = Path(here(options.out))
    submission = load(out)
    done, queued = finished(batch.workdir(out), submission), _queued(submission)
    missing = [
        shard
        for shard in range(submission.shards)
        if shard not in done and str(shard) not in queued
    ]
    print(f"{len(done)} of {submission.shards} shards are done, {len(missing)} to be queued again")
    if not missing and "gather" in queued:
        return
    if "gather" in queued:
        _do(["scancel", submission.gather], options.dry_run)
    again: list[int | str] = [*missing, "gather"]
    for name in () if options.dry_run else again:
        _failures_file(out, name).unlink(missing_ok=True)  # a new start, with all its restarts
    _queue(out, submission, missing, options.dry_run)


def _gather(options: argparse.Namespace) -> None:
    out = Path(here(options.out))
    _queue_gather(out, load(out), [], options.dry_run)


def _cancel(options: argparse.Namespace) -> None:
    submission = load(Path(here(options.out)))
    jobs = [*(job for job, _ in submission.jobs), submission.gather]
    if queued := [job for job in jobs if job in _job_ids()]:
        _do(["scancel", *queued], options.dry_run)


def _queue(out: Path, submission: Submission, shards: Sequence[int], dry_run: bool) -> None:
    """Queues some shards, where there are any, and a gathering after all that is queued."""
    _write(out, "shard.sh", batch.shard_script(out, submission), dry_run)
    _write(out, "gather.sh", batch.gather_script(out, submission), dry_run)
    after = [job for job, _ in submission.jobs if job in _job_ids()] if submission.jobs else []
    if shards:
        limit = submission.settings["at_once"]
        indices = _ranges(shards) + (f"%{limit}" if limit else "")
        options = [f"--array={indices}", f"--output={_log(out, '%a')}"]
        job = _sbatch(out, submission, options, "shard.sh", dry_run)
        submission = replace(submission, jobs=(*submission.jobs, (job, tuple(shards))))
        after.append(job)
        if not dry_run:
            save(out, submission)
            print(f"job {job}: {len(shards)} shards")
    _queue_gather(out, submission, after, dry_run)


def _queue_gather(out: Path, submission: Submission, after: list[str], dry_run: bool) -> None:
    options = [f"--output={_log(out, 'gather')}"]
    # After any end of them: what is missing is named, and resume trains it.
    options += [f"--dependency=afterany:{':'.join(after)}"] if after else []
    job = _sbatch(out, submission, options, "gather.sh", dry_run)
    if not dry_run:
        save(out, replace(submission, gather=job))
        print(f"job {job}: gathers" + " when they have ended" * bool(after))
        print("status: ", line(["python", "launch/slurm.py", "status", f"--out={out}"]))


def _sbatch(out: Path, submission: Submission, more: list[str], script: str, dry_run: bool) -> str:
    settings = submission.settings
    command = ["sbatch", "--parsable", f"--job-name={out.name}", *more]
    command += [f"--chdir={submission.directory}", f"--nodes={submission.hosts}"]
    command += [f"--ntasks-per-node={submission.processes // submission.hosts}"]
    # SIGTERM comes two minutes before the time limit, to all processes of the step.
    command += ["--requeue", "--open-mode=append", "--signal=TERM@120"]
    command += [f"--gres={settings['accelerator']}"] if settings["accelerator"] else []
    command += [*settings["sbatch"], str(batch.folder(out) / script)]
    if dry_run:
        print("$", line(command))
        return "JOB"
    # With another cluster's name after a semicolon, where there are several.
    return ask(*command).strip().split(";")[0]


def _do(command: list[str], dry_run: bool) -> None:
    print("$", line(command))
    if not dry_run:
        ask(*command)


def _write(out: Path, name: str, script: str, dry_run: bool) -> None:
    path = batch.folder(out) / name
    if dry_run:
        print(f"# {path}\n{script}")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, script)
    except OSError as error:
        raise UserError(f"--out={out}: {error.strerror or error}") from error


def _sbatch_options(options: argparse.Namespace) -> list[str]:
    named = {"partition": options.partition, "account": options.account, "time": options.time}
    return [f"--{name}={value}" for name, value in named.items() if value] + options.sbatch


def _processes_per_host(accelerator: str, hosts: int) -> int:
    """One, or for a group on GPUs one per GPU: JAX under Slurm gives each process one of them.

    Each sees all GPUs of its machine and takes the one of its local rank; a single process on
    several machines' GPUs would use the first of each only.
    """
    if not accelerator:
        return 1
    match = re.fullmatch(r"(\w+)(?::[\w.-]+?)??(?::(\d+))?", accelerator)
    if match is None or match[2] == "0":
        raise UserError(f"--accelerator={accelerator}: write it like gpu:1 or gpu:a100:8")
    return int(match[2] or 1) if hosts > 1 and match[1] == "gpu" else 1


def _queued(submission: Submission) -> dict[str, str]:
    """State and node or reason of every shard in the queue, and of "gather"."""
    jobs, found = {job for job, _ in submission.jobs}, {}
    for array, index, state, where in _queue_lines():
        if array in jobs:
            found[index] = f"{_WORDS.get(state, state.lower())} {where}"
        elif array == submission.gather:
            found["gather"] = f"{_WORDS.get(state, state.lower())} {where}"
    return found


_WORDS = {"PENDING": "queued", "CONFIGURING": "queued", "REQUEUED": "queued"}


def _job_ids() -> set[str]:
    return {array for array, *_ in _queue_lines()}


def _queue_lines() -> list[list[str]]:
    """Array's id, index, state and place of every task of this user in the queue."""
    text = ask("squeue", "--me", "--array", "--noheader", "--format=%F|%K|%T|%R")
    return [entry.split("|", 3) for entry in text.splitlines()]


def _ended(out: Path, shard: int) -> str:
    return "failed" if _log(out, str(shard), escaped=False).exists() else "lost"


def _failures_file(out: Path, name: int | str) -> Path:
    return batch.folder(out) / f"failures-{name}.txt"


def _failures(out: Path, name: int | str) -> list[str]:
    try:
        lines = _failures_file(out, name).read_text().splitlines()
    except OSError:
        return []
    log = _log(out, str(name), escaped=False)
    return [f"failed {len(lines)} times, last {lines[-1]}; see {log}"]


def _log(out: Path, name: str, escaped: bool = True) -> Path:
    """A log; sbatch reads a % in a path as the start of a pattern."""
    there = str(batch.folder(out))
    return Path(there.replace("%", "%%") if escaped else there) / f"log-{name}.txt"


def _ranges(shards: Sequence[int]) -> str:
    """The shards as Slurm writes them: `0-3,7`."""
    runs: list[list[int]] = []
    for shard in shards:
        if runs and shard == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], shard]
        else:
            runs.append([shard])
    return ",".join("-".join(map(str, pair)) for pair in runs)


if __name__ == "__main__":
    sys.exit(run("slurm.py", __doc__, None, _build))
