"""How much of the error signal reaches each layer of a network that has not been trained yet.

The signal at a layer is the derivative of one example's loss by what goes into the layer's units.
A layer's bias is added there, so it is the example's gradient for the bias; of many examples the
root mean square of its norm is taken. (The gradient of a kernel is the signal times what came in,
and can stay the same where both change.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from minima.claims.evidence import Floats
from minima.record.kept import Kept
from minima.tasks.training_loss import training_loss
from parts.backpropagation.config import SignalConfig
from parts.backpropagation.families import Family, family

TANH, RELU, TANH_NORM = "tanh", "ReLU", "tanh, layer norm"
RELU_NORM, RESIDUAL = "ReLU, layer norm", "ReLU, residual"
_KINDS: dict[str, tuple[str, str, str]] = {  # model, activation, norm
    TANH: ("mlp", "tanh", "none"),
    TANH_NORM: ("mlp", "tanh", "layer"),
    RELU: ("mlp", "relu", "none"),
    RELU_NORM: ("mlp", "relu", "layer"),
    RESIDUAL: ("mlp_residual", "relu", "none"),
}
KINDS = tuple(_KINDS)


@dataclass(frozen=True)
class Signal:
    """The error signal in one kind of network of one depth.

    Attributes:
      kind: one of KINDS.
      norms: (seeds, depth), root mean squares over examples, first hidden layer first.
    """

    kind: str
    norms: Floats

    @property
    def depth(self) -> int:
        """Hidden layers."""
        return self.norms.shape[1]

    @property
    def lost(self) -> Floats:
        """(seeds,) halvings on the way from the last hidden layer to the first."""
        lost: Floats = np.log2(self.norms[:, -1] / self.norms[:, 0])
        return lost


def signals(config: SignalConfig, kept: Kept) -> list[Signal]:
    """Of every kind, at every depth."""
    found = []
    for kind in KINDS:
        for depth in config.depths:
            norms = kept.get(partial(_norms, kind, depth, config), signal=kind, depth=depth)
            found.append(Signal(kind, np.array(norms, np.float64)))
    return found


def of_kind(found: Sequence[Signal], kind: str) -> list[Signal]:
    """By rising depth."""
    return [signal for signal in found if signal.kind == kind]


def network(kind: str, depth: int, width: int) -> Family:
    """An MLP of a kind on MNIST-1D."""
    name, activation, norm = _KINDS[kind]
    how = {"width": width, "depth": depth, "activation": activation, "norm": norm}
    return family(kind, name, "mnist1d", **how)


def error_norms(family: Family, seeds: Sequence[int], examples: int) -> jax.Array:
    """(seeds, depth): the signal at each hidden layer."""
    loss = training_loss(family.model("float32"))
    inputs, labels = family.batch(examples, "float32")

    def of_seed(seed: jax.Array) -> jax.Array:
        params, state = family.model("float32").init(jax.random.key(seed))

        def of_example(biases: list[jax.Array], x: jax.Array, label: jax.Array) -> jax.Array:
            return loss(_with(params, biases), state, x[None], label[None])

        biases = [layer["bias"] for _, layer in sorted(params["hidden"].items())]
        slopes = jax.vmap(jax.grad(of_example), (None, 0, 0))(biases, inputs, labels)
        return jnp.sqrt(jnp.stack([jnp.mean(jnp.sum(g**2, axis=1)) for g in slopes]))

    return jax.jit(lambda seeds: jax.lax.map(of_seed, seeds))(jnp.array(seeds, jnp.int32))


def _norms(kind: str, depth: int, config: SignalConfig) -> Any:
    found = network(kind, depth, config.signal_width)
    return np.asarray(error_norms(found, config.seeds, config.signal_examples)).tolist()


def _with(params: Any, biases: Sequence[jax.Array]) -> Any:
    """The parameters, hidden biases replaced."""
    layers = zip(sorted(params["hidden"].items()), biases, strict=True)
    hidden = {number: {**layer, "bias": bias} for (number, layer), bias in layers}
    return {**params, "hidden": hidden}
