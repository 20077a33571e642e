import numpy as np
import pytest
from scipy import stats

from minima.claims.power import (
    detectable_effect,
    examples_needed,
    power_of_paired_t,
    seeds_needed,
)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 40, 1000])
@pytest.mark.parametrize("shift", [0.0, 0.5, 3.0, -3.0])
def test_power_is_that_of_the_noncentral_t(n, shift):
    df, critical = n - 1, stats.t.isf(0.025, n - 1)
    expected = stats.nct.sf(critical, df, abs(shift)) + stats.nct.cdf(-critical, df, abs(shift))
    found = power_of_paired_t(2 * shift / np.sqrt(n), 2.0, n)
    assert found == pytest.approx(expected, abs=1e-9)


def test_power_where_scipys_noncentral_t_has_no_answer():
    # For n = 2 the t is Cauchy: P(|z + shift| > c |w|), z and w normal, by a fine sum over w.
    shift, critical = 400.0, stats.t.isf(0.025, 1)
    w = (np.arange(400_000) + 0.5) * 1e-4
    chance = stats.norm.sf(critical * w - shift) + stats.norm.cdf(-critical * w - shift)
    expected = 2e-4 * (stats.norm.pdf(w) * chance).sum()
    assert power_of_paired_t(shift / np.sqrt(2), 1, 2) == pytest.approx(expected, abs=1e-9)
    powers = [power_of_paired_t(effect, 1, 3) for effect in np.linspace(0, 20, 400)]
    assert (np.diff(powers) > -1e-12).all()


def test_power_by_simulation():
    samples = np.random.default_rng(0).normal(0.8, 1, (20_000, 10))
    rejected = stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05
    assert power_of_paired_t(0.8, 1, 10) == pytest.approx(rejected.mean(), abs=0.01)


def test_power_at_no_effect_is_alpha_and_at_a_huge_one_is_one():
    assert power_of_paired_t(0, 1, 7, 0.01) == pytest.approx(0.01)
    assert power_of_paired_t(1e6, 1, 2) == pytest.approx(1)
    assert power_of_paired_t(1e9, 1, 50) == pytest.approx(1)


def test_textbook_numbers():
    # G*Power 3.1, matched pairs: dz = 0.5, alpha 0.05 two-sided: power 0.8 needs 34, 0.95 needs 54.
    assert seeds_needed(0.5, 1, 0.8) == 34
    assert seeds_needed(0.5, 1, 0.95) == 54


@pytest.mark.parametrize("n", [2, 3, 10, 200])
@pytest.mark.parametrize("power", [0.2, 0.8, 0.99])
def test_the_detectable_effect_has_the_power(n, power):
    effect = detectable_effect(n, 3.0, power, 0.05)
    assert power_of_paired_t(effect, 3.0, n) == pytest.approx(power, abs=1e-8)
    assert seeds_needed(effect * (1 + 1e-9), 3.0, power) == n


def test_seeds_are_the_fewest():
    for effect in (0.2, 1.0, 5.0):
        n = seeds_needed(effect, 1, 0.9)
        assert power_of_paired_t(effect, 1, n) >= 0.9
        assert n == 2 or power_of_paired_t(effect, 1, n - 1) < 0.9
    assert seeds_needed(-1.0, 1, 0.9) == seeds_needed(1.0, 1, 0.9)


def test_examples_by_their_formula_and_by_mcnemars_test():
    d, disagreement = 0.02, 0.1
    n = examples_needed(d, disagreement)
    z = stats.norm.isf(0.025) * np.sqrt(0.1) + stats.norm.ppf(0.8) * np.sqrt(0.1 - 0.02**2)
    assert n == int(np.ceil((z / d) ** 2))
    rng = np.random.default_rng(1)
    shares = [(disagreement + d) / 2, (disagreement - d) / 2, 1 - disagreement]
    more, less, _ = rng.multinomial(n, shares, 20_000).T
    found = np.abs(more - less) / np.sqrt(more + less) > stats.norm.isf(0.025)
    assert found.mean() == pytest.approx(0.8, abs=0.01)


def test_fewer_examples_do_for_models_that_agree():
    assert examples_needed(0.01, 0.03) < examples_needed(0.01, 0.3)
    assert examples_needed(0.5, 0.5) > 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: power_of_paired_t(1, 1, 1), "at least 2 seeds"),
        (lambda: power_of_paired_t(1, 0, 5), "positive"),
        (lambda: power_of_paired_t(1, 1, 5, 0), "alpha"),
        (lambda: detectable_effect(5, 1, 0.04), "power"),
        (lambda: detectable_effect(5, 1, 1.0), "power"),
        (lambda: seeds_needed(0, 1), "zero"),
        (lambda: seeds_needed(1e-9, 1), "more than"),
        (lambda: examples_needed(0, 0.1), "disagreement"),
        (lambda: examples_needed(0.2, 0.1), "disagreement"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
