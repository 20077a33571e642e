"""What the rescue claims, under which rules and tolerances; their hash is in every verdict.

Accuracy is compared at the same epochs, paired by seed, with test examples resampled too; a failed
seed counts as guessing. Each interval is at 95 %, on its own. Rules are those of `claims.claim`,
and two more: above 0 but not above LEAST is PARTIAL, or FAIL where it is for certain below; and a
treatment whose failure rate is for certain above FAILED is a FAIL.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from judged import Judged
from minima.claims.choosing import UndecidedError
from minima.claims.claim import (
    AT_MOST,
    FAIL,
    NUMBER,
    PARTIAL,
    PASS,
    SIGN,
    WITHIN,
    Claim,
    Measurement,
    Verdict,
    judge_by_rule,
    judge_claim,
)
from minima.claims.evidence import NO_EVIDENCE, Evidence, Floats
from minima.claims.two_level import crossed_interval
from minima.statistics.intervals import Interval, t_interval
from minima.sweep.step_memory import StepMemory
from parts.batch_size_rescue.patients import UNSTABLE, Arm, Patient, failures, hits, train_loss

REPAIR = 5.0  # points of test accuracy that a rescue claims; the controls plant them
MORE = 2.0  # points that the smaller batch claims beyond what the rate alone does
LEAST = 1.0  # points: the smallest effect of interest
FAILED = 10.0  # % of runs
LOSS, LEAST_LOSS = 0.3, 0.05  # nats that the undertrained patient claims to lack, and the least
LINEAR, FLAT = 0.1, 0.05  # how far the exponents of memory may be from 1 and from 0


def judge_patient(patient: Patient, evidence: Evidence) -> list[Judged]:
    """Is it sick, does each treatment rescue it, and does the batch do more than the rate alone?"""
    judged = [_premise(patient, evidence)]
    for arm in patient.arms[1:]:
        judged.append(_judged(_rescues(patient, arm), evidence, arm))
    for control in patient.controls:
        judged.append(_judged(_does_more(patient, control), evidence, patient.best))
    return judged


def judge_memory(whole: Sequence[StepMemory], pieces: Sequence[StepMemory]) -> list[Judged]:
    """Does a whole batch's memory grow in proportion to it, and an accumulated one's not at all?"""
    sizes = np.array([step.batch_size for step in whole], np.float64)
    totals = np.array([step.total for step in whole], np.float64)
    added = np.diff(totals) / np.diff(sizes)  # bytes for one more example
    middles = np.sqrt(sizes[1:] * sizes[:-1])
    grows = 1 + _slope(middles, added) if (added > 0).all() else 0.0
    stays = _slope(sizes, np.array([step.total for step in pieces], np.float64))
    claims = (
        _claim(
            "memory: whole batch",
            "beyond what is fixed, memory of a whole batch grows in proportion to its size",
            (NUMBER, 1.0, LINEAR, "(exponent)"),
            lambda _: _exact(grows, len(sizes)),
            _COMPILER,
        ),
        _claim(
            "memory: accumulated",
            "accumulated over microbatches, memory does not depend on the batch size",
            (WITHIN, 0.0, FLAT, "(exponent)"),
            lambda _: _exact(stays, len(sizes)),
            _COMPILER,
        ),
    )
    return [(claim, judge_by_rule(claim, NO_EVIDENCE)) for claim in claims]


def _rescues(patient: Patient, arm: Arm) -> Claim:
    return _claim(
        f"{patient.name}: {arm.name}",
        f"{patient.course(arm)} rescues it (accuracy up, at most {FAILED:g} % of runs fail)",
        (SIGN, REPAIR, LEAST, "points"),
        partial(_difference, arm=arm, against=patient.sick),
        arm.source,
    )


def _does_more(patient: Patient, control: Arm) -> Claim:
    return _claim(
        f"{patient.name}: {patient.best.name}, more than {control.name}",
        f"{patient.course(patient.best)} does more than {patient.course(control)}",
        (SIGN, MORE, LEAST, "points"),
        partial(_difference, arm=patient.best, against=control),
        "control",
    )


def _premise(patient: Patient, evidence: Evidence) -> Judged:
    if patient.name == UNSTABLE:
        claim = _claim(
            "unstable: is it",
            f"more than {FAILED:g} % of its runs fail: fewer than {100 - FAILED:g} % survive",
            (AT_MOST, 0.0, 100 - FAILED, "%"),
            partial(_survival, arm=patient.sick),
        )
        return claim, judge_by_rule(claim, evidence)  # exact limits need no controls
    claim = _claim(
        "undertrained: is it",
        f"its training loss, too, is above batch {patient.best.batch_size}'s at the same rate",
        (SIGN, LOSS, LEAST_LOSS, "nats"),
        partial(_lacking_loss, arm=patient.sick, against=patient.best),
    )
    return claim, judge_claim(claim, evidence)


def _claim(
    id: str,
    sentence: str,
    fixed: tuple[str, float, float, str],
    measure: Callable[[Evidence], Measurement],
    source: str = "premise",
) -> Claim:
    rule, predicted, tolerance, unit = fixed
    return Claim(
        id=id,
        source=source,
        sentence=sentence,
        protocol="the same epochs, paired by seed",
        rule=rule,
        predicted=predicted,
        tolerance=tolerance,
        unit=unit,
        needs=(),
        measure=measure,
        experiment="batch_size_rescue",
    )


def _judged(claim: Claim, evidence: Evidence, arm: Arm) -> Judged:
    """By the interval; but what fails too often, or gains too little, is no rescue."""
    verdict, rate = judge_claim(claim, evidence), failures(evidence, arm)
    found, least = verdict.statistic, f"{claim.tolerance:g} {claim.unit}"
    if rate.low > FAILED:
        reason = f"{rate.estimate:.0f} [{rate.low:.0f}, {rate.high:.0f}] % of its runs fail"
        return claim, _settled(verdict, FAIL, reason)
    if verdict.verdict == PASS and found is not None and found.low <= claim.tolerance:
        if found.high < claim.tolerance:
            return claim, _settled(verdict, FAIL, f"above 0, but by less than {least}")
        return claim, _settled(verdict, PARTIAL, f"above 0, but perhaps by less than {least}")
    return claim, verdict


def _settled(verdict: Verdict, name: str, reason: str) -> Verdict:
    """Decided otherwise; then nothing more would be enough."""
    verdict = replace(verdict, verdict=name, reason=reason, enough="")
    return replace(verdict, enough_seeds=None, enough_examples=None)


def _difference(evidence: Evidence, arm: Arm, against: Arm) -> Measurement:
    if len(evidence.reporting) < 2:
        raise UndecidedError("2 or more seeds")
    first, second = hits(evidence, arm), hits(evidence, against)
    # Like is compared with like where seeds differ most: there a difference is most easily found.
    noisier = max(first, second, key=lambda values: float(values.mean(1).std()))
    return Measurement(crossed_interval(first - second), first - second, noisier)


def _lacking_loss(evidence: Evidence, arm: Arm, against: Arm) -> Measurement:
    contrast = train_loss(evidence, arm) - train_loss(evidence, against)
    if len(contrast) < 2 or not np.isfinite(contrast).all():
        raise UndecidedError("2 or more seeds, and runs that do not fail")
    return Measurement(t_interval(contrast), contrast)


def _survival(evidence: Evidence, arm: Arm) -> Measurement:
    rate = failures(evidence, arm)
    limits = (100 - rate.estimate, 100 - rate.high, 100 - rate.low)
    return Measurement(Interval(*limits, rate.confidence, rate.n, rate.method), np.zeros(0))


def _exact(value: float, n: int) -> Measurement:
    return Measurement(Interval(value, value, value, 0.95, n, "exact"), np.zeros(0))


def _slope(x: Floats, y: Floats) -> float:
    """How the logarithm of y goes with that of x, by least squares."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


_COMPILER = "the compiler's buffers"
