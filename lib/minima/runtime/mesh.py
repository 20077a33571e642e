"""One cell over many devices: a mesh with an axis for examples and an axis for parameters.

Programs are written for one device and partitioned by XLA (GSPMD): arrays carry their shardings in
and out, and what happens between follows from them. Where a program needs to say more, it asks the
mesh that it is traced under (`jax.set_mesh`); without one, everything here does nothing, so that
what calls it never has to know.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from minima.runtime.axes import Axes

DATA, MODEL = "data", "model"


def make(axes: Axes) -> jax.sharding.Mesh:
    """A mesh over the first devices; both axes are there, also where one has a single device.

    Raises:
      ValueError: there are fewer devices.
    """
    devices = jax.devices()
    if axes.size > len(devices):
        raise ValueError(f"{axes.size} devices are wanted, {len(devices)} are there")
    auto = (jax.sharding.AxisType.Auto,) * 2
    shape = (axes.data, axes.model)
    return jax.make_mesh(shape, (DATA, MODEL), axis_types=auto, devices=devices[: axes.size])


def abstract(axes: Axes) -> jax.sharding.AbstractMesh:
    """A mesh of that shape over no devices: enough to know the shapes of shards."""
    auto = (jax.sharding.AxisType.Auto,) * 2
    return jax.sharding.AbstractMesh((axes.data, axes.model), (DATA, MODEL), axis_types=auto)


def traced_axes() -> Axes:
    """The shape of the mesh that is traced under; of one device where there is none."""
    shape = jax.sharding.get_abstract_mesh().shape
    return Axes(shape.get(DATA, 1), shape.get(MODEL, 1))


def padded(count: int) -> int:
    """The least number of examples from `count` on that the data axis divides evenly."""
    return -(-count // traced_axes().data) * traced_axes().data


def spread(x: jax.Array) -> jax.Array:
    """x with its leading axis, of examples, spread over the data axis, where that divides it."""
    count = traced_axes().data
    if count == 1 or x.shape[0] % count:
        return x
    free = (jax.P.UNCONSTRAINED,) * (x.ndim - 1)
    return jax.lax.with_sharding_constraint(x, jax.P(DATA, *free))


def whole(x: jax.Array) -> jax.Array:
    """x whole on every device: for what is cheaper to compute everywhere than to talk about."""
    if traced_axes().size == 1:
        return x
    return jax.lax.with_sharding_constraint(x, jax.P())


def put(tree: Any, shardings: Any) -> Any:
    """Host values on devices, as `jax.device_put`; also where other processes own some of these.

    There every process passes the same values and keeps the shards of its own devices.

    Args:
      tree: arrays on the host.
      shardings: one for all, or a tree of the same structure.
    """
    if all(s.is_fully_addressable for s in jax.tree.leaves(shardings)):
        return jax.device_put(tree, shardings)
    if isinstance(shardings, jax.sharding.Sharding):
        shardings = jax.tree.map(lambda _: shardings, tree)

    def one(x: Any, sharding: jax.sharding.Sharding) -> jax.Array:
        x = np.asarray(x)
        return made(x.shape, sharding, lambda index: x[index])

    return jax.tree.map(one, tree, shardings)


def made(
    shape: tuple[int, ...], sharding: jax.sharding.Sharding, part: Callable[[Any], np.ndarray]
) -> jax.Array:
    """An array of which each process makes what its devices hold; `part` gets slices."""
    return jax.make_array_from_callback(shape, sharding, part)


def fetch(tree: Any) -> Any:
    """Whole arrays on the host, of numbers on devices; what is on the host already stays.

    Where shards lie with other processes, all must call it with the same tree: it gathers leaf by
    leaf, so that no device holds more than one of them whole.
    """
    return jax.device_get(jax.tree.map(_gathered, tree))


def _gathered(x: Any) -> Any:
    if not isinstance(x, jax.Array) or x.is_fully_addressable or x.is_fully_replicated:
        return x
    assert isinstance(x.sharding, jax.NamedSharding)
    return np.asarray(_replicate(x.sharding.mesh)(x))


@functools.lru_cache
def _replicate(mesh: Any) -> jax.stages.Wrapped:
    return jax.jit(lambda x: x, out_shardings=jax.NamedSharding(mesh, jax.P()))
