"""Feedback loops: a system that learns from what it caused, and is right about nothing else.

Claim: accuracy on a log says nothing of what was never shown. A food-delivery recommender that is
91 % accurate on its test set shows users the same five restaurants, and new ones never; a firm that
learns from its own hires goes on as its people did; patrols that follow finds settle anywhere.
Where some choices are left to chance, and their probabilities are known, logs tell the truth again.

Three loops, thousands of worlds each, as lanes of one program per loop, in which worlds, strengths
of the cure and true rates are traced. (1) A logistic model with factors of users and restaurants is
trained on orders from the lists that popularity made, then retrained every week on those that its
own lists brought; with and without exploration, with and without examples weighted by 1 /
propensity. It is measured on the held-out part of its log, as a team would, and on all pairs, whose
probabilities the generator knows. (2) A logistic regression decides whom a firm hires, from a
record in which those who were turned away count as failures, or not at all; with and without places
by lot. Both groups are equally able. (3) Two areas get patrols in proportion to finds: Pólya's urn,
whose share has a uniform limit where rates are equal; corrected, finds are independent draws.

The rules: 10,000 urns against the uniform law, their Kolmogorov-Smirnov distance below its 99.9 %
point, their standard deviation 0.289 ± 0.01; corrected shares within 3 standard errors of the true
ones; everything else paired by world, with Student's 95 % intervals. The generators were set on
worlds that the defaults leave out.

Source: the course, lessons 1 and 4; Ensign et al. 2018 (arXiv:1706.09847); Chaney et al. 2018
(arXiv:1710.11214); Schnabel et al. 2016 (arXiv:1602.05352); Lakkaraju et al. 2017.

Command:   python experiments/feedback_loops.py
           python experiments/feedback_loops.py --exploration=0.2 --lots=0.05
Cost:      38,000 urns, 1,536 markets and 2,048 firms, 3 programs: 100 s of CPU time, one minute on
           two free cores; smoke: a fraction of a minute, most of it compilation.
Outcome:   tables and verdicts, failures first; patrols.csv, recommender.csv, hiring.csv,
           verdict.json, figures/patrols.png, recommender.png, hiring.png, claims.png (and SVG).
"""

import sys

import command_line
import lesson
from parts.feedback_loops.config import PRESETS, FeedbackConfig

EXPERIMENT = "feedback_loops"


def main(config: FeedbackConfig) -> int:
    """Simulates all worlds of the three loops, and judges."""
    # They bring JAX and SciPy, which --help does without.
    from minima.record.kept import Kept
    from minima.runtime import compilation, devices
    from parts.feedback_loops.claims import judge
    from parts.feedback_loops.report import findings
    from parts.feedback_loops.worlds import described, simulate_all

    # Plan.
    print(described(config), flush=True)
    if config.record.plan_only:
        print(f"run: {lesson.place_of(EXPERIMENT, config)} (not started: --plan_only)")
        return 0
    devices.configure()
    compilation.use_compilation_cache()

    with lesson.measuring(EXPERIMENT, config) as (run, place):
        # Simulate: a program for each loop; what is on disk is not simulated again.
        found = simulate_all(config, Kept(run.directory, told))

        # Judge: does the loop do what is said of it, and does the cure help?
        judged = judge(found)
        lesson.present(place, findings(found, judged, place.shown))
    return 0


def told(text: str) -> None:
    """Says what is being simulated."""
    print(text, file=sys.stderr, flush=True)


command_line.define(FeedbackConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
