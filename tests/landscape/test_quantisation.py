"""Rounded weights: grids by hand, a bowl whose rise is known, scales that make no difference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minima.landscape import quantisation
from minima.landscape.measure import measure
from minima.landscape.objective import Objective, chunks

RISE = 0.01


def test_grids_end_at_the_largest_weight_of_each_tensor():
    params = {"a": jnp.asarray([1.0, -0.4, 0.3, 0.1]), "b": jnp.asarray([-8.0, 3.0]), "c": [0.0]}
    params["c"] = jnp.zeros(2)
    found = quantisation.rounded(params, 3)
    np.testing.assert_allclose(found["a"], [1, -1 / 3, 1 / 3, 0], atol=1e-6)
    np.testing.assert_allclose(found["b"], [-8, 8 / 3], atol=1e-6)
    np.testing.assert_array_equal(found["c"], [0, 0])
    # The finest grid of 12 bits is within half a step of every weight.
    fine = quantisation.rounded(params, 2047)
    assert float(jnp.abs(fine["a"] - params["a"]).max()) <= 0.5 / 2047 + 1e-7


def test_whole_bits_are_signed_integers_of_that_width():
    grids = quantisation.grids()
    assert {1, 3, 7, 127, 2047} <= set(grids.tolist())
    bits = np.asarray(quantisation.bits_of(np.array([1, 3, 7, 127, 2047])))
    np.testing.assert_allclose(bits, [2, 3, 4, 8, 12], atol=1e-6)


def bowl(curvature, centre, floor=1.0):
    """A loss of floor + curvature / 2 · |w - centre|², whatever the examples."""

    def apply(params, inputs):
        far = sum(jnp.sum(jnp.square(p - c)) for p, c in zip(params, centre, strict=True))
        return jnp.full((len(inputs),), floor + 0.5 * curvature * far)

    return Objective(apply, lambda outputs, labels: outputs)


DATA = chunks(np.zeros((3, 1), np.float32), np.zeros(3, np.int32), 3)


@pytest.mark.parametrize("curvature", [0.1, 10.0, 1000.0])
def test_two_weights_by_hand(curvature):
    """1 and 1/3 are hit by every grid of 3, 6, 9 … levels, and missed by others as counted here."""
    levels = quantisation.grids()
    errors = np.abs(np.rint(levels / 3) / levels - 1 / 3)
    good = 0.5 * curvature * errors**2 < RISE
    first = len(good) - np.argmin(good[::-1]) if not good.all() else 0
    expected = np.log2(2 * levels[min(first, len(levels) - 1)] + 2)
    point = (jnp.asarray([1.0, 1 / 3]),)
    found = quantisation.bits_per_weight(bowl(curvature, point), point, DATA)
    assert float(found.value) == pytest.approx(expected, abs=1e-5)
    assert bool(found.converged) == (not good.all())


@pytest.mark.parametrize("curvature", [0.01, 1.0, 10.0])
def test_many_weights_need_what_uniform_rounding_noise_says(curvature):
    """Rounding is noise of variance step² / 12, so the loss rises by h n / (24 levels²)."""
    n, largest = 4000, 2.0
    weights = np.random.default_rng(0).uniform(-largest, largest, n).astype(np.float32)
    weights[0] = largest
    point = (jnp.asarray(weights),)
    floor = 0.5
    found = quantisation.bits_per_weight(bowl(curvature, point, floor), point, DATA)
    levels = np.sqrt(curvature * n * largest**2 / (24 * RISE * floor))
    expected = np.log2(2 * levels + 2)
    # The next grid upwards is at most a quarter of a bit away.
    assert expected - 0.03 <= float(found.value) <= expected + 0.28
    # Four times the curvature is one bit more.
    more = quantisation.bits_per_weight(bowl(4 * curvature, point, floor), point, DATA)
    assert float(more.value - found.value) == pytest.approx(1, abs=0.26)


def test_bounds_say_that_they_are_bounds():
    point = (jnp.asarray(np.random.default_rng(1).normal(size=50).astype(np.float32)),)
    steep = quantisation.bits_per_weight(bowl(1e9, point), point, DATA)
    assert float(steep.value) == pytest.approx(12)
    assert not bool(steep.converged)
    flat = quantisation.bits_per_weight(bowl(0.0, point), point, DATA)
    assert float(flat.value) == pytest.approx(2)
    assert not bool(flat.converged)


def test_scaling_whole_layers_changes_nothing():
    rng = np.random.default_rng(2)
    params = {"first": rng.normal(size=(3, 6)).astype("f4"), "last": rng.normal(size=(6, 4))}
    params["last"] = params["last"].astype("f4")
    inputs = rng.normal(size=(40, 3)).astype("f4")
    labels = rng.integers(0, 4, 40).astype(np.int32)

    def apply(params, inputs):
        return jax.nn.relu(inputs @ params["first"]) @ params["last"]

    scaled = {"first": 8 * params["first"], "last": params["last"] / 8}

    def panel(objective, params, data, key):
        return {"bits": quantisation.bits_per_weight(objective, params, data)}

    pair = [measure(apply, p, (inputs, labels), panel=panel) for p in (params, scaled)]
    found = [each.bits for each in pair]
    assert found[0].value == pytest.approx(found[1].value, abs=1e-5)
    assert 2 < found[0].value < 12
    assert found[0].converged
