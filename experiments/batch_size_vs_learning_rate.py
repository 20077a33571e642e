"""Batch size against learning rate: a whole plane of training runs as one program, and its verdict.

Question: which learning rates train at which batch sizes, how far does the best rate move as the
batch grows, where do runs diverge or collapse; and if the large batch generalises worse, is that
its rate, too few updates, or the batch itself?

Every cell (batch size × learning rate × seed) trains for the same epochs from the same initial
weights, data order and augmentation as the other cells of its seed, so differences are paired.
Rates are chosen on some seeds by validation accuracy; verdicts are about the test accuracy of the
others. Branches go on from the plane's cells: the largest batch size for as many updates as the
smallest (updates), a lower rate against a larger batch halfway (schedules); twins of the plane
train on data that never repeat (infinite). With --measure=hessian,sharpness,noise the minimum of
every cell is measured, on the labels it was trained with: λmax, trace, sharpness, noise scale.

Source: the plane of Shallue et al. 2019 (arXiv:1811.03600) and Goyal et al. 2017
(arXiv:1706.02677), small enough for a laptop; the claims' own sources: python -m minima claims.

Command:   make sweep                                    (= --preset=sweep)
           python experiments/batch_size_vs_learning_rate.py --preset=laptop --dataset=mnist1d
           python experiments/batch_size_vs_learning_rate.py --model=mlp \\
             --batch_sizes=16:1024:x2 --learning_rates=1e-3:1e0:log12 --seeds=5 \\
             --budget=20epochs --optimizer=momentum
Cost:      on two CPU cores; sweep: 5 × 7 × 10 small CNNs, 12 epochs of 4,000 Fashion-MNIST images
           each, under 5 minutes; laptop: 5 × 8 × 10 runs of 15 epochs and all branches, MLPs on
           MNIST-1D under 3 minutes; smoke: seconds; gpu, pod: larger planes of the full CNN.
Outcome:   results.csv, results.nc, TensorBoard curves, a table and a heat map in which diverged
           and collapsed cells are marked; the gap between small and large batch in parts, and a
           verdict on each claim, failures first, in words and figures; what was measured at the
           minima as further columns and heat maps beside the test accuracy. Expect a ridge of best
           rates that climbs with batch size and ends at a cliff; the largest batches fall behind
           at equal epochs.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import command_line
from minima import sweep
from minima.runtime.interrupts import STOPPED_AND_SAVED
from minima.sweep.config import SweepConfig
from parts.batch_size_vs_learning_rate.config import FlagshipConfig
from training import print_plane, train

if TYPE_CHECKING:
    from minima.sweep.run import Prepared

EXPERIMENT = "batch_size_vs_learning_rate"

PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "batch_sizes": "32,256",
        "learning_rates": "0.01,0.1,100",
        "seeds": "2",
        "budget": "1epochs",
        "evaluations": 4,
    },
    "sweep": {  # small CNNs, whose best rates lie lower than those of MLPs on signals
        "batch_sizes": "16:256:x2",
        "learning_rates": "0.00390625:0.25:log7",
        "seeds": "10",
        "budget": "12epochs",
        "branches": "schedules",
    },
    "laptop": {
        "batch_sizes": "16:256:x2",
        "learning_rates": "0.015625:2:log8",
        "seeds": "10",
        "budget": "15epochs",
        "branches": "all",
    },
    "gpu": {
        "model": "cnn",
        "batch_sizes": "8:2048:x2",
        "learning_rates": "1e-3:3.2e0:log15",
        "seeds": "5",
        "budget": "50epochs",
    },
    "pod": {
        "model": "cnn",
        "batch_sizes": "2:2048:x2",
        "learning_rates": "1e-4:1e1:log31",
        "seeds": "20",
        "budget": "200epochs",
        "evaluations": 50,
    },
}

FRESH_TEST_EXAMPLES = 10_000  # where a data set draws them: 1,000 can't see a gap of a point


def main(config: FlagshipConfig) -> int:
    """Plans, trains, shows the plane, and judges."""
    # They bring JAX and SciPy, which --help does without.
    from minima.claims import listing
    from minima.landscape.measured_run import chosen_panels
    from parts.batch_size_vs_learning_rate.report import foreseen, present
    from parts.batch_size_vs_learning_rate.stages import (
        cells_without_minimum,
        collect,
        look_at_minima,
    )

    for claim in config.verdict.claims:
        listing.known(claim)

    # Plan: everything the user can get wrong is found here, before anything compiles.
    config = replace(config, sweep=with_large_test_set(config.sweep))
    prepared = sweep.prepare(config.sweep, EXPERIMENT)
    chosen_panels(prepared.plan, config.landscape.measure)
    print(sweep.describe(prepared.plan), flush=True)
    for line in foreseen(prepared.plan, config.verdict.branches):
        print(line, flush=True)
    if config.sweep.record.plan_only:
        print(f"run: {prepared.place} (not started: --plan_only)")
        return 0

    # Train: one program, all cells; the same command resumes after any interruption.
    code = train(prepared, command_line.flagfile(config))
    if code is not None:
        return code
    show_plane(prepared)

    # Measure: curvature and sharpness at the end of every cell.
    if config.landscape.measure:
        look_at_minima(prepared, config.landscape)

    if missing := cells_without_minimum(prepared):
        print(f"no verdict: {missing} cells were trained with --snapshots=0, which keeps no minima")
        print(f"run: {prepared.place}")
        return 0

    if config.sweep.grid.axes:
        print("no verdict: claims are about one plane, and --axes makes several")
        print(f"run: {prepared.place}")
        return 0

    # Judge: branches and twins of the plane, then every claim on what they say together.
    evidence = collect(prepared, config.verdict.branches, train_stage)
    if evidence is None:
        return STOPPED_AND_SAVED
    present(prepared, evidence, config.verdict.claims)
    print(f"run: {prepared.place}")
    return 0


def train_stage(config: SweepConfig) -> "Prepared | None":
    """Trains a sweep beside the plane; None where it was stopped."""
    from minima.record import figures, results

    prepared = sweep.prepare(config, EXPERIMENT)
    print(sweep.describe(prepared.plan), flush=True)
    if train(prepared, command_line.flagfile(FlagshipConfig(config))) is not None:
        return None
    run = results.load(prepared.directory)
    figures.plane_figures(run.path / "figures", run.axes, run.cells, title(prepared))
    print(f"results:  {run.path / 'results.csv'}")
    return prepared


def show_plane(prepared: "Prepared") -> None:
    """The plane in the terminal and as a figure, and where everything is."""
    from minima.record import figures, results

    print_plane(prepared)
    run = results.load(prepared.directory)
    for path in figures.plane_figures(run.path / "figures", run.axes, run.cells, title(prepared)):
        print(f"heat map: {path}")
    print(f"results:  {run.path / 'results.csv'}")
    print(f"curves:   make tensorboard LOGDIR={run.path / 'tensorboard'}")


def with_large_test_set(config: SweepConfig) -> SweepConfig:
    """The same, with a test set that can see a gap of a point where one can be drawn."""
    from minima.tasks import datasets

    task = config.task
    if task.test_examples or task.dataset not in datasets.TEST_EXAMPLES:
        return config
    return replace(config, task=replace(task, test_examples=FRESH_TEST_EXAMPLES))


def title(prepared: "Prepared") -> str:
    """One line that says what was trained."""
    plan, training = prepared.plan, prepared.plan.config.training
    trained = f"{plan.recipe.task.model.name} on {plan.dataset.name}"
    return f"{trained}, {training.optimizer}, {training.budget}"


command_line.define(FlagshipConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
