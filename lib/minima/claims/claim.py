"""A claim that can fail, and the verdict on it.

Everything that decides is fixed before the data: sentence, rule, prediction, tolerance. Their hash
is in the verdict, so that an edit after the fact shows.

Rules, by the interval of the statistic:

    SIGN      excludes 0 on the predicted side: PASS; on the other: FAIL; within +- tolerance, the
              smallest effect of interest: FAIL, no effect of the claimed size
    WITHIN    inside +- tolerance: PASS; entirely outside: FAIL
    AT_MOST   entirely below tolerance: PASS; entirely above: FAIL
    NUMBER    inside predicted +- tolerance: PASS; entirely outside: PARTIAL if it excludes 0 on
              the predicted side, otherwise FAIL

and INCONCLUSIVE else; also where the A/A control fails, or there are too few seeds for controls.
DISPUTED: two claims of opposite prediction about one quantity, and data decide neither.

Measured over the whole path in planted worlds with 10 reporting seeds, rates chosen on 3 others
(`tests/claims/test_ledger.py` holds it): where nothing is there SIGN speaks in 4.9 % of 10,000
draws; 2.5 points are found in 94.0 % with 400 test examples; a true difference exactly at the
margin passes AT_MOST in 2.6 % and fails it in 2.6 %. Of INCONCLUSIVE runs repeated with the number
that they asked for, 80 % then decide.
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

from minima.claims.choosing import UndecidedError
from minima.claims.controls import LEAST_SEEDS, Controls, enough, run_controls
from minima.claims.evidence import Evidence, Floats
from minima.statistics.intervals import Interval

PASS, PARTIAL, FAIL = "PASS", "PARTIAL", "FAIL"
DISPUTED, INCONCLUSIVE = "DISPUTED", "INCONCLUSIVE"
FAILURES_FIRST = (FAIL, DISPUTED, PARTIAL, INCONCLUSIVE, PASS)
SIGN, WITHIN, AT_MOST, NUMBER = "sign", "within", "at most", "number"
# For an interval to fit between two lines in 80 % of runs, its standard error must be so much
# smaller than for one line: (1.96 + 0.84) / (1.96 + 1.28).
_TWO_SIDED = 0.865


@dataclass(frozen=True)
class Measurement:
    """What one claim measured.

    Attributes:
      interval: of the statistic, in the claim's unit.
      contrast: (S, n) per reporting seed and test example, or (S,) per seed; its mean is the
        statistic (for a jackknife's pseudo-values nearly so). Controls use its residuals.
      arm: results of one condition, of the contrast's shape, for A/A; None to use the contrast.
      notes: optima at the edge, failures, what was left out.
      caveat: why a PASS would be PARTIAL; "" for none.
    """

    interval: Interval
    contrast: Floats
    arm: Floats | None = None
    notes: tuple[str, ...] = ()
    caveat: str = ""


@dataclass(frozen=True)
class Claim:
    """One entry of the table.

    Attributes:
      id: such as "keskar2017-gap".
      source: paper, figure or table, arXiv number.
      sentence: what is claimed.
      protocol: what is compared under which budget, in words.
      rule: SIGN, WITHIN, AT_MOST or NUMBER.
      predicted: SIGN: the claimed size, whose sign is the predicted side; NUMBER: the number;
        otherwise 0.
      tolerance: SIGN: the smallest effect of interest; otherwise the margin. > 0.
      unit: of statistic, prediction and tolerance.
      needs: names of planes, and "curves".
      measure: of the evidence; raises UndecidedError where that can't answer.
      opponents: ids of claims that predict the opposite about the same quantity.
      experiment: the script whose run is the evidence.
      flags: what that script is told beyond its preset, for `reproduce`.
    """

    id: str
    source: str
    sentence: str
    protocol: str
    rule: str
    predicted: float
    tolerance: float
    unit: str
    needs: tuple[str, ...]
    measure: Callable[[Evidence], Measurement] = field(repr=False)
    opponents: tuple[str, ...] = ()
    experiment: str = "batch_size_vs_learning_rate"
    flags: tuple[str, ...] = ()

    @property
    def tolerance_hash(self) -> str:
        """Sha256 over id, sentence, rule, prediction and tolerance."""
        fixed = [self.id, self.sentence, self.rule, self.predicted, self.tolerance]
        return hashlib.sha256(json.dumps(fixed).encode()).hexdigest()

    @property
    def effect(self) -> float:
        """The effect that the controls plant: the claimed size, or the margin."""
        return abs(self.predicted) if self.rule == SIGN else self.tolerance

    @property
    def prediction(self) -> str:
        """The predicted side or values, in words, without the unit."""
        if self.rule == SIGN:
            return f"{'above' if self.predicted > 0 else 'below'} 0 (size {abs(self.predicted):g})"
        if self.rule == NUMBER:
            return f"{self.predicted:g} ± {self.tolerance:g}"
        return f"{'within ±' if self.rule == WITHIN else 'at most '}{self.tolerance:g}"


@dataclass(frozen=True)
class Verdict:
    """The answer to one claim.

    Attributes:
      claim: its id.
      verdict: PASS, PARTIAL, FAIL, DISPUTED or INCONCLUSIVE.
      reason: in words.
      unit: of the statistic.
      statistic: None where nothing could be measured.
      detectable: the smallest effect found with 80 % power, in the same unit; None likewise.
      controls: planted effect and A/A; None where nothing was measured or seeds were too few.
      enough: what would decide, where this did not: seeds, test examples, or a run.
      enough_seeds, enough_examples: the same in numbers, where numbers would do.
      notes: optima at the grid's edge, failure rates, an insensitive design.
      tolerance_hash: of the claim, see there.
    """

    claim: str
    verdict: str
    reason: str
    unit: str
    statistic: Interval | None
    detectable: float | None
    controls: Controls | None
    enough: str
    enough_seeds: int | None
    enough_examples: int | None
    notes: tuple[str, ...]
    tolerance_hash: str

    def to_json(self) -> str:
        """One line, keys sorted; numbers that are not finite become null."""
        return json.dumps(_finite(asdict(self)), sort_keys=True, allow_nan=False)


def decide(claim: Claim, interval: Interval) -> tuple[str, str]:
    """The verdict by the rule alone, and why."""
    low, high, margin, unit = interval.low, interval.high, claim.tolerance, claim.unit
    side = math.copysign(1.0, claim.predicted)
    near, far = sorted((side * low, side * high))  # along the predicted direction
    if claim.rule == SIGN:
        if near > 0:
            return PASS, "the interval excludes 0 on the predicted side"
        if far < 0:
            return FAIL, "the interval excludes 0 on the other side"
        if -margin < near and far < margin:
            return FAIL, f"no effect of the claimed size: within {margin:g} {unit} of 0"
        return INCONCLUSIVE, f"neither 0 nor effects beyond {margin:g} {unit} are excluded"
    centre = claim.predicted if claim.rule == NUMBER else 0.0
    bottom = -math.inf if claim.rule == AT_MOST else centre - margin
    top = centre + margin
    if bottom < low and high < top:
        return PASS, f"inside {bottom:g} to {top:g} {unit}"
    if high < bottom or top < low:
        if claim.rule == NUMBER and near > 0:
            return PARTIAL, f"the sign is right, the number outside {bottom:g} to {top:g} {unit}"
        return FAIL, f"outside {bottom:g} to {top:g} {unit}"
    return INCONCLUSIVE, f"neither inside nor outside {bottom:g} to {top:g} {unit}"


def judge_claim(claim: Claim, evidence: Evidence) -> Verdict:
    """One claim on its own; DISPUTED needs the whole table (`ledger.judge`)."""
    found = _measured(claim, evidence)
    if isinstance(found, Verdict):
        return found
    interval, controls = found.interval, None
    verdict, reason = decide(claim, interval)
    notes = found.notes
    if len(found.contrast) < LEAST_SEEDS:
        verdict, reason = INCONCLUSIVE, f"controls need {LEAST_SEEDS} seeds to report on"
    else:
        controls = run_controls(found.contrast, claim.effect, found.arm, interval.confidence)
        if not controls.sound:
            verdict = INCONCLUSIVE
            reason = f"A/A differences are found in {100 * controls.same.estimate:.1f} % of draws"
        elif not controls.sensitive:
            share = f"{100 * controls.planted.estimate:.0f} %"
            notes += (f"a planted {claim.effect:g} {claim.unit} is found in only {share} of draws",)
    if verdict == PASS and found.caveat:
        verdict, reason = PARTIAL, found.caveat
    wanted: tuple[str, int | None, int | None] = ("", None, None)
    if verdict == INCONCLUSIVE:
        wanted = _wanted(claim, found)
    return Verdict(
        claim.id,
        verdict,
        reason,
        claim.unit,
        interval,
        controls.detectable if controls else None,
        controls,
        *wanted,
        notes,
        claim.tolerance_hash,
    )


def judge_by_rule(claim: Claim, evidence: Evidence) -> Verdict:
    """By the interval alone: for exact limits, and for fewer seeds than controls need."""
    found = _measured(claim, evidence)
    if isinstance(found, Verdict):
        return found
    verdict, reason = decide(claim, found.interval)
    if verdict == PASS and found.caveat:
        verdict, reason = PARTIAL, found.caveat
    undecided = _verdict(claim, verdict, reason, enough="")
    return replace(undecided, statistic=found.interval, notes=found.notes)


def settle(verdicts: list[Verdict], claims: tuple[Claim, ...]) -> list[Verdict]:
    """INCONCLUSIVE becomes DISPUTED where an opponent was measured too and is no better off."""
    open_ones = {v.claim for v in verdicts if v.verdict == INCONCLUSIVE and v.statistic is not None}
    opponents = {claim.id: claim.opponents for claim in claims}
    settled = []
    for v in verdicts:
        against = [other for other in opponents[v.claim] if other in open_ones]
        if v.claim in open_ones and against:
            reason = f"{v.reason}; so too for {', '.join(against)}, which predicts the opposite"
            v = replace(v, verdict=DISPUTED, reason=reason)
        settled.append(v)
    return settled


def failures_first(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """In the order of every report: the worst first, then by name."""
    return sorted(verdicts, key=lambda v: (FAILURES_FIRST.index(v.verdict), v.claim))


def _wanted(claim: Claim, found: Measurement) -> tuple[str, int | None, int | None]:
    """Seeds and test examples that would do, in words and in numbers."""
    interval = found.interval
    have_seeds = len(found.contrast)
    have_examples = found.contrast.shape[1] if found.contrast.ndim == 2 else 1
    effect, why = claim.tolerance, f"to see {claim.tolerance:g} {claim.unit} with 80 % power"
    if claim.rule in (WITHIN, NUMBER):
        effect *= _TWO_SIDED
    seeds, examples = enough(found.contrast, effect, interval.confidence)
    if seeds <= have_seeds and examples <= have_examples:
        # Enough by design, but the estimate lies near a line: then its distance counts.
        centre = claim.predicted if claim.rule == NUMBER else 0.0
        lines = [0.0] if claim.rule == SIGN else [centre + claim.tolerance]
        if claim.rule in (WITHIN, NUMBER):
            lines.append(centre - claim.tolerance)
        apart = min(abs(interval.estimate - line) for line in lines)
        effect = max(apart, claim.tolerance / 10)
        why = f"to tell {interval.estimate:.3g} {claim.unit} from the line, if it stays there"
        seeds, examples = enough(found.contrast, effect, interval.confidence)
    seeds, examples = max(seeds, LEAST_SEEDS, have_seeds), max(examples, have_examples)
    words = f"{seeds:,} seeds to report on (there are {have_seeds})"
    if have_examples > 1:
        words += f" and {examples:,} test examples (there are {have_examples:,})"
    return f"{words}, {why}", seeds, examples if have_examples > 1 else None


def _measured(claim: Claim, evidence: Evidence) -> Measurement | Verdict:
    """What was measured, or the verdict that it can't be."""
    missing = [f'"{name}"' for name in claim.needs if not _has(evidence, name)]
    try:
        if missing:
            raise UndecidedError(f"a run of {claim.experiment} with {', '.join(missing)}")
        return claim.measure(evidence)
    except UndecidedError as error:
        reason = "the evidence can't answer"
        return _verdict(claim, INCONCLUSIVE, reason, enough=f"it needs {error}")


def _has(evidence: Evidence, name: str) -> bool:
    return evidence.curves is not None if name == "curves" else name in evidence.planes


def _verdict(claim: Claim, verdict: str, reason: str, enough: str) -> Verdict:
    nothing = (None, None, None)
    return Verdict(
        claim.id,
        verdict,
        reason,
        claim.unit,
        *nothing,
        enough,
        None,
        None,
        (),
        claim.tolerance_hash,
    )


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
