"""Does it matter where a run lands? Sharp and flat minima at one clean accuracy, and what they do.

Question: five kinds of minima, of a small batch, a large batch at the small one's rate, a large
batch at its own, SAM and averaged weights: which are sharp, and do the sharp ones do worse where
accuracy says nothing? In likelihood and calibration, on corrupted inputs, in the worst group where
a shortcut was planted, in gaps between classes and groups, in transfer with few labels, in how many
wrong labels are learnt by heart, and in the bits that each weight needs.

Every kind trains on MNIST-1D as it is, with a pulse that goes with half of the classes in 95 % of
the signals, and with 40 % of the labels redrawn. Rates are chosen on seeds of their own, by
validation accuracy on data as they are, and kept on the others. Runs are kept at ten points of
their course, forty with noisy labels. Half of the test examples say where on its course each run
has the one accuracy that nine in ten runs of every kind reach; everything is read there, in
proportion between the two kept states on either side, on the other half, and what is left of the
difference in accuracy is shown. A run that never has it, or is past it at its first kept state, is
left out there. So the better kind is compared at an earlier time: the same at the end, unmatched,
stands beside it. Sharpness is measured
of the same states by one program: λmax, and two measures that no rescaling of layers changes.

The rules, fixed before the run: differences are paired by seed with the small batch's, 95 %
intervals are Student's; what differs, differs after Holm's correction over all kinds and
consequences of a state. The small batch once more, from other seeds, is a row like the others, and
two arms of one configuration are to be told apart in 5 ± 1 % of 8,800 comparisons. Signs are
claimed of the large batch in every consequence (sharp is worse), of SAM and of averages where they
are published; PASS needs the interval on the claimed side of 0, and is PARTIAL where Holm's
correction does not leave it; FAIL lies on the other side, or within the smallest effect of interest
(0.5 points, 0.02 nats, 0.1 bits) of 0. Over kinds, does the sharper do worse (Kendall's τ by seed)?

Calibration error comes with that of perfectly calibrated models of the same confidences. Bits: the
coarsest uniform rounding of each tensor from which on the training loss rises by less than 1 %, so
a smaller loss allows less. The large batch at the small one's rate trains four times as long.
Settled on seeds 100 to 115, looked at five times: how many states are kept with noisy labels, that
runs which have the accuracy nowhere are left out, and that nine in ten, not all, have to reach it.
Seeds 200 to 215, which report, were run once, after that.

Source: Keskar et al. 2017 (arXiv:1609.04836); Foret et al. 2021 (arXiv:2010.01412); Izmailov et al.
2018 (arXiv:1803.05407); Andriushchenko et al. 2023 (arXiv:2302.07011); Hochreiter & Schmidhuber
1997, "Flat minima".

Command:   python experiments/consequences.py
           python experiments/consequences.py --dataset=fashion_mnist --model=cnn_small \
             --shortcut=ruler:fashion_mnist --target=none --test_examples=0
Cost:      372 runs on MNIST-1D, 300 measured minima: 4 minutes of CPU time, about 2 on two cores
           (summed over parts, on a busy machine); half a gigabyte of kept states.
Outcome:   the kinds with their sharpness, what matching left, all differences and calibration as
           tables, an answer for each kind, verdicts, failures first; figures/consequences.png (the
           forest), figures/claims.png (and SVG), minima.csv, matching.csv, effects.csv,
           calibration.csv, verdict.json, and results.csv of every sweep.
"""

from typing import TYPE_CHECKING

import command_line
import lesson
import tuned
from minima import sweep
from parts.consequences.config import LARGE, PRESETS, SMALL, MatterConfig

if TYPE_CHECKING:
    from minima.sweep.run import Prepared

EXPERIMENT = "consequences"


def main(config: MatterConfig) -> int:
    """Chooses rates, trains every kind on everything, matches, measures and judges."""
    # They bring JAX and SciPy, which --help does without.
    from parts.consequences import stages
    from parts.consequences.claims import judge
    from parts.consequences.measured import measure
    from parts.consequences.report import findings

    # Plan: everything the user can get wrong is found here, before anything compiles.
    target = stages.check(config, EXPERIMENT)

    # Train: rates are chosen on some seeds, and what they give is reported on others.
    chosen = tuned.train(
        stages.candidates(config), config.kinds.tuning_seeds, EXPERIMENT, config, tuned.ACCURACY
    )
    if isinstance(chosen, int):
        return chosen
    rates = {kind: each.rate for kind, each in chosen.items()}
    rest = {
        name: sweep.prepare(each, EXPERIMENT) for name, each in stages.others(config, rates).items()
    }
    code = lesson.train_all({", ".join(name): each for name, each in rest.items()}, config)
    if code is not None:
        return code

    # Measure: what every kind does at one clean accuracy, and at its end.
    trained: dict[str, Prepared] = {kind: each.prepared for kind, each in chosen.items()}
    runs = stages.by_name(trained, rest)
    found = measure(config, runs, {**rates, LARGE: rates[SMALL]}, target)

    # Judge: are they sharp, does it matter?
    place = lesson.of_sweeps({SMALL: trained[SMALL]} | {", ".join(n): e for n, e in runs.items()})
    notes = [note for each in chosen.values() for note in each.notes]
    lesson.present(place, findings(found, judge(found), place.shown, notes))
    return 0


command_line.define(MatterConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
