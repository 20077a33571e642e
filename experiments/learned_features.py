"""Learned features: what a network makes of pixels, against what engineers did; and what breaks.

Claim: deep networks learn their own features from raw pixels and, given examples enough, beat
features that engineers thought of; those win where examples are few. Layer by layer a trained
network's insides become easier to read, an untrained one's do not. And a learning system has three
ingredients, data, architecture and objective: when one breaks, its curves tell which.

Three ways from pixels to classes are compared over training-set sizes: a network on pixels, and a
linear model on histograms of oriented gradients and pixel statistics (scikit-image), and on the
pixels themselves. All get the same updates, and their learning rates on other draws of the training
set than report. A number is that of one random draw, with a network of its own.

Then a linear read-out (ridge regression, exact) is fitted to every hidden layer of those networks,
and of a deeper MLP, before their first update and after their last.

Then systems are built with one ingredient broken on purpose, several kinds of each, and some in
order, on MNIST-1D. A diagnosis sees their losses and accuracies alone, and what the task is known
to allow; its rules (lib/minima/claims/ingredients.py) were settled on other seeds, four kinds of
system apart, which it sees for the first time.

The rules: differences are claimed by sign, PASS where the whole 95 % interval over draws is on the
claimed side; at most 10 % of systems may be misnamed.

Source: the course, lesson 1; Dalal & Triggs 2005; Alain & Bengio 2017 (arXiv:1610.01644).

Command:   python experiments/learned_features.py
           python experiments/learned_features.py --dataset=cifar10 --model=vgg --draws=3
Cost:      90 sweeps of short runs: 9 to 10 minutes of CPU time, so 5 on two cores; smoke: a minute
           of CPU time. Needs scikit-image: pip install 'minima[features]'.
Outcome:   tables of sizes, layers and faults, verdicts, failures first; figures/sizes.png,
           layers.png, ingredients.png, curves.png, claims.png (and SVG), a CSV of each table,
           verdict.json.
"""

import command_line
import lesson
from parts.learned_features.config import PRESETS, LearnedFeaturesConfig

EXPERIMENT = "learned_features"


def main(config: LearnedFeaturesConfig) -> int:
    """Plans, chooses rates, trains what reports, measures, and judges."""
    # They bring JAX and SciPy, which --help does without.
    from judged import failures_first
    from parts.learned_features import readings, stages, tables
    from parts.learned_features.claims import judge
    from parts.learned_features.figures import pictures

    # Plan: everything the user can get wrong is found here, before anything compiles.
    first = stages.first_stage(config, EXPERIMENT)
    place = lesson.of_sweeps(first)

    # Train: rates on some draws, planted faults, the deep network; then what reports.
    code = stages.train_all(first, config, "First: rates to choose among, planted faults")
    if code is not None:
        if config.record.plan_only:
            more = len(config.arms) * len(config.features.sizes) * len(config.features.draws)
            print(f"then: {more} more that report, at the rates that these choose")
            print(f"run: {place.shown} (not started: --plan_only)")
        return code
    rates = stages.chosen_rates(config, first)
    second = stages.second_stage(config, EXPERIMENT, rates)
    code = stages.train_all(second, config, "Then: what reports, at the rates that were chosen")
    if code is not None:
        return code
    trained = first | second

    # Measure: accuracy by size, read-outs by layer, what the diagnosis says of each system.
    found = readings.accuracies(config, trained)
    probes = readings.probes(config, trained)
    attainable, answers = readings.diagnoses(config, trained)

    # Judge.
    sizes = config.features.sizes
    judged = judge(sizes, found, probes, answers)
    findings = lesson.Findings(
        tables.tables(config, rates, found, probes, answers),
        judged,
        pictures(sizes, found, probes, answers, failures_first(judged), config.task.dataset),
        {"attainable": attainable, "confusion": readings.confusion(answers)},
        tables.blind_spots(answers),
    )
    lesson.present(lesson.of_sweeps(trained), findings)
    return 0


command_line.define(LearnedFeaturesConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
