"""Edge of stability: on the full batch, training sharpens a network until it is barely stable.

Claim: under full-batch gradient descent the largest eigenvalue of the training loss's Hessian, the
sharpness, rises to 2 / step size and hovers there, while the loss keeps falling, though not
monotonely. With heavy-ball momentum β the edge is (2 + 2β) / step size; with Adam it is that of the
preconditioned Hessian, (2 + 2β₁) / ((1 - β₁) step size), which is 38 / step size for β₁ = 0.9. On
smaller batches gradient descent stays below, and the further the smaller the batch.

A tanh network is trained with squared error on 500 examples of MNIST-1D, every update on all of
them: at several step sizes of each optimiser, from several seeds, one compiled program for each
optimiser. Weights are kept at 24 points on the way and measured there: 20 steps of Lanczos on
exact Hessian products over all training examples.

The rules: the median of step size × sharpness over the last half of training lies, with its whole
95 % interval over seeds, in [1.9, 2.2] for gradient descent, and within 10 % of the threshold for
momentum and for Adam (PASS); PARTIAL if it lies outside of that; INCONCLUSIVE if it reaches over
its ends. Step sizes were chosen, on a seed that the defaults leave out, such that training gets to
the edge before its half: at smaller ones the loss is gone first, and the network stays flatter.

Source: Cohen et al. 2021 (arXiv:2103.00065); Cohen et al. 2022 (arXiv:2207.14484).

Command:   python experiments/edge_of_stability.py
           python experiments/edge_of_stability.py --loss=cross_entropy --seeds=5
Cost:      54 runs of 6,000 updates and 1,296 eigenvalues: 3 minutes of CPU time on two cores;
           smoke: seconds.
Outcome:   a table of every optimiser, batch size and step size, a verdict on each, failures first;
           figures/edge.png, figures/claims.png (and SVG), sharpness.csv, verdict.json, and
           results.csv and curves as every sweep has them.
"""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import command_line
from minima import sweep
from parts.edge_of_stability.config import PRESETS, EosConfig
from training import print_plane, train

if TYPE_CHECKING:
    from minima.sweep.run import Prepared

EXPERIMENT = "edge_of_stability"


def main(config: EosConfig) -> int:
    """Plans, trains with every optimiser, measures what was kept on the way, and judges."""
    # They bring JAX and SciPy, which --help does without.
    from parts.edge_of_stability.claims import judge
    from parts.edge_of_stability.courses import courses
    from parts.edge_of_stability.report import present

    # Plan: everything the user can get wrong is found here, before anything compiles.
    sweeps = config.sweeps()
    prepared = {name: sweep.prepare(each, EXPERIMENT) for name, each in sweeps.items()}
    for each in prepared.values():
        print(sweep.describe(each.plan), end="\n\n", flush=True)
    if config.record.plan_only:
        print(f"run: {directory(prepared)} (not started: --plan_only)")
        return 0

    # Train: one program for each optimiser; the same command resumes after any interruption.
    # A shard takes its part of all of them, since none of them waits for another.
    code = None
    for each in prepared.values():
        code = train(each, command_line.flagfile(config))
        if code:
            return code
        if code is None:
            print_plane(each)
    if code is not None:
        return code

    # Measure: the largest eigenvalue wherever a state was kept; what is on disk is not measured
    # again.
    found = courses(prepared, measured)

    # Judge: does it get to the edge, and stay there?
    present(prepared, found, judge(found))
    print(f"run: {directory(prepared)}")
    return 0


def measured(done: int, total: int) -> None:
    """Says how far measuring is, a dozen times or less."""
    step = -(-total // 12)
    if done == total or done // step > (done - 1) // step:
        print(f"measured {done} of {total} states", file=sys.stderr, flush=True)


def directory(prepared: "Mapping[str, Prepared]") -> object:
    """Where what is found about all runs together is kept: with gradient descent's own."""
    return next(iter(prepared.values())).directory


command_line.define(EosConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
