"""How the processes of a group share a sweep: over one mesh, or each a part of its cells.

Whichever it is, the run directory is the first process's. The others go by a private copy of it:
all that an experiment reads and writes after training is there, and nobody has to know.
"""

import dataclasses
import tempfile
from pathlib import Path

from minima.record.remote import is_url
from minima.record.shards import Shard
from minima.runtime import processes
from minima.runtime.transfers import copy_from_first
from minima.sweep.config import SweepConfig

# Of a run directory, what the others don't need: it is large, or this process's own affair.
LEFT_OUT = frozenset({"checkpoints", "shards", "tensorboard", "figures", "lock", "log.txt"})

_private: list[tempfile.TemporaryDirectory] = []


def join(config: SweepConfig) -> SweepConfig:
    """Joins the group that --multihost asks for; the config as this process goes by it.

    Raises:
      UserError: see `processes.join`.
    """
    if not config.processes.multihost:
        return config
    group = processes.join(lockstep=config.engine.mesh is not None)
    shard = config.processes.shard
    if shard is not None and not group.lockstep:
        finer = part_of(shard)
        return _with(config, processes={"shard": finer})
    if group.is_first or group.count == 1:
        return config
    workdir, trunk = private_folder() / "runs", config.branch.branch_from
    if trunk and not is_url(trunk) and private_folder() not in Path(trunk).parents:
        trunk = str(private_folder() / "trunks" / Path(trunk).name)
    # ...
    return config
