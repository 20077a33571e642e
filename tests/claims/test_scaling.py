import math

import numpy as np
import pytest

from minima.claims.scaling import best_rate, rate_exponent

RATES = np.geomspace(0.01, 10, 13)
SIZES = np.array([16.0, 64, 256, 1024])


def scores(peak, rng=None, seeds=6, noise=0.0, rates=RATES):
    """A parabola in log rate about `peak`, the same for all seeds, plus noise."""
    clean = 0.9 - 0.02 * np.log(rates / peak) ** 2
    rng = rng or np.random.default_rng(0)
    return clean + rng.normal(0, 0.05, (seeds, 1)) + noise * rng.normal(size=(seeds, len(rates)))


def plane(exponent, rng=None, noise=0.0, scale=0.3):
    return [scores(scale * (b / 64) ** exponent, rng, noise=noise) for b in SIZES]


@pytest.mark.parametrize("peak", [0.02, 0.1, 0.333, 5.0])
@pytest.mark.parametrize("rates", [RATES, RATES[[0, 1, 2, 4, 5, 6, 7, 9, 10, 11, 12]]])
def test_a_parabolas_vertex_is_found_on_even_and_uneven_grids(peak, rates):
    found = best_rate(rates, scores(peak, rates=rates))
    assert found.rate.estimate == pytest.approx(peak, rel=1e-9)
    # Seeds that differ by a constant agree on the peak.
    assert found.rate.high / found.rate.low == pytest.approx(1, abs=1e-9)
    assert (found.bounded_by, found.censored) == ("both", False)


def test_noise_widens_the_interval_and_the_truth_stays_inside():
    rng, hits = np.random.default_rng(1), []
    for _ in range(200):
        found = best_rate(RATES, scores(0.4, rng, seeds=10, noise=0.01), resamples=500).rate
        assert found.low < found.high
        hits.append(found.contains(0.4))
    assert np.mean(hits) > 0.9


@pytest.mark.parametrize(("peak", "edge"), [(1e-3, "nothing below"), (1e3, "nothing above")])
def test_an_optimum_beyond_the_grid_is_flagged(peak, edge):
    found = best_rate(RATES, scores(peak))
    assert (found.bounded_by, found.censored) == (edge, True)
    assert found.rate.estimate == pytest.approx(RATES[0 if peak < 1 else -1])


def test_a_rate_at_which_a_seed_failed_is_not_the_best():
    table = scores(1.0)
    top = int(table.mean(0).argmax())
    table[2, top:] = math.nan
    found = best_rate(RATES, table)
    assert (found.bounded_by, found.censored) == ("failures", False)
    assert found.rate.estimate == pytest.approx(RATES[top - 1])
    table = scores(1.0)
    table[0, -2:] = math.inf  # failures far from the top change nothing
    assert best_rate(RATES, table).rate.estimate == pytest.approx(1.0)


def test_the_unit_of_the_rate_and_of_the_score_do_not_matter():
    table = scores(0.4, noise=0.01)
    base, other = best_rate(RATES, table).rate, best_rate(100 * RATES, 7 * table - 3).rate
    assert (other.estimate, other.low, other.high) == pytest.approx(
        (100 * base.estimate, 100 * base.low, 100 * base.high)
    )


def test_a_plateau_has_its_best_rate_in_the_middle():
    flat = np.tile([0.0, 1, 1, 1, 0], (3, 1))
    assert best_rate(RATES[:5], flat).rate.estimate == pytest.approx(RATES[2])


@pytest.mark.parametrize("exponent", [0.0, 0.5, 0.8])
def test_a_planted_exponent_is_recovered(exponent):
    found = rate_exponent(SIZES, [RATES] * 4, plane(exponent))
    assert found.exponent.estimate == pytest.approx(exponent, abs=1e-9)
    assert found.censored == ()
    assert found.optima[256.0].rate.estimate == pytest.approx(0.3 * 4**exponent)


@pytest.mark.slow
def test_its_interval_covers_and_tells_linear_from_square_root():
    rng, hits, linear = np.random.default_rng(2), [], []
    for _ in range(150):
        planes = plane(0.5, rng, noise=0.01)
        found = rate_exponent(SIZES, [RATES] * 4, planes, resamples=400).exponent
        hits.append(found.contains(0.5))
        linear.append(found.contains(1))
    assert np.mean(hits) > 0.9
    assert np.mean(linear) < 0.05


def test_censored_optima_are_left_out_and_listed():
    found = rate_exponent(SIZES, [RATES] * 4, plane(1.0, scale=1.0))  # 16 at 1024: off the grid
    assert found.censored == (1024.0,)
    assert found.optima[1024.0].bounded_by == "nothing above"
    assert found.exponent.estimate == pytest.approx(1, abs=1e-9)


def test_grids_may_differ_and_the_order_does_not_matter():
    grids = [RATES * k for k in (1, 2, 0.7, 1.5)]
    peaks = 0.3 * (SIZES / 64) ** 0.5
    planes = [scores(p, rates=g, noise=0.01) for p, g in zip(peaks, grids, strict=True)]
    found = rate_exponent(SIZES, grids, planes)
    other = rate_exponent(SIZES[::-1], grids[::-1], planes[::-1])
    assert found.exponent.estimate == pytest.approx(other.exponent.estimate)
    assert found.exponent.low == pytest.approx(other.exponent.low)


def test_what_cannot_be_fitted_is_refused():
    good = scores(1.0)
    for rates, table, message in [
        (RATES[:2], good[:, :2], "3 or more"),
        (RATES[::-1], good, "ascending"),
        (-RATES, good, "positive"),
        (RATES, good[:, :5], "seeds by 13"),
        (RATES, good[:1], "2 or more seeds"),
        (RATES, good * math.nan, "failed at every rate"),
    ]:
        with pytest.raises(ValueError, match=message):
            best_rate(rates, table)
    with pytest.raises(ValueError, match="widen the rates"):
        rate_exponent([16, 32], [RATES] * 2, [scores(1e3), scores(1.0)])
    with pytest.raises(ValueError, match="same seeds"):
        rate_exponent([16, 32], [RATES] * 2, [good, good[:3]])
    with pytest.raises(ValueError, match="for each batch size"):
        rate_exponent([16, 32], [RATES], [good])
