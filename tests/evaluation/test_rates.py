"""Rates and gaps between groups, held to scikit-learn's and fairlearn's on random inputs."""

import math

import fairlearn.metrics as fairlearn
import numpy as np
import pytest
import sklearn.metrics as sklearn
from scipy import stats

from minima.evaluation import disparity
from minima.evaluation.rates import RATES, rate, rates
from minima.runtime.errors import UserError

RANDOM = 1000
RNG = np.random.default_rng(0)


def drawn(rng):
    """Labels, decisions, groups and weights: of few examples, so that some rates are undefined."""
    n, share = int(rng.integers(2, 60)), rng.random(2)
    labels, decided = (rng.random((2, n)) < share[:, None]).astype(int)
    groups = rng.integers(0, rng.integers(1, 4), n)
    weights = rng.integers(1, 4, n) * rng.choice([1.0, 0.5])
    return labels, decided, groups, weights


def reference(name, y, d, w):
    """scikit-learn's number, None where it is undefined."""
    (tn, fp), (fn, tp) = sklearn.confusion_matrix(y, d, labels=[0, 1], sample_weight=w)
    parts = {
        "base_rate": (tp + fn, tp + fn + fp + tn),
        "selection_rate": (tp + fp, tp + fn + fp + tn),
        "accuracy": (tp + tn, tp + fn + fp + tn),
        "true_positive_rate": (tp, tp + fn),
        "false_negative_rate": (fn, tp + fn),
        "true_negative_rate": (tn, tn + fp),
        "false_positive_rate": (fp, tn + fp),
        "precision": (tp, tp + fp),
        "negative_predictive_value": (tn, tn + fn),
    }
    hits, among = parts[name]
    return hits / among if among else None


@pytest.mark.slow
def test_rates_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    undefined = 0
    for number in range(RANDOM):
        y, d, _, w = drawn(rng)
        w = w if number % 2 else None
        for name, found in rates(y, d, w).items():
            expected = reference(name, y, d, w)
            if expected is None:
                undefined += 1
                assert math.isnan(found.value)
                assert found.reason.startswith("no examples")
                assert found.n == 0
            else:
                assert found.value == pytest.approx(expected, abs=1e-12)
                assert found.low <= found.value <= found.high
    assert undefined > 20


def test_precision_and_recall_carry_scikit_learns_names():
    y, d, _, w = drawn(np.random.default_rng(5))
    recall = sklearn.recall_score(y, d, sample_weight=w)
    assert rate("true_positive_rate", y, d, w).value == pytest.approx(recall, abs=1e-12)
    precision = sklearn.precision_score(y, d, sample_weight=w)
    assert rate("precision", y, d, w).value == pytest.approx(precision, abs=1e-12)


def test_limits_cover_the_truth():
    rng, truth = np.random.default_rng(2), 0.3
    hits = 0
    for _ in range(1000):
        found = rate("selection_rate", np.ones(80), (rng.random(80) < truth).astype(int))
        hits += found.low <= truth <= found.high
    assert hits >= stats.binom.ppf(0.001, 1000, 0.95)


@pytest.mark.parametrize("weighted", [False, True])
def test_gaps_are_those_of_fairlearn(weighted):
    rng, compared = np.random.default_rng(3), 0
    names = (
        "demographic_parity_difference",
        "demographic_parity_ratio",
        "equalized_odds_difference",
        "equalized_odds_ratio",
        "equal_opportunity_difference",
    )
    for _ in range(RANDOM // 10):
        y, d, groups, w = drawn(rng)
        complete = all(set(y[groups == g]) == {0, 1} for g in set(groups))
        if len(set(groups)) < 2 or not complete:
            continue  # fairlearn has 0 where a rate is undefined; see the test below
        w = w if weighted else None
        for name in names:
            theirs = getattr(fairlearn, name)(y, d, sensitive_features=groups, sample_weight=w)
            ours = getattr(disparity, name)(y, d, groups, w)
            if math.isnan(ours):
                assert name.endswith("ratio")  # 0 / 0
                continue
            assert ours == pytest.approx(theirs, abs=1e-12)
            compared += 1
    assert compared > 100


def test_groups_are_fairlearns_frame():
    rng = np.random.default_rng(4)
    y, d = (rng.random((2, 300)) < 0.4).astype(int)
    groups = rng.choice(["a", "b", "c"], 300)
    frame = fairlearn.MetricFrame(
        metrics={"false_positive_rate": fairlearn.false_positive_rate, "n": fairlearn.count},
        y_true=y,
        y_pred=d,
        sensitive_features=groups,
    )
    found = disparity.by_group(y, d, groups)
    assert [group.name for group in found] == ["a", "b", "c"]
    for group in found:
        theirs = frame.by_group.loc[group.name]
        assert group.n == theirs["n"]
        ours = group.rates["false_positive_rate"].value
        assert ours == pytest.approx(theirs["false_positive_rate"], abs=1e-12)


def test_a_group_of_one_class_is_undefined_and_never_zero():
    y, d, groups = [1, 1, 0, 1, 0, 0], [1, 0, 0, 1, 1, 0], ["a", "a", "b", "b", "b", "b"]
    first, second = disparity.by_group(y, d, groups, least=3)
    assert first.small
    assert not second.small
    missing = first.rates["false_positive_rate"]
    assert math.isnan(missing.value)
    assert missing.reason == "no examples with label 0"
    gap = disparity.gap("false_positive_rate", y, d, groups)
    assert math.isnan(gap.difference)
    assert gap.reason == "false_positive_rate is defined for 1 of 2 groups"
    assert disparity.equalized_odds_difference(y, d, groups) == 0.5  # of true positive rates


def test_intersections_and_the_worst_group():
    crossed = disparity.intersections(["a", "a", "b", "b"], [1, 2, 1, 2])
    assert crossed.tolist() == ["a & 1", "a & 2", "b & 1", "b & 2"]
    found = disparity.by_group([1, 0, 1, 0], [1, 0, 1, 1], crossed)
    assert disparity.worst_group(found).name == "b & 2"


@pytest.mark.parametrize("truth", [0.0, 0.05, 0.2])
def test_limits_of_a_gap_hold_the_planted_one(truth):
    rng, inside, runs = np.random.default_rng(6), 0, 1000
    groups = np.repeat([0, 1], 400)
    for _ in range(runs):
        d = (rng.random(800) < np.where(groups == 0, 0.3, 0.3 + truth)).astype(int)
        gap = disparity.gap("selection_rate", np.ones(800), d, groups)
        inside += gap.low <= truth <= gap.high
    assert inside >= stats.binom.ppf(0.001, runs, 0.95)


def test_limits_of_the_range_of_six_equal_groups_hold_zero():
    rng, inside = np.random.default_rng(9), 0
    groups = np.arange(600) % 6
    for _ in range(300):
        d = (rng.random(600) < 0.5).astype(int)
        gap = disparity.gap("selection_rate", d, d, groups)
        inside += gap.low <= 0 and gap.high >= gap.difference
    assert inside >= stats.binom.ppf(0.001, 300, 0.95)


def test_newcombes_example():
    # Newcombe 1998, table II, row (a): 56 of 70 against 48 of 80, method 10
    low, high = disparity.newcombe(56 / 70, 70, 48 / 80, 80)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


def test_equal_groups_exceed_chance_as_often_as_they_should():
    rng, flagged = np.random.default_rng(7), 0
    for seed in range(200):
        y, d = (rng.random((2, 90)) < 0.5).astype(int)
        groups = np.repeat([0, 1, 2], 30)
        flagged += disparity.exceeds_chance("accuracy", y, d, groups, 99, seed) <= 0.05
    assert stats.binom.ppf(0.0005, 200, 0.05) <= flagged <= stats.binom.ppf(0.9995, 200, 0.05)


def test_a_planted_gap_exceeds_chance():
    groups = np.repeat([0, 1], 100)
    d = np.concatenate([np.ones(80), np.zeros(20), np.ones(50), np.zeros(50)]).astype(int)
    assert disparity.exceeds_chance("selection_rate", d, d, groups) < 0.01


def test_chouldechovas_identity():
    rng = np.random.default_rng(8)
    for _ in range(100):
        y, d = (rng.random((2, 200)) < rng.random(2)[:, None]).astype(int)
        found = {name: each.value for name, each in rates(y, d).items()}
        needed = ("base_rate", "precision", "false_negative_rate")
        if any(math.isnan(value) for value in found.values()) or found["precision"] == 0:
            continue
        implied = disparity.false_positive_rate_of(*(found[name] for name in needed))
        assert implied == pytest.approx(found["false_positive_rate"], abs=1e-12)


# ProPublica's table of 2016 as counts, without any person: (group, label, decision) -> people.
TWIN = {
    ("African-American", 1, 1): 1369,
    ("African-American", 1, 0): 532,
    ("African-American", 0, 1): 805,
    ("African-American", 0, 0): 990,
    ("Caucasian", 1, 1): 505,
    ("Caucasian", 1, 0): 461,
    ("Caucasian", 0, 1): 349,
    ("Caucasian", 0, 0): 1139,
}


def test_propublicas_table():
    people = [key for key, count in TWIN.items() for _ in range(count)]
    groups, labels, decided = zip(*people, strict=True)
    black, white = disparity.by_group(labels, decided, groups)
    assert (black.n, white.n) == (3696, 2454)
    published = {
        "base_rate": (0.5143, 0.3936),
        "false_positive_rate": (0.4485, 0.2345),
        "false_negative_rate": (0.2799, 0.4772),
        "precision": (0.6297, 0.5913),
        "accuracy": (0.6383, 0.6699),
    }
    for name, expected in published.items():
        found = tuple(round(group.rates[name].value, 4) for group in (black, white))
        assert found == expected


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([0, 1], [0, 1, 1], [0, 0]), "decisions: has 3 examples where labels have 2"),
        (([0, 2], [0, 1], [0, 1]), "labels: holds 2; give 0 or 1"),
        (([0, 1], [0.5, 1], [0, 1]), "decisions: holds 0.5; give 0 or 1 (choose a threshold"),
        (([0, "x"], [0, 1], [0, 1]), "'x' is no number"),
        (([0, 1], [0, 1], ["a", ""]), "groups: a value is missing"),
        (([0, 1], [0, 1], ["a", "a"]), "groups: all examples are of group a"),
        (([0, 1], [0, np.nan], [0, 1]), "decisions: 1 values are NaN or infinite"),
        (([], [], []), "labels: is empty"),
    ],
)
def test_bad_input_is_one_line(arguments, says):
    with pytest.raises(UserError) as raised:
        disparity.gap("accuracy", *arguments)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("weights", [[-1, 1], [0, 0], [1, 1, 1]])
def test_bad_weights(weights):
    with pytest.raises(UserError, match="weights: "):
        rates([0, 1], [0, 1], weights)


def test_every_rate_has_a_reference():
    y, d, _, w = drawn(RNG)
    assert all(reference(name, y, d, w) is None or name for name in RATES)
