"""The release audit: four questions before a model decides about people, and how sure they are.

Claim: accuracy says little of whether a model may be released; four questions do. A model of who
will default on a lease, trained on records of 8 cities, 85 % accurate, its parity "roughly
similar", to be used in 15 cities, is blocked by each of them: cities that were never tested, a
column that is filled in after the fact, defaults of one origin that are missed more often, and a
confidence that is not accuracy. With each fault mended it is signed off. And the audit itself is
right about systems whose faults are known.

Renters are generated, so that the truth is known, in use as well. A small network is trained by the
sweep engine on four states of the data: as a team built it; tested (and trained) where it is used;
without the portal's column; with whole files of everybody. Last, its confidence is mended by one
temperature, fitted on validation leases. Every state is audited, for every seed. Then: the mended
model without some of the evidence, in all 15 ways; 17 planted faults and clean systems; four faults
of rising size. The same audit answers for anybody's predictions: `python -m minima audit`.

The rules: as built, every seed is blocked for the check that belongs to each planted fault; each
mend settles its question for every seed; nobody is signed off before the last; where evidence is
missing the answer is NOT ANSWERABLE. Of faults missed, and of clean systems not signed off, the
exact upper 95 % limit lies below 5 %. Rates and the generator were settled on seeds 0 and 1.

Source: the course, lesson 4.

Command:   python experiments/release_audit.py
           python -m minima audit PREDICTIONS --groups=… --cues=… --covered=… --deployment=…
Cost:      20 runs in 4 programs and 890 audits: 2.5 minutes of CPU time, most of it audits, which
           keep one core busy; smoke: a fraction of a minute, most of it compilation.
Outcome:   tables and verdicts, failures first; as_built/audit.html and .md, mended/audit.html and
           .md (figures inside); mends.csv, silence.csv, faults.csv, sizes.csv, verdict.json,
           figures/mends.png, operating.png, claims.png (and SVG).
"""

import sys
from dataclasses import replace

import command_line
import lesson
from minima import sweep
from parts.release_audit.config import PRESETS, RECALIBRATED, ReleaseAuditConfig

EXPERIMENT = "release_audit"


def main(config: ReleaseAuditConfig) -> int:
    """Trains the model in every state, audits it, audits systems with known faults, judges."""
    # Plan: everything the user can get wrong is found here, before anything compiles.
    prepared = {name: sweep.prepare(each, EXPERIMENT) for name, each in config.sweeps().items()}

    # Train: a program for each state of the data; the same command resumes.
    code = lesson.train_all(prepared, config)
    if code is not None:
        return code

    # They bring JAX and SciPy, which --help does without.
    from minima.record.kept import Kept
    from parts.release_audit.case import audit_all, of_state, silences
    from parts.release_audit.claims import judge
    from parts.release_audit.operating import operate
    from parts.release_audit.report import findings, write_reports

    with lesson.measuring(EXPERIMENT, config) as (run, place):
        # Audit: every state and seed; the sound one with less and less evidence.
        found = audit_all(prepared)
        silent = silences(of_state(found, RECALIBRATED)[0].evidence)

        # Audit the audit: systems whose faults are known.
        operating = operate(config.operating, Kept(run.directory, told))

        # Judge, and report.
        judged = judge(found, silent, operating)
        runs = {**place.runs, **{name: each.run_id for name, each in prepared.items()}}
        for path in write_reports(run.directory, found):
            print(f"report:   {path}")
        shown = findings(found, silent, operating, judged, place.shown)
        lesson.present(replace(place, runs=runs), shown)
    return 0


def told(text: str) -> None:
    """Says what is being audited."""
    print(text, file=sys.stderr, flush=True)


command_line.define(ReleaseAuditConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
