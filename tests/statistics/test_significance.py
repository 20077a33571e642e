import itertools
import math

import numpy as np
import pytest
from scipy import stats

from minima.statistics.significance import holm, permutation_test, sign_flip_test

ALTERNATIVES = ("two-sided", "greater", "less")
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("n", [2, 5, 9])
def test_sign_flips_by_enumeration(alternative, n):
    d = np.random.default_rng(n).normal(0.5, 1, n)
    means = [np.mean(d * signs) for signs in itertools.product([1, -1], repeat=n)]
    observed, slack = d.mean(), 1e-12
    extreme = {
        "two-sided": np.abs(means) >= abs(observed) - slack,
        "greater": np.array(means) >= observed - slack,
        "less": np.array(means) <= observed + slack,
    }[alternative]
    found = sign_flip_test(d, alternative)
    assert found.p == pytest.approx(np.mean(extreme), abs=1e-15)
    assert (found.exact, found.permutations, found.statistic) == (True, 2**n, observed)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_sign_flips_are_scipys(alternative):
    a, b = RNG.normal(0.3, 1, 10), RNG.normal(0, 1, 10)
    expected = stats.permutation_test(
        (a, b),
        lambda x, y, axis: (x - y).mean(axis),
        permutation_type="samples",
        n_resamples=math.inf,
        alternative=alternative,
    )
    # scipy doubles the smaller tail; the statistic is symmetric, so that is the same.
    assert sign_flip_test(a - b, alternative).p == pytest.approx(expected.pvalue)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_two_samples_are_dealt_out_by_enumeration(alternative):
    a, b = RNG.normal(0.5, 1, 4), RNG.normal(0, 1, 6)
    pool = np.concatenate([a, b])
    means = []
    for chosen in itertools.combinations(range(10), 4):
        rest = np.delete(pool, chosen)
        means.append(pool[list(chosen)].mean() - rest.mean())
    observed, slack = a.mean() - b.mean(), 1e-12
    extreme = {
        "two-sided": np.abs(means) >= abs(observed) - slack,
        "greater": np.array(means) >= observed - slack,
        "less": np.array(means) <= observed + slack,
    }[alternative]
    found = permutation_test(a, b, alternative)
    assert found.p == pytest.approx(np.mean(extreme))
    assert (found.exact, found.permutations) == (True, 210)


def test_ties_count_as_extreme():
    # Every mean is a sum of thirds and tenths that rounds by order; as numbers many are equal.
    assert sign_flip_test([0.1, 0.1, 0.1, 0.3]).p == pytest.approx(2 / 16)
    assert sign_flip_test([0.1, 0.2, -0.3]).p == 1
    assert permutation_test([0.1, 0.2], [0.2, 0.1]).p == 1
    assert sign_flip_test([0.0, 0.0, 0.0]).p == 1


def test_the_smallest_p_of_n_pairs():
    for n in (5, 6, 10):
        assert sign_flip_test(np.arange(1.0, n + 1)).p == 2 / 2**n


def test_many_pairs_are_drawn_and_the_data_count():
    d = np.full(40, 1.0)
    found = sign_flip_test(d, permutations=999)
    assert (found.p, found.exact, found.permutations) == (1 / 1000, False, 999)
    a, b = np.arange(30.0), np.arange(30.0) + 100
    assert permutation_test(a, b, permutations=999).p == 1 / 1000
    d = RNG.normal(0.3, 1, 30)
    drawn = sign_flip_test(d, permutations=50_000, seed=1)
    assert drawn == sign_flip_test(d, permutations=50_000, seed=1)
    t = stats.ttest_1samp(d, 0).pvalue
    assert drawn.p == pytest.approx(t, abs=0.01)


def test_drawn_and_enumerated_agree(monkeypatch):
    a, b = RNG.normal(0.8, 1, 8), RNG.normal(0, 1, 8)
    exact = sign_flip_test(a - b).p, permutation_test(a, b).p
    monkeypatch.setattr("minima.statistics.significance.MOST_EXACT", 1)
    drawn = sign_flip_test(a - b).p, permutation_test(a, b).p
    assert drawn == pytest.approx(exact, abs=0.005)


def test_the_level_is_kept_and_a_planted_effect_is_found():
    rng = np.random.default_rng(2)
    nothing = [sign_flip_test(rng.standard_t(3, 8)).p for _ in range(1000)]
    assert 0.03 < np.mean(np.array(nothing) <= 0.05) < 0.065
    planted = [sign_flip_test(rng.normal(1.5, 1, 8)).p for _ in range(300)]
    assert np.mean(np.array(planted) <= 0.05) > 0.9


def test_both_tests_ignore_scale_and_order():
    d = RNG.normal(0.3, 1, 9)
    assert sign_flip_test(d).p == sign_flip_test(1e-9 * d[::-1]).p == sign_flip_test(-d).p
    a, b = d[:4], d[4:]
    assert permutation_test(a, b).p == permutation_test(1e6 + 100 * b, 1e6 + 100 * a).p


def test_holm_by_hand():
    # Holm 1979: sorted .01 .02 .03 .04 times 4 3 2 1, never falling.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1, 1])
    assert holm([0.2]) == pytest.approx([0.2])
    assert len(holm([])) == 0


def test_holm_rejects_as_the_step_down_procedure_does():
    rng = np.random.default_rng(3)
    for _ in range(200):
        p, alpha = rng.random(5) ** 3, 0.1
        rejected = np.zeros(5, bool)
        for step, k in enumerate(np.argsort(p)):
            if p[k] > alpha / (5 - step):
                break
            rejected[k] = True
        assert ((holm(p) <= alpha) == rejected).all()


def test_what_cannot_be_tested_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        sign_flip_test([1.0])
    with pytest.raises(ValueError, match="not finite"):
        permutation_test([1.0, math.nan], [1.0, 2.0])
    with pytest.raises(ValueError, match="alternative"):
        sign_flip_test([1.0, 2.0], "bigger")
    for bad in ([0.1, 1.1], [-0.1], [math.nan], [[0.1]]):
        with pytest.raises(ValueError, match="between 0 and 1"):
            holm(bad)
