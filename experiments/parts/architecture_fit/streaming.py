"""One more token: what a recurrent network and a transformer remember and compute for it."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from minima.runtime import costs
from minima.tasks.models import Settings, architecture
from minima.tasks.models.streaming import size, start, step

LENGTHS = (16, 64, 256, 1024, 4096)
WIDTH, SYMBOLS = 64, 64


@dataclass(frozen=True)
class Streams:
    """Of one sequence, by name of the model, after so many tokens.

    Attributes:
      lengths: tokens read so far.
      memory: bytes that are remembered.
      flops: of the next token's prediction.
    """

    lengths: tuple[int, ...]
    memory: dict[str, tuple[int, ...]]
    flops: dict[str, tuple[int, ...]]

    def exponent(self, name: str) -> float:
        """Of the memory's growth with the length, over all lengths."""
        first, *_, last = self.memory[name]
        return math.log(last / first) / math.log(self.lengths[-1] / self.lengths[0])


def measure() -> Streams:
    """Counted from shapes alone: nothing is compiled or run."""
    memory: dict[str, tuple[int, ...]] = {}
    flops: dict[str, tuple[int, ...]] = {}
    for name, depth in (("lstm", 1), ("transformer", 2)):
        found = [_after(name, depth, length) for length in LENGTHS]
        memory[name], flops[name] = (tuple(column) for column in zip(*found, strict=True))
    return Streams(LENGTHS, memory, flops)


def _after(name: str, depth: int, length: int) -> tuple[int, int]:
    """Bytes after `length` tokens, and operations of the step that follows."""
    norm = architecture(name).norms[0]
    shape, dtype = (LENGTHS[-1] + 1,), "float32"
    settings = Settings(shape, "tokens", SYMBOLS, SYMBOLS, True, WIDTH, depth, norm, True, dtype)
    made: Any = nnx.eval_shape(lambda: architecture(name).build(settings, rngs=nnx.Rngs(params=0)))
    graph, state = nnx.split(made)

    def after(state: Any) -> Any:
        """What is remembered: as zeros, since shapes are all that counts."""
        whole: Any = nnx.merge(graph, state)
        empty = start(whole, 1)
        if name == "lstm":
            return empty
        return jax.tree.map(lambda leaf: jnp.zeros((*leaf.shape[:3], length), leaf.dtype), empty)

    def following(state: Any, memory: Any, token: jax.Array) -> Any:
        whole: Any = nnx.merge(graph, state)
        return step(whole, memory, token)

    memory = jax.eval_shape(after, state)
    token = jax.ShapeDtypeStruct((1,), jnp.int32)
    return size(memory), costs.count(following, state, memory, token).flops
