"""Recurrent networks: tanh RNN, IRNN, GRU, LSTM.

The products with the inputs do not depend on the state, so they are taken for all time steps at
once, outside the scan; a step of the scan is one small product with the state (see `recurrence`).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from minima.tasks.models.layers import Training, dropout, lecun_normal, linear
from minima.tasks.models.precision import wide
from minima.tasks.models.recurrence import Carry, recur
from minima.tasks.models.remat import in_turn
from minima.tasks.models.sequence import Encoder
from minima.tasks.models.settings import Settings

_GATES = {"rnn": 1, "irnn": 1, "gru": 3, "lstm": 4}
# U(-1/√hidden, 1/√hidden), as in PyTorch. Not orthogonal: that takes a QR decomposition inside the
# program, and a batch of them under vmap hung on two CPU devices (jax 0.10.2).
_slight = jax.nn.initializers.normal(0.001)
_uniform = jax.nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class Layer(nnx.Module):
    """One recurrent layer, forwards or backwards in time.

    rnn: h' = tanh(Wx + Uh + b). irnn (Le et al. 2015, arXiv:1504.00941): h' = max(0, Wx + Uh + b),
    U from the identity and W from N(0, 0.001²), so that it begins as a sum that forgets nothing.
    gru (Cho et al. 2014, with the reset gate applied after the product, as in cuDNN):
    h' = (1 - z) n + z h, n = tanh(Wx + r (Uh + c)). lstm (Hochreiter & Schmidhuber 1997; Gers et
    al. 2000): c' = f c + i g, h' = o tanh(c'). Else W starts from N(0, 1/fan_in) and U from
    U(-1/√hidden, 1/√hidden); biases at zero, but the forget gate's
    at `forget_bias` (Jozefowicz et al. 2015).
    """

    def __init__(
        self,
        cell: str,
        features: int,
        hidden: int,
        *,
        backwards: bool = False,
        forget_bias: float = 1.0,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        """Builds the layer; `cell` is "rnn", "irnn", "gru" or "lstm"."""
        self.cell, self.hidden, self.backwards, self.dtype = cell, hidden, backwards, dtype
        gates, init = _GATES[cell], _slight if cell == "irnn" else lecun_normal
        self.inputs = linear(features, gates * hidden, dtype=dtype, rngs=rngs, init=init)
        if cell == "irnn":
            self.state = nnx.Param(jnp.eye(hidden, dtype=dtype))
            return
        keys = jax.random.split(rngs.params(), gates)
        blocks = [_uniform(key, (hidden, hidden), dtype) for key in keys]
        self.state = nnx.Param(jnp.concatenate(blocks, axis=1))
        if cell == "gru":
            self.reset_bias = nnx.Param(jnp.zeros((hidden,), dtype))
        if cell == "lstm":
            bias = jnp.zeros((gates * hidden,), dtype)
            self.inputs.bias = nnx.Param(bias.at[hidden : 2 * hidden].set(forget_bias))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (n, time, features) to the states (n, time, hidden); the first state is zero."""
        given, inside = self.driven(jnp.moveaxis(x, 1, 0))
        step, start = _STEPS[self.cell]
        matrix = self.state[...].astype(self.dtype)
        states = recur(step, start, self.backwards, given, inside, matrix)
        return jnp.moveaxis(states, 0, 1).astype(x.dtype)

    def driven(self, x: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        """What of x (..., features) goes to the gates, and what the reset gate leaves alone."""
        given, inside = wide(self.inputs(x)), None
        if self.cell == "gru":
            given, inside = jnp.split(given, [2 * self.hidden], axis=-1)
            bias = jnp.broadcast_to(self.reset_bias[...], inside.shape)
            given = jnp.concatenate([given, bias], axis=-1)
        return given, inside

    @property
    def carried(self) -> int:
        """Arrays that a step hands on to the next; the first is the state."""
        return _STEPS[self.cell][1]

    def step(self, x: jax.Array, carry: Carry) -> Carry:
        """One step in time from inputs (n, features): what is carried, each (n, hidden)."""
        return self.moved(carry, *self.driven(x))

    def moved(self, carry: Carry, given: jax.Array, inside: jax.Array | None) -> Carry:
        """The same from what `driven` makes of the inputs."""
        matrix = self.state[...].astype(self.dtype)
        held = given + wide(carry[0].astype(self.dtype) @ matrix)
        step: Any = _STEPS[self.cell][0]
        return step(carry, held, inside)


def _rnn(carry: Carry, held: jax.Array, inside: None) -> Carry:
    return (jnp.tanh(held),)


def _irnn(carry: Carry, held: jax.Array, inside: None) -> Carry:
    return (jax.nn.relu(held),)


def _gru(carry: Carry, held: jax.Array, inside: jax.Array) -> Carry:
    r, z, n = jnp.split(held, 3, axis=1)
    r, z = jax.nn.sigmoid(r), jax.nn.sigmoid(z)
    n = jnp.tanh(inside + r * n)
    return ((1 - z) * n + z * carry[0],)


def _lstm(carry: Carry, held: jax.Array, inside: None) -> Carry:
    i, f, g, o = jnp.split(held, 4, axis=1)
    c = jax.nn.sigmoid(f) * carry[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


_STEPS: dict[str, tuple[Callable[..., Carry], int]] = {
    "rnn": (_rnn, 1),
    "irnn": (_irnn, 1),
    "gru": (_gru, 1),
    "lstm": (_lstm, 2),
}


def _run(*arguments: Any) -> jax.Array:
    """(*sides, x, training, number): every side's states, side by side."""
    *sides, x, training, number = arguments
    return dropout(jnp.concatenate([side(x) for side in sides], axis=-1), training, layer=number)


class Recurrent(nnx.Module):
    """`depth` recurrent layers of `width` units over tokens, samples or rows, and a read-out.

    A classifier reads the last state, or with `flatten` the states of all time steps; a language
    model reads every state. With `bidirectional`, a second stack runs backwards and the read-out
    sees both (never a language model). Dropout follows every layer.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        cell: str,
        embedding: int,
        bidirectional: bool = False,
        flatten: bool = False,
        forget_bias: float = 1.0,
        rngs: nnx.Rngs,
    ):
        """Builds encoder, layers and read-out; an embedding of 0 feeds samples in as they are."""
        dtype, width = settings.dtype, settings.width
        self.flatten, self.per_position = flatten, settings.per_position
        self.remat = settings.remat
        raw = settings.kind == "signal" and not embedding
        self.encoder = None if raw else Encoder(settings, embedding, patches=False, rngs=rngs)
        features = settings.channels if raw else embedding
        sides = 2 if bidirectional else 1
        self.layers = nnx.List(
            [
                nnx.List(
                    [
                        Layer(
                            cell,
                            size,
                            width,
                            backwards=bool(b),
                            forget_bias=forget_bias,
                            dtype=dtype,
                            rngs=rngs,
                        )
                        for b in range(sides)
                    ]
                )
                for size in [features] + [width * sides] * (settings.depth - 1)
            ]
        )
        length = settings.input_shape[0] if flatten else 1
        self.readout = linear(
            length * sides * width, settings.num_classes, dtype=dtype, rngs=rngs, init=lecun_normal
        )

    def __call__(self, x: jax.Array, training: Training | None = None) -> jax.Array:
        """Maps (n, ...) to logits (n, num_classes), or (n, time, num_classes) per position."""
        if self.encoder is not None:
            x = self.encoder(x)
        elif x.ndim == 2:
            x = x[..., None]
        x = in_turn(self.remat, _run, self.layers, x, training)
        if self.per_position:
            return self.readout(x)
        return self.readout(x.reshape(x.shape[0], -1) if self.flatten else x[:, -1])
