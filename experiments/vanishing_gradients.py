"""Vanishing gradients: what a recurrent network can't carry back in time, it can't learn.

Claim: the gradient by what a recurrent network held t steps ago falls like exp(λt), where λ is the
mean log gain of a step's Jacobian. So a tanh RNN learns nothing that lies a hundred steps back,
while an LSTM whose forget gates begin open does, and attention reaches any distance in one step.
Where the gain is above 1 gradients explode, and gradient descent diverges unless they are clipped.

Two tasks ask for memory alone: adding two numbers that were marked somewhere in a sequence, and
repeating five symbols at its end; every example is drawn anew. Tanh RNN, IRNN, GRU, LSTM with
forget bias 0 and 1 and a transformer train equally long on both at several lengths, with Adam and
clipped gradients, each at the rate that is best for it on seeds that report nothing. On the longest
adding problem, gradients are followed back in time through fresh and trained networks, in float64,
and beside them tangents forward, which gives the gain. An IRNN trains by plain gradient descent,
with and without clipping: all rates, seeds and norms in one program.

The rules: the LSTM's squared error at length 100 lies below 0.01 and the tanh RNN's within 0.01 of
1/6, what the constant answer 1 gets, each with its whole 95 % interval over seeds; the slope of the
log gradient against the lag is the mean log gain within 5 %: of the slope itself in fresh networks,
and of the factor of a step in trained ones, whose slope is near 0 where they have learned.

Source: Hochreiter & Schmidhuber 1997; Pascanu et al. 2013 (arXiv:1211.5063); Le et al. 2015
(arXiv:1504.00941); Jozefowicz et al. 2015; Arjovsky et al. 2016 (arXiv:1511.06464).

Command:   python experiments/vanishing_gradients.py
           python experiments/vanishing_gradients.py --models=rnn,lstm --lengths=25,50,100,200
Cost:      laptop: 200 runs, 16 programs; about 6 minutes of CPU time, 3 on two free cores (the
           rnn and the lstm at length 100 with clipping: 80 seconds of CPU); smoke: a minute.
Outcome:   tables of losses by task, network and length, of gradients against lag, and of clipping;
           a verdict on each claim, failures first; figures/memory.png, figures/claims.png (and
           SVG), memory.csv, gradients.csv, clipping.csv, verdict.json.
"""

import command_line
import lesson
from minima import sweep
from parts.vanishing_gradients.config import PRESETS, VanishingConfig

EXPERIMENT = "vanishing_gradients"


def main(config: VanishingConfig) -> int:
    """Plans, trains every network on every task, follows gradients back in time, and judges."""
    # Plan: everything the user can get wrong is found here, before anything compiles.
    prepared = {name: sweep.prepare(each, EXPERIMENT) for name, each in config.sweeps().items()}

    # Train: a program for each network, task and length; the same command resumes.
    code = lesson.train_all(prepared, config)
    if code is not None:
        return code

    # They bring JAX and SciPy, which --help does without.
    from parts.vanishing_gradients.carrying import reaches
    from parts.vanishing_gradients.claims import judge
    from parts.vanishing_gradients.memories import explosion, memories
    from parts.vanishing_gradients.report import findings

    # Read: each network at the rate that other seeds chose.
    found, exploded = memories(prepared, config), explosion(prepared)

    # Measure: gradients against time lag, and the gain of Jacobians.
    reached = reaches(prepared, found, config)

    # Judge: does it learn what it can't carry back?
    judged = judge(found, reached, exploded)
    place = lesson.of_sweeps(prepared)
    lesson.present(place, findings(prepared, found, reached, exploded, judged))
    return 0


command_line.define(VanishingConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
