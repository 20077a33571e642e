"""Distribution shift: accuracy falls, confidence does not; and who notices.

Claim: a network that meets other inputs than it was trained on is right less often and nearly as
sure as before. How much it loses is foretold by its accuracy at home, over hundreds of models of
one sweep. A monitor that knows launch alone finds the shift without a label, alarms on 5 % of
streams where nothing changes, and retraining when it alarms is worth nearly as much as always.

A small CNN learns Fashion-MNIST, another one MNIST-1D; test examples are then corrupted in 16 and
13 ways, as the network reads them (cnn_small: 14×14 pixels), at five severities. A sweep of 240
MLPs learns 4,000 digits of MNIST at 8×8, and is asked about 1,797 that others wrote, UCI's: a real
shift.
Networks are also shown what is none of their classes, and worlds where one class is half of all.
The monitor (`minima.evaluation.monitor`) looks at windows of a network's outputs, predicted classes
and late labels, by Kolmogorov-Smirnov tests, the kernel two-sample test, χ² and a cumulative sum of
errors. It watches 10,000 streams without a shift, corrupted ones, and 16 months of signals that
drift from month 7 to 12, in which the network is trained on never, every month, or on an alert.

The rules, fixed before the run: accuracy falls and overconfidence rises, for certain over seeds, at
severity 5; confidence falls less than half as much. On the line: 1 - R² of
probits below 0.1 with its bootstrap over settings. False alarms: each detector alone 5 ± 1 %, the
whole monitor at most 5 %, by exact binomial limits. Alerts: better than never retraining, within 3
points of always, with at most half the retrainings. Rates were settled on seeds 0 and 1.

Source: the course, lesson 4; Hendrycks & Dietterich 2019 (arXiv:1903.12261); Ovadia et al. 2019
(arXiv:1906.02530); Miller et al. 2021 (arXiv:2107.04649); Rabanser et al. 2019 (arXiv:1810.11953).

Command:   python experiments/distribution_shift.py
           python -m minima monitor STREAM.csv --launch=LAUNCH.csv --features=age,rent
Cost:      17 sweeps, 320 runs, 20,000 streams without a shift and 1,200 with one: about 8 minutes
           of CPU time on a busy machine, 2 of them training.
Outcome:   tables and verdicts, failures first; corruptions.csv, severities.csv, strangers.csv,
           priors.csv, alarms.csv, months.csv, line.csv, verdict.json, figures/corruptions.png,
           line.png, detectors.png, months.png, claims.png (and SVG).
"""

import command_line
import lesson
from minima import sweep
from parts.distribution_shift.config import DIGITS, PRESETS, SIGNALS, DistributionShiftConfig

EXPERIMENT = "distribution_shift"


def main(config: DistributionShiftConfig) -> int:
    """Trains what is launched, retrains what drifts, asks all networks, and judges."""
    # They bring JAX and SciPy, which --help does without.
    from judged import failures_first
    from parts.distribution_shift import months
    from parts.distribution_shift.claims import judge
    from parts.distribution_shift.findings import findings
    from parts.distribution_shift.measured import check_abroad, measure

    # Plan: what the user can get wrong is found here, before anything compiles.
    launched = {name: sweep.prepare(each, EXPERIMENT) for name, each in config.sweeps().items()}
    check_abroad(config, launched[DIGITS])

    # Launch: three sweeps; the same command resumes after any interruption.
    code = lesson.train_all(launched, config)
    if code is not None:
        return code

    # Drift: the launched networks, trained on with the labels of each month; one compilation.
    retrained = months.prepare(config, launched[SIGNALS], EXPERIMENT)
    named = {f"month {month}": each for month, each in retrained.items()}
    code = lesson.train_all(named, config, lambda plan: plan.dataset.name)
    if code is not None:
        return code

    # Ask: corrupted inputs, other sources, strangers, streams and months.
    found = measure(config, launched, retrained)

    # Judge: is it as claimed, under rules fixed before the data?
    judged, place = judge(found), lesson.of_sweeps(launched)
    ordered = failures_first(judged)
    lesson.present(place, findings(found, judged, ordered, config, place.shown))
    return 0


command_line.define(DistributionShiftConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
