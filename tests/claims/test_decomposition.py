import itertools
import math

import numpy as np
import pytest

from minima.claims.decomposition import split_gap
from minima.claims.two_level import crossed_interval
from minima.statistics.intervals import paired_interval, t_interval

NONE, RATE, UPDATES = frozenset(), frozenset({"rate"}), frozenset({"updates"})
BOTH = RATE | UPDATES
FACTORS = ("rate", "updates")


def world(rng, seeds=10, noise=0.02):
    """Planted: rate 3 alone, updates 2 alone, 1 together on top, 0.5 left, in points."""
    luck = rng.normal(0, 1, seeds)  # shared by all treatments of a seed
    values = {NONE: 80, RATE: 83, UPDATES: 82, BOTH: 86}
    outcomes = {t: v + luck + rng.normal(0, noise, seeds) for t, v in values.items()}
    return 86.5 + luck + rng.normal(0, noise, seeds), outcomes


def random_world(rng, names, shape=(7,)):
    subsets = [
        frozenset(s) for k in range(len(names) + 1) for s in itertools.combinations(names, k)
    ]
    return rng.normal(size=shape), {s: rng.normal(size=shape) for s in subsets}


def test_planted_parts_are_recovered():
    split = split_gap(*world(np.random.default_rng(0)), FACTORS, confidence=0.999)
    planted = [
        (split.raw_gap, 6.5),
        (split.parts["rate"], 3.5),
        (split.parts["updates"], 2.5),
        (split.orders["rate", "updates"]["rate"], 3),
        (split.orders["rate", "updates"]["updates"], 3),
        (split.orders["updates", "rate"]["rate"], 4),
        (split.orders["updates", "rate"]["updates"], 2),
        (split.interactions[BOTH], 1),
        (split.remainder, 0.5),
    ]
    for interval, truth in planted:
        assert interval.contains(truth)
        # Seeds' luck is fifty times the noise; pairing takes it out.
        assert interval.high - interval.low < 0.2


@pytest.mark.slow
def test_planted_parts_lie_in_their_intervals_as_often_as_they_should():
    rng = np.random.default_rng(1)
    hits = []
    for _ in range(1500):
        split = split_gap(*world(rng), FACTORS)
        hits.append([split.parts["rate"].contains(3.5), split.remainder.contains(0.5)])
    assert ((np.mean(hits, axis=0) > 0.935) & (np.mean(hits, axis=0) < 0.965)).all()


@pytest.mark.parametrize("names", [("a",), ("a", "b"), ("a", "b", "c")])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_the_parts_sum_to_the_raw_gap(names, scale):
    reference, outcomes = random_world(np.random.default_rng(2), names)
    split = split_gap(scale * reference, {s: scale * v for s, v in outcomes.items()}, names)
    gap, rest = split.raw_gap.estimate, split.remainder.estimate
    assert sum(p.estimate for p in split.parts.values()) + rest == pytest.approx(
        gap, abs=1e-12 * scale
    )
    assert len(split.orders) == math.factorial(len(names))
    for steps in split.orders.values():
        assert sum(p.estimate for p in steps.values()) + rest == pytest.approx(
            gap, abs=1e-12 * scale
        )


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
def test_shapley_values_by_their_weighted_formula(names):
    reference, outcomes = random_world(np.random.default_rng(3), names)
    split = split_gap(reference, outcomes, names)
    n = len(names)
    for name in names:
        total = 0
        for subset in outcomes:
            if name not in subset:
                k = len(subset)
                weight = math.factorial(k) * math.factorial(n - k - 1) / math.factorial(n)
                total = total + weight * (outcomes[subset | {name}] - outcomes[subset])
        expected = t_interval(total)
        found = split.parts[name]
        assert (found.estimate, found.low) == pytest.approx((expected.estimate, expected.low))


def test_shapley_values_share_out_the_interactions_equally():
    names = ("a", "b", "c")
    reference, outcomes = random_world(np.random.default_rng(4), names)
    split = split_gap(reference, outcomes, names)
    assert len(split.interactions) == 4
    for name in names:
        alone = (outcomes[frozenset({name})] - outcomes[frozenset()]).mean()
        shares = [i.estimate / len(s) for s, i in split.interactions.items() if name in s]
        assert split.parts[name].estimate == pytest.approx(alone + sum(shares))


def test_the_interaction_is_what_the_orders_differ_by():
    split = split_gap(*world(np.random.default_rng(5)), FACTORS)
    first = split.orders["rate", "updates"]["rate"].estimate
    second = split.orders["updates", "rate"]["rate"].estimate
    assert split.interactions[BOTH].estimate == pytest.approx(second - first)


def test_shapleys_axioms():
    rng = np.random.default_rng(6)
    base, effect = rng.normal(size=(2, 8))
    symmetric = {NONE: base, RATE: base + effect, UPDATES: base + effect, BOTH: base + 5 * effect}
    split = split_gap(base, symmetric, FACTORS)
    assert split.parts["rate"] == split.parts["updates"]
    dummy = {NONE: base, RATE: base, UPDATES: base + effect, BOTH: base + effect}
    split = split_gap(base, dummy, FACTORS)
    assert split.parts["rate"].estimate == split.parts["rate"].high == 0
    assert split.interactions[BOTH].estimate == pytest.approx(0)


def test_the_order_of_the_factors_changes_nothing():
    reference, outcomes = world(np.random.default_rng(7))
    one, other = (split_gap(reference, outcomes, f) for f in (FACTORS, FACTORS[::-1]))
    assert one.orders == other.orders
    for name in FACTORS:
        assert one.parts[name].low == pytest.approx(other.parts[name].low, rel=1e-12)


def test_intervals_are_paired_by_seed():
    reference, outcomes = world(np.random.default_rng(8))
    split = split_gap(reference, outcomes, FACTORS)
    assert split.raw_gap == paired_interval(reference, outcomes[NONE])
    assert split.remainder == paired_interval(reference, outcomes[BOTH])


def test_correctness_by_example_counts_the_test_set_too():
    rng = np.random.default_rng(9)
    reference, outcomes = random_world(rng, FACTORS, (6, 40))
    split = split_gap(reference, outcomes, FACTORS)
    assert split.raw_gap == crossed_interval(reference - outcomes[NONE])
    rate = (outcomes[RATE] - outcomes[NONE] + outcomes[BOTH] - outcomes[UPDATES]) / 2
    assert split.parts["rate"].low == pytest.approx(crossed_interval(rate).low)


@pytest.mark.parametrize(
    ("change", "factors", "message"),
    [
        (lambda o: o.pop(RATE), FACTORS, r"missing: \[\['rate'\]\]"),
        (lambda o: o.update({frozenset({"luck"}): o[NONE]}), FACTORS, r"unknown: \[\['luck'\]\]"),
        (lambda o: o.update({RATE: o[RATE][:-1]}), FACTORS, "shape"),
        (lambda o: o.update({RATE: o[RATE] * math.nan}), FACTORS, "not finite"),
        (lambda o: None, ("rate", "rate"), "different factors"),
        (lambda o: None, (), "one to three"),
        (lambda o: None, tuple("abcd"), "one to three"),
    ],
)
def test_what_cannot_be_split_is_refused(change, factors, message):
    reference, outcomes = world(np.random.default_rng(10))
    change(outcomes)
    with pytest.raises(ValueError, match=message):
        split_gap(reference, outcomes, factors)
