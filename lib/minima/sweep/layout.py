"""How big a program's pieces are: examples per micro-step, lanes per block and per device."""

import math
from collections.abc import Mapping

import jax

from minima.runtime.errors import UserError
from minima.sweep import probe
from minima.sweep.config import SweepConfig
from minima.sweep.program import Layout
from minima.tasks.models import architecture

_LARGEST_MICROBATCH = 256
_LANES_PER_CORE = 4
_LANES_PER_ACCELERATOR = 64


def choose_microbatch(batch_sizes: tuple[int, ...], largest: int, overhead: float) -> int:
    """The microbatch that walks a mixed plane fastest: most examples per micro-step, least padding.

    Minimises the mean over batch sizes B of ceil(B / m) · (overhead + m) / B over m up to
    `largest`; among equals the larger m.
    """

    def cost(m: int) -> float:
        return sum(math.ceil(b / m) * (overhead + m) / b for b in batch_sizes)

    candidates = range(1, min(largest, max(batch_sizes), _LARGEST_MICROBATCH) + 1)
    return min(reversed(candidates), key=cost)


def resolve_microbatch(config: SweepConfig, model: str, num_examples: int) -> int:
    """The microbatch of a plane whose cells share a program.

    Ghost normalisation takes its statistics over a microbatch, so there the flag decides.

    Raises:
      UserError: a size above the number of training examples.
    """
    if config.task.norm == "ghost":
        return min(config.task.ghost_size, num_examples)
    asked = config.engine.microbatch
    if asked > num_examples:
        raise UserError(
            f"--microbatch={asked}: larger than the {num_examples} training examples of "
            f"--dataset={config.task.dataset}; use at most {num_examples}"
        )
    overhead = architecture(model).overhead
    training, sizes = config.training, config.grid.batch_sizes
    grown = range(len(training.milestones) + 1)
    every = {size * training.batch_factor**k for size in sizes for k in grown}
    return asked or choose_microbatch(tuple(sorted(every)), num_examples, overhead)


def resolve_layout(
    config: SweepConfig, pinned: Mapping[str, int], cells: int, table: probe.Table | None
) -> Layout:
    """Lanes over devices and blocks: what is pinned, else what flags, probe and platform say.

    Raises:
      UserError: more devices than there are, or lanes that don't fill their blocks.
    """
    engine, available = config.engine, jax.device_count()
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


def resolve_slab(
    config: SweepConfig, layout: Layout, example_bytes: int, microbatch: int, num_examples: int
) -> int:
    """Examples of a slab: two for every lane of a device fit into --slab_mib; 0 without the flag.

    Raises:
      UserError: less than a microbatch fits.
    """
    if not config.engine.slab_mib:
        return 0
    lanes = layout.lanes // layout.devices
    fit = int(config.engine.slab_mib * 2**20 / (2 * lanes * example_bytes))
    if fit < microbatch:
        needed = 2 * lanes * example_bytes * microbatch / 2**20
        raise UserError(
            f"--slab_mib={config.engine.slab_mib:g}: two slabs of a microbatch for each of {lanes} "
            f"lanes take {needed:.3g} MiB; use that or more"
        )
    return min(fit, num_examples) // microbatch * microbatch
