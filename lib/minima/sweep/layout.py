"""How big a program's pieces are: examples per micro-step, lanes per block and per device."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import jax

from minima.runtime import devices
from minima.runtime.axes import Axes
from minima.runtime.errors import UserError
from minima.sweep import probe
from minima.sweep.config import SweepConfig
from minima.sweep.program import Layout
from minima.tasks.models import architecture

_MOST_WIDTHS = 3
_WORTH_A_WIDTH = 0.04  # of the plane's time: a branch more takes about a second to compile
_LARGEST_WIDTH = 256
_LANES_PER_CORE = 4
_LANES_PER_ACCELERATOR = 64


def choose_widths(
    batch_sizes: tuple[int, ...], largest: int, overhead: float, most: int = 1
) -> tuple[int, ...]:
    """The widths of micro-steps, rising and at most `most`, that walk a mixed plane fastest.

    A lane takes the widest one that the rest of its batch fills, the last of a batch is padded;
    each costs `overhead` and its width. The best single width minimises the mean over batch sizes
    of that cost by example (among equals it is the larger); beside it, batch sizes are worth a
    width of their own if that saves enough to pay for its compilation.
    """

    def cost(widths: tuple[int, ...]) -> float:
        examples = sum(batch_cost(b, widths, overhead) / b for b in batch_sizes)
        return examples * (1 + _WORTH_A_WIDTH) ** len(widths)

    largest = min(largest, max(batch_sizes))
    single = min(((width,) for width in range(largest, 0, -1)), key=cost)
    sizes = sorted({*single, *(min(size, largest) for size in batch_sizes)})
    several = (itertools.combinations(sizes, n) for n in range(2, most + 1))
    return min([single, *itertools.chain(*several)], key=cost)


def batch_cost(batch_size: int, widths: tuple[int, ...], overhead: float) -> float:
    """What a batch costs in micro-steps of these widths, in examples."""
    cost, left = 0.0, batch_size
    for width in reversed(widths):
        whole, left = divmod(left, width)
        cost += whole * (overhead + width)
    return cost + (left > 0) * (overhead + widths[0])


def resolve_widths(
    config: SweepConfig,
    model: str,
    num_examples: int,
    block: int | None = None,
    on_cpu: bool | None = None,
) -> tuple[int, ...]:
    """The widths of micro-steps of a plane whose cells share a program, rising.

    Several only for blocks of one lane on a CPU: under vmap a lane would pay for all of them. Ghost
    normalisation takes its statistics over a microbatch, and examples that climb together are one,
    so there the flag decides. `on_cpu` is what JAX runs on, unless given.

    Raises:
      UserError: a size above the number of training examples.
    """
    if config.task.norm == "ghost":
        return (min(config.task.ghost_size, num_examples),)
    if config.training.sam_examples:
        return (config.training.sam_examples,)
    asked = config.engine.microbatch
    if asked > num_examples:
        raise UserError(
            f"--microbatch={asked}: larger than the {num_examples} training examples of "
            f"--dataset={config.task.dataset}; use at most {num_examples}"
        )
    if asked:
        return (asked,)
    entry, on_cpu = (
        architecture(model),
        jax.default_backend() == "cpu" if on_cpu is None else on_cpu,
    )
    training, sizes = config.training, config.grid.batch_sizes
    grown = range(len(training.milestones) + 1)
    sharers = (
        config.engine.mesh.data if config.engine.mesh else 1
    )  # devices that share a micro-step
    every = {-(-size * training.batch_factor**k // sharers) for size in sizes for k in grown}
    largest = min(max(1, num_examples // sharers), entry.widest if on_cpu else _LARGEST_WIDTH)
    most = _MOST_WIDTHS if on_cpu and block == 1 else 1
    widths = choose_widths(tuple(sorted(every)), largest, entry.overhead, most)
    return tuple(min(num_examples, width * sharers) for width in widths)


def resolve_layout(
    config: SweepConfig, pinned: Mapping[str, Any], cells: int, table: probe.Table | None
) -> Layout:
    """Lanes over devices and blocks: what is pinned, else what flags, probe and platform say.

    Raises:
      UserError: more devices than there are, or lanes that don't fill their blocks.
    """
    engine, available = config.engine, len(devices.available())
    if engine.mesh:
        _check_devices(engine.mesh)
        lanes, block = (pinned["lanes"], pinned["block"]) if pinned else (1, 1)
        return Layout(1, lanes, block, engine.mesh, engine.fully_sharded)
    if pinned:
        blocks, most = pinned["lanes"] // pinned["block"], min(available, pinned["devices"])
        count = max(d for d in range(1, most + 1) if blocks % d == 0)
        return Layout(count, pinned["lanes"], pinned["block"])
    count = engine.devices or available
    if count > available:
        raise UserError(f"--devices={count}: this machine has {available}; use at most {available}")
    on_cpu = jax.default_backend() == "cpu"
    block = engine.block or (table.best_block() if table else 0)
    block = block or (1 if on_cpu else engine.lanes or _LANES_PER_ACCELERATOR)
    lanes = engine.lanes or (max(_LANES_PER_CORE, block) if on_cpu else block)
    if lanes % block:
        raise UserError(f"--lanes={lanes}: not a multiple of --block={block}; use {block * 2}")
    if not engine.lanes:  # no more lanes than cells, in whole blocks
        lanes = min(lanes, math.ceil(cells / count / block) * block)
    return Layout(count, lanes * count, block)


def _check_devices(axes: Axes) -> None:
    available = jax.device_count()
    if axes.size > available:
        raise UserError(
            f"--mesh={axes}: takes {axes.size} devices, there are {available}; use a smaller one"
        )
    if axes.size < available and jax.process_count() > 1:
        raise UserError(
            f"--mesh={axes}: takes {axes.size} of {available} devices, but {jax.process_count()} "
            "processes work on it; use all"
        )


def resolve_slab(
    config: SweepConfig, layout: Layout, example_bytes: int, widest: int, num_examples: int
) -> int:
    """Examples of a slab: two for every lane of a device fit into --slab_mib; 0 without the flag.

    Over a mesh, a device holds its own part of a slab.

    Raises:
      UserError: less than the widest micro-step fits.
    """
    if not config.engine.slab_mib:
        return 0
    lanes = layout.lanes // layout.devices
    parts = layout.axes.data if layout.axes else 1
    fit = int(config.engine.slab_mib * 2**20 / (2 * lanes * example_bytes)) * parts
    if fit < widest:
        needed = 2 * lanes * example_bytes * -(-widest // parts) / 2**20
        raise UserError(
            f"--slab_mib={config.engine.slab_mib:g}: two slabs of a microbatch for each of {lanes} "
            f"lanes take {needed:.3g} MiB; use that or more"
        )
    return min(fit, num_examples) // widest * widest
