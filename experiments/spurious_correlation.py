"""Spurious correlations: a shortcut that the test set shares, and what finds and breaks it.

Claim: where a cue goes with the label in training and test alike, a network follows the cue, and
its test accuracy says nothing of it. Stress sets without the cue and with it reversed do, and so
does the accuracy of the worst group. Knowing which examples have the cue, weights, group DRO or a
retrained last layer undo most of it. Knowing only which environment they come from, IRM or V-REx
do, if their strength is chosen by a test that we would not have.

Colours: Arjovsky et al.'s coloured digits. Two environments, a quarter of the labels flipped, the
colour against the label at 20 and 10 %, in the test at 90 %; the offline default are 4,000 + 1,000
of MNIST's digits at 8×8 pixels, gone through again and again with labels and colours drawn anew.
ERM, group DRO over environments, IRM and V-REx at several strengths, reweighting and last-layer
retraining with the colours known, and an oracle that can't see them. Rulers in the corner of
images (Fashion-MNIST), and a last word of sentences (generated tickets): at 95 % of one label and
5 % of the other, in the test set too; the same remedies over (label, cue), each with no and with
strong L2. Every network is asked about every test input with the cue, without it and with the
other one; the finder gets three candidate cues, of which one was planted.

The rules, fixed before the run: on reversed colours ERM below 25 %, the better of IRM and V-REx
60 % or more, the grey oracle 73 ± 1, each with its whole 95 % interval over seeds. Strengths are
chosen on other seeds, once as published, by the reversed test, and once by validation, which shares
the colours; both are reported, and the claim is that the second choice is worse. Remedies lift the
worst group, paired by seed. The finder names the planted cue first: the exact upper limit of misses
is below 25 %.

Source: the course, lesson 4; Arjovsky et al. 2019 (arXiv:1907.02893); Krueger et al. 2021
(arXiv:2003.00688); Sagawa et al. 2020 (arXiv:1911.08731); Kirichenko et al. 2023
(arXiv:2204.02937); Gulrajani & Lopez-Paz 2021 (arXiv:2007.01434).

Command:   python experiments/spurious_correlation.py
Cost:      15 programs, 147 runs: 6 minutes of CPU time, about 3 on two cores (on a busy machine);
           smoke: less than a minute, most of it compilation.
Outcome:   tables and verdicts, failures first; methods.csv, strengths.csv, groups.csv, cues.csv,
           verdict.json, figures/colours.png, shared.png, claims.png (and SVG).
"""

import command_line
import lesson
from minima import sweep
from parts.spurious_correlation.config import ERM, PRESETS, SpuriousConfig
from parts.spurious_correlation.sweeps import first, last_layers

EXPERIMENT = "spurious_correlation"


def main(config: SpuriousConfig) -> int:
    """Plans, trains all networks and then last layers, asks them about stress sets, and judges."""
    # Plan: everything the user can get wrong is found here, before anything compiles.
    trained = {key: sweep.prepare(each, EXPERIMENT) for key, each in first(config).items()}
    code = lesson.train_all({": ".join(key): each for key, each in trained.items()}, config)
    if code is not None:
        return code

    # The last layers of ERM's networks go on alone, on examples that are weighted by group.
    runs = {cue: str(each.directory) for (cue, method), each in trained.items() if method == ERM}
    heads = {
        key: sweep.prepare(each, EXPERIMENT) for key, each in last_layers(config, runs).items()
    }
    code = lesson.train_all({": ".join(key): each for key, each in heads.items()}, config)
    if code is not None:
        return code

    # Measure: every network on every test input with the cue, without it, and in between.
    from parts.spurious_correlation.claims import judge
    from parts.spurious_correlation.measured import measure
    from parts.spurious_correlation.report import findings

    found = measure(trained | heads, config)

    # Judge: is it as claimed, under rules fixed before the data?
    judged = judge(found, small=config.task.dataset == "digits")
    place = lesson.of_sweeps({": ".join(key): each for key, each in trained.items()})
    lesson.present(place, findings(found, judged, place.shown))
    return 0


command_line.define(SpuriousConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
