"""Scaling laws: loss against parameters and data, for an LSTM and a transformer on characters.

Question: with which power does the loss of a character model fall as the network or the text
grows, and how sure is that when the floor it falls towards is not known?

Networks of several widths read all of the text, and the widest one parts of it, for equally many
updates, at one rate for each model that nobody tuned (so the two are not compared with each other);
what counts is the lowest validation loss on the way. To each seed's losses a law is
fitted, floor + (scale / x)^exponent, where x is the number of parameters beside embeddings, or of
characters. Of a Markov source the floor is known, what the source itself loses on the same windows:
its entropy but for the luck of the draw, which is 0.009 nats here and more than what is left to a
good network. That is the control, on which the fit needs one number less and nothing may get below.
Of a text the floor is fitted, in nats, and a fit that ends at a bound decides nothing.

The rules: the exponent has a 95 % interval over seeds (Student's) above 0; no network is
better than the source; without the floor exponents come out too small. No number of the papers is
predicted: theirs are of networks and texts a thousand times as large, and are printed beside ours
for no more than the sign.

Source: Kaplan et al. 2020 (arXiv:2001.08361: 0.076 for parameters, 0.095 for tokens, no floor);
Hoffmann et al. 2022 (arXiv:2203.15556: 0.34 and 0.28, with a floor).

Command:   python experiments/scaling_laws.py
           python experiments/scaling_laws.py --preset=pod --text=text:PATH
Cost:      laptop: 28 sweeps of 3 seeds, 28 compilations, 9.5 minutes of CPU time: under 5 on two
           free cores; smoke: seconds.
Outcome:   tables of losses and fitted laws, verdicts, failures first; figures/laws.png and
           claims.png (and SVG), losses.csv, laws.csv, verdict.json.
"""

from typing import TYPE_CHECKING

import command_line
import lesson
from minima import sweep
from parts.scaling_laws.config import PRESETS, ScalingLawsConfig

if TYPE_CHECKING:
    from minima.sweep.plan import Plan

EXPERIMENT = "scaling_laws"


def main(config: ScalingLawsConfig) -> int:
    """Plans, trains every width and every part of the text, fits, and judges."""
    # They bring JAX and SciPy, which --help does without.
    from parts.scaling_laws import claims, points, report

    # Plan: everything the user can get wrong is found here, before anything compiles.
    keys = config.sweeps()
    prepared = {str(key): sweep.prepare(each, EXPERIMENT) for key, each in keys.items()}
    code = lesson.train_all(prepared, config, in_a_line)
    if code is not None:
        return code

    # Fit, judge, and show.
    place = lesson.of_sweeps(prepared)
    found = points.courses(config, dict(zip(keys, prepared.values(), strict=True)))
    judged = claims.judge(found)
    drawn = report.pictures(found, judged, place.shown)
    lesson.present(place, lesson.Findings(report.tables(found), judged, drawn))
    return 0


def in_a_line(plan: "Plan") -> str:
    """There are too many sweeps for more."""
    model, train = plan.recipe.task.model, plan.dataset.train
    return (
        f"{len(plan.cells)} cells, {model.count_parameters():,} parameters, "
        f"{train.inputs.size:,} characters"
    )


command_line.define(ScalingLawsConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
