"""Sharp against flat: does a large batch land in a sharper minimum, and does it matter?

Claim: a large batch lands in a sharper minimum than a small one, and a sharper minimum generalises
worse (Keskar et al. 2017); what is made flatter, by SAM or by a switch on the way, tests better.

From common initial weights and data order train a small batch at its best rate, a large batch at
the same rate, the large batch at its own best rate, and there SAM and ASAM at their best radius.
Rates and radii are chosen on some seeds by validation accuracy, all else is about the others.
Every minimum is measured on the same training examples, and every sharpness is reported as it is,
in the canonical gauge (the least weights among all that compute the same function), and in a form
that no such rescaling changes; an attacker looks for rescalings that turn the order around. The
ratio of two minima's curvature is split into confidence (what is gone once read-outs are scaled to
one training loss), weight norm (what is gone in the canonical gauge) and shape. Over the plane of
batch sizes and rates, each measure is ranked against the generalisation gap.

Three controls: networks that learnt random labels by heart, which have to be sharper than those
that learnt the true ones, at the same training loss; SAM where 40 % of the labels are random, its
published home ground; and, for causes instead of correlations, runs of which one thing is switched
halfway (batch size, rate, SAM on or off): does sharpness follow, and does the test error?

The rules: ratios of sharpness are in doublings; a claim passes if the 95 % interval over seeds
excludes 0 on the claimed side, fails on the other side or if it lies within a quarter doubling of
0. Accuracies likewise, over seeds and test examples, within half a point. Each verdict carries a
planted effect, an A/A comparison and the smallest effect that would have been seen.

Source: Keskar et al. 2017 (arXiv:1609.04836), Dinh et al. 2017 (arXiv:1703.04933), Neyshabur et al.
2017 (arXiv:1706.08947), Foret et al. 2021 (arXiv:2010.01412), Kwon et al. 2021 (arXiv:2102.11600),
Andriushchenko et al. 2023 (arXiv:2302.07011).

Command:   python experiments/sharp_vs_flat.py
           python experiments/sharp_vs_flat.py --dataset=fashion_mnist --test_examples=0 \\
             --model=cnn_small --learning_rates=0.004:0.25:log7 --small_batch=16 --climbed=16
Cost:      laptop: some 700 MLPs on MNIST-1D, 14 seeds, 40 epochs, and 300 measured minima: under 3
           minutes on two CPU cores; smoke: under one.
Outcome:   tables of the minima, of ratios in every gauge, of their parts and of causes, then
           verdicts, failures first; verdict.json; figures of ratios, of sharpness against the gap,
           of slices, surfaces, paths and spectra; measures.jsonl beside each run's results.
"""

from typing import TYPE_CHECKING

import command_line
from minima import sweep
from minima.runtime.interrupts import STOPPED_AND_SAVED
from minima.sweep.config import SweepConfig
from parts.sharp_vs_flat.config import PRESETS, SharpConfig
from training import print_plane, train

if TYPE_CHECKING:
    from minima.sweep.run import Prepared

EXPERIMENT = "sharp_vs_flat"


def main(config: SharpConfig) -> int:
    """Plans, trains all arms, measures their minima, and judges."""
    # They bring JAX and SciPy, which --help does without.
    from parts.sharp_vs_flat import stages
    from parts.sharp_vs_flat.claims import judge
    from parts.sharp_vs_flat.files import present
    from parts.sharp_vs_flat.findings import StoppedError, measure_arms, train_arms
    from parts.sharp_vs_flat.report import foreseen

    # Plan: everything the user can get wrong is found here, before anything compiles.
    prepared = sweep.prepare(stages.plane(config), EXPERIMENT)
    print(sweep.describe(prepared.plan), flush=True)
    print(foreseen(config), flush=True)
    if config.record.plan_only:
        print(f"run: {prepared.place} (not started: --plan_only)")
        return 0

    # Train: both batch sizes at all rates in one program, then what is chosen from them.
    code = train(prepared, command_line.flagfile(config))
    if code is not None:
        return code
    print_plane(prepared)
    try:
        arms = train_arms(config, prepared, train_stage)
    except StoppedError:
        return STOPPED_AND_SAVED

    # Measure: the minimum of every reporting seed, in every gauge.
    found = measure_arms(config, arms)

    # Judge, and draw.
    present(config, prepared, found, judge(found))
    print(f"run: {prepared.place}")
    return 0


def train_stage(name: str, config: SweepConfig) -> "Prepared | None":
    """Trains what stands beside the plane, or takes it from disk; None where it was stopped."""
    prepared = sweep.prepare(config, EXPERIMENT)
    flagfile = f"# {name}: a part of sharp_vs_flat, which trains it\n"
    if train(prepared, flagfile) is not None:
        return None
    print(f"trained    {name}: {prepared.directory}", flush=True)
    return prepared


command_line.define(SharpConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
