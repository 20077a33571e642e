"""Calibration: whether a network is as often right as it says, and what repairs it, for how long.

Claim: a network that is trained beyond its best validation loss gets ever surer while it gets no
better; so does a larger one, and one with fewer examples. One number, a temperature, fitted on
held-out examples, takes its calibration error to a third and less without changing a prediction.
On corrupted inputs that repair fades, and ensembles do better. Batch size and learning rate do not
matter at one accuracy: what matters is how far the training loss has fallen.

MLPs learn MNIST-1D for 3,000 updates, without and with dropout; their states are kept on the way.
Temperature, vector, Platt and isotonic scaling are fitted to the end of training on validation
examples, and judged on test examples that nothing was fitted to, beside networks stopped early,
ensembles of five seeds (with and without a temperature fitted to their mean), and Monte Carlo
dropout. All of them then meet the test examples under shift: dealt out among the corruptions of
signals or images, at five severities. A plane of batch sizes and rates is compared where validation
accuracy first crosses one value, where training loss (a mean over the updates since the last look)
does, and after the same epochs. No calibration error stands without the one that a perfectly
calibrated model of the same confidences has by chance: with a thousand examples, 2 to 3 points.

The rules, fixed before the run: more and less are 95 % intervals over seeds, paired, on the
predicted side of 0; repaired: the whole interval of the ratio of ECEs below 1/3, over networks
whose ECE is above twice a calibrated one's; does not matter: inside ±2 points; null band: the exact
limits of its coverage inside 95 ± 2 %; predictions that temperature changed, and validation losses
that it raised: none, over every state that was looked at. Rates and budgets were settled on seeds
that do not report; the plane's rates are chosen by the validation accuracy of such seeds, too.

Source: Guo et al. 2017 (arXiv:1706.04599); Ovadia et al. 2019 (arXiv:1906.02530); Gal & Ghahramani
2016 (arXiv:1506.02142); the course, lesson 4.

Command:   python experiments/calibration.py
Cost:      4 programs, 242 runs, 250 MiB of kept states: 165 seconds of CPU time, so about 1.4
           minutes on two cores; smoke: 20 seconds of it, most of them compilation.
Outcome:   tables and verdicts, failures first; repairs.csv, shift.csv, training.csv, plane.csv,
           classes.csv, verdict.json; figures/reliability.png, training.png, shift.png, plane.png,
           claims.png.
"""

import command_line
import lesson
from minima import sweep
from parts.calibration.config import PRESETS, CalibrationConfig
from parts.calibration.sweeps import sweeps

EXPERIMENT = "calibration"


def main(config: CalibrationConfig) -> int:
    """Plans, trains all sweeps, predicts by kept states, repairs, and judges."""
    # Plan: everything the user can get wrong is found here, before anything compiles.
    planned = sweeps(config)
    prepared = {name: sweep.prepare(each, EXPERIMENT) for name, each in planned.items()}
    # They bring JAX and SciPy, which --help does without.
    from parts.calibration.claims import judge
    from parts.calibration.findings import findings
    from parts.calibration.measured import check_data, measure

    check_data(prepared)

    # Train: a program for each; the same command resumes after any interruption.
    code = lesson.train_all(prepared, config)
    if code is not None:
        return code

    # Measure: what kept states say of validation, test and corrupted examples; repairs are fitted
    # on the first and judged on the others.
    found = measure(prepared, config)

    # Judge: is it as claimed, under rules fixed before the data?
    place = lesson.of_sweeps(prepared)
    lesson.present(place, findings(found, judge(found), config, place.shown))
    return 0


command_line.define(CalibrationConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
