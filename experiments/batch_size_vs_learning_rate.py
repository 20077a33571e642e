"""Batch size against learning rate: a whole plane of training runs as one program.

Question: which learning rates train at which batch sizes, how far does the best rate move as the
batch grows, and where do runs diverge or collapse to a constant prediction?

Every cell (batch size × learning rate × seed) trains for the same budget from the same initial
weights, data order and augmentation as the other cells of its seed, so differences are paired.
Rates can be chosen on validation accuracy; test accuracy is reported and chooses nothing.

Source: the plane of Shallue et al. 2019 (arXiv:1811.03600) and Goyal et al. 2017
(arXiv:1706.02677), small enough for a laptop.

Command:   make sweep                                    (= --preset=laptop)
           python experiments/batch_size_vs_learning_rate.py --model=mlp \\
             --batch_sizes=16:1024:x2 --learning_rates=1e-3:1e0:log12 --seeds=5 \\
             --budget=20epochs --optimizer=momentum
Cost:      laptop: 6 × 7 × 3 small CNNs, 25 epochs of 4,000 Fashion-MNIST images each, about 3
           minutes on two CPU cores; smoke: seconds; gpu and pod: larger planes of the full CNN.
Outcome:   results.csv, results.nc, TensorBoard curves, a table and a heat map in which diverged
           and collapsed cells are marked. Expect a ridge of best rates that climbs with batch size
           and ends at a cliff; the largest batches fall behind at equal epochs.
"""

import command_line
from minima import sweep
from minima.record import figures, results, terminal
from minima.record.progress import Progress
from minima.sweep.config import SweepConfig

EXPERIMENT = "batch_size_vs_learning_rate"

PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "batch_sizes": "32,256",
        "learning_rates": "0.01,0.1,100",
        "seeds": "2",
        "budget": "1epochs",
        "evaluations": 4,
    },
    "laptop": {},
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


def main(config: SweepConfig) -> int:
    """Plans, trains, and shows the plane."""
    # Plan: everything the user can get wrong is found here, before anything compiles.
    prepared = sweep.prepare(config, EXPERIMENT)
    print(sweep.describe(prepared.plan), flush=True)
    if config.record.plan_only:
        print(f"run: {prepared.directory} (not started: --plan_only)")
        return 0

    # Train: one program, all cells; the same command resumes after any interruption.
    console = terminal.make_console()
    with Progress() as progress:
        code = sweep.execute(prepared, command_line.flagfile(config), progress)

    # Show: the plane in the terminal and, once it is whole, as a figure.
    run = results.load(prepared.directory)
    terminal.print_plane(console, run.axes, run.cells)
    if code:
        missing = len(prepared.plan.cells) - len(run.cells)
        print(f"stopped with {missing} cells to go; the same command goes on from here")
    else:
        heat_map = run.path / "figures" / "plane.png"
        figures.plane_figure(heat_map, run.axes, run.cells, title=title(config))
        print(f"heat map: {heat_map}")
        print(f"results:  {run.path / 'results.csv'}")
        print(f"curves:   make tensorboard LOGDIR={run.path / 'tensorboard'}")
    print(f"run: {run.path}")
    return code


def title(config: SweepConfig) -> str:
    """One line that says what was trained."""
    task, training = config.task, config.training
    return f"{task.model} on {task.dataset}, {training.optimizer}, {training.budget}"


command_line.define(SweepConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
