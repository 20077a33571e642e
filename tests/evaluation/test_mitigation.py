"""Thresholds by group, proxies, impossibility and review, against closed forms and fairlearn."""

import math

import numpy as np
import pytest

from minima.evaluation import disparity, impossibility, proxies, review, thresholds
from minima.runtime.errors import UserError


def drawn(seed, n=400, groups=2):
    rng = np.random.default_rng(seed)
    of = np.array([f"g{k}" for k in rng.integers(0, groups, n)])
    y = rng.random(n) < 0.3 + 0.3 * (of == "g0")
    scores = np.round(1 / (1 + np.exp(-(2.0 * y - 1 + rng.standard_normal(n)))), 2)  # with ties
    return y.astype(int), scores, of


def _as_fitted():
    """What fairlearn takes for a fitted model: the scores are its input."""
    base = pytest.importorskip("sklearn.base")

    class Scores(base.ClassifierMixin, base.BaseEstimator):
        fitted_ = True

        def fit(self, x, y):
            return self

        def predict(self, x):
            return np.asarray(x)[:, 0]

    return Scores()


@pytest.mark.parametrize(
    ("criterion", "theirs"),
    [
        ("demographic_parity", "demographic_parity"),
        ("equal_opportunity", "true_positive_rate_parity"),
        ("equalized_odds", "equalized_odds"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_thresholds_are_fairlearns(criterion, theirs):
    optimizer = pytest.importorskip("fairlearn.postprocessing").ThresholdOptimizer
    for seed in range(5):
        y, s, of = drawn(seed, groups=2 + seed % 2)
        peer = optimizer(
            estimator=_as_fitted(), constraints=theirs, prefit=True, predict_method="predict"
        )
        peer.fit(s[:, None], y, sensitive_features=of)
        expected = peer._pmf_predict(s[:, None], sensitive_features=of)[:, 1]
        fitted = thresholds.fit_thresholds(y, s, of, criterion)
        found = fitted.chances(s, of)

        def accuracy(chance, y=y):
            return np.mean(np.where(y == 1, chance, 1 - chance))

        assert accuracy(found) == pytest.approx(accuracy(expected), abs=1e-9)
        assert fitted.accuracy == pytest.approx(accuracy(found), abs=1e-9)
        # And groups share what they are to share, exactly in expectation.
        shared = {"demographic_parity": (0, 1), "equal_opportunity": (1,), "equalized_odds": ()}
        for labels in (shared[criterion],) if shared[criterion] else ((0,), (1,)):
            means = [found[(of == g) & np.isin(y, labels)].mean() for g in np.unique(of)]
            assert np.ptp(means) < 1e-9


def test_thresholds_decide_as_often_as_they_say():
    y, s, of = drawn(9, 4000)
    fitted = thresholds.fit_thresholds(y, s, of, "equalized_odds")
    chances = fitted.chances(s, of)
    decided = fitted.decide(s, of, seed=1)
    assert (decided == fitted.decide(s, of, seed=1)).all()
    np.testing.assert_array_equal(decided[chances == 1], True)
    np.testing.assert_array_equal(decided[chances == 0], False)
    spread = math.sqrt(float((chances * (1 - chances)).sum()))
    assert abs(decided.sum() - chances.sum()) <= 4 * spread


def test_thresholds_refuse_what_does_not_fit():
    y, s, of = drawn(0)
    for arguments, says in (
        ((y, s, np.full(len(y), "a")), "all examples are of group a"),
        ((y * (of == "g0"), s, of), "all examples of g1 have one label"),
        ((y, s, of, "kindness"), "use one of demographic_parity"),
        ((y, s[1:], of), "where labels have"),
    ):
        with pytest.raises(UserError, match=says):
            thresholds.fit_thresholds(*arguments)
    with pytest.raises(UserError, match="g9 has no threshold"):
        thresholds.fit_thresholds(y, s, of).chances([0.5], ["g9"])


def test_proxies_are_found_and_ranked():
    rng = np.random.default_rng(1)
    n = 6000
    of = rng.random(n) < 0.4
    features = {
        "noise": rng.standard_normal(n),
        "shifted": rng.standard_normal(n) + of,
        "word": np.where(rng.random(n) < 0.9, np.where(of, "x", "y"), "z"),
    }
    groups = np.where(of, "B", "A")
    found = proxies.find_proxies(features, groups)
    assert [proxy.feature for proxy in found] == ["word", "shifted", "noise"]
    word, shifted, noise = found
    # 81 % of pairs are told apart, 18 % have one z, told apart too, 1 % two.
    assert word.auc == pytest.approx(0.81 + 0.18 * 1.0 + 0.005, abs=0.01)
    normal = 0.5 * math.erfc(-0.5 / math.sqrt(2) * math.sqrt(2))  # P(N(1, 2) > 0)
    assert shifted.low < normal < shifted.high + 0.01
    assert noise.low < 0.5 < noise.high
    together = proxies.all_together(features, groups)
    assert together.auc > word.auc - 0.005
    assert proxies.all_together({"noise": features["noise"]}, groups).high < 0.53


def test_proxies_of_several_groups_and_bad_input():
    rng = np.random.default_rng(2)
    of = rng.integers(0, 3, 3000)
    known = proxies.find_proxies({"same": of, "no": rng.random(3000)}, of)
    assert known[0].auc == 1
    assert abs(known[1].auc - 0.5) < 0.05
    assert proxies.all_together({"same": of}, of).auc > 0.6
    with pytest.raises(UserError, match="are none"):
        proxies.find_proxies({}, of)
    with pytest.raises(UserError, match="all examples are of group a"):
        proxies.find_proxies({"x": [1, 2]}, ["a", "a"])


def test_kleinbergs_identity_and_what_follows():
    for seed in range(20):
        y, s, of = drawn(seed)
        calibrated = impossibility.calibrated_within(y, s, of)
        found = impossibility.balance(y, calibrated, of)
        for each in found.values():
            assert abs(each.residual) < 1e-12
            assert each.mean_score == pytest.approx(each.base_rate, abs=1e-12)
        raw = impossibility.balance(y, s, of).values()
        assert all(abs(each.residual) > 1e-4 for each in raw)  # these scores are not calibrated
    # Two points of view of one number: solve for the mean score of label 0 in either group.
    p, q, top = 0.6, 0.4, 0.7
    zero = [base * (1 - top) / (1 - base) for base in (p, q)]
    assert impossibility.unbalance((p, q), top) == pytest.approx(zero[0] - zero[1], abs=1e-15)
    assert impossibility.unbalance((p, p), top) == 0
    assert impossibility.unbalance((p, q), 1.0) == 0


def test_calibrated_scores_are_the_shares_of_their_bins():
    y, s, of = drawn(3)
    made = impossibility.calibrated_within(y, s, of, bins=5)
    for group in np.unique(of):
        for value in np.unique(made[of == group]):
            assert y[(of == group) & (made == value)].mean() == pytest.approx(value, abs=1e-12)


def test_threshold_pairs_are_those_of_the_rates():
    y, s, of = drawn(4, 2000)
    pairs = impossibility.threshold_pairs(y, s, of, steps=12)
    for k in (0, 17, len(pairs.accuracy) - 1):
        d = s >= np.where(of == "g0", *pairs.thresholds[k])
        first, second = disparity.by_group(y, d, of)
        for name in ("precision", "false_negative_rate", "false_positive_rate"):
            apart = first.rates[name].value - second.rates[name].value
            assert getattr(pairs, name)[k] == pytest.approx(apart, abs=1e-12)
        assert pairs.accuracy[k] == pytest.approx(np.mean(d == (y == 1)), abs=1e-12)
    x, lowest = pairs.frontier(0.05)
    assert (np.diff(x) > 0).all()
    assert (np.diff(lowest) < 0).all()
    assert pairs.least(0.05) == pytest.approx(np.maximum(x, lowest).min(), abs=0)
    assert pairs.least(1.0) <= pairs.least(0.01)


def test_with_equal_base_rates_everything_can_be_had():
    rng = np.random.default_rng(5)
    chance = rng.random(40_000)
    y = rng.random(40_000) < chance
    of = rng.random(40_000) < 0.5
    equal = impossibility.threshold_pairs(y, chance, of).least(0.05)
    assert equal < 0.02
    tilted = np.where(of, chance**4, chance)
    y = rng.random(40_000) < tilted
    assert impossibility.threshold_pairs(y, tilted, of).least(0.05) > 0.05


def test_chouldechovas_residual_is_rounding():
    y, s, _ = drawn(6)
    assert abs(impossibility.chouldechovas_residual(y, s > 0.5)) < 1e-12
    assert math.isnan(impossibility.chouldechovas_residual([1, 1], [1, 0]))


def test_review_by_hand():
    scores = [0.1, 0.45, 0.52, 0.9]
    sent = review.least_sure(scores, 0.5)
    assert sent.tolist() == [False, True, True, False]
    found = review.review([0, 0, 1, 1], [1, 1, 0, 0], sent, skill=1.0)
    assert found.decided.tolist() == [False, True, False, True]
    assert found.share == 0.5
    none = review.review([0, 0, 1, 1], [1, 1, 0, 0], sent, skill=0.0)
    assert none.decided.tolist() == [False, False, True, True]
    rng = np.random.default_rng(0)
    y = rng.random(20_000) < 0.5
    everybody = np.ones(20_000, bool)
    right = (review.review(~y, y, everybody, 0.9).decided == y).mean()
    assert abs(right - 0.9) < 4 * math.sqrt(0.09 / 20_000)
