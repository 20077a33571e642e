"""What is trained, in which order: rates are chosen on some draws, reported on others."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

import command_line
from minima import sweep
from minima.record import results
from minima.record.tables import Table
from parts.learned_features.config import DEEP, Arm, LearnedFeaturesConfig
from training import train

if TYPE_CHECKING:
    from minima.sweep.run import Prepared

Sweeps = dict[str, "Prepared"]


def first_stage(config: LearnedFeaturesConfig, experiment: str) -> Sweeps:
    """What can be trained at once: rates to choose among, planted faults, the deep network.

    Raises:
      UserError: the data or a flag don't fit, or scikit-image is missing.
    """
    sweeps: Sweeps = {}
    for arm in config.arms:
        for size in config.features.sizes:
            for draw in config.features.choosing_draws:
                asked = config.arm_sweep(arm, size, draw, arm.rates, (draw,))
                sweeps[choosing(arm, size, draw)] = sweep.prepare(asked, experiment)
    sweeps[DEEP] = sweep.prepare(config.deep_sweep(), experiment)
    for fault in config.planted:
        sweeps[fault.name] = sweep.prepare(config.fault_sweep(fault), experiment)
    return sweeps


def second_stage(
    config: LearnedFeaturesConfig, experiment: str, rates: Mapping[tuple[str, int], float]
) -> Sweeps:
    """What reports: every arm, size and draw at the rate that others chose."""
    return {
        reporting(arm, size, draw): sweep.prepare(
            config.arm_sweep(arm, size, draw, (rates[arm.name, size],), config.seeds(draw)),
            experiment,
        )
        for arm in config.arms
        for size in config.features.sizes
        for draw in config.features.draws
    }


def choosing(arm: Arm, size: int, draw: int) -> str:
    """The name of a sweep that chooses a rate."""
    return f"choosing {arm.name} {size} {draw}"


def reporting(arm: Arm, size: int, draw: int) -> str:
    """The name of a sweep that reports."""
    return f"{arm.name} {size} {draw}"


def chosen_rates(config: LearnedFeaturesConfig, trained: Sweeps) -> dict[tuple[str, int], float]:
    """By arm and size, the rate of the best mean validation accuracy over the choosing draws.

    A rate at which a run failed is not chosen, unless it is so at all of them; ties go to the
    smaller.
    """
    rates = {}
    for arm in config.arms:
        for size in config.features.sizes:
            tables = [
                results.load(trained[choosing(arm, size, draw)].directory).table(
                    "validation_accuracy"
                )[0, :, 0]
                for draw in config.features.choosing_draws
            ]
            mean = np.mean(tables, axis=0)
            rates[arm.name, size] = arm.rates[int(np.argmax(np.nan_to_num(mean, nan=-1.0)))]
    return rates


def train_all(sweeps: Sweeps, config: LearnedFeaturesConfig, title: str) -> int | None:
    """Says what all of it is, in a line each; trains what is missing of each.

    Returns:
      None where the experiment goes on; else the exit code to leave with (see `lesson.train_all`).
    """
    rows = []
    for name, each in sweeps.items():
        plan = each.plan
        dataset, model = plan.config.task.dataset, plan.recipe.task.model
        size = len(plan.dataset.train)
        cells, seen = len(plan.cells), plan.total_examples()
        rows.append((name, dataset, model.name, model.count_parameters(), size, cells, seen))
    columns = ("sweep", "dataset", "model", "parameters", "examples", "runs", "examples_seen")
    print("\n".join(Table(title, columns, rows).lines()), end="\n\n", flush=True)
    if config.record.plan_only:
        return 0
    code = None
    for number, (name, each) in enumerate(sweeps.items(), 1):
        if sweep.finished(each) < len(each.plan.part):
            print(f"{number} of {len(sweeps)}: {name}", flush=True)
        # A shard takes its part of all of them: none waits for another.
        code = train(each, command_line.flagfile(config))
        if code:
            return code
    return code
