"""Maximal update parametrisation (muP): rates found at one width hold at every other.

Yang & Hu 2021 (arXiv:2011.14522); tables, sections and lemmas below are those of Yang et al. 2022
(arXiv:2203.03466). With r = width / base width, a tensor's role says how it differs from the
standard parametrisation, to which everything is equal at r = 1 (table 3, relative to the base):

    role    | what grows with the width       | initial variance | rate of SGD | of Adam
    input   | outputs, or a vector's entries  | as it is         | r           | 1
    hidden  | inputs and outputs              | as it is         | 1           | 1 / r
    output  | inputs                          | divided by r     | 1 / r       | 1 / r
    fixed   | nothing (the read-out's bias)   | as it is         | 1           | 1

The forward pass does not change. Attention divides by √d, not by d: heads have the same width d in
every model and their number grows, so the two differ by a constant, which at the base must be 1.

SGD's rates come from where the gradient is taken: in the weight over table 9's multiplier (√r for
inputs, 1/√r for outputs; lemma J.1). There one rate serves all tensors, the gradient's norm does
not depend on the width, so neither does what a clip norm clips (of the weights themselves, the
read-out's gradient grows like √width), and weight decay is that of the weights.

Weight decay shrinks all weights by rate · decay at every width, with SGD and with decoupled decay
(section B.3; the authors' mup package; Kosson et al. 2025, arXiv:2510.19093). L2 through Adam's
normalised gradient is no such thing (B.3); the config refuses it. Adam's ε stays as it is, since it
is negligible.

Muon's updates have the spectral norm √max(1, fan_out / fan_in); its rates make that proportional to
√(fan_out / fan_in) from the base on (Yang, Simon & Bernstein 2023, arXiv:2310.17813).
"""

import functools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import optax

from minima.runtime.errors import UserError

if TYPE_CHECKING:
    from minima.tasks.models.model import Model, Params

# Powers of r, by role.
_MULTIPLIER = {"input": 0.5, "hidden": 0.0, "output": -0.5, "fixed": 0.0}
_ADAM_RATE = {"input": 0.0, "hidden": -1.0, "output": -1.0, "fixed": 0.0}
_SGD = ("sgd", "momentum", "nesterov")
_ADAM = ("adam", "adamw", "lion")


def is_standard(model: "Model") -> bool:
    """Whether there is nothing to do: no muP asked for, or a model of the base width."""
    return model.settings.base_width in (0, model.settings.width)


def roles(model: "Model") -> "Params":
    """The role of every parameter, a tree of strings: what differs in shape at the base width."""
    return jax.tree.map(_role, *_two_shapes(model))


def initial(model: "Model", params: "Params") -> "Params":
    """Parameters drawn as the standard parametrisation has them, with muP's variances."""
    if is_standard(model):
        return params
    scale = _ratio(model) ** -0.5
    return jax.tree.map(
        lambda role, leaf: leaf * scale if role == "output" else leaf, roles(model), params
    )


def rescaled(
    model: "Model", name: str, optimizer: optax.GradientTransformation
) -> optax.GradientTransformation:
    """The optimiser with muP's rate for every tensor; the very same where there is nothing to do.

    Raises:
      UserError: nobody has said what this optimiser's rates are.
    """
    if is_standard(model):
        return optimizer
    before, after = scales(model, name)

    def update(gradient: "Params", state: Any, params: "Params") -> tuple["Params", Any]:
        """Weights over `after` are there for their decay alone, which comes out unscaled."""
        gradient = jax.tree.map(lambda g, scale: g * scale, gradient, before)
        params = jax.tree.map(lambda p, scale: p / scale, params, after)
        change, state = optimizer.update(gradient, state, params)
        return jax.tree.map(lambda c, scale: c * scale, change, after), state

    return optax.GradientTransformation(optimizer.init, update)


def scales(model: "Model", name: str) -> tuple["Params", "Params"]:
    """What a gradient is multiplied with before the optimiser and its change after; Python floats.

    A tensor's rate is multiplied with both for SGD, and for the others, which see no scale of the
    gradient, with the second.
    """
    ratio, tensors = _ratio(model), roles(model)
    before = jax.tree.map(lambda role: ratio ** _MULTIPLIER[role], tensors)
    if name in _SGD:
        return before, before
    if name in _ADAM:
        return before, jax.tree.map(lambda role: ratio ** _ADAM_RATE[role], tensors)
    if name == "muon":
        return before, jax.tree.map(_muon_rate, *_two_shapes(model))
    raise UserError(
        f"--parametrisation=mup: has no rates for --optimizer={name}; use "
        f"{', '.join(_SGD + _ADAM)} or muon"
    )


def _role(own: jax.ShapeDtypeStruct, base: jax.ShapeDtypeStruct) -> str:
    grows = [a != b for a, b in zip(own.shape, base.shape, strict=True)]
    if not any(grows):
        return "fixed"
    if not grows[-1]:
        return "output"
    return "hidden" if len(grows) > 1 and grows[-2] else "input"


def _muon_rate(own: jax.ShapeDtypeStruct, base: jax.ShapeDtypeStruct) -> float:
    """Vectors go by Adam, which leaves them their rate."""
    if len(own.shape) != 2:
        return 1.0
    now, then = (fan_out / fan_in for fan_in, fan_out in (own.shape, base.shape))
    return math.sqrt(now / then * max(1, then) / max(1, now))


def _ratio(model: "Model") -> float:
    return model.settings.width / model.settings.base_width


@functools.cache
def _two_shapes(model: "Model") -> tuple["Params", "Params"]:
    """The shapes of all parameters, and those they would have at the base width."""

    def shapes(width: int) -> "Params":
        standard = replace(model, settings=replace(model.settings, width=width, base_width=0))
        return jax.eval_shape(standard.init, jax.random.key(0))[0]

    return shapes(model.settings.width), shapes(model.settings.base_width)
