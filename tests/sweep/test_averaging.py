"""Running averages of weights against their sums written out."""

import jax.numpy as jnp
import numpy as np
import pytest

from minima.sweep import averaging


def averaged(weights, keep, start=-1):
    """The average after every update, for updates counted from 0."""
    average, found = averaging.begin({"w": jnp.full(3, 1e6)}), []
    for step, value in enumerate(weights):
        average = averaging.include(
            average, {"w": jnp.asarray(value)}, jnp.float32(keep), jnp.asarray(step <= start)
        )
        found.append(np.asarray(average.params["w"]))
    return np.array(found)


@pytest.fixture
def weights():
    return np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_an_exponential_average_of_updates_alone_whose_shares_add_up_to_one(weights, keep):
    for after, mean in enumerate(averaged(weights, keep), 1):
        shares = keep ** np.arange(after)[::-1]
        wanted = shares @ weights[:after] / shares.sum()
        np.testing.assert_allclose(mean, wanted, rtol=1e-5, atol=1e-5)


def test_an_equal_average_of_the_last_and_until_then_the_weights_themselves(weights):
    found = averaged(weights, 1.0, start=25)
    np.testing.assert_array_equal(found[:26], weights[:26])
    for after in range(27, 41):
        np.testing.assert_allclose(found[after - 1], weights[25:after].mean(0), atol=1e-5)
