"""Fairness: credit decisions learned from a past that drew lines, and what can be done about it.

Claim: a network that is never told the group learns from biased decisions to miss good applicants
of one group; the zip code stands in for it, and leaving that out is not enough. Judged by the
past's own labels it looks better than a network that learned the truth, judged by who repaid it is
worse. Reweighing, a parity penalty and thresholds by group each bring groups closer at a price that
depends on who is asked; people who decide the unsure cases raise accuracy and leave what the past
made it sure of. And not everything can be equal at once.

Applicants are generated: who repays follows from money and habits, the past turned down good ones
in zip codes that were once drawn red, where most of group B live. So the truth is known, and so is
the bias: what is tested is whether it is found, and what repairs make of it. From six draws of
7,000 a network learns under all strengths of a parity penalty, with people reweighed and not: one
program. Beside it one learns the truth, and one without the zip code.
Every rate is reported for every group and intersection, with exact limits and a mark where people
are too few. --dataset=adult asks the same of a census, --dataset=table:FILE.csv of your own table.
--compas=FILE counts ProPublica's table in your copy of their file: seven columns of it are read,
and nothing but rates is kept.

The rules: the network that learned the past misses good applicants of one group more often than
one that learned the truth, is more accurate by the past and less by the truth, with intervals over
draws that exclude 0; so, too, the zip code tells the group better than any other feature; penalty
and thresholds bring their own gap below 5 points; identities hold to 1e-12; ProPublica's rates
agree to 4 decimals; and no pair of thresholds closes all gaps as it does for groups drawn at
random. Strengths and the rate were settled on draws 0 and 1, which do not report.

Source: the course, lesson 4; Hardt et al. 2016 (arXiv:1610.02413); Kamiran & Calders 2012;
Chouldechova 2017 (arXiv:1703.00056); Kleinberg et al. 2017 (arXiv:1609.05807).

Command:   python experiments/fairness.py
           python experiments/fairness.py --dataset=adult --data_dir=FOLDER
           python experiments/fairness.py --compas=compas-scores-two-years.csv
Cost:      18 sweeps, 84 runs, two programs: 52 seconds of CPU time.
Outcome:   every group, gaps, repairs with their price, proxies, review and the impossible as tables
           and figures; verdicts, failures first; verdict.json.
"""

from typing import TYPE_CHECKING

import command_line
import lesson
from minima import sweep
from parts.fairness.config import PRESETS, FairnessConfig
from parts.fairness.sweeps import sweeps

if TYPE_CHECKING:
    from minima.sweep.plan import Plan

EXPERIMENT = "fairness"


def main(config: FairnessConfig) -> int:
    """Plans, learns from past and truth, decides, repairs, and judges."""
    # They bring NumPy and SciPy, which --help does without.
    from parts.fairness.compas import propublicas_table
    from parts.fairness.people import units

    # Plan: tables are read and compared here, before anything compiles.
    people = units(config)
    compas = propublicas_table(config.repairs.compas) if config.repairs.compas else None
    planned = sweeps(config)
    prepared = {name: sweep.prepare(each, EXPERIMENT) for name, each in planned.items()}

    # Train: programs of equal shape compile once; the same command resumes after any interruption.
    code = lesson.train_all(prepared, config, describe=_brief)
    if code is not None:
        return code

    # Measure: decisions about test rows, by every network and after every repair.
    from parts.fairness.claims import judge
    from parts.fairness.measured import measure
    from parts.fairness.report import findings

    found = measure(prepared, people, config)

    # Judge: under rules fixed before the data.
    judged = judge(found, config, compas)
    lesson.present(lesson.of_sweeps(prepared), findings(found, judged, config, compas))
    return 0


def _brief(plan: "Plan") -> str:
    data = plan.dataset
    return f"{len(plan.cells)} runs on {len(data.train):,} people of {data.name}"


command_line.define(FairnessConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
