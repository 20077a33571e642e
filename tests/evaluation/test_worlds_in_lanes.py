"""Worlds in lanes: one compilation for all seeds and strengths, and what is known of each loop."""

import jax
import numpy as np
import pytest
from scipy import stats

from minima.evaluation import lanes
from minima.evaluation.hiring import Firm, Labour
from minima.evaluation.patrols import Beat, Patrols, limit
from minima.evaluation.recommender import Market, Shop

MARKET = Market(
    users=12, restaurants=15, new=3, past=4, weeks=3, first_steps=30, steps=5, audits=100
)
LABOUR = Labour(applicants=80, places=20, years=3, steps=10)


def beats(count, rates, correction, seed=0):
    return Beat(
        seed=np.full(count, seed, np.int32),
        world=np.arange(count, dtype=np.int32),
        rates=np.tile(np.float32(rates), (count, 1)),
        start=np.ones((count, len(rates)), np.float32),
        correction=np.full(count, correction, np.float32),
    )


def shops(exploration, correction, count=8, first=0):
    return Shop(
        np.arange(first, first + count, dtype=np.int32),
        np.full(count, exploration, np.float32),
        np.full(count, correction, np.float32),
    )


def firms(silence, lots, correction, bias=0.5, count=64):
    values = [np.full(count, value, np.float32) for value in (silence, lots, correction, bias)]
    return Firm(np.arange(count, dtype=np.int32), *values)


# --- lanes ------------------------------------------------------------------------------------


def test_lanes_are_independent_and_any_number_fits():
    alone = lanes.simulate(Patrols(40), beats(7, (0.6, 0.3), 0.0), 2)
    among = lanes.simulate(Patrols(40), beats(11, (0.6, 0.3), 0.0), 4)
    assert alone.shape == (7, 1, 2)
    np.testing.assert_array_equal(alone, among[:7])


@pytest.mark.slow
def test_seeds_strengths_and_rates_are_traced(counts_compilations):
    jax.clear_caches()
    lanes._program.cache_clear()
    with counts_compilations() as seen:
        lanes.simulate(Patrols(30), beats(8, (0.5, 0.5), 0.0), 4)
        lanes.simulate(Patrols(30), beats(8, (0.2, 0.9), 1.0, seed=7), 4)
    assert seen.count == 1


# --- patrols ----------------------------------------------------------------------------------


def test_counts_of_equal_rates_are_beta_binomial():
    # Rates of 1: a find every day, so that the law after so many days is known exactly.
    counts = lanes.simulate(Patrols(20), beats(4000, (1.0, 1.0), 0.0), 1024)[:, -1, 0] - 1
    found = np.bincount(counts.astype(int), minlength=21)
    assert stats.chisquare(found).pvalue > 1e-3  # uniform on 0 .. 20


def test_corrected_finds_are_independent_draws_by_the_rates():
    rates = (0.6, 0.3, 0.1)
    counts = lanes.simulate(Patrols(200), beats(2000, rates, 1.0), 1024)[:, -1] - 1
    p, n = rates[0] / sum(rates), counts.sum(axis=1)
    # How many there are depends on which they were; by Wald's identities this doesn't.
    z = (counts[:, 0] - n * p) / np.sqrt(n.mean() * p * (1 - p))
    assert abs(z.mean()) < 4 / np.sqrt(len(z))
    assert z.std() == pytest.approx(1, abs=0.08)


def test_the_limit_of_a_partial_correction():
    assert limit((0.6, 0.3), 1.0) == pytest.approx([2 / 3, 1 / 3])
    assert limit((0.6, 0.3), 0.5) == pytest.approx([0.8, 0.2])
    assert limit((0.6, 0.3), 0.0) == pytest.approx([1, 0])
    shares = lanes.simulate(Patrols(2000), beats(500, (0.6, 0.3), 0.75), 500)[:, -1]
    mean = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
    assert mean == pytest.approx(limit((0.6, 0.3), 0.75), abs=0.01)


# --- the recommender --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def explored():
    both = (shops(0.0, 0.0), shops(0.3, 1.0))
    together = Shop(*(np.concatenate(pair) for pair in zip(*both, strict=True)))
    found = lanes.simulate(MARKET, together, 8)
    return type(found)(*(v[:8] for v in found)), type(found)(*(v[8:] for v in found))


@pytest.mark.slow
def test_a_greedy_app_shows_lists_and_nothing_else(explored):
    greedy, _ = explored
    assert (greedy.exposure.sum(axis=2) == MARKET.users * MARKET.slots).all()
    assert set(np.unique(greedy.propensity)) == {0, 1}
    assert (greedy.shown == greedy.propensity[:, None]).all()
    assert (greedy.wanted.sum(axis=2) == MARKET.slots).all()
    assert (greedy.orders <= greedy.best[:, None] + 1e-6).all()
    assert np.isnan(greedy.repeated[:, 0]).all()
    assert ((greedy.repeated[:, 1:] >= 0) & (greedy.repeated[:, 1:] <= 1)).all()


def test_propensities_are_those_of_what_is_shown(explored):
    _, explores = explored
    often = explores.shown.mean(axis=1)
    error = np.sqrt(explores.propensity * (1 - explores.propensity) / MARKET.audits)
    assert (np.abs(often - explores.propensity) < 5 * error + 1e-6).all()
    assert explores.propensity.sum(axis=2) == pytest.approx(MARKET.slots, abs=1e-4)


def test_weighted_by_propensity_the_log_tells_the_truth(explored):
    greedy, explores = explored
    weights = explores.shown / explores.propensity[:, None]
    weighted = (weights * explores.right).sum(axis=(1, 2, 3)) / weights.sum(axis=(1, 2, 3))
    assert weighted.mean() == pytest.approx(explores.true[:, -1].mean(), abs=0.015)
    plain = (greedy.shown * greedy.right).sum(axis=(1, 2, 3)) / greedy.shown.sum(axis=(1, 2, 3))
    assert plain.mean() > greedy.true[:, -1].mean() + 0.01


# --- hiring -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_lots_alone_hire_by_chance_and_estimate_all():
    found = lanes.simulate(LABOUR, firms(0, 1.0, 1.0), 32)
    base = found.base.mean(axis=0)
    assert found.share[:, 1:].mean() == pytest.approx(base[0], abs=0.03)
    assert found.able[:, 1:].mean() == pytest.approx(base[1], abs=0.03)
    assert found.estimate[:, 1:].mean() == pytest.approx(base[1], abs=0.03)


def test_a_higher_bar_hires_fewer_of_those_it_is_for():
    fair, biased = (
        lanes.simulate(LABOUR, firms(1, 0, 0, bias), 32).share[:, 0].mean() for bias in (0.0, 1.5)
    )
    assert fair == pytest.approx(0.4, abs=0.06)
    assert biased < fair - 0.15


def test_a_record_without_bias_teaches_none():
    fair, biased = (
        lanes.simulate(LABOUR, firms(1, 0, 0, bias), 32).slope[:, -1].mean() for bias in (0.0, 1.5)
    )
    assert abs(fair) < 0.25
    assert biased < -0.8
