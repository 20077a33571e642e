import math

import numpy as np
import pytest
from scipy import stats

from minima.evaluation.shortcuts import find_shortcuts
from minima.runtime.errors import UserError


def world(rng, n=600, follows=0.9, leans=1.0):
    """Labels, a cue that goes with them in a share `follows`, and predictions from the cue.

    With probability `leans` the model says what the cue says, else it is right in 80 %.
    """
    labels = rng.integers(0, 2, n)
    cue = np.where(rng.random(n) < follows, labels, 1 - labels)
    own = np.where(rng.random(n) < 0.8, labels, 1 - labels)
    predicted = np.where(rng.random(n) < leans, cue, own)
    return labels, predicted, cue


def test_a_model_that_says_what_the_cue_says():
    labels, predicted, cue = world(np.random.default_rng(0))
    [found] = find_shortcuts(labels, predicted, {"colour": cue})
    assert (found.aligned.value, found.conflicting.value, found.dependence) == (1, 0, 1)
    assert found.association == pytest.approx(0.4, abs=0.05)
    assert found.p == pytest.approx(0.001)
    assert found.worst[1].value == 0
    assert found.worst[1].high < 0.2


def test_dependence_is_how_far_it_leans():
    rng, inside = np.random.default_rng(1), 0
    for seed in range(100):
        labels, predicted, cue = world(rng, leans=0.5)
        [found] = find_shortcuts(labels, predicted, {"cue": cue}, 300, seed)
        inside += found.low <= 0.5 <= found.high
    assert inside >= stats.binom.ppf(0.001, 100, 0.95)


def test_cues_that_do_nothing_are_flagged_as_often_as_chance():
    rng, flagged = np.random.default_rng(2), 0
    for seed in range(300):
        labels, predicted, cue = world(rng, n=200, leans=0.0)
        [found] = find_shortcuts(labels, predicted, {"cue": cue}, 199, seed)
        flagged += found.p <= 0.05
    low, high = stats.binom.ppf([0.0005, 0.9995], 300, 0.05)
    assert low <= flagged <= high


def test_the_one_it_leans_on_comes_first():
    rng = np.random.default_rng(3)
    labels, predicted, cue = world(rng, leans=0.7)
    other = rng.choice(["a", "b", "c"], len(labels))
    found = find_shortcuts(labels, predicted, {"other": other, "ruler": cue})
    assert [each.name for each in found] == ["ruler", "other"]
    assert found[1].p > 0.01


def test_a_cue_that_is_never_against_its_label_cannot_be_judged():
    labels = np.array([0, 0, 1, 1])
    [found] = find_shortcuts(labels, labels, {"cue": labels})
    assert math.isnan(found.dependence)
    assert found.reason == "no class has examples with and against cue"
    assert not found.conflicting.defined


@pytest.mark.parametrize(
    ("cue", "says"),
    [([1, 1, 1], "ruler: is 1 everywhere"), ([1, 0], "ruler: has 2 examples where labels have 3")],
)
def test_bad_cues(cue, says):
    with pytest.raises(UserError, match=says):
        find_shortcuts([0, 1, 1], [0, 1, 0], {"ruler": cue})
