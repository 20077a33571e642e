"""What all gradients cost, in operations and in time: by backpropagation, by finite differences."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from minima.landscape.precision import arithmetic
from minima.record.kept import Kept
from minima.runtime.chains import longest_chain
from minima.runtime.costs import count
from minima.runtime.timing import seconds
from minima.tasks.training_loss import training_loss
from parts.backpropagation.config import PriceConfig
from parts.backpropagation.families import Family, family

_STEP = 1e-5  # of plain central differences in float64, where a whole gradient is taken


@dataclass(frozen=True)
class Price:
    """Of a family's loss, and of its loss and gradient together.

    Attributes:
      family: its name.
      weights: their number.
      forward, both: operations.
      forward_chain, both_chain: matrix products that must follow one another.
      forward_seconds, both_seconds: when they were first measured.
    """

    family: str
    weights: int
    forward: int
    both: int
    forward_chain: int
    both_chain: int
    forward_seconds: float
    both_seconds: float

    @property
    def ratio(self) -> float:
        """Loss and gradient, in forward passes."""
        return self.both / self.forward


@dataclass(frozen=True)
class Differences:
    """The gradient of an MLP's loss, twice.

    Attributes:
      weights: their number.
      forward, both, differences: operations of the loss, of backpropagation, and of central
        differences, one weight after the other.
      forward_seconds, both_seconds, differences_seconds: when they were first measured.
      error: between the two gradients, relative, in float64 with one step for all weights.
    """

    weights: int
    forward: int
    both: int
    differences: int
    forward_seconds: float
    both_seconds: float
    differences_seconds: float
    error: float


def prices(config: PriceConfig, found: list[Family], kept: Kept) -> list[Price]:
    """Of every family."""
    return [
        Price(each.name, *kept.get(partial(_price, each, config.batch), price=each.name))
        for each in found
    ]


def differences(config: PriceConfig, kept: Kept) -> list[Differences]:
    """Of an MLP at every width."""
    return [
        Differences(*kept.get(partial(_differences, width, config.batch), mlp=width))
        for width in config.widths
    ]


def _price(family: Family, batch: int) -> list[Any]:
    loss = training_loss(family.model("float32"))
    both = jax.value_and_grad(loss)
    arguments = (*family.start("float32"), *family.batch(batch, "float32"))
    return [
        family.task.model.count_parameters(),
        *(count(function, *arguments).flops for function in (loss, both)),
        *(longest_chain(function, *arguments) for function in (loss, both)),
        *(seconds(jax.jit(function), *arguments) for function in (loss, both)),
    ]


def _differences(width: int, batch: int) -> list[Any]:
    mlp = family("mlp", "mlp", "mnist1d", width=width)
    with arithmetic("float64"):
        loss = training_loss(mlp.model("float64"))
        params, state = mlp.start("float64")
        inputs, labels = mlp.batch(batch, "float64")
        weights, unravel = ravel_pytree(params)

        def forward(weights: jax.Array) -> jax.Array:
            return loss(unravel(weights), state, inputs, labels)

        def difference(weights: jax.Array, place: jax.Array) -> jax.Array:
            up, down = (forward(weights.at[place].add(sign * _STEP)) for sign in (1, -1))
            return (up - down) / (2 * _STEP)

        def one_by_one(weights: jax.Array) -> jax.Array:
            return jax.lax.map(partial(difference, weights), jnp.arange(len(weights)))

        ways = (forward, jax.value_and_grad(forward), one_by_one)
        compiled = [jax.jit(way) for way in ways]
        exact, near = compiled[1](weights)[1], compiled[2](weights)
        return [
            len(weights),
            *(count(way, weights).flops for way in ways),
            *(seconds(way, weights) for way in compiled),
            float(jnp.linalg.norm(near - exact) / jnp.linalg.norm(exact)),
        ]
