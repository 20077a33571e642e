"""Architecture fit: an architecture is an assumption about the data.

Claim: on images a CNN, on events in time an LSTM and on a graph a graph network is better than a
multi-layer perceptron, and needs fewer examples to be as good, because its assumption is true
there. Where the structure is destroyed (pixels permuted, time shuffled, edges rewired: positions in
one random order, the same for all examples, while whatever the network holds for neighbours stays
where it was) nothing is lost to a perceptron, which assumed nothing, and the advantage is gone.

Every architecture that can read a task is trained on it, whole and destroyed, with few and with
many examples, from paired seeds: Fashion-MNIST at 14×14 pixels; a queue (who still waits after 32
arrivals and departures, with room for four); opinions (how many of 155 pairs of friends agree, of
64 people). MNIST-1D's published table, plain and shuffled, by its authors' settings. What one
prediction costs: weights, operations, bytes, milliseconds; and what one more token of a stream
costs an LSTM, whose state stays as it is, and a transformer, whose keys and values pile up.

The rules: the difference by seed has a 95 % interval (Student's) above 0 for "better" and "needs
fewer"; inside ±2 points for "does not notice"; every cell of the published table inside the spread
between its README and its notebook ± 2 points; a CNN loses 30 points or more when MNIST-1D is
shuffled. Rates are Adam's, one for each model and task, chosen on seed 0's validation accuracy on
intact data; seed 0 reports nothing (of the published table, whose rate is published, it does).

Source: course, lesson 3; Greydanus & Kobak 2020 (arXiv:2011.14439); Wolpert 1996 (no free lunch);
Battaglia et al. 2018 (arXiv:1806.01261).

Command:   python experiments/architecture_fit.py
           python experiments/architecture_fit.py --parts=published --published_seeds=10
           python experiments/architecture_fit.py --preset=gpu
Cost:      laptop: 48 sweeps of 3 seeds, 6.5 minutes of CPU time: under 4 minutes on two free
           cores, without GRU, set transformer and the published GRU, which gpu has; smoke: seconds.
           On images 300 updates are few: on seed 0 the CNN's test accuracy is no better than the
           perceptron's then (82.4 and 82.9 %), and better after 2,000 (85.4 and 84.0 %).
Outcome:   tables of who wins and what it loses, of examples needed, of the published cells, of
           what a prediction and a token cost; verdicts, failures first; figures/fit.png,
           efficiency.png, streams.png, claims.png (and SVG), CSV files, verdict.json.
"""

from typing import TYPE_CHECKING

import command_line
import lesson
from minima import sweep
from parts.architecture_fit.config import PRESETS, ArchitectureFitConfig

if TYPE_CHECKING:
    from minima.sweep.plan import Plan

EXPERIMENT = "architecture_fit"


def main(config: ArchitectureFitConfig) -> int:
    """Plans, trains every architecture on every version of every task, measures, and judges."""
    # They bring JAX and SciPy, which --help does without.
    from parts.architecture_fit import claims, figures, outcomes, prediction, report, streaming

    # Plan: everything the user can get wrong is found here, before anything compiles.
    keys = config.sweeps()
    prepared = {str(key): sweep.prepare(each, EXPERIMENT) for key, each in keys.items()}
    code = lesson.train_all(prepared, config, in_a_line)
    if code is not None:
        return code

    # Measure: accuracies by seed; what one prediction, and one more token, costs.
    place, by_key = lesson.of_sweeps(prepared), dict(zip(keys, prepared.values(), strict=True))
    found = outcomes.read(by_key)
    tasks = outcomes.curves(config, found)
    predictions = prediction.costs_of(by_key, place.directory)
    streams = streaming.measure()

    # Judge, and show.
    judged = claims.judge(tasks, found, streams)
    rates = {str(key): each.rate for key, each in found.items()}
    drawn = figures.pictures(tasks, streams, judged, place.shown)
    tables = report.tables(tasks, found, predictions, streams, judged)
    lesson.present(place, lesson.Findings(tables, judged, drawn, {"rates": rates}))
    return 0


def in_a_line(plan: "Plan") -> str:
    """There are too many sweeps for more."""
    model = plan.recipe.task.model
    return f"{len(plan.cells)} cells, {model.name}, {model.count_parameters():,} parameters"


command_line.define(ArchitectureFitConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
