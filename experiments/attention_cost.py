"""The cost of attention: quadratic in length where recurrence is linear, and what it buys.

Claim: the operations of attention, and the memory of training with it, grow with the square of the
length of a sequence, an LSTM's with the length. Attention is dearer from a length on that grows
with the width. What it buys: a step's chain of dependent products stays the same however long the
sequence, where a recurrent network must take one position after the other; and it finds what lies
far back as well as what lies near. Looked at in chunks, its memory grows with the length alone.

Operations are counted in the jaxpr of a training step (loss and gradient of one sequence), loops
with their trip counts, since XLA's own analysis counts the body of a loop once. Memory is what the
compiler plans for temporary buffers of the same step. Both come out the same every time, and
nothing of it runs. Time is measured and shown, with a fitted exponent, but never judged. Then
transformer, LSTM, GRU and tanh RNN of one layer and one width learn from the same examples to say
which symbol followed a marker so many tokens before the end of a sequence (a needle in noise).

The rules: exponents by least squares on logarithms, over lengths of 64 widths or more: 2 ± 0.1 for
attention, 1 ± 0.05 for the LSTM, 1 ± 0.15 for the memory of chunked attention, 1 ± 0.1 for the
crossover against width. Accuracies are compared seed by seed, with Student's 95 % intervals. The
rate was settled on seeds that the defaults leave out.

Source: Vaswani et al. 2017 (arXiv:1706.03762), table 1; Rabe & Staats 2021 (arXiv:2112.05682) for
chunks; Hochreiter & Schmidhuber 1997 for what recurrent networks keep.

Command:   python experiments/attention_cost.py
           python experiments/attention_cost.py --lengths=4096:65536:x2 --width=64 --chunk=512
Cost:      12 programs of 5 runs each, 12 more that are compiled and 12 that are timed: COST_HERE;
           smoke: seconds.
Outcome:   tables of costs, times, crossovers and accuracies, and a verdict on each claim;
           figures/costs.png, figures/needles.png, figures/claims.png (and SVG), a CSV file for
           each table, verdict.json; results.csv and curves of every network and distance.
"""

import sys
from dataclasses import replace

import command_line
import lesson
from minima import sweep
from parts.attention_cost.config import PRESETS, AttentionConfig

EXPERIMENT = "attention_cost"


def main(config: AttentionConfig) -> int:
    """Plans, trains the search for needles, counts, compiles and times, judges."""
    # They bring JAX and SciPy, which --help does without.
    from minima.record.kept import Kept
    from parts.attention_cost import measured
    from parts.attention_cost.claims import judge
    from parts.attention_cost.report import findings
    from parts.attention_cost.retrieval import accuracies

    # Plan: everything the user can get wrong is found here, before anything compiles.
    prepared = {key: sweep.prepare(each, EXPERIMENT) for key, each in config.sweeps().items()}
    measured.check_memory(config.cost)

    # Train: one program for each network and distance.
    named = {f"{model}, {distance}": each for (model, distance), each in prepared.items()}
    code = lesson.train_all(named, config)
    if code is not None:
        return code

    # Measure: operations and memory come out the same every time; times are kept.
    with lesson.measuring(EXPERIMENT, config) as (run, place):
        kept = Kept(run.directory, told)
        steps = measured.steps(config.cost, kept)
        crossings = measured.crossovers(config.cost)
        times = measured.timed(config.cost, kept)
        found = accuracies(prepared)

        # Judge: are the exponents what they should be, and who finds the needle?
        judged = judge(steps, crossings, found)
        runs = place.runs | {name: each.run_id for name, each in named.items()}
        shown = findings(steps, crossings, times, found, judged, place.shown)
        lesson.present(replace(place, runs=runs), shown)
    return 0


def told(text: str) -> None:
    """Says what is being measured."""
    print(text, file=sys.stderr, flush=True)


command_line.define(AttentionConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
