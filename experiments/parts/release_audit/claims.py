"""What is claimed of the audit; rules, predictions and tolerances were fixed before any run."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from minima.claims.claim import AT_MOST, NUMBER, SIGN, WITHIN
from minima.claims.seeded import Judge, Judged
from minima.evaluation.audit import (
    BLOCKED,
    CONFIDENCE,
    COVERAGE,
    GROUPS,
    NOT_ANSWERABLE,
    OK,
    QUESTIONS,
    SHORTCUTS,
    SIGN_OFF,
    Audit,
)
from parts.release_audit.case import Audited, of_state, states_of
from parts.release_audit.config import AS_BUILT, RECALIBRATED, STATES, WHOLE
from parts.release_audit.operating import Operating
from parts.release_audit.systems import FAULTS

# Rule, prediction and tolerance; for SIGN the claimed size and the smallest effect of interest.
ACCURATE = (NUMBER, 85.0, 1.0, "%")
ROUGHLY = (WITHIN, 0.0, 10.0, "points")
APART = (SIGN, 10.0, 2.0, "points")
FALLS = (SIGN, 10.0, 2.0, "points")
NONE = (AT_MOST, 0.0, 0.5, "audits")  # a count: none at all
FIVE = (AT_MOST, 0.0, 5.0, "%")

# Which checks must block the case as it was built, and after which mend they no longer may.
REASONS = {
    COVERAGE: "city that the test set lacks",
    SHORTCUTS: "dependence on portal",
    GROUPS: "true positive rate by origin",
    CONFIDENCE: "calibration of",
}
MENDED = dict(zip(REASONS, (*list(STATES)[1:], RECALIBRATED), strict=True))

_COURSE = "the course, lesson 4: four questions before a release; the renter case"


def judge(
    found: Sequence[Audited], silent: Mapping[tuple[str, ...], Audit], operating: Operating
) -> list[Judged]:
    """Every claim."""
    judge = Judge("release_audit", _COURSE, "models of all seeds, audited on their test sets")
    return [*_case(judge, found), *_silence(judge, silent), *_operating(judge, operating)]


def _case(judge: Judge, found: Sequence[Audited]) -> Iterator[Judged]:
    built, mended = of_state(found, AS_BUILT), of_state(found, RECALIBRATED)
    yield judge.over_seeds(
        "renters-85",
        "As it was built, the model is 85 % accurate on its test set",
        ACCURATE,
        [100 * each.found.accuracy for each in built],
        notes=("the generator was set so on other seeds",),
    )
    yield judge.over_seeds(
        "renters-parity",
        "Its parity between origins looks roughly similar: selection rates",
        ROUGHLY,
        [100 * each.gap("selection_rate") for each in built],
    )
    yield judge.over_seeds(
        "renters-missed",
        "All the same, of one origin's defaults it finds fewer",
        APART,
        [100 * each.gap("true_positive_rate") for each in built],
    )
    for id, name, where in (
        ("in-use", "in_use", "the cities that it was built for"),
        ("elsewhere", "elsewhere", "the seven other cities"),
    ):
        yield judge.over_seeds(
            f"renters-{id}",
            f"In use it is less accurate in {where}",
            FALLS,
            [100 * (each.found.accuracy - getattr(each, name)) for each in built],
        )
    for question, check in REASONS.items():
        missed = sum(not _blocks(each.found, question, check) for each in built)
        yield judge.exact(
            f"blocked-{question}",
            f"The audit blocks it for the right reason: {QUESTIONS[question]} ({check} …)",
            NONE,
            float(missed),
            notes=(f"{len(built) - missed} of {len(built)} seeds",),
        )
    for question, mend in MENDED.items():
        state = mend if mend in states_of(found) else WHOLE  # all at once
        there = of_state(found, state)
        left = sum(each.found.answer(question) != OK for each in there)
        yield judge.exact(
            f"mended-{question}",
            f'"{state}" settles that question',
            NONE,
            float(left),
            notes=(f"{len(there) - left} of {len(there)} seeds",),
        )
    early = sum(each.found.verdict == SIGN_OFF for each in found if each.state != RECALIBRATED)
    yield judge.exact(
        "no-early-release", "No model is signed off before its last mend", NONE, float(early)
    )
    unsigned = sum(each.found.verdict != SIGN_OFF for each in mended)
    yield judge.exact(
        "mended-signed-off",
        "With all faults mended, every model is signed off",
        NONE,
        float(unsigned),
        notes=(f"{len(mended) - unsigned} of {len(mended)} seeds",),
    )


def _silence(judge: Judge, silent: Mapping[tuple[str, ...], Audit]) -> Iterator[Judged]:
    said = [each.verdict for each in silent.values()]
    yield judge.exact(
        "silence",
        f"Where any kind of evidence is missing ({len(said)} ways), a sound model is not signed "
        "off but NOT ANSWERABLE",
        NONE,
        float(sum(verdict != NOT_ANSWERABLE for verdict in said)),
        protocol="the mended model of the first seed",
    )


def _operating(judge: Judge, operating: Operating) -> Iterator[Judged]:
    protocol = "generated systems, exact binomial limits"
    draws = np.array(list(operating.faults.values()))
    blocked, of = draws.sum(axis=0).tolist()
    least = [name for name, (hits, n) in operating.faults.items() if hits < n]
    yield judge.share(
        "faults-blocked",
        f"Each of {len(FAULTS)} planted faults is blocked by its own question",
        FIVE,
        of - blocked,
        of,
        protocol=protocol,
        notes=(f"missed at times: {', '.join(least) or 'none'}",),
    )
    total = sum(operating.clean.values())
    for id, verdict, sentence in (
        ("clean-signed-off", SIGN_OFF, "At most 5 % of clean systems are not signed off"),
        ("clean-blocked", BLOCKED, "At most 5 % of clean systems are blocked"),
    ):
        count = operating.clean.get(verdict, 0)
        yield judge.share(
            id,
            sentence,
            FIVE,
            total - count if verdict == SIGN_OFF else count,
            total,
            protocol=protocol,
        )


def _blocks(found: Audit, question: str, check: str) -> bool:
    reasons = found.reasons(BLOCKED)
    return any(each.question == question and each.check.startswith(check) for each in reasons)
