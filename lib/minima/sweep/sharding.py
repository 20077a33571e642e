"""Which shard trains which cells: slices of about equal cost, the same on every machine.

The cost is that of the measured model (see `layout.batch_cost`): a micro-step costs its overhead
and its width, in examples. It follows from the config alone, never from the machine's devices or
its probe, so that shards on machines of several kinds still take disjoint slices.
"""

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from minima.sweep.layout import batch_cost, resolve_widths
from minima.tasks.models import architecture

if TYPE_CHECKING:
    from minima.sweep.plan import Plan

Places = NDArray[np.int64]


def cell_costs(plan: "Plan") -> list[float]:
    """What a cell costs, in examples, by its place on the axis of batch sizes."""
    model, count = plan.recipe.task.model.name, len(plan.dataset.train)
    shared = resolve_widths(plan.config, model, count, block=1, on_cpu=True)
    overhead, costs = architecture(model).overhead, []
    for size in plan.config.grid.batch_sizes:
        course = plan.timeline({"batch_size": size})
        widths = (size,) if plan.recipe.couples_examples else shared
        batches = [batch_cost(phase.batch_size, widths, overhead) for phase in course.phases]
        costs.append(course.total(course.steps, batches))
    return costs


def shards_of_cells(plan: "Plan", count: int) -> Places:
    """(cells,) int64: the shard of every cell of the grid, for `count` shards.

    The cells of one program are dealt out, so that every shard has all rates and batch sizes, and
    is as long as the others even where the cost model errs. Where a batch size has a program of its
    own, shards take neighbours instead, so that few compile more than one.
    """
    costs, grid = cell_costs(plan), plan.grid
    kinds = grid.places("batch_size")
    if len(plan.programs) == 1:
        return deal(costs, kinds, count)
    # The first axes vary fastest within a batch size: a slice of it has all rates, of some seeds.
    return cut(costs, kinds, np.lexsort([grid.places(name) for name in grid.names[1:]]), count)


def deal(costs: Sequence[float], kinds: Places, count: int) -> Places:
    """Deals cells out, the most expensive first, each to the shard that has least so far.

    Two shards never differ by more than one cell's cost.

    Args:
      costs: of a cell of each kind.
      kinds: (cells,) the kind of each cell.
      count: of shards.

    Returns:
      (cells,) the shard of each cell.
    """
    shards = np.empty(len(kinds), np.int64)
    loads = [(0.0, shard) for shard in range(count)]  # rising: a heap
    each = np.asarray(costs)[kinds]
    for cell in np.argsort(-each, kind="stable").tolist():
        load, shard = loads[0]
        shards[cell] = shard
        heapq.heapreplace(loads, (load + costs[kinds[cell]], shard))
    return shards


def cut(costs: Sequence[float], kinds: Places, order: Places, count: int) -> Places:
    """Lines cells up, kind by kind and in `order` within each, and cuts the line at equal costs.

    No shard has more than its equal share and one cell; arguments and result as for `deal`.
    """
    line = order[np.argsort(kinds[order], kind="stable")]
    each = np.asarray(costs)[kinds[line]]
    middle = np.cumsum(each) - each / 2
    shards = np.empty(len(kinds), np.int64)
    shards[line] = np.minimum(middle * count // np.sum(each), count - 1)
    return shards
