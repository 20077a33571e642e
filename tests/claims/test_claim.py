import json
from dataclasses import replace

import numpy as np
import pytest

from minima.claims import claim as claims
from minima.claims.choosing import UndecidedError
from minima.claims.claim import AT_MOST, NUMBER, SIGN, WITHIN, Claim, Measurement, decide
from minima.claims.evidence import Evidence
from minima.statistics.intervals import Interval, t_interval

NOTHING = Evidence({}, None, (0,), (1, 2), "sgd")


def a_claim(rule=SIGN, predicted=1.0, tolerance=0.5, measure=None, **changes):
    return Claim(
        "a-claim", "a paper, arXiv:0", "it holds", "as told", rule, predicted, tolerance,
        "points", (), measure or (lambda evidence: None), **changes,
    )  # fmt: skip


def limits(low, high):
    return Interval((low + high) / 2, low, high, 0.95, 10, "t")


@pytest.mark.parametrize(
    ("rule", "predicted", "low", "high", "verdict"),
    [
        (SIGN, 1.0, 0.1, 2.0, "PASS"),
        (SIGN, 1.0, 0.1, 0.2, "PASS"),
        (SIGN, 1.0, -2.0, -0.1, "FAIL"),
        (SIGN, 1.0, -0.1, 0.4, "FAIL"),
        (SIGN, 1.0, -0.1, 0.6, "INCONCLUSIVE"),
        (SIGN, 1.0, -0.6, 0.1, "INCONCLUSIVE"),
        (SIGN, -1.0, -2.0, -0.1, "PASS"),
        (SIGN, -1.0, 0.1, 2.0, "FAIL"),
        (SIGN, 1.0, 0.0, 2.0, "INCONCLUSIVE"),
        (WITHIN, 0.0, -0.4, 0.4, "PASS"),
        (WITHIN, 0.0, 0.1, 0.4, "PASS"),
        (WITHIN, 0.0, 0.6, 0.9, "FAIL"),
        (WITHIN, 0.0, -0.9, -0.6, "FAIL"),
        (WITHIN, 0.0, 0.4, 0.9, "INCONCLUSIVE"),
        (AT_MOST, 0.0, -9.0, 0.4, "PASS"),
        (AT_MOST, 0.0, -9.0, -8.0, "PASS"),
        (AT_MOST, 0.0, 0.6, 0.9, "FAIL"),
        (AT_MOST, 0.0, 0.4, 0.6, "INCONCLUSIVE"),
        (NUMBER, -1.0, -1.3, -0.7, "PASS"),
        (NUMBER, -1.0, -0.4, -0.2, "PARTIAL"),
        (NUMBER, -1.0, -2.4, -2.2, "PARTIAL"),
        (NUMBER, -1.0, -0.4, 0.2, "FAIL"),
        (NUMBER, -1.0, 0.2, 0.4, "FAIL"),
        (NUMBER, -1.0, -0.7, -0.2, "INCONCLUSIVE"),
    ],
)
def test_rules(rule, predicted, low, high, verdict):
    assert decide(a_claim(rule, predicted), limits(low, high))[0] == verdict


@pytest.mark.parametrize(
    "edit",
    [{"tolerance": 0.6}, {"predicted": 1.1}, {"sentence": "it may hold"}, {"rule": NUMBER},
     {"id": "another"}],
)  # fmt: skip
def test_an_edit_changes_the_hash(edit):
    assert replace(a_claim(), **edit).tolerance_hash != a_claim().tolerance_hash


def test_what_does_not_decide_leaves_the_hash():
    assert replace(a_claim(), experiment="another").tolerance_hash == a_claim().tolerance_hash
    assert a_claim().tolerance_hash == a_claim().tolerance_hash
    assert len(a_claim().tolerance_hash) == 64


def values_of(mean, sd, seeds, seed=0):
    z = np.random.default_rng(seed).normal(size=seeds)
    return mean + sd * (z - z.mean()) / z.std(ddof=1)


def judged(values, **changes):
    def measure(evidence):
        return Measurement(t_interval(values), values)

    return claims.judge_claim(a_claim(measure=measure, **changes), NOTHING)


def test_a_verdict_carries_its_controls():
    verdict = judged(values_of(1, 0.3, 10))
    assert verdict.verdict == "PASS"
    assert verdict.controls.effect == 1.0
    assert verdict.controls.sound
    assert verdict.controls.sensitive
    assert 0.2 < verdict.detectable < 0.4
    assert verdict.enough == ""
    told = json.loads(verdict.to_json())
    assert told["tolerance_hash"] == a_claim().tolerance_hash
    assert told["statistic"]["n"] == 10
    assert told["controls"]["same"]["estimate"] < 0.08


def test_an_insensitive_design_is_said():
    assert any("only" in note for note in judged(values_of(9, 3, 10)).notes)


def test_too_few_seeds_for_controls_decide_nothing():
    verdict = judged(values_of(9, 0.1, 4))
    assert verdict.verdict == "INCONCLUSIVE"
    assert verdict.controls is None
    assert verdict.enough_seeds == 5


def test_near_the_line_the_distance_counts():
    """0.45 with margin 0.5: by design 20 seeds are plenty, but this one needs many more."""
    verdict = judged(values_of(0.45, 0.3, 20), rule=AT_MOST, predicted=0.0)
    assert verdict.verdict == "INCONCLUSIVE"
    assert "from the line" in verdict.enough
    assert 200 < verdict.enough_seeds < 400  # (2.8 * 0.3 / 0.05)^2 = 282


def test_a_failed_control_decides_nothing(monkeypatch):
    real = claims.run_controls

    def flagging(*args, **kwargs):
        found = real(*args, **kwargs)
        return replace(found, same=Interval(0.2, 0.15, 0.25, 0.999, 1000, "planted"))

    monkeypatch.setattr(claims, "run_controls", flagging)
    verdict = judged(values_of(1, 0.3, 10))
    assert verdict.verdict == "INCONCLUSIVE"
    assert "A/A" in verdict.reason


def test_a_caveat_makes_a_pass_partial():
    values = values_of(1, 0.3, 10)

    def measure(_):
        return Measurement(t_interval(values), values, caveat="half untested")

    verdict = claims.judge_claim(a_claim(measure=measure), NOTHING)
    assert (verdict.verdict, verdict.reason) == ("PARTIAL", "half untested")


def test_undecided_evidence_is_told():
    def measure(evidence):
        raise UndecidedError("a longer run")

    verdict = claims.judge_claim(a_claim(measure=measure), NOTHING)
    assert (verdict.verdict, verdict.enough) == ("INCONCLUSIVE", "it needs a longer run")
    assert json.loads(verdict.to_json())["statistic"] is None


def test_no_spread_at_all():
    same = np.zeros(6)
    verdict = judged(same)
    assert verdict.verdict == "FAIL"
    assert verdict.detectable == 0
