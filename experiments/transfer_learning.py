"""Transfer: a pretrained network, fine-tuned, against one from scratch, by number of labels.

Claim: where labels are few, fine-tuning a pretrained network beats training from scratch, and needs
a fraction of the labels to be as good; with a thousand labels per class the two are the same. What
is transferred is structure: on inputs whose order is lost, a pretrained start helps no more.

A convolutional network is pretrained on all of MNIST-1D. On each target it then gets a fresh head,
and is trained with 5 to 1,000 labels per class in four ways: from scratch, the head alone on frozen
features, the last block and the head, and as a whole. Targets are near (the same ten digits,
sheared twice as far, in more noise), far (ten other strokes) and destroyed (the near one with its
points in one random order). Every arm makes the same updates on the same examples in the same
order; the pretrained network of a seed meets training from scratch of the same seed. With
--initial_weights a network from outside, in an .npz or .safetensors file, is a further arm;
--weight_map says which of its arrays is which parameter. Does it matter how a network was
pretrained? Those from small batches, large batches and SAM are compared at one number of labels.

The rules, fixed before the run: fine-tuning less scratch lies above 0 at each number of labels up
to 50 per class, and within ±2 points from 1,000 on, with its whole 95 % interval over seeds (PASS);
FAIL if above or below for certain, or certainly less than a point; scratch needs more labels to
equal fine-tuning on 20 (the interval of the logarithm of that factor lies above 0); on the
destroyed target, fine-tuning and frozen features are below scratch; small batches and SAM transfer
better than large batches and plain gradients (for batch sizes PARTIAL at best: two rates were tried
for each). Rates were settled on seeds that the defaults leave out, by the same test set. Which
examples are labelled is the same for all seeds.

Source: Yosinski et al. 2014 (arXiv:1411.1792); Kornblith et al. 2019 (arXiv:1805.08974); Springer
et al. 2024 (arXiv:2405.20439).

Command:   python experiments/transfer_learning.py
           python experiments/transfer_learning.py --initial_weights=net.npz
Cost:      15 pretrainings of 40 epochs, and 340 runs on targets of 1,000 updates or 10 epochs: 4.5
           minutes of CPU time on two cores; smoke: a fraction of a minute, most of it compilation.
Outcome:   label-efficiency curves and the pretrainings compared as tables, a verdict on each claim,
           failures first; figures/label_efficiency.png, figures/claims.png (and SVG), curves.csv,
           pretraining.csv, verdict.json, and results.csv of every sweep.
"""

from typing import TYPE_CHECKING

import command_line
import lesson
from minima import sweep
from parts.transfer_learning.config import OUTSIDE, PRESETS, TransferConfig
from training import train

if TYPE_CHECKING:
    from minima.sweep.run import Prepared
    from parts.transfer_learning.stages import Arm

EXPERIMENT = "transfer_learning"


def main(config: TransferConfig) -> int:
    """Pretrains, trains every arm on every target, and judges."""
    # They bring JAX and SciPy, which --help does without.
    from parts.transfer_learning.claims import judge
    from parts.transfer_learning.curves import read
    from parts.transfer_learning.report import findings
    from parts.transfer_learning.stages import (
        arms,
        check_targets,
        foreseen,
        prepare_arm,
        pretrainings,
    )

    # Plan: what the user can get wrong is found here, before anything compiles. An arm that starts
    # from a pretraining differs from the one from scratch in that alone, and can be planned later.
    sweeps = pretrainings(config)
    sources = {name: sweep.prepare(each, EXPERIMENT) for name, each in sweeps.items()}
    classes = check_targets(config, next(iter(sources.values())).plan.dataset)
    runs = {name: str(each.directory) for name, each in sources.items()}
    runs[OUTSIDE] = config.sources.initial_weights
    wanted = arms(config)
    ready: dict[Arm, Prepared] = {
        arm: prepare_arm(config, arm, classes, runs, EXPERIMENT)
        for arm in wanted
        if arm.source in ("", OUTSIDE)
    }
    print("\n".join(foreseen(config, classes)), end="\n\n")

    # Pretrain: three sweeps; the same command resumes after any interruption.
    code = lesson.train_all(sources, config)
    if code is not None:
        return code

    # Transfer: every arm at every number of labels; programs of equal shape compile once.
    trained: dict[Arm, Prepared] = {}
    for arm in wanted:
        trained[arm] = ready.get(arm) or prepare_arm(config, arm, classes, runs, EXPERIMENT)
        code = train(trained[arm], command_line.flagfile(config))
        if code is not None:
            return code

    # Judge: paired by seed.
    compared, place = config.targets.compared_labels, lesson.of_sweeps(sources)
    found = read(config.targets.labels, classes, sources, trained)
    lesson.present(place, findings(found, judge(found, compared), compared, place.shown))
    return 0


command_line.define(TransferConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
