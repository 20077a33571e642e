"""What the flagship trains beside its plane, decided from the plane's choosing seeds.

The plane is a trunk at constant rates, all batch sizes for the same epochs. Its branches and twins:

* updates: the largest batch size goes on until it has made as many updates as the smallest;
* decayed, grown: halfway, the smallest batch size divides its rate or multiplies its batch;
* infinite_epochs, infinite_updates: both on data that never repeat, where a data set has such a
  twin.

Configurations only: nothing here trains.
"""

import dataclasses
from dataclasses import dataclass

from minima.claims.choosing import UndecidedError, choose
from minima.claims.evidence import Evidence
from minima.sweep.budgets import Budget
from minima.sweep.config import BranchConfig, SweepConfig
from minima.sweep.plan import plan_timeline

FACTOR = 4  # between rates, or batch sizes, before and after the switch
_INFINITE = {"mnist1d": "mnist1d_infinite", "markov": "markov_infinite"}
_EVALUATIONS = 20  # of a long branch, each with a snapshot: candidates for an equal training loss


@dataclass(frozen=True)
class Stage:
    """A sweep beside the plane.

    Attributes:
      name: its place in the evidence.
      config: what it trains.
      before: updates that its cells' trunks had made.
    """

    name: str
    config: SweepConfig
    before: int = 0


def split_seeds(seeds: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Places of the seeds that choose rates, the first 3 in 10, and of those that report."""
    count = max(1, round(0.3 * len(seeds)))
    places = tuple(range(len(seeds)))
    return places[:count], places[count:]


def can_branch(config: SweepConfig, name: str) -> str:
    """Why this kind of branch can't be trained from such a plane; empty where it can."""
    training, sizes = config.training, config.grid.batch_sizes
    horizon_free = training.decay == "none" and not training.milestones
    bounds = training.budget
    plain = bounds.target is None and bounds.early_stopping is None
    if not (horizon_free and plain):
        return "branches need constant rates and a budget of epochs, steps or examples alone"
    if name == "infinite" and config.task.dataset not in _INFINITE:
        return f"--dataset={config.task.dataset} has no twin that never repeats"
    if name in ("updates", "infinite") and len(sizes) < 2:
        return "one batch size has nothing to be compared with"
    if name == "schedules" and config.record.snapshots < 2:
        return "switching halfway needs --snapshots=2"
    if name == "schedules" and training.warmup_examples:
        return "a warm-up would start again at the switch"
    return ""


def infinite_plane(config: SweepConfig) -> Stage:
    """The smallest and the largest batch size of the plane on the twin of its data."""
    sizes = config.grid.batch_sizes
    return Stage(
        "infinite_epochs",
        dataclasses.replace(
            config,
            task=dataclasses.replace(config.task, dataset=_INFINITE[config.task.dataset]),
            grid=dataclasses.replace(config.grid, batch_sizes=(sizes[0], sizes[-1])),
        ),
    )


def as_many_updates(
    config: SweepConfig, trunk: str, evidence: Evidence, plane: str, num_examples: int
) -> Stage:
    """The largest batch size of a plane, from its end on, until the smallest one's updates.

    At the rates from one below the smaller of the two chosen ones to one above the larger: a better
    one farther away would show as an optimum at the edge.

    Raises:
      UndecidedError: no rate can be chosen, or all batch sizes make the same updates.
    """
    sizes, rates = config.grid.batch_sizes, config.grid.learning_rates
    columns = [choose(evidence, plane, row).column for row in (0, -1)]
    picked = rates[max(0, min(columns) - 1) : max(columns) + 2]
    most = plan_timeline(config, sizes[0], num_examples).steps
    made = plan_timeline(config, sizes[-1], num_examples).steps
    if made == most:
        raise UndecidedError(
            "a budget of epochs or examples: at one of steps, updates are the same"
        )
    return Stage(
        "updates" if plane == "epochs" else "infinite_updates",
        dataclasses.replace(
            config,
            grid=dataclasses.replace(
                config.grid, batch_sizes=sizes[-1:], learning_rates=tuple(picked)
            ),
            training=dataclasses.replace(
                config.training,
                budget=Budget(steps=most - made),
                evaluations=min(_EVALUATIONS, most - made),
                warmup_examples=0,
            ),
            branch=BranchConfig(branch_from=trunk),
            record=dataclasses.replace(config.record, snapshots=min(_EVALUATIONS, most - made)),
        ),
        made,
    )


def switches(config: SweepConfig, trunk: str, evidence: Evidence, num_examples: int) -> list[Stage]:
    """Halfway: the rate over FACTOR, or the batch times FACTOR, to the same number of examples.

    Raises:
      UndecidedError: no state was kept between the beginning and the end.
    """
    size = config.grid.batch_sizes[0]
    rate = choose(evidence, "epochs", 0).rate
    course = plan_timeline(config, size, num_examples)
    kept = course.kept(config.record.snapshots)
    if len(kept) < 2:
        raise UndecidedError("2 or more --evaluations, to switch at one of them")
    half = kept[len(kept) // 2 - 1]
    left = course.examples(course.steps) - course.examples(half)
    branch = BranchConfig(trunk, len(kept) // 2, size, rate)
    pairs = {"decayed": (size, rate / FACTOR), "grown": (FACTOR * size, rate)}
    return [
        Stage(
            name,
            dataclasses.replace(
                config,
                grid=dataclasses.replace(
                    config.grid, batch_sizes=(size_after,), learning_rates=(rate_after,)
                ),
                training=dataclasses.replace(config.training, budget=Budget(examples=left)),
                branch=branch,
                record=dataclasses.replace(config.record, snapshots=1),
            ),
            half,
        )
        for name, (size_after, rate_after) in pairs.items()
    ]
