"""What a training step costs at every length: counted, compiled and timed."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from minima.record.kept import Kept
from minima.runtime import devices
from minima.runtime.chains import longest_chain
from minima.runtime.costs import count, memory
from minima.runtime.errors import UserError
from minima.runtime.timing import seconds
from minima.sweep.grid import format_ints
from minima.tasks.models import Model, Settings
from minima.tasks.models.recurrent import Layer
from minima.tasks.models.transformer import TransformerBlock
from minima.tasks.training_loss import blank_arguments, training_loss
from parts.attention_cost.config import LSTM, TRANSFORMER, CostConfig

ATTENTION, CHUNKED, RECURRENT = "attention", "chunked attention", "LSTM"
_SYMBOLS = 8  # classes and tokens
_MOST = 2**30  # positions up to which a crossover is sought
_SCORES = 6  # arrays of all scores that live at once on the way forth and back


@dataclass(frozen=True)
class Step:
    """A training step, loss and gradient, on one sequence.

    Attributes:
      kind: ATTENTION, CHUNKED or RECURRENT.
      length: of the sequence.
      flops, bytes: counted.
      chain: matrix products that must follow one another.
      temporary: bytes that the compiled program needs beside arguments and results.
    """

    kind: str
    length: int
    flops: int
    bytes: int
    chain: int
    temporary: int


@dataclass(frozen=True)
class Crossover:
    """Where one layer of attention costs as much as one of an LSTM.

    Attributes:
      width: of both layers.
      length: the shortest at which attention takes as many operations, or more.
    """

    width: int
    length: int


@dataclass(frozen=True)
class Timed:
    """Seconds of a training step on one sequence, as it was first measured."""

    kind: str
    length: int
    seconds: float


def check_memory(cost: CostConfig) -> None:
    """Raises UserError where the scores of the longest timed sequence fit no memory."""
    longest, there = cost.timed_lengths[-1], devices.memory_bytes()
    needed = _SCORES * 4 * longest**2 * (cost.timed_width // 16)
    if there is not None and needed > there:
        raise UserError(
            f"--timed_lengths={format_ints(cost.timed_lengths)}: attention over {longest:,} "
            f"positions needs {needed / 2**30:,.0f} GiB of the {there / 2**30:,.0f} GiB there are; "
            "use shorter ones"
        )


def steps(cost: CostConfig, kept: Kept) -> list[Step]:
    """Every kind at every length."""
    found = []
    for kind in (ATTENTION, CHUNKED, RECURRENT):
        for length in cost.lengths:
            measure = partial(_step, kind, length, cost)
            what = {"cost": kind, "length": length}
            found.append(Step(kind, length, *kept.get(measure, **what)))
    return found


def crossovers(cost: CostConfig) -> list[Crossover]:
    """At every width."""
    return [Crossover(width, _crossover(width)) for width in cost.widths]


def timed(cost: CostConfig, kept: Kept) -> list[Timed]:
    """Every kind at every timed length, once and for all."""
    found = []
    for kind in (ATTENTION, CHUNKED, RECURRENT):
        for length in cost.timed_lengths:
            measure = partial(_seconds, kind, length, cost)
            what = {"time": kind, "length": length}
            found.append(Timed(kind, length, kept.get(measure, **what)))
    return found


def model(kind: str, length: int, width: int, chunk: int) -> Model:
    """One block or layer over tokens, and a class for each sequence."""
    settings = Settings(
        input_shape=(length,),
        kind="tokens",
        num_classes=_SYMBOLS,
        vocabulary=_SYMBOLS,
        per_position=False,
        width=width,
        depth=1,
        norm="none" if kind == RECURRENT else "layer",
        positions=True,
        parameter_dtype="float32",
        attention_chunk=chunk if kind == CHUNKED else 0,
    )
    return Model(LSTM if kind == RECURRENT else TRANSFORMER, settings)


def layer_flops(kind: str, length: int, width: int) -> int:
    """Operations of one layer alone on one sequence, forwards: attention with its projections."""
    settings = model(kind, length, width, 0).settings

    def build() -> nnx.Module:
        rngs = nnx.Rngs(params=jax.random.key(0))
        if kind == RECURRENT:
            return Layer("lstm", width, width, dtype=settings.dtype, rngs=rngs)
        return TransformerBlock(settings, rngs=rngs)

    graph, parameters = nnx.split(nnx.eval_shape(build))

    def forward(parameters: Any, x: jax.Array) -> jax.Array:
        layer = nnx.merge(graph, parameters)
        return layer(x) if kind == RECURRENT else layer.attend(x)

    x = jax.ShapeDtypeStruct((1, length, width), settings.dtype)
    return count(forward, parameters, x).flops


def _step(kind: str, length: int, cost: CostConfig) -> list[int]:
    network = model(kind, length, cost.width, cost.chunk)
    both, arguments = jax.value_and_grad(training_loss(network)), blank_arguments(network, 1)
    work, chain = count(both, *arguments), longest_chain(both, *arguments)
    compiled = jax.jit(both).lower(*arguments).compile()
    return [work.flops, work.bytes, chain, memory(compiled).temporary]


def _seconds(kind: str, length: int, cost: CostConfig) -> float:
    network = model(kind, length, cost.timed_width, cost.chunk)
    params, state = network.init(jax.random.key(0))
    inputs = jnp.arange(length, dtype=jnp.int32)[None] % _SYMBOLS
    labels = jnp.zeros((1,), jnp.int32)
    both = jax.jit(jax.value_and_grad(training_loss(network)))
    return seconds(both, params, state, inputs, labels)


def _crossover(width: int) -> int:
    """By halving: the difference rises with the length, once it is above zero."""
    per_position = layer_flops(RECURRENT, 2, width) / 2  # the same for every one

    def overtakes(length: int) -> bool:
        return layer_flops(ATTENTION, length, width) >= per_position * length

    low, high = 0, 1
    while not overtakes(high):
        low, high = high, 2 * high
        if high > _MOST:
            raise UserError(f"--widths={width}: no length up to {_MOST:,} is dearer for attention")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if overtakes(middle) else (middle, high)
    return high
