"""Diagnoses of curves whose fault is planted, and what must not change them."""

import numpy as np
import pytest

from minima.claims.diagnosis import (
    HEALTHY,
    LEAKING,
    OVERFIT,
    UNDERFIT,
    UNSTABLE,
    Curves,
    diagnose,
    noise,
)

ROWS = np.arange(1.0, 51)


def falling(start, end, pace=0.15):
    return end + (start - end) * np.exp(-pace * (ROWS - 1))


def turning(start, best, end, at):
    before = ((at - ROWS) / (at - 1)).clip(0) ** 2
    after = ((ROWS - at) / (len(ROWS) - at)).clip(0)
    return best + (start - best) * before + (end - best) * after


def shaken(curve, seed, share=0.02):
    return curve + share * curve[0] * np.random.default_rng(seed).standard_normal(len(curve))


PLANTED = {
    OVERFIT: (falling(2.1, 0.08), turning(2.1, 0.45, 1.2, 12)),
    HEALTHY: (falling(2.3, 0.4), falling(2.3, 0.5)),
    UNDERFIT: (falling(2.3, 2.1, 0.01), falling(2.3, 2.12, 0.01)),
    LEAKING: (falling(2.3, 0.002, 0.3), falling(2.0, 0.001, 0.3)),
}


@pytest.mark.parametrize("truth", PLANTED)
@pytest.mark.parametrize("seed", range(5))
def test_a_planted_fault_is_named_through_noise(truth, seed):
    train, validation = PLANTED[truth]
    if truth != LEAKING:  # of a loss near nothing, noise of a share of the start is no loss
        train, validation = shaken(train, seed), shaken(validation, seed + 100)
    found = diagnose(Curves(ROWS, train, validation))
    assert found.name == truth, found.evidence


def test_the_best_epoch_is_where_validation_turned():
    found = diagnose(Curves(ROWS, *PLANTED[OVERFIT]))
    assert (found.name, found.where) == (OVERFIT, 12)
    assert "0.45" in found.evidence
    assert "2.6 times" in found.evidence


def test_validation_that_flattens_while_training_goes_on_is_overfit_too():
    validation = np.maximum(0.8, 2.0 - 0.1 * ROWS)
    found = diagnose(Curves(ROWS, falling(2.3, 0.01, 0.1), validation))
    assert found.name == OVERFIT
    assert found.where <= 12


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("column", [0, 1])
def test_a_loss_that_is_not_finite_is_unstable_where_it_began(bad, column):
    curves = [curve.copy() for curve in PLANTED[HEALTHY]]
    curves[column][20:] = bad
    found = diagnose(Curves(ROWS, *curves))
    assert (found.name, found.where) == (UNSTABLE, ROWS[20])


def test_a_run_that_broke_at_once_needs_no_more_rows():
    one = np.array([np.nan])
    assert diagnose(Curves(np.array([7.0]), one, one)).name == UNSTABLE


@pytest.mark.parametrize("classes", [None, 10])
def test_a_spike_and_then_a_constant_is_unstable(classes):
    random = np.random.default_rng(0)
    train = 2.33 + 0.02 * random.standard_normal(50)
    validation = 2.33 + 0.02 * random.standard_normal(50)
    train[0] = 9.0
    assert diagnose(Curves(ROWS, train, validation, classes=classes)).name == UNSTABLE


def test_a_training_loss_that_climbs_for_good_is_unstable_and_one_that_recovers_is_not():
    train, validation = (curve.copy() for curve in PLANTED[HEALTHY])
    train[30] += 1.0
    assert diagnose(Curves(ROWS, train, validation)).name == HEALTHY
    train[30:] += 1.0
    found = diagnose(Curves(ROWS, train, validation))
    assert (found.name, found.where) == (UNSTABLE, ROWS[30])


def test_a_test_loss_far_above_validation_is_a_leak_unless_it_is_no_higher():
    train, validation = PLANTED[HEALTHY]
    honest = Curves(ROWS, train, validation, test=0.55)
    assert diagnose(honest).name == HEALTHY
    found = diagnose(Curves(ROWS, train, validation, test=1.9))
    assert found.name == LEAKING
    assert "1.9" in found.evidence
    # The test set was measured at weights that validated no better.
    assert diagnose(Curves(ROWS, train, validation, test=1.9, validated=1.8)).name == HEALTHY


def test_low_losses_are_no_leak_until_they_are_too_good_to_be_true():
    train = falling(2.3, 0.002, 0.3)
    assert diagnose(Curves(ROWS, train, falling(2.3, 0.02, 0.3))).name == HEALTHY
    assert diagnose(Curves(ROWS, train, falling(2.3, 0.01, 0.3))).name == LEAKING


@pytest.mark.parametrize("truth", PLANTED)
def test_the_unit_of_the_loss_does_not_matter(truth):
    train, validation = PLANTED[truth]
    assert diagnose(Curves(ROWS, 7 * train, 7 * validation)).name == truth


def test_noise_is_that_of_the_rows_and_not_of_the_course():
    random = np.random.default_rng(1)
    steep = 5 - 0.01 * np.arange(2000)
    assert noise(steep) == pytest.approx(0, abs=1e-12)
    assert noise(steep + 0.1 * random.standard_normal(2000)) == pytest.approx(0.1, rel=0.1)
    assert noise(steep[:2]) == 0


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_too_few_rows_are_refused(rows):
    with pytest.raises(ValueError, match=f"{rows} rows"):
        Curves(ROWS[:rows], ROWS[:rows], ROWS[:rows])
    with pytest.raises(ValueError, match="differ in length"):
        Curves(ROWS, ROWS[:-1], ROWS)
