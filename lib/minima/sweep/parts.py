"""How the processes of a group share a sweep: over one mesh, or each a part of its cells.

Whichever it is, the run directory is the first process's. The others go by a private copy of it:
what an experiment reads and writes after training is there, and nobody has to know.
"""

import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minima.record import gather, mirrored
from minima.record.remote import Unreachable, is_url
from minima.record.run_directory import flat
from minima.record.shards import Shard
from minima.record.weight_files import SUFFIXES
from minima.runtime import processes
from minima.runtime.errors import UserError
from minima.runtime.interrupts import STOPPED_AND_SAVED, StopRequest
from minima.runtime.transfers import copy_from_first
from minima.sweep.config import SweepConfig

if TYPE_CHECKING:
    from minima.sweep.run import Prepared

# What the others don't need of a run: it is large, or this process's own affair.
_LEFT_OUT = frozenset({"checkpoints", "shards", "tensorboard", "figures", "lock", "log.txt"})

_PLACES = ("branch.branch_from:", "branch.initial_weights:")  # of a run, which may differ

_folders: list[tempfile.TemporaryDirectory] = []  # of this process; gone when it ends


def join(config: SweepConfig) -> SweepConfig:
    """Joins the group that --multihost asks for; the config as this process goes by it.

    Raises:
      UserError: see `processes.join`.
    """
    if not config.processes.multihost:
        return config
    group = processes.join(lockstep=config.engine.mesh is not None)
    if config.processes.shard is not None and not group.lockstep:
        own = dataclasses.replace(config.processes, shard=_own_part(config.processes.shard))
        return dataclasses.replace(config, processes=own)  # a shard like any other
    config = _with_trunk(config)
    if group.is_first:
        return config
    workdir = str(_private_folder() / "runs")
    record = dataclasses.replace(config.record, workdir=workdir, tensorboard=False)
    return dataclasses.replace(config, record=record)


def check_same(own: dict[str, Any], first: dict[str, Any]) -> None:
    """Refuses, in all processes, to train what isn't the same in all.

    Args:
      own, first: identities (see `run.Prepared`), this process's and the first one's.

    Raises:
      UserError: names what differs; where the trunk lies may.
    """
    mine, firsts = (flat(json.loads(json.dumps(each))) for each in (own, first))
    unlike = [n for n in sorted({*mine, *firsts}) if repr(mine.get(n)) != repr(firsts.get(n))]
    words = [f"{n}: {mine.get(n)!r}, and {firsts.get(n)!r} in the first process" for n in unlike]
    words = [word for word in words if not word.startswith(_PLACES)]
    for index, word in enumerate(processes.meet(words[0] if words else "", StopRequest())):
        if word:
            raise UserError(
                f"--multihost: process {index} has {word}; start the same command on the same data "
                "everywhere"
            )


def cpu_devices(config: SweepConfig) -> int:
    """Devices that this process makes of its CPU: its share of a mesh; 0 for one per core."""
    mesh, group = config.engine.mesh, processes.group()
    return mesh.size // group.count if mesh else config.engine.devices


def is_split(prepared: "Prepared") -> bool:
    """Whether every process of the group is to train a part of this sweep."""
    group = processes.group()
    return group.count > 1 and not group.lockstep and prepared.shard is None


def split(prepared: "Prepared", workdir: str, train: Callable[["Prepared"], int]) -> int:
    """Trains this process's part of a sweep, and has the first put all of them together.

    Args:
      prepared: the whole sweep.
      workdir: the first process's, which all of them see.
      train: trains what it is given and returns an exit code.

    Returns:
      The exit code of the sweep, the same in all processes.

    Raises:
      UserError: the first process does not see what others have written.
    """
    part = _part(prepared, workdir)
    with processes.stop_request() as stop:
        code = max(train(part), _let_go(part.directory))
        codes = [int(word) for word in processes.meet(str(code), stop)]

    def put_together() -> int:
        found = gather.gather(prepared.whole_place)
        if any(codes):
            return max(codes)
        if not found.complete and is_url(workdir):  # some of it is not up there yet
            print(
                f"error: {workdir}: cells are missing; start the same command again",
                file=sys.stderr,
            )
            return STOPPED_AND_SAVED
        if not found.complete:
            raise UserError(
                f"--workdir={workdir}: the first process does not see what the others wrote there; "
                "with --multihost and no --mesh use a folder that all hosts share, or a URL"
            )
        return train(prepared)

    code = processes.from_first(put_together)
    share(prepared.whole)
    return code


def _let_go(directory: Path) -> int:
    """Where the others look for it on a store: has all of it up and ends its lease; exit code."""
    try:
        mirrored.finish(directory)
    except Unreachable as error:
        print(f"error: {error}", file=sys.stderr)
        return STOPPED_AND_SAVED
    return 0


def share(directory: Path) -> None:
    """Brings the others' private copies of a run up to the first process's."""
    copy_from_first(directory, directory, _LEFT_OUT)


def _part(prepared: "Prepared", workdir: str) -> "Prepared":
    config = prepared.plan.config
    own = dataclasses.replace(config.processes, shard=_own_part(Shard(0, 1)))
    record = dataclasses.replace(config.record, workdir=workdir)
    config = dataclasses.replace(config, processes=own, record=record)
    return dataclasses.replace(prepared, plan=dataclasses.replace(prepared.plan, config=config))


def _own_part(shard: Shard) -> Shard:
    """This process's part of the group's shard."""
    group = processes.group()
    return Shard(shard.index * group.count + group.index, shard.count * group.count)


def _with_trunk(config: SweepConfig) -> SweepConfig:
    """The same, with a trunk that is here even where hosts share no folders."""
    for name in ("branch_from", "initial_weights"):
        config = _with_run(config, name)
    return config


def _with_run(config: SweepConfig, name: str) -> SweepConfig:
    trunk = getattr(config.branch, name)
    if not trunk or is_url(trunk) or Path(trunk).suffix in SUFFIXES:
        return config
    seen = processes.meet("seen" if Path(trunk).exists() else "", StopRequest())
    if all(seen[1:]):
        return config
    target = _private_folder() / name
    copy_from_first(Path(trunk), target, _LEFT_OUT)
    if processes.group().is_first:
        return config
    own: dict[str, Any] = {name: str(target)}
    branch = dataclasses.replace(config.branch, **own)
    return dataclasses.replace(config, branch=branch)


def _private_folder() -> Path:
    if not _folders:
        _folders.append(tempfile.TemporaryDirectory(prefix="minima-", ignore_cleanup_errors=True))
    return Path(_folders[0].name)
