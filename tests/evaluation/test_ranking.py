"""Areas under the ROC curve: scikit-learn's on random inputs, and limits that cover the truth."""

import math

import numpy as np
import pytest
import sklearn.metrics as sklearn
from scipy import stats

from minima.evaluation.ranking import auc
from minima.runtime.errors import UserError

RANDOM = 1000


def test_areas_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    undefined = ties = 0
    for number in range(RANDOM):
        n = int(rng.integers(2, 40))
        labels = (rng.random(n) < rng.random()).astype(int)
        scores = rng.integers(0, 6, n) / 5 if number % 3 else rng.normal(size=n)
        weights = np.append(rng.integers(0, 4, n - 1), 1) * 0.5 if number % 2 else None
        found = auc(labels, scores, weights)
        kept = np.ones(n, bool) if weights is None else weights > 0
        if len(set(labels[kept])) < 2:
            undefined += 1
            assert math.isnan(found.value)
            assert found.reason.startswith("no examples with label")
            continue
        ties += len(set(scores)) < n
        expected = sklearn.roc_auc_score(labels, scores, sample_weight=weights)
        assert found.value == pytest.approx(expected, abs=1e-12)
        assert 0 <= found.low <= found.value <= found.high <= 1
    assert undefined > 20
    assert ties > 500


def test_limits_are_delongs_on_the_logit():
    labels, scores = np.array([0, 0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.4, 0.9])
    found = auc(labels, scores)
    # By hand: the share of the other label that each example stands to rightly.
    value = (2 / 3 + 1) / 2
    variance = np.var([2 / 3, 1], ddof=1) / 2 + np.var([1, 3 / 4, 3 / 4], ddof=1) / 3
    half = stats.norm.ppf(0.975) * math.sqrt(variance) / (value * (1 - value))
    assert found.value == pytest.approx(value, abs=1e-15)
    logits = (math.log(found.low / (1 - found.low)), math.log(found.high / (1 - found.high)))
    assert np.mean(logits) == pytest.approx(math.log(value / (1 - value)))
    assert (logits[1] - logits[0]) / 2 == pytest.approx(half)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_limits_cover_the_truth(shift):
    rng, truth = np.random.default_rng(1), stats.norm.cdf(shift / math.sqrt(2))
    labels, hits, draws = np.repeat([0, 1], (60, 40)), 0, 1000
    for _ in range(draws):
        found = auc(labels, rng.normal(size=100) + shift * labels)
        hits += found.low <= truth <= found.high
    assert stats.binom.ppf(0.0005, draws, 0.94) <= hits <= stats.binom.ppf(0.9995, draws, 0.965)


def test_weights_are_repeated_examples_and_the_order_of_scores_is_all_that_counts():
    rng = np.random.default_rng(2)
    labels, scores, weights = rng.integers(0, 2, 30), rng.normal(size=30), rng.integers(0, 4, 30)
    found = auc(labels, scores, weights)
    repeated = auc(np.repeat(labels, weights), np.repeat(scores, weights))
    assert found.value == pytest.approx(repeated.value, abs=1e-12)
    assert auc(labels, np.exp(3 * scores), weights) == found
    mirrored = auc(1 - labels, -scores, weights)
    assert (mirrored.value, mirrored.low) == pytest.approx((found.value, found.low))


def test_where_all_pairs_agree_limits_stay_honest():
    found = auc([0, 0, 0, 1, 1, 1, 1], [0, 1, 2, 3, 4, 5, 6])
    assert found.value == found.high == 1
    assert found.low == pytest.approx(0.025 ** (1 / 3))
    alone = auc([0, 1, 1, 1], [0.5, 0.1, 0.7, 0.9])
    assert alone.low < 0.1
    assert alone.high == 1


@pytest.mark.parametrize(
    ("labels", "scores", "says"),
    [
        ([0, 1], [0.1, math.nan], "scores: 1 values are NaN"),
        ([0, 1], [0.1, 0.2, 0.3], "scores: has 3 examples where labels have 2"),
        ([0, 1], [[0.1, 0.9], [0.2, 0.8]], "scores: has shape"),
        ([0, 2], [0.1, 0.2], "labels: holds 2"),
        ([0, 1], ["low", "high"], "scores: 'low' is no number"),
    ],
)
def test_what_does_not_fit_is_one_line(labels, scores, says):
    with pytest.raises(UserError, match=says):
        auc(labels, scores)
