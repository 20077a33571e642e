import numpy as np
import pytest

from minima.claims.choosing import UndecidedError
from minima.claims.claim import AT_MOST, FAIL, INCONCLUSIVE, NUMBER, PARTIAL, PASS, SIGN
from minima.claims.seeded import Judge

JUDGE = Judge("experiment", "someone 2020", "paired by seed")
BETTER = (SIGN, 2.0, 0.5, "points")
NOISE = np.random.default_rng(0).normal(size=10)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        (2 + 0.5 * NOISE, PASS),
        (-2 + 0.5 * NOISE, FAIL),
        (0.01 * NOISE, FAIL),  # no effect of the claimed size
        (20 * NOISE, INCONCLUSIVE),
        ([1.0, 1.1, 0.9], PASS),  # too few seeds for controls: by the interval alone
    ],
)
def test_one_number_a_seed(values, verdict):
    claim, found = JUDGE.over_seeds("better", "It is better.", BETTER, values)
    assert found.verdict == verdict
    assert (found.controls is not None) == (len(values) >= 5)
    assert (claim.source, claim.experiment) == ("someone 2020", "experiment")
    assert found.statistic.estimate == pytest.approx(np.mean(values))
    assert found.tolerance_hash == claim.tolerance_hash


def test_a_planted_effect_of_the_claimed_size_is_looked_for():
    _, found = JUDGE.over_seeds("better", "It is better.", BETTER, 2 + 0.5 * NOISE)
    assert found.controls.planted.estimate > 0.9
    assert found.controls.same.estimate < 0.08


@pytest.mark.parametrize("values", [[1.0], [1.0, np.nan, 2.0]])
def test_seeds_that_cannot_tell(values):
    _, found = JUDGE.over_seeds("better", "It is better.", BETTER, values)
    assert found.verdict == INCONCLUSIVE
    assert found.statistic is None
    assert "2 or more seeds" in found.enough


def test_values_may_be_asked_for_late():
    def missing():
        raise UndecidedError("a run that trained")

    _, found = JUDGE.over_seeds("better", "It is better.", BETTER, missing)
    assert (found.verdict, found.enough) == (INCONCLUSIVE, "it needs a run that trained")


def test_a_caveat_makes_a_pass_partial():
    _, found = JUDGE.over_seeds("b", "Better.", BETTER, 2 + 0.1 * NOISE, caveat="in part")
    assert (found.verdict, found.reason) == (PARTIAL, "in part")


@pytest.mark.parametrize(("hits", "verdict"), [(199, PASS), (191, INCONCLUSIVE), (150, FAIL)])
def test_a_share_between_exact_limits(hits, verdict):
    rule = (AT_MOST, 0.0, 5.0, "%")
    _, found = JUDGE.share("wrong", "Wrong in 5 % at most.", rule, 200 - hits, 200)
    assert found.verdict == verdict
    assert found.statistic.estimate == pytest.approx((200 - hits) / 2)


@pytest.mark.parametrize(("value", "verdict"), [(2.05, PASS), (2.2, PARTIAL), (-1.0, FAIL)])
def test_a_number_without_chance(value, verdict):
    _, found = JUDGE.exact("exponent", "Quadratic.", (NUMBER, 2.0, 0.1, ""), value)
    assert found.verdict == verdict


def test_a_number_that_could_not_be_found():
    _, found = JUDGE.exact("exponent", "Quadratic.", (NUMBER, 2.0, 0.1, ""), np.nan)
    assert found.verdict == INCONCLUSIVE
