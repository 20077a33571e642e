"""Many small worlds side by side: one program, its lanes spread over this process's devices."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

_LANES = "lanes"


def simulate(world: Callable[[Any], Any], lanes: Any, block: int) -> Any:
    """What becomes of every world.

    Compiled once for a world, a block and a number of lanes; whatever lanes differ in is traced.

    Args:
      world: a pure JAX function of one lane, equal and hashable by value: a frozen dataclass.
      lanes: a tree of arrays (worlds, ...).
      block: worlds under one vmap; blocks of a device go one after another.

    Returns:
      A tree of NumPy arrays (worlds, ...).
    """
    lanes = jax.tree.map(np.asarray, lanes)
    count, devices = len(jax.tree.leaves(lanes)[0]), jax.local_devices()
    block = min(block, -(-count // len(devices)))
    width = block * len(devices)
    # The last world again, where the last block is not full.
    rows = np.minimum(np.arange(-(-count // width) * width), count - 1)
    padded = jax.tree.map(lambda values: values[rows], lanes)
    found = _program(world, block, tuple(devices))(padded)
    return jax.tree.map(lambda values: np.asarray(values)[:count], found)


@functools.lru_cache
def _program(
    world: Callable[[Any], Any], block: int, devices: tuple[jax.Device, ...]
) -> jax.stages.Wrapped:
    auto = (jax.sharding.AxisType.Auto,)
    mesh = jax.make_mesh((len(devices),), (_LANES,), axis_types=auto, devices=devices)

    def mine(lanes: Any) -> Any:
        blocks = jax.tree.map(lambda v: v.reshape(-1, block, *v.shape[1:]), lanes)
        found = jax.lax.map(jax.vmap(world), blocks)
        return jax.tree.map(lambda v: v.reshape(-1, *v.shape[2:]), found)

    split = jax.P(_LANES)
    mapped = jax.shard_map(mine, mesh=mesh, in_specs=split, out_specs=split, check_vma=False)
    return jax.jit(mapped)
