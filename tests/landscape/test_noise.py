"""The gradient noise scale against single gradients taken one by one, and its bias."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minima.landscape import noise
from minima.landscape.objective import Objective, chunks, squared_error

OBJECTIVE = Objective(lambda params, x: jnp.tanh(x @ params), squared_error)


def case(n=40):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(n, 4)).astype(np.float32)
    targets = (3 + rng.normal(size=(n, 2))).astype(np.float32)
    return jnp.asarray(rng.normal(size=(4, 2)), jnp.float32), inputs, targets


def gradients(params, inputs, targets):
    def loss(p, x, y):
        return OBJECTIVE.loss(OBJECTIVE.apply(p, x[None]), y[None])[0]

    each = jax.vmap(jax.grad(loss), in_axes=(None, 0, 0))(params, inputs, targets)
    return np.asarray(each, np.float64).reshape(len(inputs), -1)


@pytest.mark.parametrize("size", [1, 7, 40])
def test_it_is_that_of_single_gradients(size):
    params, inputs, targets = case()
    each = gradients(params, inputs, targets)
    variance = np.trace(np.cov(each.T))
    squared = np.sum(each.mean(0) ** 2) - variance / len(each)
    found = noise.exact(OBJECTIVE, params, chunks(inputs, targets, size))
    np.testing.assert_allclose(found, [variance, squared, variance / squared], rtol=1e-4)


def test_two_batches_are_unbiased_in_both_parts_but_not_in_their_ratio():
    rng = np.random.default_rng(1)
    truth, spread, sizes = np.array([0.3, -0.2, 0.1]), 2.0, (4, 64)

    def squared_length(size, draws):
        batches = truth + spread * rng.normal(size=(draws, 3)) / np.sqrt(size)
        return np.sum(batches**2, axis=1)

    small, large = (squared_length(size, 100_000) for size in sizes)
    found = jax.vmap(lambda s, b: noise.two_batches(s, b, sizes))(
        jnp.asarray(small, jnp.float32), jnp.asarray(large, jnp.float32)
    )
    variance, squared = 3 * spread**2, np.sum(truth**2)
    assert np.mean(found.variance) == pytest.approx(variance, rel=0.02)
    assert np.mean(found.squared_gradient) == pytest.approx(squared, rel=0.02)
    ratios = np.asarray(found.scale)
    assert np.nanmean(ratios) > 1.5 * variance / squared  # so average the parts, not the ratio
    mean = noise.two_batches(jnp.mean(small), jnp.mean(large), sizes)
    assert float(mean.scale) == pytest.approx(variance / squared, rel=0.05)


def test_a_gradient_that_drowns_has_no_scale():
    found = noise.two_batches(jnp.asarray(10.0), jnp.asarray(0.1), (2, 4))
    assert np.isnan(found.scale)
