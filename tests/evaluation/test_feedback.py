import math

import numpy as np
import pytest
from scipy import stats

from minima.evaluation import feedback
from minima.runtime.errors import UserError


def test_equal_rates_settle_anywhere():
    shares = feedback.patrol_shares([0.5, 0.5], days=4000, worlds=10_000)[:, 0]
    assert shares.std() == pytest.approx(1 / math.sqrt(12), abs=0.01)
    distance = stats.kstest(shares, "uniform").statistic
    assert distance < stats.kstwo.ppf(0.999, len(shares))


def test_corrected_patrols_follow_the_rates():
    for rates in ([0.5, 0.5], [0.55, 0.45]):
        shares = feedback.patrol_shares(rates, 4000, 1000, corrected=True)[:, 0]
        truth = rates[0] / sum(rates)
        assert shares.mean() == pytest.approx(truth, abs=3 * shares.std() / math.sqrt(1000) + 2e-3)
        assert shares.std() < 0.03


def test_a_small_difference_runs_away():
    early, late = (
        feedback.patrol_shares([0.55, 0.45], days, 2000)[:, 0].mean() for days in (500, 4000)
    )
    assert 0.6 < early < late


def test_three_areas_and_a_start():
    shares = feedback.patrol_shares([0.5, 0.5, 0.5], 1000, 4000, start=[2, 1, 1])
    assert shares.sum(axis=1) == pytest.approx(1)
    assert shares.mean(axis=0) == pytest.approx([0.5, 0.25, 0.25], abs=0.02)  # a martingale


def test_exposure():
    assert feedback.gini([1, 1, 1, 1]) == 0
    assert feedback.gini([0, 0, 0, 4]) == pytest.approx(0.75)
    x = np.random.default_rng(0).random(50)
    pairs = np.abs(x[:, None] - x[None]).mean() / (2 * x.mean())
    assert feedback.gini(x) == pytest.approx(pairs)
    assert feedback.coverage([0, 3, 1, 0]) == 0.5
    assert feedback.effective_items([2, 2, 0, 0]) == pytest.approx(2)


def test_homogeneity():
    assert feedback.homogeneity([[1, 1, 0], [1, 1, 0]]) == 1
    assert feedback.homogeneity([[1, 0], [0, 1]]) == 0
    assert feedback.homogeneity([[1, 1, 0], [0, 1, 1], [0, 1, 0]]) == pytest.approx((1 / 3 + 1) / 3)


def test_inverse_propensity_repairs_what_was_not_shown():
    rng = np.random.default_rng(1)
    kind = rng.random(50_000) < 0.3
    outcomes = np.where(kind, 0.9, 0.2)
    propensity = np.where(kind, 0.9, 0.1)
    shown = rng.random(50_000) < propensity
    hidden = np.where(shown, outcomes, np.nan)
    assert outcomes[shown].mean() > 0.7
    found = feedback.inverse_propensity(hidden, shown, propensity)
    assert found == pytest.approx(outcomes.mean(), abs=0.01)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: feedback.patrol_shares([0.5], 1, 1), "rates: give a number from 0 to 1"),
        (lambda: feedback.gini([-1, 2]), "exposure: give one number from 0 up per item"),
        (lambda: feedback.homogeneity([[0, 0], [1, 1]]), "shown: give (two users or more, items)"),
        (lambda: feedback.inverse_propensity([1], [1], [0]), "propensity: must be above 0"),
    ],
)
def test_bad_input_is_one_line(call, says):
    with pytest.raises(UserError) as raised:
        call()
    assert says in str(raised.value)
