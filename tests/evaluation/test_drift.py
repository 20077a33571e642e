import math

import numpy as np
import pytest
from scipy import stats

from minima.evaluation import drift
from minima.runtime.errors import UserError

FALSE_ALARMS = 400


def exact_limits(trials, share=0.05):
    return stats.binom.ppf([0.0005, 0.9995], trials, share)


def null(rng, n, features=3):
    return rng.normal(size=(n, features))


@pytest.mark.parametrize("detector", ["kolmogorov_smirnov", "maximum_mean_discrepancy"])
def test_false_alarms_come_as_often_as_said_or_less(detector):
    rng, detect = np.random.default_rng(0), getattr(drift, detector)
    alarms = 0
    for _ in range(FALSE_ALARMS):
        alarms += detect(null(rng, 60), null(rng, 40)).alarms()
    low, high = exact_limits(FALSE_ALARMS)
    assert alarms <= high
    if detector == "maximum_mean_discrepancy":  # a permutation test is exact, Bonferroni is not
        assert alarms >= low


def test_false_alarms_of_class_frequencies():
    rng, alarms = np.random.default_rng(1), 0
    shares = np.array([0.5, 0.3, 0.19, 0.01])
    for _ in range(2000):
        first, second = rng.choice(4, 300, p=shares), rng.choice(4, 100, p=shares)
        alarms += drift.chi_squared(first, second, 4).alarms()
    low, high = exact_limits(2000)
    assert low - 20 <= alarms <= high + 10  # asymptotic


def test_power_grows_with_the_shift():
    rng = np.random.default_rng(2)
    baseline = null(rng, 200)
    found = []
    for shift in (0.0, 0.3, 1.0):
        windows = [null(rng, 100) + shift for _ in range(50)]
        found.append(sum(drift.kolmogorov_smirnov(baseline, w).alarms() for w in windows))
    assert found[0] < found[1] < found[2] == 50


def test_the_feature_that_moved_is_named():
    rng = np.random.default_rng(3)
    window = null(rng, 100)
    window[:, 1] += 2
    found = drift.kolmogorov_smirnov(null(rng, 100), window, ("age", "income", "rent"))
    assert found.where == "income"
    assert found.alarms(1e-6)


def test_mmd_sees_what_single_features_do_not():
    rng = np.random.default_rng(4)
    baseline, window = null(rng, 200, 2), null(rng, 200, 2)
    window[:, 1] = window[:, 0]  # each feature alone is as before
    assert not drift.kolmogorov_smirnov(baseline, window).alarms()
    assert drift.maximum_mean_discrepancy(baseline, window).p == pytest.approx(1 / 200)


def test_mmd_is_its_definition():
    rng = np.random.default_rng(5)
    x, y = null(rng, 7), null(rng, 5) + 1
    both = np.concatenate([x, y])
    distances = ((both[:, None] - both[None]) ** 2).sum(-1)
    width = np.median(distances[np.triu_indices(12, 1)])

    def k(a, b):
        return np.exp(-((a[:, None] - b[None]) ** 2).sum(-1) / width)

    def off(kernel):
        return (kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1))

    expected = off(k(x, x)) + off(k(y, y)) - 2 * k(x, y).mean()
    found = drift.maximum_mean_discrepancy(x, y, permutations=1)
    assert found.statistic == pytest.approx(expected, abs=1e-12)


def test_cusum_is_pages_recursion():
    rng = np.random.default_rng(6)
    errors = rng.random((3, 200)) < 0.2
    cusum = drift.Cusum(0.1, 0.3, 5.0)
    for row, path in zip(errors, cusum.path(errors), strict=True):
        s, expected = 0.0, []
        for wrong in row:
            s = max(0.0, s + (math.log(3) if wrong else math.log(0.7 / 0.9)))
            expected.append(s)
        assert path == pytest.approx(expected, abs=1e-9)
        first = cusum.first_alarm(row)
        assert first == next((t + 1 for t, v in enumerate(expected) if v > 5.0), None)


def test_cusum_holds_its_false_alarm_rate_and_finds_the_change():
    cusum = drift.make_cusum(0.1, 0.2, horizon=500, draws=4000)
    rng = np.random.default_rng(7)
    quiet = cusum.path(rng.random((4000, 500)) < 0.1).max(axis=1) > cusum.threshold
    # The threshold itself is an estimate, from as many draws.
    assert quiet.mean() == pytest.approx(0.05, abs=3.3 * math.sqrt(2 * 0.05 * 0.95 / 4000))
    changed = np.concatenate([rng.random(250) < 0.1, rng.random(250) < 0.3])
    assert 250 < cusum.first_alarm(changed) < 350


def test_priors_behind_predictions():
    rng = np.random.default_rng(8)
    given = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.2], [0.1, 0.1, 0.7]])
    confusion = given * 1000
    priors = np.array([0.7, 0.2, 0.1])
    assert drift.class_priors(confusion, given @ priors) == pytest.approx(priors, abs=1e-9)
    drawn = rng.multinomial(2000, given @ priors)
    assert drift.class_priors(confusion, drawn) == pytest.approx(priors, abs=0.06)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: drift.kolmogorov_smirnov([[1, 2]] * 3, [[1]] * 3), "window: has 1 features where"),
        (lambda: drift.kolmogorov_smirnov([1.0], [1.0, 2.0]), "baseline: has one example"),
        (lambda: drift.make_cusum(0.3, 0.2, 10), "rates 0.3 and 0.2: the one to be found is above"),
        (lambda: drift.class_priors([[1, 0], [1, 0]], [1, 1]), "class 1 has no held-out example"),
        (lambda: drift.chi_squared([0, 3], [0, 1], 3), "baseline: holds 3"),
    ],
)
def test_bad_input_is_one_line(call, says):
    with pytest.raises(UserError) as raised:
        call()
    assert says in str(raised.value)
