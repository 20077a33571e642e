"""Overfitting: training loss falls while validation loss turns; what helps, and who notices.

Claim: a network that trains for long on few examples keeps lowering its training loss while its
validation loss turns and rises. L2, dropout, early stopping and augmentation each lower test loss
then, together less than the sum of each, and the less the more examples there are. A network fits
labels that mean nothing, and learns nothing from them; one that never sees an example twice does
not turn. Choosing on the test set flatters, and gains nothing. And all this shows in two columns
of a log: `python -m minima diagnose` tells overfit, underfit, unstable, leaking and healthy apart.

A transformer learns four classes of generated support tickets (a stand-in, written by a seeded
grammar) for 50 epochs. An MLP learns MNIST-1D from four sizes of training set under all 2⁴
combinations of remedies: dropout × L2 are lanes of one program. The same network learns random
labels, fresh examples without end, and 24 configurations to choose from by validation or by test.
200 runs of 20 kinds have a known fault, put there: far too few examples, far too small a rate or a
linear model, far too large a rate, validation rows that are training rows too, a feature that gives
the label away; or none. What is said of them follows from their logs alone.

The rules: our tickets turn at epoch 12 ± 6, at 0.45 ± 0.15 nats, and end at 1.2 ± 0.4, as the
course's log does. Each remedy alone: the 95 % interval of the paired difference in test loss
excludes 0, which is p < 0.05. Random labels: 1 % at most not fitted, test accuracy chance ± 1
point. Diagnoses: the exact upper limit of the share of wrong ones is below 5 %. Strengths, rates
and thresholds were settled on seeds that do not report.

Source: the course, lesson 2; Zhang et al. 2017 (arXiv:1611.03530); Srivastava et al. 2014.

Command:   python experiments/overfitting.py
           python -m minima diagnose experiments/examples/ticket_log.csv
Cost:      22 programs, 797 runs: about 6 minutes of CPU time, most of it compiling, so about 3 on
           two cores (summed over parts, on a busy machine).
Outcome:   tables and verdicts, failures first; remedies.csv, effects.csv, diagnoses.csv,
           faults.csv, misread.csv, peeking.csv, verdict.json, figures/tickets.png, remedies.png,
           controls.png, diagnosis.png.
"""

import command_line
import lesson
from minima import sweep
from parts.overfitting.config import PRESETS, OverfittingConfig
from parts.overfitting.sweeps import sweeps

EXPERIMENT = "overfitting"


def main(config: OverfittingConfig) -> int:
    """Plans, trains all sweeps, reads them, diagnoses the faulty ones, and judges."""
    # Plan: everything the user can get wrong is found here, before anything compiles.
    planned = sweeps(config)
    prepared = {name: sweep.prepare(each, EXPERIMENT) for name, each in planned.items()}

    # Train: a program for each; the same command resumes after any interruption.
    code = lesson.train_all(prepared, config)
    if code is not None:
        return code

    # Measure: curves and losses of all runs, diagnoses of the faulty ones, and what everything
    # there is to choose from gets right.
    from parts.overfitting.claims import judge
    from parts.overfitting.findings import findings, judged_peeking
    from parts.overfitting.measured import measure

    found = measure(prepared, config)

    # Judge: is it as claimed, under rules fixed before the data?
    peeking = judged_peeking(found)
    judged = judge(found, peeking, config)
    lesson.present(lesson.of_sweeps(prepared), findings(found, judged, peeking, config))
    return 0


command_line.define(OverfittingConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
