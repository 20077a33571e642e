"""Where a program's arrays lie: lanes over devices, or every lane over a mesh of data and model.

Which of the two, the mesh says. Lanes over devices is `jax.shard_map` without communication. One
lane over a mesh is the same functions as for one device, partitioned by XLA between arrays whose
shardings are given: parameters and everything that has their names and shapes (optimiser, gradient
sums, averages, best copies) as `tasks.models.sharding` has them, slabs of training examples by the
data axis, all else whole on every device.
"""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import jax

from minima.runtime import mesh as mesh_
from minima.runtime.axes import Axes
from minima.tasks.models import Model, sharding
from minima.tasks.models.sharding import Cut, Path

LANES = "lanes"


@dataclass(frozen=True)
class Placement:
    """Shardings of a program's arguments and results.

    Attributes:
      mesh: with one axis, LANES; or with the axes of `runtime.mesh`. It may be an abstract one.
      cuts: how each parameter lies over a mesh of data and model; None with lanes over devices.
    """

    mesh: Any
    cuts: dict[Path, Cut] | None

    @classmethod
    def on(cls, mesh: Any, model: Model, fully_sharded: bool = False) -> "Placement":
        """Of programs for a model on a mesh."""
        if LANES in mesh.axis_names:
            return cls(mesh, None)
        axes = Axes(mesh.shape[mesh_.DATA], mesh.shape[mesh_.MODEL])
        params = jax.eval_shape(model.init, jax.random.key(0))[0]
        return cls(mesh, sharding.cuts(params, axes, fully_sharded))

    @property
    def groups(self) -> int:
        """Parts into which lanes are split, each on devices of its own."""
        return self.mesh.size if self.cuts is None else 1

    @property
    def parts(self) -> int:
        """Parts into which a lane's examples are split."""
        return 1 if self.cuts is None else self.mesh.shape[mesh_.DATA]

    @property
    def everywhere(self) -> jax.NamedSharding:
        """Whole on every device."""
        return jax.NamedSharding(self.mesh, jax.P())

    def examples(self, axis: int) -> jax.NamedSharding:
        """Of arrays that all lanes share, whose `axis`-th dimension is of examples."""
        if self.cuts is None:
            return self.everywhere
        return jax.NamedSharding(self.mesh, jax.P(*[None] * axis, mesh_.DATA))

    def slab(self) -> jax.NamedSharding:
        """Of arrays (lanes, parts, ...)."""
        axes = (LANES,) if self.cuts is None else (None, mesh_.DATA)
        return jax.NamedSharding(self.mesh, jax.P(*axes))

    def stacked(self, tree: Any) -> Any:
        """Shardings of lanes, or of anything else whose leaves have a leading axis of lanes."""
        return jax.tree_util.tree_map_with_path(self._stacked, tree)

    def single(self, tree: Any) -> Any:
        """Shardings of what belongs to one lane, without that axis."""

        def one(path: tuple[Any, ...], leaf: Any) -> jax.NamedSharding:
            return jax.NamedSharding(self.mesh, self._spec(path, leaf.shape))

        return jax.tree_util.tree_map_with_path(one, tree)

    def _stacked(self, path: tuple[Any, ...], leaf: Any) -> jax.NamedSharding:
        if self.cuts is None:
            return jax.NamedSharding(self.mesh, jax.P(LANES))
        return jax.NamedSharding(self.mesh, jax.P(None, *self._spec(path, leaf.shape[1:])))

    def _spec(self, path: tuple[Any, ...], shape: tuple[int, ...]) -> jax.sharding.PartitionSpec:
        """That of the parameter whose path ends this one, if it has the same shape."""
        words = sharding.names(path)
        for begin in range(len(words)):
            cut = (self.cuts or {}).get(words[begin:])
            if cut is not None and cut.shape == shape:
                return cut.spec
        return jax.P()

    def tracing(self) -> AbstractContextManager:
        """What programs over the mesh are traced in."""
        return contextlib.nullcontext() if self.cuts is None else jax.set_mesh(self.mesh)

    def jit(
        self,
        function: Callable[..., Any],
        stacked: tuple[bool, ...],
        results: Any = None,
        **options: Any,
    ) -> jax.stages.Wrapped:
        """`jax.jit` of a function of lanes; to be traced in `tracing`.

        Args:
          function: of arguments that have a leading axis of lanes, those of a group, or belong to
            all lanes; everything it returns has the axis.
          stacked: for each argument, whether it has it.
          results: shardings of what it returns; whole on every device of a mesh by default.
          options: of `jax.jit`.
        """
        if self.cuts is not None:
            out = self.everywhere if results is None else results
            return jax.jit(function, out_shardings=out, **options)
        split, whole = jax.P(LANES), jax.P()
        ins = tuple(split if each else whole for each in stacked)
        mapped = jax.shard_map(
            function, mesh=self.mesh, in_specs=ins, out_specs=split, check_vma=False
        )
        return jax.jit(mapped, **options)
