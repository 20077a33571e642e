"""Architecture briefs: three projects, each from its data to a recommendation by evidence.

Question: one sentence about the structure of the data should say which family of networks to use.
Does it, for customers, X-rays and roads, and is it worth what it costs?

A, churn: 78 weeks of purchases of each customer; who will leave? Logistic models of an analyst's
summaries and of the weeks, an MLP, a CNN, a GRU, a transformer. B, pneumonia on chest X-rays: from
scratch, or from a network that has seen other images, with few labels and with many. C, travel
times on real roads under simulated traffic: networks that know crossings by number, and one that
knows the roads; and the same one on a map whose roads lead elsewhere.

Without files of your own (--churn, --chest, --roads) the data are generated stand-ins, labelled so:
customers with seasons, phantoms of a thorax, traffic drawn by lot on Minnesota's roads (those are
real). They say how to decide, not what is true of your customers, patients or roads.

Each candidate is trained at every rate from the tuning seeds, and at the best of them from seeds of
its own, which are reported. Recommended is the simplest candidate (in the order of the table) that
is shown to lose at most one point on the best: the upper 95 % limit of what it loses, paired by
seed. A prediction's cost is counted in the program.

The rules, each on paired differences by seed, whose 95 % interval excludes 0 (SIGN): the best
sequence model beats the summaries; with at most 100 labels a pretrained CNN, tuned, and with a new
read-out alone, beats one from scratch, and with many labels by at most 2 points (AT_MOST); the
graph network beats the MLP, loses to itself on the rewired map, and there loses to the MLP.

Source: the course's lesson on architectures, projects A, B and C; roads: MatlabBGL (D. Gleich).

Command:   python experiments/architecture_briefs.py
           python experiments/architecture_briefs.py --briefs=chest --chest=pneumoniamnist.npz
Cost:      136 short runs of 17 candidates, each a program to compile: 5 minutes of CPU time, by
           estimate; smoke: 1 minute.
Outcome:   a table and a recommendation of each brief, verdicts, failures first; figures/briefs.png,
           figures/claims.png (and SVG); a CSV file of each table, verdict.json, and results.csv
           and curves as every sweep has them.
"""

from typing import TYPE_CHECKING

import command_line
import lesson
import tuned
from minima import sweep
from parts.architecture_briefs.config import CHEST, PRESETS, BriefsConfig

if TYPE_CHECKING:
    from parts.architecture_briefs.brief import Brief

EXPERIMENT = "architecture_briefs"


def main(config: BriefsConfig) -> int:
    """Plans, pretrains, trains every candidate, scores, recommends, and judges."""
    # They bring JAX and SciPy, which --help does without.
    from judged import failures_first
    from minima.claims.seeded import Judge
    from parts.architecture_briefs.brief import answer, renamed, scored
    from parts.architecture_briefs.report import pictures, table

    # Plan: whatever is wrong with a file or a flag is found before anything compiles.
    pretrained = _pretrained(config)
    if isinstance(pretrained, int):
        return pretrained
    briefs = _briefs(config, pretrained)

    # Train: candidates of all briefs, at every rate from the tuning seeds, at the best from others.
    sweeps = {f"{b.key}: {name}": each for b in briefs for name, each in b.sweeps.items()}
    trained = tuned.train(sweeps, config.runs.tuning_seeds, EXPERIMENT, config, metric=tuned.LOSS)
    if isinstance(trained, int):
        return trained

    # Recommend and judge: each brief by its own candidates.
    judge = Judge(EXPERIMENT, "course, lesson on architectures: projects A to C", PROTOCOL)
    scores = {b.key: scored(renamed(trained, f"{b.key}: ")) for b in briefs}
    answers = [answer(b, scores[b.key]) for b in briefs]
    judged = [each for b in briefs for each in b.judge(judge, scores[b.key])]
    place = lesson.of_sweeps({name: each.prepared for name, each in trained.items()})
    lines = [line for each in answers for line in each.lines()]
    lines += [
        f"note: {note}" for s in scores.values() for each in s.values() for note in each.notes
    ]
    facts = {"recommended": {each.brief.key: each.choice.name for each in answers}}
    figures = pictures(answers, failures_first(judged), place.shown)
    tables = {each.brief.key: table(each) for each in answers}
    lesson.present(place, lesson.Findings(tables, judged, figures, facts, lines))
    return 0


PROTOCOL = "the same examples and updates for every candidate, rates chosen on other seeds"


def _briefs(config: BriefsConfig, pretrained: str) -> "list[Brief]":
    """Those asked for, in their order."""
    from parts.architecture_briefs import chest, churn, roads

    build = {
        "churn": lambda: churn.brief(config),
        "chest": lambda: chest.brief(config, pretrained),
        "roads": lambda: roads.brief(config),
    }
    return [build[name]() for name in config.data.briefs]


def _pretrained(config: BriefsConfig) -> str | int:
    """The folder of the chest's pretrained networks, "" where none is needed; or an exit code.

    Sweeps that start from it can be prepared only when it is there. So all others are prepared
    first, that a mistake in them does not come to light after it was trained.
    """
    if CHEST not in config.data.briefs:
        return ""
    from parts.architecture_briefs.chest import pretraining

    first = {"chest: pretraining": sweep.prepare(pretraining(config), EXPERIMENT)}
    others = {
        f"{b.key}: {name}": sweep.prepare(each, EXPERIMENT)
        for b in _briefs(config, "")
        for name, each in b.sweeps.items()
    }
    code = lesson.train_all(first | others if config.record.plan_only else first, config)
    return str(first["chest: pretraining"].directory) if code is None else code


command_line.define(BriefsConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
