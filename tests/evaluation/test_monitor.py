"""A monitor alarms as rarely as it says, and soon where something has changed."""

import math

import numpy as np
import pytest
from scipy import stats

from minima.evaluation import monitor
from minima.evaluation.monitor import Rules, make_examples, watch
from minima.runtime.errors import UserError

STREAMS = 150


def drawn(rng, n, shift=0.0, rate=0.2):
    features = rng.normal(size=(n, 3))
    features[:, 1] += shift
    return make_examples(features, rng.random(n) < rate, rng.integers(0, 4, n), ("a", "b", "c"))


def test_streams_without_a_shift_alarm_in_5_percent_at_most():
    rng, rules = np.random.default_rng(0), Rules(window=30, reference=60)
    alarms = sum(bool(watch(drawn(rng, 90), drawn(rng, 60), rules).alerts) for _ in range(STREAMS))
    assert alarms <= stats.binom.ppf(0.999, STREAMS, 0.05)


def test_what_moved_is_found_in_the_window_where_it_moves_and_named():
    rng = np.random.default_rng(1)
    launch, before, after = drawn(rng, 400), drawn(rng, 200), drawn(rng, 200, shift=1.5)
    features = np.concatenate([before.features, after.features])
    stream = make_examples(features, names=("a", "b", "c"))
    log = watch(make_examples(launch.features, names=launch.names), stream, Rules(window=50))
    assert log.detectors == (monitor.KS, monitor.MMD)
    assert log.first_alert == 4
    first = log.alerts[0]
    assert (first.test.detector, first.test.where, first.row) == (monitor.KS, "b", 200)
    assert {look.window for look in log.alerts} == {4, 5, 6, 7}
    launch = make_examples(launch.features, names=launch.names)
    once = watch(launch, stream, Rules(window=50), until_alert=True)
    assert once.looks == log.looks[: len(once.looks)]
    assert {look.window for look in once.alerts} == {4}


def test_errors_are_seen_when_their_labels_arrive():
    rng = np.random.default_rng(2)
    launch = make_examples(errors=rng.random(500) < 0.1)
    errors = np.concatenate([rng.random(200) < 0.1, rng.random(200) < 0.6]).astype(float)
    soon = watch(launch, make_examples(errors=errors), Rules(window=50))
    late = watch(launch, make_examples(errors=errors), Rules(window=50, delay=2))
    assert soon.detectors == (monitor.CUSUM,)
    assert soon.first_alert in (4, 5)
    assert late.first_alert == soon.first_alert + 2
    assert math.isnan(soon.alerts[0].test.p)
    assert np.array_equal(soon.captured, np.flatnonzero(errors))
    assert np.array_equal(late.captured, np.flatnonzero(errors[:300]))
    errors[::2] = np.nan  # half of the labels never come
    assert watch(launch, make_examples(errors=errors), Rules(window=50)).first_alert in (4, 5, 6)


def test_class_frequencies_are_watched():
    rng = np.random.default_rng(3)
    launch = make_examples(predicted=rng.integers(0, 5, 500))
    stream = make_examples(predicted=rng.choice(5, 200, p=[0.6, 0.1, 0.1, 0.1, 0.1]))
    log = watch(launch, stream, Rules(window=100))
    assert log.detectors == (monitor.PRIORS,)
    assert log.first_alert == 0


def test_units_of_features_do_not_matter():
    rng = np.random.default_rng(4)
    before, after = rng.normal(size=(200, 2)), rng.normal(size=(100, 2))
    after[:, 1] = after[:, 0]  # seen by both together alone
    found = []
    for scale in (1.0, 1000.0):
        launch, now = before * [1, scale], after * [1, scale]
        log = watch(make_examples(launch), make_examples(now), Rules(window=100))
        found.append([look.test.p for look in log.looks])
    assert found[0] == pytest.approx(found[1])
    assert watch(make_examples(before), make_examples(after), Rules(window=100)).alerts


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "nothing to watch"),
        ({"features": [[1.0], [2.0]], "errors": [0]}, "errors: has 1 examples where the others"),
        ({"features": [[1.0], [np.nan]]}, "features: 1 values are NaN"),
        ({"features": [["x"]]}, "is no number"),
        ({"errors": [0, 2]}, "errors: holds other values than 0, 1 and NaN"),
        ({"predicted": [0, -1]}, "predicted: holds -1"),
        ({"predicted": [0, 3], "classes": 3}, "from 0 to 2"),
        ({"features": [[1.0]], "names": ("a", "b")}, "names: 2 for 1 features"),
    ],
)
def test_examples_that_do_not_fit_are_one_line(given, said):
    with pytest.raises(UserError, match=said):
        make_examples(**given)


def test_streams_that_do_not_fit_are_one_line():
    a = make_examples([[1.0], [2.0], [3.0]], names=("age",))
    b = make_examples([[1.0], [2.0], [3.0]], names=("rent",))
    with pytest.raises(UserError, match="the stream has 3 examples"):
        watch(a, a, Rules(window=10))
    with pytest.raises(UserError, match="the features rent where launch has age"):
        watch(a, b, Rules(window=2))
    with pytest.raises(UserError, match="nothing in common"):
        watch(make_examples(errors=[0, 1]), make_examples(predicted=[0, 1]), Rules(window=2))
    with pytest.raises(UserError, match="at launch all were wrong"):
        watch(make_examples(errors=[1, 1]), make_examples(errors=[0, 1]), Rules(window=2))
    for name, value in (("window", 1), ("level", 1.0), ("rise", 0.0), ("delay", -1)):
        with pytest.raises(UserError, match=name):
            Rules(**{name: value})
