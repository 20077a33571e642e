"""The functional face of every model: `init(key) -> variables`, `apply(variables, inputs)`.

Models are written as `flax.nnx` modules and split once. What the engine sees is a pure pytree of
arrays and two pure functions, so that only jax.jit, grad, vmap and scan ever touch state.
"""

import difflib
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from minima.runtime.errors import UserError
from minima.runtime.mesh import spread
from minima.tasks.models import mup, sharding, trainable
from minima.tasks.models.causal import CausalCNN
from minima.tasks.models.cnn import CNN, ResNet, SignalCNN
from minima.tasks.models.graph import GraphNetwork
from minima.tasks.models.hidden import watched
from minima.tasks.models.layers import ACTIVATIONS, Training
from minima.tasks.models.mlp import MLP
from minima.tasks.models.recurrent import Recurrent
from minima.tasks.models.settings import Settings
from minima.tasks.models.transformer import Transformer

Params = Any  # a pytree of floating arrays: what gradients are taken for
State = Any  # a pytree of arrays that training passes update: running statistics, or empty

_EVERY_NORM = ("none", "layer", "group", "batch", "ghost")
_ACTIVATIONS = tuple(ACTIVATIONS)


@dataclass(frozen=True)
class Architecture:
    """One entry of `--model`.

    Attributes:
      build: (settings, rngs=) -> nnx module.
      kinds: the dataset kinds it reads ("image", "signal", "vector", "tokens", "graph").
      width, depth: defaults of `--width` and `--depth`; 0 where there is nothing to choose.
      norms: what `--norm` may be; the first is the default.
      activations: what `--activation` may be; the first is the default. Empty where the model has
        its own.
      overhead: roughly what a micro-step costs beside its examples (stream, accumulation, update),
        in examples; the plan weighs it against padding. Estimated from `python -m minima probe` on
        a CPU core for mlp (15 to 25), cnn and cnn_small (1 to 4); 1 where nobody has measured.
      widest: the most examples of a micro-step on a CPU: activations of more leave a core's cache.
      image_size: images are averaged down to this many pixels a side before training; None leaves
        them as they are.
      least_size: images need this many pixels a side (for cnn1d, signals samples): its poolings,
        patches or strides leave nothing of smaller ones.
      width_multiple: widths must be a multiple of this (heads of an attention layer).
      language: can have a label at every position, as language models do.
      mup: has the maximal update parametrisation.
      attends: has attention, over the positions that an encoder makes of an input.
    """

    build: Callable[..., nnx.Module]
    kinds: tuple[str, ...]
    width: int
    depth: int = 1
    norms: tuple[str, ...] = ("none",)
    activations: tuple[str, ...] = ()
    overhead: float = 1
    widest: int = 256
    image_size: int | None = None
    least_size: int = 1
    width_multiple: int = 1
    language: bool = False
    mup: bool = False
    attends: bool = False


def _cnn(channels: tuple[int, ...], width: int, depth: int = 1, **options: Any) -> Architecture:
    build, least = functools.partial(CNN, channels=channels), 2 ** len(channels)
    options |= {"norms": _EVERY_NORM, "activations": _ACTIVATIONS, "least_size": least}
    return Architecture(build, ("image",), width, depth, **options)


def _recurrent(cell: str, **options: Any) -> Architecture:
    build = functools.partial(Recurrent, cell=cell, embedding=64, **options)
    return Architecture(build, ("image", "signal", "tokens", "graph"), 128, language=True)


_FLAT = ("image", "signal", "vector", "graph")

ARCHITECTURES = {
    "linear": Architecture(MLP, _FLAT, width=0, depth=0, overhead=16),
    "mlp": Architecture(
        MLP,
        _FLAT,
        width=128,
        norms=_EVERY_NORM,
        activations=_ACTIVATIONS,
        overhead=16,
        mup=True,
    ),
    "mlp_residual": Architecture(
        functools.partial(MLP, residual=True),
        _FLAT,
        width=100,
        depth=2,
        norms=_EVERY_NORM,
        activations=_ACTIVATIONS,
        overhead=16,
    ),
    "cnn": _cnn((16, 32), width=64, widest=16),
    "cnn_small": _cnn((8, 16), width=32, image_size=14),
    "vgg": _cnn((16, 32, 64), width=128, depth=2),
    "resnet": Architecture(ResNet, ("image",), 16, 1, ("batch", "none", "layer", "group", "ghost")),
    "cnn1d": Architecture(
        SignalCNN, ("signal",), width=25, depth=0, norms=_EVERY_NORM, least_size=3
    ),
    "cnn_causal": Architecture(
        CausalCNN, ("signal", "tokens"), 64, 4, norms=("layer", "none"), language=True
    ),
    "rnn": _recurrent("rnn"),
    "gru": _recurrent("gru"),
    "lstm": _recurrent("lstm"),
    "irnn": _recurrent("irnn"),
    "lstm_bias0": _recurrent("lstm", forget_bias=0.0),
    "gru_mnist1d": Architecture(
        functools.partial(Recurrent, cell="gru", embedding=0, bidirectional=True, flatten=True),
        ("signal",),
        width=6,
    ),
    "transformer": Architecture(
        Transformer,
        ("image", "signal", "tokens", "graph"),
        width=64,
        depth=2,
        norms=("layer", "none"),
        least_size=4,
        width_multiple=16,
        language=True,
        mup=True,
        attends=True,
    ),
    "gnn": Architecture(
        GraphNetwork,
        ("graph", "image", "signal"),
        width=32,
        depth=2,
        norms=("none", "layer"),
        language=True,
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
    """A model for one task. Hashable, static under jit.

    Attributes:
      name: its `--model` name.
      settings: the shape of the task, and width, depth, norm, positions, dtype.
      trainable: which parameters training moves, as `trainable.select` reads it.
    """

    name: str
    settings: Settings
    trainable: str = trainable.ALL

    @property
    def dtype(self) -> str:
        """ "float32" or "float64", of parameters, logits and whatever follows from them."""
        return self.settings.parameter_dtype

    @property
    def couples_examples(self) -> bool:
        """Whether an example's output depends on its whole batch: one program per batch size."""
        return self.settings.norm == "batch"

    def _module(self, key: jax.Array, dtype: str) -> nnx.Module:
        settings = replace(self.settings, parameter_dtype=dtype)
        return architecture(self.name).build(settings, rngs=nnx.Rngs(params=key))

    @functools.cached_property
    def _graphdef(self) -> nnx.GraphDef:
        """What computes: it has the dtype of computation, and takes parameters as they are."""
        dtype = self.settings.compute_dtype or self.dtype
        return nnx.split(nnx.eval_shape(lambda: self._module(jax.random.key(0), dtype)))[0]

    def init(self, key: jax.Array) -> tuple[Params, State]:
        """Fresh parameters and state, nested dicts of arrays, from one PRNG key."""
        module = self._module(key, self.dtype)
        params, state = nnx.state(module, nnx.Param), nnx.state(module, nnx.BatchStat)
        return mup.initial(self, nnx.to_pure_dict(params)), nnx.to_pure_dict(state)

    def apply(
        self, params: Params, state: State, inputs: jax.Array, training: Training | None = None
    ) -> tuple[jax.Array, State]:
        """Logits of prepared inputs (n, *input_shape), and the state after a training pass.

        Logits are (n, num_classes), or (n, length, num_classes) per position. Without
        `training` it is an evaluation, and the state comes back unchanged.
        """
        params, inputs = sharding.gathered(params), spread(inputs)  # these matter under a mesh only
        if training is not None:
            params = trainable.held(self, params)
        module = self.module(params, state)
        if training is not None:
            trainable.hold_statistics(self, module)
        narrow = self.settings.compute_dtype
        if narrow and jnp.issubdtype(inputs.dtype, jnp.floating):
            inputs = inputs.astype(narrow)
        logits = module(inputs, training)
        logits = logits.astype(self.dtype) if narrow else logits
        return logits, nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))

    def hidden(self, params: Params, state: State, inputs: jax.Array) -> tuple[jax.Array, ...]:
        """What every hidden layer makes of prepared inputs (n, *input_shape), in their order.

        Each is (n, ...), floating, after its activation and as an evaluation has it: layers of an
        MLP or a recurrent network, convolutions (after pooling) and dense layer of a CNN, stem and
        blocks of a residual network, blocks of a transformer; none for a linear model.
        """
        plain = replace(self, settings=replace(self.settings, remat=False))
        with watched() as layers:
            plain.apply(params, state, inputs)
        return tuple(layers)

    def module(self, params: Params, state: State) -> Any:
        """The nnx module with these parameters: for those who look into it."""
        return nnx.merge(self._graphdef, nnx.State(params), nnx.State(state), copy=True)

    def count_parameters(self) -> int:
        """Number of trainable scalars."""
        shapes = jax.eval_shape(self.init, jax.random.key(0))[0]
        return sum(leaf.size for leaf in jax.tree.leaves(shapes))
