"""Rematerialisation: a block's insides are computed a second time instead of being kept.

What a backward pass needs of a block is then its input alone (Chen et al. 2016, arXiv:1604.06174):
activations of one block at a time are in memory, for at most one more forward pass, 4/3 of the
arithmetic. `jax.checkpoint` has forward and reverse mode, and one over the other.

Equal blocks in a row become a loop over their stacked parameters. XLA on CPUs forgets what says
that the second computation comes after the first: outside of a loop it does both at the same time
and saves no memory (jax 0.10 and 0.12); inside, it can't. Compilation is faster as well.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from minima.tasks.models.hidden import noted
from minima.tasks.models.layers import Training

# (*parts, x, training, number) -> x; of parameters it uses those of its parts alone.
Block = Callable[..., jax.Array]


def in_turn(
    remat: bool,
    block: Block,
    blocks: Sequence[Sequence[Any]],
    x: jax.Array,
    training: Training | None,
    first: int = 0,
) -> jax.Array:
    """x = block(*parts, x, training, number) for the parts of every block.

    Args:
      remat: whether to compute blocks again on the way back.
      block: what is done in each; its number may be traced.
      blocks: their modules, and what `make_norm` returns; equal ones that follow each other keep
        the shape of x. Running statistics in them are brought up.
      x: (n, ...), floating.
      training: as layers have it.
      first: number of the first.
    """
    if not remat:
        for number, parts in enumerate(blocks, first):
            x = noted(block(*parts, x, training, number))
        return x
    lists = [nnx.List(parts) for parts in blocks]
    split = [nnx.split(modules) for modules in lists]

    def kind(at: int) -> Any:
        graph, state = split[at]
        return graph, jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), nnx.to_pure_dict(state))

    for _, same in itertools.groupby(range(len(blocks)), kind):
        places = list(same)
        states = [split[at][1] for at in places]
        x, statistics = _again(block, split[places[0]][0], states, x, training, first + places[0])
        for at, after in zip(places, statistics, strict=True):
            nnx.update(lists[at], after)
    return x


def _again(
    block: Block,
    graph: nnx.GraphDef,
    states: Sequence[nnx.State],
    x: jax.Array,
    training: Training | None,
    first: int,
) -> tuple[jax.Array, list[nnx.State]]:
    """Blocks of one kind through `jax.checkpoint`, and the running statistics after each."""

    @jax.checkpoint
    def once(x: jax.Array, given: tuple[nnx.State, Any]) -> tuple[jax.Array, nnx.State]:
        modules = nnx.merge(graph, given[0])
        return block(*modules, x, training, given[1]), nnx.state(modules, nnx.BatchStat)

    if len(states) == 1:
        x, after = once(x, (states[0], first))
        return x, [after]
    numbers = first + jnp.arange(len(states), dtype=jnp.int32)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    x, after = jax.lax.scan(once, x, (stacked, numbers))
    return x, [jax.tree.map(lambda leaf, i=i: leaf[i], after) for i in range(len(states))]
