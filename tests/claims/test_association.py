import itertools
import math

import numpy as np
import pytest
from scipy import stats

from minima.claims.association import (
    cluster_interval,
    granulated_psi,
    kendall_tau,
    partial_correlation,
    sign_errors,
)


def grid(*levels, seeds=1):
    """Settings (n, k) of a full grid, each point `seeds` times."""
    return np.repeat(np.array(list(itertools.product(*levels)), float), seeds, axis=0)


def test_tau_by_counting_pairs():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, (2, 20)).astype(float)
    pairs = list(itertools.combinations(range(20), 2))
    signs = [np.sign(x[i] - x[j]) * np.sign(y[i] - y[j]) for i, j in pairs]
    untied = [sum(v[i] != v[j] for i, j in pairs) for v in (x, y)]
    assert kendall_tau(x, y) == pytest.approx(sum(signs) / math.sqrt(untied[0] * untied[1]))
    assert math.isnan(kendall_tau([1, 1, 1], [1, 2, 3]))


def psi_by_hand(measure, gap, settings):
    """Jiang 2020: for each factor, the mean over contexts of Kendall's coefficient."""
    psis = []
    for factor in range(settings.shape[1]):
        contexts = {}
        for row, m, g in zip(settings, measure, gap, strict=True):
            contexts.setdefault(tuple(np.delete(row, factor)), []).append((m, g))
        taus = [
            np.mean(
                [
                    np.sign(a[0] - b[0]) * np.sign(a[1] - b[1])
                    for a, b in itertools.permutations(runs, 2)
                ]
            )
            for runs in contexts.values()
        ]
        psis.append(np.mean(taus))
    return np.mean(psis), psis


def test_psi_is_the_papers_on_a_full_grid():
    settings = grid([1, 2, 3], [10, 20, 40], [0, 1])
    measure, gap = np.random.default_rng(1).normal(size=(2, len(settings)))
    psi, psis = granulated_psi(measure, gap, settings)
    expected, each = psi_by_hand(measure, gap, settings)
    assert psi == pytest.approx(expected)
    assert psis == pytest.approx(each)


def test_psi_is_one_for_the_gap_itself_and_minus_one_for_its_opposite():
    settings = grid([1, 2, 3], [10, 20])
    gap = np.random.default_rng(2).normal(size=6)
    assert granulated_psi(np.exp(gap), gap, settings)[0] == 1
    assert granulated_psi(-gap, gap, settings)[0] == -1


def test_psi_sees_through_a_confounder_that_fools_tau():
    # The measure follows factor 0, which drives the gap; within its levels it is opposed.
    settings = grid(range(5), range(5))
    gap = 10 * settings[:, 0] + settings[:, 1]
    measure = 10 * settings[:, 0] - settings[:, 1]
    assert kendall_tau(measure, gap) > 0.6
    assert granulated_psi(measure, gap, settings) == (0, (1, -1))


def test_runs_of_other_seeds_are_pairs_too_and_order_does_not_matter():
    settings = grid([1, 2], [1, 2], seeds=3)
    measure, gap = np.random.default_rng(3).normal(size=(2, 12))
    order = np.random.default_rng(4).permutation(12)
    base = granulated_psi(measure, gap, settings)
    other = granulated_psi(measure[order], gap[order], settings[order])
    assert base[0] == pytest.approx(other[0])
    assert base[1] == pytest.approx(other[1])
    signs = np.sign(measure[:3, None] - measure[3:6]) * np.sign(gap[:3, None] - gap[3:6])
    rest = np.sign(measure[6:9, None] - measure[9:]) * np.sign(gap[6:9, None] - gap[9:])
    assert base[1][1] == pytest.approx((signs.mean() + rest.mean()) / 2)


def test_a_factor_that_never_varies_alone_is_left_out():
    settings = np.array([[1, 1, 7], [2, 1, 7], [1, 2, 7], [2, 2, 7.0]])
    psi, psis = granulated_psi([1, 2, 3, 4], [1, 2, 3, 4], settings)
    assert psi == 1
    assert math.isnan(psis[2])
    with pytest.raises(ValueError, match="single hyperparameter"):
        granulated_psi([1, 2], [1, 2], [[1, 1], [2, 2]])


def errors_by_hand(measure, gap, settings, n_test):
    """Pair by pair, as the paper's code accumulates them."""
    losses, weights, squares = {}, {}, {}
    for i, j in itertools.combinations(range(len(gap)), 2):
        if (settings[i] != settings[j]).sum() != 1:
            continue
        key = tuple(sorted([tuple(settings[i]), tuple(settings[j])]))
        d = gap[i] - gap[j]
        weight = 1.0
        if n_test:
            certain = max(0, 1 - 2 * math.exp(-2 * n_test * (d / 2) ** 2)) ** 2
            weight = max(0, certain - 0.5)
        loss = (1 - np.sign(measure[i] - measure[j]) * np.sign(d)) / 2
        losses[key] = losses.get(key, 0) + weight * loss
        weights[key] = weights.get(key, 0) + weight
        squares[key] = squares.get(key, 0) + weight**2
    return {
        k: losses[k] / weights[k]
        for k in losses
        if weights[k] > 0 and weights[k] ** 2 / squares[k] >= 12
    }


@pytest.mark.parametrize("n_test", [None, 1000])
def test_sign_errors_are_the_papers(n_test):
    settings = grid([1, 2, 3], [0.1, 0.2], [5, 6], seeds=5)
    rng = np.random.default_rng(5)
    gap = 0.05 * settings[:, 0] + 0.02 * rng.normal(size=len(settings))
    measure = gap + 0.05 * rng.normal(size=len(settings))
    expected = errors_by_hand(measure, gap, settings, n_test)
    found = sign_errors(measure, gap, settings, n_test)
    assert sorted(found) == pytest.approx(sorted(expected.values()))
    assert len(found) == 12 + 6 + 6 or n_test


def test_the_worst_environment_shows_what_the_average_hides():
    # Right whenever factor 0 changes, wrong when factor 1 does; factor 0 has most of the pairs.
    settings = grid(range(6), range(2), seeds=4)
    gap = 10 * settings[:, 0] + settings[:, 1]
    measure = 10 * settings[:, 0] - settings[:, 1]
    found = sign_errors(measure, gap, settings)
    assert found.mean() < 0.2
    assert found.max() == 1
    assert sign_errors(gap, gap, settings).max() == 0


def test_environments_that_say_too_little_are_left_out():
    settings = grid([1, 2, 3], seeds=3)
    with pytest.raises(ValueError, match="12 pairs"):
        sign_errors(settings[:, 0], settings[:, 0], settings)
    assert len(sign_errors(settings[:, 0], settings[:, 0], settings, least_pairs=9)) == 3
    gaps = settings[:, 0] * 1e-4  # far below what 100 test examples show
    with pytest.raises(ValueError, match="told apart"):
        sign_errors(gaps, gaps, settings, n_test=100, least_pairs=1)


def linear(rng, n, k, rho):
    """x and y with partial correlation rho given k confounders that drive both."""
    z = rng.normal(size=(n, k))
    common = rng.normal(size=(2, n))
    x = common[0] + 3 * z.sum(1)
    y = rho * common[0] + math.sqrt(1 - rho**2) * common[1] + 2 * z.sum(1)
    return x, y, z


def test_partial_correlation_by_the_inverse_covariance():
    x, y, z = linear(np.random.default_rng(6), 40, 3, 0.4)
    precision = np.linalg.inv(np.cov(np.column_stack([x, y, z]).T))
    expected = -precision[0, 1] / math.sqrt(precision[0, 0] * precision[1, 1])
    found = partial_correlation(x, y, z)
    assert found.interval.estimate == pytest.approx(expected)
    # p is that of x's coefficient in a regression of y on x and z.
    design = np.column_stack([np.ones(40), x, z])
    beta, error = np.linalg.lstsq(design, y)[:2]
    se = math.sqrt(error[0] / 35 * np.linalg.inv(design.T @ design)[1, 1])
    assert found.p == pytest.approx(2 * stats.t.sf(abs(beta[1] / se), 35))


def test_without_covariates_it_is_pearsons_and_spearmans():
    x, y, _ = linear(np.random.default_rng(7), 30, 1, 0.5)
    none = np.zeros((30, 0))
    pearson = stats.pearsonr(x, y)
    found = partial_correlation(x, y, none)
    limits = pearson.confidence_interval()
    assert (found.interval.low, found.interval.high) == pytest.approx((limits.low, limits.high))
    assert (found.interval.estimate, found.p) == pytest.approx((pearson.statistic, pearson.pvalue))
    spearman = stats.spearmanr(x, y)
    found = partial_correlation(x, y, none, ranks=True)
    expected = (spearman.statistic, spearman.pvalue)
    assert (found.interval.estimate, found.p) == pytest.approx(expected)


def test_fishers_limits_are_wider_for_ranks():
    x, y, z = linear(np.random.default_rng(7), 30, 2, 0.5)
    for ranks, factor in ((False, 1), (True, 1.06)):
        found = partial_correlation(x, y, z, ranks).interval
        half = (math.atanh(found.high) - math.atanh(found.low)) / 2
        assert half == pytest.approx(stats.norm.isf(0.025) * math.sqrt(factor / (30 - 2 - 3)))


def test_ranks_ignore_increasing_transformations():
    x, y, z = linear(np.random.default_rng(8), 30, 2, 0.5)
    base = partial_correlation(x, y, z, ranks=True)
    other = partial_correlation(np.exp(x), y**3, np.exp(z), ranks=True)
    assert base == other


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 0.6])
@pytest.mark.parametrize("ranks", [False, True])
def test_a_planted_partial_correlation_is_covered(rho, ranks):
    rng, hits, rejected = np.random.default_rng(9), [], []
    # A rank correlation of normals is 6/pi asin(rho/2); with confounders ranks only come close.
    truth = 6 / math.pi * math.asin(rho / 2) if ranks else rho
    for _ in range(1500):
        x, y, z = linear(rng, 25, 0 if ranks else 2, rho)
        found = partial_correlation(x, y, z, ranks)
        hits.append(found.interval.contains(truth))
        rejected.append(found.p <= 0.05)
    assert 0.935 <= np.mean(hits) <= 0.97
    if rho == 0:
        assert np.mean(rejected) == pytest.approx(0.05, abs=0.015)


def test_a_confounder_alone_makes_no_partial_correlation():
    x, y, z = linear(np.random.default_rng(10), 200, 1, 0.0)
    assert np.corrcoef(x, y)[0, 1] > 0.7
    assert partial_correlation(x, y, z[:, 0]).interval.contains(0)
    assert partial_correlation(x, y, 1e9 * z + 1e9).interval.contains(0)


def test_what_cannot_be_correlated_is_refused():
    x, y, z = linear(np.random.default_rng(11), 10, 2, 0.5)
    for a, b, c, message in [
        (x, y, z[:5], "row per run"),
        (x, y, z * math.nan, "finite"),
        (x, y, np.ones((10, 7)), "at least 11 runs"),
        (z[:, 0], y, z, "determine"),
        (np.ones(10), y, z, "determine"),
        (x, y[:5], z, "one length"),
    ]:
        with pytest.raises(ValueError, match=message):
            partial_correlation(a, b, c)
    with pytest.raises(ValueError, match="row per run"):
        granulated_psi(x, y, z[:4])


def test_clusters_stay_together():
    seen = []

    def statistic(runs):
        seen.append(runs)
        return float(runs.mean())

    clusters = ["a", "b", "a", "c", "b", "a"]
    cluster_interval(statistic, clusters, resamples=50)
    for runs in seen:
        counts = np.bincount(runs, minlength=6)
        assert counts[0] == counts[2] == counts[5]
        assert counts[1] == counts[4]


def test_runs_of_one_configuration_are_no_new_evidence():
    # Ten configurations, each copied: resampling runs would take the copies for news.
    rng = np.random.default_rng(12)
    x, y = rng.normal(size=(2, 10)) + rng.normal(size=10)
    ids = np.repeat(np.arange(10), 8)
    copied = cluster_interval(lambda runs: np.corrcoef(x[ids[runs]], y[ids[runs]])[0, 1], ids)
    once = cluster_interval(lambda runs: np.corrcoef(x[runs], y[runs])[0, 1], range(10))
    assert (copied.low, copied.high, copied.n) == pytest.approx((once.low, once.high, 10))


def test_a_cluster_interval_of_psi():
    settings = grid([1, 2, 3], [1, 2, 3], seeds=3)
    rng = np.random.default_rng(13)
    gap = settings.sum(1) + 0.3 * rng.normal(size=27)
    measure = gap + 0.5 * rng.normal(size=27)

    def psi(runs):
        return granulated_psi(measure[runs], gap[runs], settings[runs])[0]

    found = cluster_interval(psi, [tuple(row) for row in settings], resamples=100)
    assert found.n == 9
    assert found.low < found.estimate <= found.high <= 1


def test_a_statistic_that_fails_on_a_resample_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        cluster_interval(lambda runs: math.nan, [1, 2, 3])
    with pytest.raises(ValueError, match="at least 2"):
        cluster_interval(lambda runs: 0.0, [1, 1, 1])
