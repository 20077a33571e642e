"""Which devices there are, and the mesh over them. Call `configure` before any computation."""

import logging
import os

import jax

from minima.runtime.processes import group

_log = logging.getLogger(__name__)


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def configure(dtype: str = "float32", cpu_devices: int | None = None) -> None:
    """Settings that JAX reads once, before its backends start.

    On CPUs every core becomes a device of its own, so that lanes spread over cores the way they
    spread over accelerators. Has no effect on backends that already run.

    Args:
      dtype: "float64" switches 64-bit arithmetic on.
      cpu_devices: CPU devices to make; None for one per core.
    """
    if dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    try:
        jax.config.update("jax_num_cpu_devices", cpu_devices or cores())
    except RuntimeError:
        _log.debug("JAX's backends were already running; their devices are used as they are")


def available() -> list[jax.Device]:
    """The devices that programs of this process run on: those of all processes in lockstep."""
    return jax.devices() if group().lockstep else jax.local_devices()


def make_mesh(axis: str, count: int) -> jax.sharding.Mesh:
    """A mesh with one axis over the first `count` devices.

    Raises:
      ValueError: there are fewer devices.
    """
    devices = available()
    if count > len(devices):
        raise ValueError(f"{count} devices are wanted, {len(devices)} are there")
    auto = (jax.sharding.AxisType.Auto,)
    return jax.make_mesh((count,), (axis,), axis_types=auto, devices=devices[:count])


def memory_bytes() -> int | None:
    """The machine's memory, where devices are its CPUs; None on accelerators or if unknown."""
    if jax.default_backend() != "cpu" or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def description() -> dict[str, object]:
    """Platform, kind and number of devices, cores and processes, for run.json."""
    devices = available()
    return {
        "platform": devices[0].platform,
        "device_kind": devices[0].device_kind,
        "device_count": len(devices),
        "cores": cores(),
        "process_count": group().count,
    }
