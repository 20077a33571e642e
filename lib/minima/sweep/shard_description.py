"""How a sweep is split into shards, in words: what --plan_only shows of it."""

from dataclasses import dataclass

import numpy as np

from minima.record.shards import Shard
from minima.sweep import probe
from minima.sweep.plan import Plan
from minima.sweep.sharding import Places, cell_costs, shards_of_cells

_SHOWN = 16  # shards with a row of their own; of more, the first, the longest and the shortest
_MANY_FILES = 100_000


@dataclass(frozen=True)
class Split:
    """All shards of a sweep.

    Attributes:
      cells, share, programs: (shards,) how many cells each trains, their part of the whole cost,
        and how many programs they take.
    """

    cells: Places
    share: np.ndarray
    programs: Places


def split_of(plan: Plan, count: int) -> Split:
    """What each of `count` shards gets."""
    owners = shards_of_cells(plan, count)
    each = np.array(cell_costs(plan))[plan.grid.places("batch_size")]
    cost = np.bincount(owners, each, count)
    pairs = np.zeros((len(plan.programs), count), bool)
    for number, program in enumerate(plan.programs):
        pairs[number, owners[np.asarray(program.cells)]] = True
    return Split(np.bincount(owners, minlength=count), cost / cost.sum(), pairs.sum(axis=0))


def describe_shards(plan: Plan, shard: Shard) -> list[str]:
    """This process's part of a sweep; with --plan_only, all parts."""
    split = split_of(plan, shard.count)
    if not plan.config.record.plan_only:
        return [f"shard      {shard}: {_row(split, shard.index)}"]
    cells, share, programs = split.cells, split.share, split.programs
    lines = [
        f"shards     {shard.count:,} of {_span(cells)} cells, {_span(100 * share)} % of the cost "
        f"each (an equal share is {100 / shard.count:.3g} %)",
        f"compiles   {_span(programs)} a shard, {programs.sum():,} in all; each with "
        f"{plan.layout.lanes} lanes, {plan.memory_bytes() / 2**20:,.0f} MiB on its devices, "
        f"{plan.snapshot_bytes() / 2**20 * cells.max() / len(plan.cells):,.0f} MiB of snapshots "
        "on disk",
        f"time       {_time(plan, float(share.max()))}",
    ]
    lines += [f"{'':11}{each}/{shard.count}: {_row(split, each)}" for each in _shown(split)]
    return lines + _warnings(plan, int(cells.max()))


def _row(split: Split, index: int) -> str:
    cells, programs = int(split.cells[index]), int(split.programs[index])
    return (
        f"{cells:,} of {split.cells.sum():,} cells, {100 * split.share[index]:.3g} % of the cost, "
        f"{programs} program" + "s" * (programs != 1)
    )


def _shown(split: Split) -> list[int]:
    if len(split.cells) <= _SHOWN:
        return list(range(len(split.cells)))
    return sorted({0, int(split.share.argmax()), int(split.share.argmin())})


def _time(plan: Plan, share: float) -> str:
    """Of the longest shard, on every machine that was probed."""
    recipe, block = plan.recipe, plan.layout.block
    found = probe.tables(recipe.task, recipe.optimizer, recipe.microbatch)
    if not found:
        return "unknown; `python -m minima probe` measures a machine once"
    passes = 1 if recipe.features.sharpness_aware == "none" else 2
    examples = plan.total_examples() * share * passes
    times = [
        f"{examples / table.examples_per_second(block) / 60:.1f} minutes on {machine}"
        for machine, table in found.items()
    ]
    return (
        f"of the longest shard: about {', '.join(times)} (probed); elsewhere unknown, probe there"
    )


def _warnings(plan: Plan, cells: int) -> list[str]:
    kept = plan.config.record.snapshots
    files = cells * (kept + 1)  # a folder for each cell
    if not kept or files <= _MANY_FILES:
        return []
    return [
        f"warning    a shard keeps up to {files:,} files and folders of snapshots; use more "
        "shards, fewer --snapshots, or 0 where no minimum will be looked at"
    ]


def _span(values: np.ndarray) -> str:
    low, high = f"{values.min():,.3g}", f"{values.max():,.3g}"
    if np.issubdtype(values.dtype, np.integer):
        low, high = f"{values.min():,}", f"{values.max():,}"
    return low if low == high else f"{low} to {high}"
