"""One run on a slice of Cloud TPU VMs, by three gcloud commands: queue the slice, start, delete.

Nothing watches the slice and nothing is tried again: a sweep over spot slices belongs on GKE. Every
command takes the same flags; `submit` says which comes next.
"""

import argparse
import re
import shlex
import subprocess
import sys

import tpu
from command import Command, line, run
from minima.runtime.errors import UserError


def _build(commands: argparse._SubParsersAction) -> None:
    for name, call, text in (
        ("submit", _submit, "queue the slice: ... -- SCRIPT FLAGS"),
        ("status", _status, "how the queued slice stands"),
        ("start", _start, "run the experiment on all its hosts, once it is ACTIVE"),
        ("delete", _delete, "give the slice back; only then it costs nothing"),
    ):
        parser = commands.add_parser(name, help=text)
        parser.add_argument("--name", required=True, help="of the queued resource and its node")
        parser.add_argument("--zone", required=True, help="Google Cloud's zone")
        parser.add_argument("--project", help="Google Cloud's project; default: gcloud's own")
        parser.add_argument("--dry_run", action="store_true", help="print all, run nothing")
        if name in ("submit", "start"):
            parser.add_argument("--accelerator", required=True, help="such as v5e-8 or v6e-16")
            parser.add_argument("--out", required=True, metavar="gs://…", help="of the results")
            parser.add_argument("--spot", action="store_true", help="cheaper, and may be taken")
            parser.add_argument("--service_account", help="of the hosts, for the bucket")
            parser.add_argument(
                "--directory", default="minima", help="of this repository on the hosts (minima)"
            )
        parser.set_defaults(call=call)


def _submit(options: argparse.Namespace) -> int:
    command = _command(options)
    command.check(_workdir(options), multihost=True)
    code = _do(_create(options), options.dry_run)
    if code:
        return code
    print("# when status says ACTIVE:" if not options.dry_run else "# then:")
    if options.dry_run:
        print("$", line(_ssh(options, command)))
    else:
        print("$", line(["python", "launch/tpu_vm.py", "start", *sys.argv[2:]]))
    print("# and in the end:")
    print("$", line(_give_back(options)))
    return 0


def _start(options: argparse.Namespace) -> int:
    return _do(_ssh(options, _command(options)), options.dry_run)


def _status(options: argparse.Namespace) -> int:
    form = "--format=value(state.state)"
    return _do(
        _gcloud(options, "queued-resources", "describe", options.name, form), options.dry_run
    )


def _delete(options: argparse.Namespace) -> int:
    return _do(_give_back(options), options.dry_run)


def _create(options: argparse.Namespace) -> list[str]:
    part = tpu.parse(options.accelerator)
    flags = [f"--node-id={options.name}", f"--accelerator-type={part.accelerator_type}"]
    flags += [f"--runtime-version={part.generation.runtime_version}"]
    flags += ["--spot"] if options.spot else []
    flags += [f"--service-account={options.service_account}"] if options.service_account else []
    return _gcloud(options, "queued-resources", "create", options.name, *flags)


def _ssh(options: argparse.Namespace, command: Command) -> list[str]:
    # gcloud hands the text to a shell on every host, so each word is quoted for one.
    words = [".venv/bin/python", *command.arguments(_workdir(options), multihost=True)]
    text = f"cd {shlex.quote(options.directory)} && {shlex.join(words)}"
    return _gcloud(options, "tpu-vm", "ssh", options.name, "--worker=all", f"--command={text}")


def _give_back(options: argparse.Namespace) -> list[str]:
    # With the node itself, and without a question.
    return _gcloud(options, "queued-resources", "delete", options.name, "--force", "--quiet")


def _gcloud(options: argparse.Namespace, *words: str) -> list[str]:
    place = [f"--zone={options.zone}"]
    place += [f"--project={options.project}"] if options.project else []
    return ["gcloud", "compute", "tpus", *words, *place]


def _command(options: argparse.Namespace) -> Command:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,60}", options.name):
        raise UserError(f"--name={options.name}: use small letters, digits and dashes")
    if not re.match(r"\w+://.", options.out):
        raise UserError(f"--out={options.out}: hosts share no disk; use a bucket, such as gs://…")
    return Command.of(options.experiment, moves=True)


def _workdir(options: argparse.Namespace) -> str:
    return f"{options.out.rstrip('/')}/runs"


def _do(command: list[str], dry_run: bool) -> int:
    print("$", line(command), flush=True)
    if dry_run:
        return 0
    try:
        return subprocess.call(command)
    except FileNotFoundError:
        raise UserError(f"{command[0]}: not on the PATH of this machine") from None


if __name__ == "__main__":
    sys.exit(run("tpu_vm.py", __doc__, None, _build))
