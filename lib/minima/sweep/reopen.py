"""The plan of a run that is on disk, to train its cells again or to look at its minima."""

import dataclasses

import jax

from minima.record.results import Run
from minima.runtime import compilation, devices
from minima.runtime.axes import parse_axes
from minima.runtime.errors import UserError
from minima.sweep.config import SweepConfig
from minima.sweep.plan import Plan, load_task, make_plan


def reopen(run: Run) -> Plan:
    """What a run was planned to do, on its own data; sets JAX up as its training did.

    Raises:
      UserError: the run had not begun, or its data have changed.
    """
    pinned = run.info.get("resolved")
    if pinned is None:
        raise UserError(f"{run.path}: stopped before anything was trained; run it again first")
    config, axes = SweepConfig.from_identity(run.config), parse_axes(pinned.get("mesh", ""))
    devices.configure(config.training.dtype, axes.size if axes else pinned["devices"])
    if axes and axes.size <= jax.device_count():  # elsewhere, one device will do
        sharded = pinned["fully_sharded"]
        engine = dataclasses.replace(config.engine, mesh=axes, fully_sharded=sharded)
        config = dataclasses.replace(config, engine=engine)
    compilation.use_compilation_cache()
    task, dataset = load_task(config)
    if dataset.checksum != run.config["data_sha256"]:
        raise UserError(
            f"--dataset={config.task.dataset}: the data are not those of {run.path} (another "
            "sha256); restore the file that was trained on"
        )
    return make_plan(config, task, dataset, pinned)
