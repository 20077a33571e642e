"""Backpropagation: all gradients at once, for the price of a few forward passes.

Claim: the derivatives of a loss by all weights together cost about one more forward pass, whatever
their number, where trying each weight on its own costs passes in proportion to the weights. They
are exact. And the error signal that they are made of is sent backwards from layer to layer, so that
it can get lost on the way: in a deep tanh network the first layers hear little of it; He's initial
weights for ReLU, layer norm or residual connections keep it.

Nothing is trained. Operations of the loss, and of loss and gradient, are counted in the jaxpr for
every family of models, on a dataset that it reads and as a language model where it can be one;
times are measured and shown, never judged. An MLP's whole gradient is taken by central differences
too, at rising widths. Weights of every tensor of every family are checked in float64 against
extrapolated central differences, whose steps are chosen by their own agreement; where no two steps
agree to a tenth of what is claimed (a kink of ReLU lies there), the weight is left out and counted.
And the error signal is followed through MLPs of several depths before training, from several seeds.

The rules: loss and gradient take 3.15 forward passes at most in every family ("about 3"); what the
gradient adds is 1 ± 0.5 passes (the lesson's sentence, which theory doubts: a product with weights
becomes two on the way back); exponents against the number of weights are 1 ± 0.05 for differences
and 0 ± 0.05 for backpropagation; gradients are right to a relative error of 1e-6; tanh loses the
signal if the 95 % interval over seeds says so, the others keep it if at most half of it is lost.

Source: Rumelhart, Hinton & Williams 1986; Baur & Strassen 1983 for the price; Glorot & Bengio 2010
and He et al. 2015 (arXiv:1502.01852) for what reaches the first layers.

Command:   python experiments/backpropagation.py
           python experiments/backpropagation.py --families=resnet,transformer --batch=128
Cost:      17 networks counted, compiled and checked, and 20 followed: COST_HERE; smoke: seconds.
Outcome:   tables of prices, differences, checks and of the signal, a verdict on each claim;
           figures/price.png, figures/checks.png, figures/signal.png, figures/claims.png (and
           SVG), a CSV file for each table, and verdict.json.
"""

import sys

import command_line
import lesson
from parts.backpropagation.config import PRESETS, BackpropagationConfig

EXPERIMENT = "backpropagation"


def main(config: BackpropagationConfig) -> int:
    """Counts and times every family, checks its gradients, follows the error signal, judges."""
    # They bring JAX and SciPy, which --help does without.
    from minima.record.kept import Kept
    from minima.runtime import compilation, devices
    from parts.backpropagation.checks import checks
    from parts.backpropagation.claims import judge
    from parts.backpropagation.families import families
    from parts.backpropagation.price import differences, prices
    from parts.backpropagation.report import findings
    from parts.backpropagation.signal import signals

    # Plan: a model or dataset that does not fit is found here.
    devices.configure(cpu_devices=1)  # so that a time is that of the whole machine
    compilation.use_compilation_cache()
    found = families(config.price.families)
    print("families: " + "; ".join(each.name for each in found), flush=True)
    if config.record.plan_only:
        print(f"run: {lesson.place_of(EXPERIMENT, config)} (not started: --plan_only)")
        return 0

    with lesson.measuring(EXPERIMENT, config) as (run, place):
        kept = Kept(run.directory, told)

        # Measure: what gradients cost, whether they are right, how far their signal reaches.
        bought = prices(config.price, found, kept)
        checked = checks(config.price, found, kept)
        compared = differences(config.price, kept)
        followed = signals(config.signal, kept)

        # Judge.
        judged = judge(bought, checked, compared, followed)
        shown = findings(bought, checked, compared, followed, judged, place.shown)
        lesson.present(place, shown)
    return 0


def told(text: str) -> None:
    """Says what is being measured."""
    print(text, file=sys.stderr, flush=True)


command_line.define(BackpropagationConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
