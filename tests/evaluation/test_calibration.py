import itertools
import math

import numpy as np
import pytest
import sklearn.base
import sklearn.calibration
import sklearn.frozen
import sklearn.isotonic
import sklearn.linear_model
import sklearn.metrics
from scipy import stats

from minima.evaluation import calibration, recalibration
from minima.evaluation.arrays import softmax
from minima.runtime.errors import UserError


def drawn(rng, n=None, classes=None):
    """Probabilities and labels, some of them ties and certain ones."""
    n, classes = n or int(rng.integers(2, 80)), classes or int(rng.integers(2, 6))
    logits = rng.normal(0, 2, (n, classes))
    if rng.random() < 0.3:
        logits = np.round(logits)
    labels = rng.integers(0, classes, n)
    return logits, softmax(logits), labels


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    for _ in range(1000):
        _, p, y = drawn(rng)
        classes = range(p.shape[1])
        expected = sklearn.metrics.log_loss(y, p, labels=classes)
        assert calibration.nll(p, y) == pytest.approx(expected, abs=1e-12)
        if p.shape[1] == 2:
            expected = sklearn.metrics.brier_score_loss(y, p[:, 1], pos_label=1)
            assert calibration.brier(p, y) == pytest.approx(2 * expected, abs=1e-12)
            assert calibration.brier(p[:, 1], y) == pytest.approx(2 * expected, abs=1e-12)


def test_reliability_is_scikit_learns_curve():
    rng = np.random.default_rng(1)
    for _ in range(100):
        p, y = rng.random(200), (rng.random(200) < 0.4).astype(int)
        accuracy, confidence = sklearn.calibration.calibration_curve(y, p, n_bins=10)
        bins = [b for b in calibration.reliability(p, y, 10, draws=10) if b.n]
        assert [b.accuracy for b in bins] == pytest.approx(accuracy.tolist(), abs=1e-12)
        assert [b.confidence for b in bins] == pytest.approx(confidence.tolist(), abs=1e-12)


def plain_ece(confidence, right, edges):
    total = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return total


def test_ece_is_its_equation():
    rng = np.random.default_rng(2)
    for _ in range(1000):
        _, p, y = drawn(rng)
        c, right = calibration.top(p, y)
        expected = plain_ece(c, right, np.linspace(0, 1, 16))
        assert calibration.ece(c, right) == pytest.approx(expected, abs=1e-12)


def test_ece_of_equal_mass_is_that_over_quantiles():
    rng = np.random.default_rng(3)
    c = rng.random(150)
    right = rng.random(150) < c
    order = np.argsort(c)
    parts = np.array_split(order, 15)
    expected = sum(len(x) * abs(c[x].mean() - right[x].mean()) for x in parts) / 150
    found = calibration.ece(c, right, equal_mass=True)
    assert found == pytest.approx(expected, abs=1e-12)


def test_known_values():
    assert calibration.ece([0.9] * 10, [1] * 6 + [0] * 4) == pytest.approx(0.3)
    assert calibration.nll([[0.5, 0.5]], [1]) == pytest.approx(math.log(2))
    assert calibration.nll([[1.0, 0.0]], [1]) == math.inf
    assert calibration.brier([[0.5, 0.5]], [1]) == 0.5


def test_the_brier_score_is_the_sum_of_its_parts():
    rng = np.random.default_rng(4)
    for _ in range(200):
        _, p, y = drawn(rng)
        parts = calibration.brier_parts(p, y)
        assert parts.total == pytest.approx(calibration.brier(p, y), abs=1e-12)
        assert parts.reliability >= 0
        assert parts.resolution >= -1e-12
    p = np.repeat([[0.2, 0.8], [0.6, 0.4]], 10, axis=0)  # one value in a bin: nothing is left
    y = (np.random.default_rng(0).random(20) < p[:, 1]).astype(int)
    assert calibration.brier_parts(p, y, bins=10).rest == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("equal_mass", [False, True])
def test_calibrated_models_are_inside_the_null_band(equal_mass):
    rng, inside, runs = np.random.default_rng(5), 0, 400
    for seed in range(runs):
        c = rng.beta(9, 1, 300)
        right = rng.random(300) < c
        band = calibration.null_band(c, right, equal_mass=equal_mass, draws=400, seed=seed)
        inside += band.inside
    low, high = stats.binom.ppf([0.0005, 0.9995], runs, 0.95)
    assert low <= inside <= high


def test_the_bias_of_a_calibrated_model_is_the_published_one():
    # reference: 1.9 % at n = 1,000 and 0.6 % at n = 10,000 for Beta(9, 1) confidences
    rng = np.random.default_rng(6)
    for n, mean in [(1000, 0.019), (10_000, 0.006)]:
        c = rng.beta(9, 1, n)
        band = calibration.null_band(c, rng.random(n) < c, draws=300)
        assert band.mean == pytest.approx(mean, rel=0.15)


def test_overconfidence_is_outside_the_band():
    rng = np.random.default_rng(7)
    c = rng.beta(9, 1, 2000)
    band = calibration.null_band(c, rng.random(2000) < c - 0.1, draws=500)
    assert band.value > band.high
    assert band.p < 0.01


def test_debiased_ece_is_near_the_truth_where_ece_is_not():
    rng = np.random.default_rng(8)
    plain, debiased = [], []
    for _ in range(100):
        c = rng.uniform(0.5, 1, 300)
        right = rng.random(300) < c
        plain.append(calibration.ece(c, right))
        debiased.append(calibration.debiased_ece(c, right))
    assert np.mean(debiased) < np.mean(plain) / 2
    c = np.full(5000, 0.9)
    right = np.arange(5000) % 10 < 7
    assert calibration.debiased_ece(c, right) == pytest.approx(0.2, abs=0.01)


def test_smooth_ece_of_constants_and_of_nothing():
    rng = np.random.default_rng(9)
    right = np.arange(20_000) % 10 < 7
    assert calibration.smooth_ece(np.full(20_000, 0.9), right) == pytest.approx(0.2, abs=0.01)
    c = rng.random(20_000)
    assert calibration.smooth_ece(c, rng.random(20_000) < c) < 0.02
    # It is consistent: a little change of confidences changes it a little, as bins do not.
    near = 0.5 + 1e-4 * rng.choice([-1, 1], 2000)
    one, other = (calibration.smooth_ece(near + d, np.arange(2000) % 2) for d in (0, 2e-4))
    assert abs(one - other) < 0.01


def test_classwise():
    rng = np.random.default_rng(10)
    _, p, y = drawn(rng, 500, 3)
    expected = [plain_ece(p[:, c], y == c, np.linspace(0, 1, 16)) for c in range(3)]
    assert calibration.classwise_ece(p, y) == pytest.approx(expected, abs=1e-12)


def test_limits_of_bins():
    rng = np.random.default_rng(11)
    c = rng.beta(5, 2, 1000)
    bins = calibration.reliability(c, rng.random(1000) < c)
    full = [b for b in bins if b.n]
    assert sum(b.n for b in bins) == 1000
    assert all(b.accuracy_low <= b.accuracy <= b.accuracy_high for b in full)
    assert all(b.null_low <= b.confidence + 0.5 / b.n <= b.null_high + 1 / b.n for b in full)
    empty = next(b for b in bins if not b.n)
    assert math.isnan(empty.accuracy)


# --- repairs ---------------------------------------------------------------------------------


def test_temperature_never_changes_a_prediction_nor_raises_the_loss():
    rng = np.random.default_rng(12)
    for _ in range(200):
        logits, p, y = drawn(rng)
        fitted = recalibration.fit_temperature(logits, y)
        after = fitted(logits)
        assert (after.argmax(axis=1) == p.argmax(axis=1)).all()
        assert calibration.nll(after, y) <= calibration.nll(p, y) + 1e-12


def test_temperature_finds_the_planted_one():
    rng = np.random.default_rng(13)
    logits = rng.normal(0, 2, (20_000, 5))
    p = softmax(logits)
    y = (p.cumsum(axis=1) > rng.random(len(p))[:, None]).argmax(axis=1)
    assert recalibration.fit_temperature(3 * logits, y).value == pytest.approx(3, rel=0.05)


def test_vector_scaling_never_raises_the_loss_and_beats_temperature_where_classes_differ():
    rng = np.random.default_rng(14)
    logits = rng.normal(0, 2, (5000, 4))
    p = softmax(logits)
    y = (p.cumsum(axis=1) > rng.random(len(p))[:, None]).argmax(axis=1)
    spoiled = logits * [1, 2, 0.5, 1] + [1, 0, -1, 0]
    vector = recalibration.fit_vector(spoiled, y)(spoiled)
    temperature = recalibration.fit_temperature(spoiled, y)(spoiled)
    before, after = calibration.nll(softmax(spoiled), y), calibration.nll(vector, y)
    assert after < calibration.nll(temperature, y) - 0.05 < before
    assert after == pytest.approx(calibration.nll(p, y), abs=0.01)


def test_platt_is_scikit_learns_logistic_regression():
    rng = np.random.default_rng(15)
    for _ in range(20):
        x = rng.normal(3, 10, 200)
        y = (rng.random(200) < 1 / (1 + np.exp(-0.3 * x))).astype(int)
        ours = recalibration.fit_platt(x, y, smooth=False)
        theirs = sklearn.linear_model.LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000)
        theirs.fit(x[:, None], y)
        assert ours == pytest.approx((theirs.intercept_[0], theirs.coef_[0, 0]), rel=1e-4)


def test_platt_of_separated_scores():
    x, y = np.array([-2.0, -1.0, 1.0, 2.0]), [0, 0, 1, 1]
    assert all(map(math.isnan, recalibration.fit_platt(x, y, smooth=False)))
    intercept, slope = recalibration.fit_platt(x, y)
    assert np.isfinite([intercept, slope]).all()
    p = recalibration.Platt(intercept, slope)(x)
    assert (np.diff(p) > 0).all()
    with pytest.raises(UserError, match="labels: all are 1"):
        recalibration.fit_platt(x, [1, 1, 1, 1])


def test_isotonic_is_scikit_learns():
    rng = np.random.default_rng(16)
    for _ in range(200):
        n = int(rng.integers(2, 60))
        x = np.round(rng.normal(size=n), int(rng.integers(0, 3)))
        y = (rng.random(n) < 0.5).astype(int)
        w = rng.integers(1, 4, n).astype(float)
        ours = recalibration.fit_isotonic(x, y, w)
        theirs = sklearn.isotonic.IsotonicRegression(out_of_bounds="clip").fit(x, y, w)
        at = rng.normal(size=50)
        assert ours(at) == pytest.approx(theirs.predict(at), abs=1e-12)


def test_the_calibration_slope():
    rng = np.random.default_rng(17)
    p = rng.uniform(0.05, 0.95, 20_000)
    y = (rng.random(20_000) < p).astype(int)
    assert calibration.calibration_slope(p, y) == pytest.approx((0, 1), abs=0.06)
    sharp = p**2 / (p**2 + (1 - p) ** 2)  # logits doubled
    assert calibration.calibration_slope(sharp, y)[1] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("fit", "method"),
    [
        (recalibration.fit_platt_per_class, "sigmoid"),
        (recalibration.fit_isotonic_per_class, "isotonic"),
    ],
)
def test_one_against_rest_is_scikit_learns(fit, method):
    rng = np.random.default_rng(18)
    logits = rng.normal(0, 2, (400, 3))
    y = (softmax(logits).cumsum(axis=1) > rng.random(400)[:, None]).argmax(axis=1)

    class Scores(sklearn.base.ClassifierMixin, sklearn.base.BaseEstimator):
        """Says the log odds that it is given."""

        classes_ = np.arange(3)

        def fit(self, x, y):
            return self

        def __sklearn_is_fitted__(self):
            return True

        def decision_function(self, x):
            return x

        def predict(self, x):
            return x.argmax(axis=1)

    p = softmax(3 * logits)
    odds = np.log(p) - np.log1p(-p)
    wrapped = sklearn.frozen.FrozenEstimator(Scores())
    theirs = sklearn.calibration.CalibratedClassifierCV(wrapped, method=method).fit(odds, y)
    np.testing.assert_allclose(
        fit(3 * logits, y)(3 * logits), theirs.predict_proba(odds), atol=1e-4
    )


def test_one_against_rest_needs_every_class_and_may_say_nothing():
    logits = np.array([[1.0, 0, -1], [0, 1, -1], [2, 0, 0]])
    with pytest.raises(UserError, match="labels: none is 2"):
        recalibration.fit_platt_per_class(logits, [0, 1, 0])
    never = recalibration.Isotonic((0.0,), (0.0,))
    silent = recalibration.OneAgainstRest((never,) * 3)
    np.testing.assert_allclose(silent(logits), 1 / 3)
    huge = recalibration.fit_platt_per_class(1e4 * logits, [0, 1, 2])(1e4 * logits)
    assert np.isfinite(huge).all()


def test_members_are_averaged():
    members = np.array([[[0.2, 0.8]], [[0.6, 0.4]]])
    assert recalibration.mean_probabilities(members) == pytest.approx(np.array([[0.4, 0.6]]))


@pytest.mark.parametrize(
    ("p", "y", "says"),
    [
        ([[0.5, 0.6]], [0], "row 0 sums to 1.1; rows of probabilities sum to 1"),
        ([[1.5, -0.5]], [0], "holds 1.5; probabilities are from 0 to 1 (logits are not)"),
        ([[0.5, 0.5]], [2], "labels: holds 2; labels are whole numbers from 0 to 1"),
        ([[0.5, 0.5]], [0.5], "labels: holds 0.5"),
        ([[0.5, 0.5]], [0, 1], "probabilities: has 1 examples where labels have 2"),
        ([[1.0]], [0], "has one class"),
        ([[0.5, np.nan]], [0], "1 values are NaN or infinite"),
        ([["a", "b"]], [0], "'a' is no number"),
        ([[0.5, 0.5], [1.0]], [0, 1], "rows of several lengths"),
    ],
)
def test_bad_input_is_one_line(p, y, says):
    with pytest.raises(UserError) as raised:
        calibration.nll(p, y)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)
