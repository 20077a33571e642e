"""Which axis of which parameter lies over a mesh: one table for all models, by parameter path.

Tensor parallelism as in Megatron-LM (Shoeybi et al. 2019, arXiv:1909.08053): of two dense layers in
a row, the first is cut by columns, so that each device has its own hidden units, the second by
rows, so that one sum over devices gives the output. Whatever the table says, numbers are those of
one device: XLA partitions the program by it (GSPMD) and adds the communication.

Fully sharded (ZeRO, Rajbhandari et al. 2020, arXiv:1910.02054): parameters, and with them gradients
and the optimiser's state, are also cut over the data axis, and gathered where they are used.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax

from minima.runtime.axes import Axes
from minima.runtime.mesh import DATA, MODEL, traced_axes

Params = Any  # a pytree of arrays, or of their shapes
Path = tuple[str, ...]

# The first pattern that matches a whole path decides which dimension, counted from the last, the
# model axis cuts; what none matches stays whole, as does a dimension that it does not divide.
# Embeddings and read-outs, small here, stay whole too: XLA spreads a cut to its neighbours, and a
# norm or a scan over time would then need a sum over devices.
_COLUMNS, _ROWS = 1, 2
RULES = (
    # Transformer blocks; what is between them is whole on every device.
    (r"blocks/\d+/(qkv|wide)/(kernel|bias)", _COLUMNS),
    (r"blocks/\d+/(attended|narrow)/kernel", _ROWS),
    # Perceptrons: layers take turns.
    (r"hidden/\d*[02468]/(kernel|bias)", _COLUMNS),
    (r"hidden/\d*[13579]/kernel", _ROWS),
    # CNNs: the dense layer; convolutions are small.
    (r"dense/(kernel|bias)", _COLUMNS),
    # Recurrent layers: the product with all inputs, outside the scan; that with the state stays
    # whole, since cutting it would cost a sum over devices at every time step.
    (r"layers/\d+/\d+/inputs/kernel", _ROWS),
)


@dataclass(frozen=True)
class Cut:
    """How one parameter lies.

    Attributes:
      shape: of the whole.
      spec: which mesh axis cuts which dimension.
      whole: the table would have the model axis cut it, which does not divide it.
    """

    shape: tuple[int, ...]
    spec: jax.sharding.PartitionSpec
    whole: bool = False

    def held(self, axes: Axes) -> int:
        """Numbers of it on each device of a mesh of that shape."""
        sizes = {DATA: axes.data, MODEL: axes.model}
        return math.prod(self.shape) // math.prod(sizes[axis] for axis in self.spec if axis)


def cuts(params: Params, axes: Axes, fully_sharded: bool = False) -> dict[Path, Cut]:
    """How every parameter lies over a mesh, by its path.

    With `fully_sharded`, the data axis cuts the largest of the dimensions that are left and that it
    divides; of biases and other vectors, which weigh nothing, none.
    """
    return {path: _cut(path, leaf.shape, axes, fully_sharded) for path, leaf in _leaves(params)}


def _cut(path: Path, shape: tuple[int, ...], axes: Axes, fully_sharded: bool) -> Cut:
    spec: list[str | None] = [None] * len(shape)
    dimension, whole = _ruled(path, len(shape)), False
    if dimension is not None and axes.model > 1:
        whole = shape[dimension] % axes.model > 0
        spec[dimension] = None if whole else MODEL
    if fully_sharded and axes.data > 1 and len(shape) > 1:
        free = [d for d, axis in enumerate(spec) if not axis and shape[d] % axes.data == 0]
        if free:
            spec[max(free, key=lambda d: shape[d])] = DATA
    return Cut(shape, jax.P(*spec), whole)


def _ruled(path: Path, dimensions: int) -> int | None:
    for pattern, from_last in RULES:
        if re.fullmatch(pattern, "/".join(path)) and from_last <= dimensions:
            return dimensions - from_last
    return None


def names(path: tuple[Any, ...]) -> Path:
    """A path of `jax.tree_util` in words: keys, attributes and places in a sequence."""
    return tuple(jax.tree_util.keystr((key,), simple=True) for key in path)


def _leaves(params: Params) -> Iterator[tuple[Path, Any]]:
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        yield names(path), leaf


def gathered(params: Params) -> Params:
    """Parameters as a network uses them: cut over the model axis alone.

    What the data axis cuts is put together here; the gradient goes the other way, a sum over
    examples that each device keeps its part of. Does nothing unless traced under a mesh.
    """
    axes = traced_axes()
    if axes.size == 1:
        return params

    def one(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
        cut = _cut(names(path), leaf.shape, axes, fully_sharded=False)
        return jax.lax.with_sharding_constraint(leaf, cut.spec)

    return jax.tree_util.tree_map_with_path(one, params)
