from dataclasses import replace

import numpy as np
import pytest

from minima.claims.choosing import reported_hits
from minima.claims.controls import LEAST_SEEDS, components, enough, run_controls, simulate
from minima.claims.power import detectable_effect
from minima.claims.two_level import crossed_interval
from minima.claims.worlds import World
from minima.statistics.intervals import t_interval

WORLD = World(
    batch_sizes=(16, 256),
    learning_rates=(0.01, 0.16, 2.56),
    best_rate=0.16,
    exponent=0.0,
    num_test=500,
    planes=("epochs",),
    evaluations=0,
)


def arms(seed, **changes):
    evidence = replace(WORLD, **changes).draw(seed)
    return (reported_hits(evidence, "epochs", b, 1) for b in (0, 1))


def test_simulated_limits_are_those_of_the_interval():
    """Drawing one row and one column with certainty leaves a matrix that can be written down."""
    rng = np.random.default_rng(0)
    pool = rng.integers(-1, 2, (6, 40)).astype(float)
    seed, draws = 5, 20
    means, halves = simulate(pool, 6, np.random.default_rng(seed), draws, 0.95)
    again = np.random.default_rng(seed)
    picks = again.integers(0, 6, (draws, 6))
    columns, counts = np.unique(pool, axis=1, return_counts=True)
    weights = again.multinomial(40, counts / 40, draws)
    for k in range(draws):
        drawn = np.repeat(columns[picks[k]], weights[k], axis=1)
        interval = crossed_interval(drawn)
        assert means[k] == pytest.approx(interval.estimate, abs=1e-12)
        assert halves[k] == pytest.approx(interval.high - interval.estimate)


def test_simulated_limits_of_one_column_are_students():
    pool = np.random.default_rng(1).normal(size=(7, 1))
    means, halves = simulate(pool, 7, np.random.default_rng(2), 10, 0.9)
    picks = np.random.default_rng(2).integers(0, 7, (10, 7))
    for k in range(10):
        interval = t_interval(pool[picks[k], 0], 0.9)
        assert means[k] == pytest.approx(interval.estimate)
        assert halves[k] == pytest.approx(interval.high - interval.estimate)


def test_components_are_unbiased():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(400):
        d = rng.normal(0, 1, (8, 1)) + rng.normal(0, 2, 60) + rng.normal(0, 3, (8, 60))
        c = components(d)
        found.append([c.of_seed, c.of_example, c.of_rest])
    assert np.mean(found, 0) == pytest.approx([1, 4, 9], rel=0.08)


def test_the_smallest_detectable_effect_is_the_true_one():
    """What one run says it could detect, against how intervals of many runs really behave."""
    told = [run_controls(a - b, 1.0, a).detectable for a, b in map(arms, range(12))]
    many = [crossed_interval(a - b) for a, b in map(arms, range(100, 700))]
    means = np.array([i.estimate for i in many])
    halves = np.array([i.high - i.estimate for i in many])
    assert np.mean(told) == pytest.approx(np.quantile(halves - means, 0.8), rel=0.12)


def test_per_seed_values_agree_with_students_power():
    values = np.random.default_rng(4).normal(size=200)
    found = run_controls(values, 0.3, draws=20_000)
    assert found.detectable == pytest.approx(detectable_effect(200, values.std(ddof=1)), rel=0.05)


@pytest.mark.slow
def test_planted_effects_are_found_and_nothing_is_found_in_like():
    """10,000 draws per run; A/A at most 5 % by exact limits, 2.5 points found in 90 % and more."""
    flagged, missed = 0, 0
    for seed in range(10):
        a, b = arms(seed, num_test=2000)
        controls = run_controls(a - b, 2.5, a, draws=10_000, seed=seed)
        flagged += controls.same.low > 0.05
        missed += not controls.sensitive
    assert flagged == 0
    assert missed == 0


def test_controls_are_deterministic_and_cheap_to_read():
    a, b = arms(0)
    assert run_controls(a - b, 1.0, a) == run_controls(a - b, 1.0, a)
    assert run_controls(a - b, 1.0, a, confidence=0.99).same.estimate < 0.03


def test_enough():
    """Both luck of seeds and of examples in the way: what is asked for has 80 % power."""
    rng = np.random.default_rng(6)
    d = rng.normal(0, 1, (200, 1)) + rng.normal(0, 20, 3000) + rng.normal(0, 30, (200, 3000))
    seeds, examples = enough(d, 1.5)
    assert examples == pytest.approx(2 * 400 / (1.5 / 2.8) ** 2, rel=0.1) or examples == 3000
    se = np.sqrt(1 / seeds + 400 / examples + 900 / seeds / examples)
    assert se <= 1.5 / 2.8 * 1.02
    assert enough(np.zeros((5, 10)), 1.0) == (2, 10)
    assert enough(d, 1.5, 0.999)[0] > seeds


def test_what_controls_refuse():
    a = np.zeros((LEAST_SEEDS - 1, 3))
    with pytest.raises(ValueError, match="controls need"):
        run_controls(a, 1.0)
    with pytest.raises(ValueError, match="controls need"):
        run_controls(np.zeros((6, 3)), 0.0)
    with pytest.raises(ValueError, match="finite"):
        run_controls(np.full((6, 3), np.nan), 1.0)
