"""The functional face of every model: `init(key) -> params`, `apply(params, inputs, noise)`.

Models are written as `flax.nnx` modules and split once. What the engine sees is a pure pytree of
arrays and two pure functions, so that only jax.jit, grad, vmap and scan ever touch state.
"""

import difflib
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from minima.runtime.errors import UserError
from minima.tasks.models.cnn import CNN
from minima.tasks.models.layers import Noise
from minima.tasks.models.mlp import MLP

Params = Any  # a pytree of floating arrays


@dataclass(frozen=True)
class Architecture:
    """One entry of `--model`.

    Attributes:
      build: (input_shape, num_classes, dtype=, rngs=) -> nnx module.
      kinds: the dataset kinds it reads ("image", "signal", "vector").
      overhead: what a micro-step costs beside its examples (stream, accumulation, update), in
        examples; measured on a CPU core. The plan weighs it against padding.
      image_size: images are averaged down to this many pixels a side before training; None leaves
        them as they are.
      least_size: images need this many pixels a side; its poolings leave nothing of smaller ones.
    """

    build: Callable[..., nnx.Module]
    kinds: tuple[str, ...]
    overhead: float = 1
    image_size: int | None = None
    least_size: int = 1


ARCHITECTURES = {
    "mlp": Architecture(
        functools.partial(MLP, width=128, depth=1), ("image", "signal", "vector"), overhead=12
    ),
    "cnn": Architecture(
        functools.partial(CNN, channels=(16, 32), width=64), ("image",), least_size=4
    ),
    "cnn_small": Architecture(
        functools.partial(CNN, channels=(8, 16), width=32), ("image",), image_size=14, least_size=4
    ),
}


def architecture(name: str) -> Architecture:
    """The entry of `--model=name`; raises UserError with the nearest name otherwise."""
    if name not in ARCHITECTURES:
        near = difflib.get_close_matches(name, ARCHITECTURES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"--model={name}: not one of {', '.join(ARCHITECTURES)}{hint}")
    return ARCHITECTURES[name]


@dataclass(frozen=True)
class Model:
    """A model for one input shape, one number of classes and one dtype. Hashable, static under jit.

    Attributes:
      name: its `--model` name.
      input_shape: shape of one example.
      num_classes: number of logits.
      dtype: "float32" or "float64", of parameters and computation.
    """

    name: str
    input_shape: tuple[int, ...]
    num_classes: int
    dtype: str = "float32"

    def _module(self, key: jax.Array) -> nnx.Module:
        build = architecture(self.name).build
        dtype = jnp.dtype(self.dtype)
        return build(self.input_shape, self.num_classes, dtype=dtype, rngs=nnx.Rngs(params=key))

    @functools.cached_property
    def _graphdef(self) -> nnx.GraphDef:
        return nnx.split(nnx.eval_shape(lambda: self._module(jax.random.key(0))))[0]

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters, a nested dict of arrays, from one PRNG key."""
        return nnx.to_pure_dict(nnx.split(self._module(key), nnx.Param)[1])

    def apply(self, params: Params, inputs: jax.Array, noise: Noise | None = None) -> jax.Array:
        """Logits (n, num_classes) of normalised inputs (n, *input_shape).

        `noise` makes it a training pass (dropout); None is evaluation.
        """
        module = nnx.merge(self._graphdef, nnx.State(params), copy=True)
        return module(inputs, noise)

    def count_parameters(self) -> int:
        """Number of trainable scalars."""
        shapes = jax.eval_shape(self.init, jax.random.key(0))
        return sum(leaf.size for leaf in jax.tree.leaves(shapes))
