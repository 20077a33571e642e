"""Estimates against dense eigendecompositions, intervals against exact binomial limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from landscape_cases import full_hessian, minimum
from scipy import stats

from minima.landscape import estimators, operators
from minima.landscape.operators import Operator


def operator_of(family):
    objective, params, data = minimum(family)
    return operators.hessian(objective, params, data)


def dense_operator(matrix):
    matrix = jnp.asarray(matrix, jnp.float32)
    return Operator(lambda v: matrix @ v, len(matrix), matrix.dtype)


@pytest.mark.slow
def test_the_top_eigenvalues_and_their_residuals(family):
    expected = np.linalg.eigvalsh(full_hessian(family))[::-1][:5]
    key = jax.random.key(1)
    found = jax.jit(
        lambda k: estimators.largest_eigenvalues(operator_of(family), k, steps=80, count=5)
    )(key)
    np.testing.assert_allclose(found.value, expected, rtol=1e-3)
    assert bool(found.converged.all())
    # A residual is a bound, up to the rounding of the products themselves.
    assert (np.abs(found.value - expected) <= found.residual + 1e-5 * expected[0]).all()


def test_too_few_steps_are_owned_up_to():
    found = estimators.largest_eigenvalues(
        dense_operator(full_hessian("mlp")), jax.random.key(0), steps=3, count=2
    )
    assert not bool(found.converged.all())


def test_power_iteration_finds_the_largest_in_modulus():
    eigenvalues = np.linspace(-3, 2, 40)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(40, 40)))[0]
    matrix = rotation @ np.diag(eigenvalues) @ rotation.T
    found = estimators.power_iteration(dense_operator(matrix), jax.random.key(0), steps=200)
    assert found.value == pytest.approx(-3, rel=1e-3)
    assert bool(found.converged)
    early = estimators.power_iteration(dense_operator(matrix), jax.random.key(0), steps=2)
    assert not bool(early.converged)


TRUTHS = {
    "trace": np.trace,
    "trace_plus_plus": np.trace,
    "squared_frobenius": lambda matrix: np.sum(matrix**2),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRUTHS)
def test_stated_intervals_hold_as_often_as_they_say(family, name):
    """2,000 draws of keys: the exact binomial limits of the rate contain 0.95 or lie above."""
    matrix = full_hessian(family)
    operator, truth = dense_operator(matrix), TRUTHS[name](matrix)
    draw = jax.jit(lambda key: getattr(estimators, name)(operator, key))
    found = jax.lax.map(draw, jax.random.split(jax.random.key(2), 2000), batch_size=20)
    t = stats.t.ppf(0.975, int(found.probes[0]) - 1)
    inside = np.abs(np.asarray(found.value) - truth) <= t * np.asarray(found.standard_error)
    limits = stats.binomtest(int(inside.sum()), 2000).proportion_ci(0.999)
    assert limits.high >= 0.95


def test_trace_and_frobenius_norm_share_their_products():
    operator, key = dense_operator(full_hessian("mlp")), jax.random.key(5)
    trace, frobenius = estimators.trace_and_frobenius(operator, key, products=30)
    for found, alone in (
        (trace, estimators.trace_plus_plus(operator, key, products=30)),
        (frobenius, estimators.squared_frobenius(operator, key, products=30)),
    ):
        assert int(found.probes) == 10
        np.testing.assert_allclose(found.value, alone.value, rtol=1e-5)
        np.testing.assert_allclose(found.standard_error, alone.standard_error, rtol=1e-4)


@pytest.mark.parametrize("rank", [1, 4, 40])
def test_a_sketch_that_is_larger_than_the_range_is_exact(rank):
    """Also where it has as many rows as there are dimensions: nothing is left to probes."""
    rng = np.random.default_rng(0)
    half = rng.normal(size=(40, rank))
    matrix = half @ half.T
    found = estimators.trace_and_frobenius(dense_operator(matrix), jax.random.key(1), products=180)
    for one, truth in zip(found, (np.trace(matrix), np.sum(matrix**2)), strict=True):
        assert one.value == pytest.approx(truth, rel=1e-4)
        assert one.standard_error <= 1e-4 * truth


@pytest.mark.slow
def test_a_density_is_the_spectrum(family):
    """Wasserstein-1 within 1 % of the largest eigenvalue."""
    matrix = full_hessian(family)
    eigenvalues = np.linalg.eigvalsh(matrix)
    found = jax.jit(lambda key: estimators.density(dense_operator(matrix), key))(jax.random.key(3))
    assert float(found.weights.sum()) == pytest.approx(1, abs=1e-5)
    weights = np.maximum(np.asarray(found.weights, np.float64), 0)
    distance = stats.wasserstein_distance(found.values, eigenvalues, weights)
    assert distance <= 0.01 * eigenvalues.max()


@pytest.mark.slow
def test_everything_runs_over_lanes_in_one_compilation(counts_compilations):
    objective, params, data = minimum("mlp")
    stacked = jax.tree.map(lambda p: jnp.stack([p, 0.5 * p, 2 * p]), params)

    @jax.jit
    def measure(stacked, key):
        def one(params):
            hessian = operators.hessian(objective, params, data)
            top = estimators.largest_eigenvalues(hessian, key, steps=20)
            return top.value[0], estimators.trace(hessian, key, probes=5).value

        return jax.lax.map(one, stacked)

    key = jax.random.key(4)
    with counts_compilations() as seen:
        tops, traces = jax.block_until_ready(measure(stacked, key))
    assert seen.count == 1
    for i, factor in enumerate((1.0, 0.5, 2.0)):
        scaled = jax.tree.map(lambda p, f=factor: f * p, params)
        hessian = operators.hessian(objective, scaled, data)
        alone = estimators.largest_eigenvalues(hessian, key, steps=20).value[0]
        np.testing.assert_allclose(tops[i], alone, rtol=1e-4)
        alone = estimators.trace(hessian, key, probes=5).value
        np.testing.assert_allclose(traces[i], alone, rtol=1e-4)
