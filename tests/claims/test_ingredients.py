"""Which ingredient broke: planted curves of every kind, and the loss of a predictor that knows."""

import math

import numpy as np
import pytest

from minima.claims.ingredients import (
    ANSWERS,
    ARCHITECTURE,
    DATA,
    NONE,
    OBJECTIVE,
    SHORT,
    UNTOLD,
    Curves,
    honest_loss,
    name_ingredient,
)

K, POSSIBLE, LOOKS = 10, 0.9, 20


def climbing(end, tau=4.0, start=0.1):
    """From chance to nearly `end`, as accuracies do."""
    return end + (start - end) * np.exp(-np.arange(1, LOOKS + 1) / tau)


def losses(accuracy, above=0.0):
    return [honest_loss(a, K) + above for a in accuracy]


def curves(train, validation, above=0.0, after=0.0):
    return Curves(
        losses(train, above), list(train), losses(validation, above + after), list(validation)
    )


PLANTED = {
    "in order": (NONE, curves(climbing(0.97), climbing(0.9))),
    "in order, still": (NONE, curves(climbing(0.97, 2), climbing(0.86, 2), after=1.0)),
    "overfits": (DATA, curves(climbing(1.0, 1), climbing(0.3, 1), after=5.0)),
    "validation elsewhere": (DATA, curves(climbing(0.95), climbing(0.02))),
    "wrong labels": (DATA, curves(climbing(0.4), climbing(0.55))),
    "too small": (ARCHITECTURE, curves(climbing(0.35), climbing(0.33))),
    "constant": (ARCHITECTURE, curves(np.full(LOOKS, 0.1), np.full(LOOKS, 0.1))),
    "loss is not wanted": (OBJECTIVE, curves(climbing(0.8), climbing(0.78), above=1.2)),
    "good, and not sure": (OBJECTIVE, curves(climbing(0.95), climbing(0.9), above=1.5)),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_curves_are_named(kind):
    answer, log = PLANTED[kind]
    named = name_ingredient(log, K, POSSIBLE)
    assert named.ingredient == answer
    assert named.ingredient in ANSWERS
    assert named.reason
    assert answer not in named.also


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", PLANTED)
def test_a_little_noise_changes_no_answer(kind, seed):
    answer, log = PLANTED[kind]
    rng = np.random.default_rng(seed)
    noisy = Curves(
        *(
            np.add(getattr(log, name), 0.01 * rng.normal(size=LOOKS)).tolist()
            for name in log.__dataclass_fields__
        )
    )
    assert name_ingredient(noisy, K, POSSIBLE).ingredient == answer


def test_what_leaves_the_same_curves_is_said_with_what_would_tell():
    data = name_ingredient(PLANTED["overfits"][1], K, POSSIBLE)
    small = name_ingredient(PLANTED["too small"][1], K, POSSIBLE)
    assert set(data.also) == {ARCHITECTURE, OBJECTIVE}
    assert small.also == (OBJECTIVE,)
    assert data.test
    assert small.test


def test_the_goal_is_what_the_task_is_known_to_allow():
    log = curves(climbing(0.6), climbing(0.55))
    assert name_ingredient(log, K, 0.9).ingredient == ARCHITECTURE
    assert name_ingredient(log, K, 0.55 + SHORT / 2).ingredient == NONE


def test_a_beginning_in_which_validation_is_ahead_is_no_fault():
    train, validation = climbing(0.4), climbing(0.38)
    validation[:3] += 0.2
    assert name_ingredient(curves(train, validation), K, POSSIBLE).ingredient == ARCHITECTURE
    validation[8] += 0.2
    assert name_ingredient(curves(train, validation), K, POSSIBLE).ingredient == DATA


def test_what_is_not_finite_is_left_out_and_too_little_is_not_told():
    answer, log = PLANTED["overfits"]
    columns = [list(getattr(log, name)) for name in log.__dataclass_fields__]
    columns[2][3] = math.nan
    columns[0][7] = math.inf
    assert name_ingredient(Curves(*columns), K, POSSIBLE).ingredient == answer
    named = name_ingredient(Curves(*([math.nan] * LOOKS for _ in columns)), K, POSSIBLE)
    assert named.ingredient == UNTOLD
    assert "0 evaluations" in named.reason


@pytest.mark.parametrize("classes", [2, 10])
def test_the_honest_loss_is_the_least_for_its_accuracy(classes):
    """Of all that give their class p and spread the rest, p = accuracy has the least loss."""
    for accuracy in (0.6, 0.8, 0.95):
        p = np.linspace(0.05, 0.999, 2000)
        spread = (1 - p) / (classes - 1)
        least = np.min(-accuracy * np.log(p) - (1 - accuracy) * np.log(spread))
        assert honest_loss(accuracy, classes) == pytest.approx(least, abs=1e-5)
    assert honest_loss(1.0, classes) == 0
    for accuracy in (0.0, 1 / classes):
        assert honest_loss(accuracy, classes) == pytest.approx(math.log(classes))
