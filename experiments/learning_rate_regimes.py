"""Learning-rate regimes: too small, lazy, unstable, collapsed, diverged; and one number to change.

Claim: what a learning rate does can be told from the loss curve, and predicted by the sharpness at
the initial weights, the largest eigenvalue λ of the loss's Hessian. With squared error the loss
begins to rise at 2/λ, and networks train up to 4/λ (tanh) or 12/λ (ReLU); beyond, they collapse to
a constant output or diverge. Cross-entropy shifts both. A network and a rate that train a
tutorial's images fail on bird calls, with a spike and then a constant loss, and train once the rate
is changed.

Three networks are trained by gradient descent on 200 examples of MNIST-1D at 64 rates, all seeds in
one program each: one hidden layer of tanh and two of ReLU with squared error, two of ReLU with
cross-entropy. `minima.claims.regimes` names each run's regime by one rule. λ is measured by Lanczos
at the start, and at every fourth rate at the end. A CNN is trained on Fashion-MNIST at several
rates; the largest that comes within 5 points of the best is the tutorial's, and is tried on
`chirps`, spectrograms of made-up bird calls (--data_dir for recordings). Then, without data:
gradient descent from random starts in a narrow dip beside a wide one, at 64 rates; and which of
thousands of pairs of rates, one for each layer, train a tanh network of 16 units, as pictures
further and further in.

The rules: measured boundaries lie within half an octave of the predicted ones, with their whole
interval (95 %) over seeds. Rates are chosen on other seeds than are reported. The dimension of the
edge between rates that train and rates that do not lies in [1.3, 1.9].

What was seen before: networks, optimiser, rates and the classifier's rule were settled in pilots on
seeds 100 and 101. One hidden layer of ReLU trained up to about 4/λ only, at widths 128 and 512; two
were taken. Both image data were tried with momentum, too, and Fashion-MNIST with a smaller network.
That a dip is left within half an octave of 2 / its curvature was claimed first; it is wrong, and
what replaced it was settled with the landscape in sight. The verdicts' notes say so.

Source: the course, lesson 2; Lewkowycz et al. 2020 (arXiv:2003.02218); Cohen et al. 2021
(arXiv:2103.00065); Sohl-Dickstein 2024 (arXiv:2402.06184).

Command:   python experiments/learning_rate_regimes.py
           python experiments/learning_rate_regimes.py --data_dir=RECORDINGS
Cost:      1,030 runs, 36,864 small networks and 64,000 points rolling downhill: 7 minutes of CPU
           time on two cores; smoke: 20 seconds.
Outcome:   regimes.csv, boundaries.csv, birds.csv, dips.csv, trainability.csv, figures of the same
           names and a verdict on each claim, failures first; verdict.json.
"""

import dataclasses
from typing import TYPE_CHECKING

import command_line
import lesson
from minima import sweep
from parts.learning_rate_regimes.config import PRESETS, RegimesConfig

if TYPE_CHECKING:
    from minima.sweep.run import Prepared

EXPERIMENT = "learning_rate_regimes"


def main(config: RegimesConfig) -> int:
    """Plans, trains on the full batch and on birds, rolls downhill, looks at pictures, judges."""
    # Plan: everything the user can get wrong is found here, before anything compiles.
    sweeps = config.sweeps()
    prepared: dict[str, Prepared] = {
        name: sweep.prepare(each, EXPERIMENT) for name, each in sweeps.items()
    }

    # Train: 64 rates and all seeds by one program for each network; the same command resumes.
    code = lesson.train_all(prepared, config)
    if code is not None:
        return code

    # They bring JAX and Matplotlib, which --help does without.
    from minima.record.run_directory import config_hash
    from parts.learning_rate_regimes.birds import story
    from parts.learning_rate_regimes.claims import judge
    from parts.learning_rate_regimes.dips import DEEP, POOR, descend
    from parts.learning_rate_regimes.figures import draw
    from parts.learning_rate_regimes.pictures_of_rates import pictures
    from parts.learning_rate_regimes.planes import full_batches
    from parts.learning_rate_regimes.report import tables

    # Measure: regimes and sharpness of every run; what is on disk is not measured again.
    place = lesson.of_sweeps(prepared)
    full = full_batches(prepared, config.full_batch.sharpness_every)
    birds = story(prepared, config.birds)

    # Two dips, the narrow one poor or better; and pictures, kept one by one.
    dips = [descend(depth, config.dips.starts) for depth in (POOR, DEEP)]
    picture = config_hash(dataclasses.asdict(config.picture))[:10]
    seen = pictures(config.picture, place.directory / "pictures" / picture)

    # Judge: are boundaries where they are predicted, and does one number decide?
    judged = judge(full, birds, dips, seen)
    figures = draw(full, birds, dips, seen, judged, place.runs["tanh"])
    found = lesson.Findings(tables(full, birds, dips, seen), judged, figures)
    lesson.present(place, found)
    return 0


command_line.define(RegimesConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
