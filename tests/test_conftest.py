"""The settings that every other test relies on."""

import warnings

import jax
import jax.numpy as jnp
import pytest


def test_two_cpu_devices():
    assert [device.platform for device in jax.devices()] == ["cpu", "cpu"]


def test_rank_promotion_is_refused():
    with pytest.raises(ValueError, match="rank"):
        jnp.ones((2, 3)) + jnp.ones(3)


def test_warnings_are_errors():
    with pytest.raises(UserWarning, match="loud"):
        warnings.warn("loud", stacklevel=1)


@pytest.mark.parametrize("shape", [(3,), (4, 4)])
def test_counts_each_executable_once(counts_compilations, shape):
    @jax.jit
    def triple(x):
        return 3 * x + 1

    x, y = jnp.ones(shape), jnp.ones((2, *shape))  # may compile: outside the count
    with counts_compilations() as count:
        triple(x).block_until_ready()
        triple(x).block_until_ready()
        assert count.count == 1
        triple(y).block_until_ready()
        assert count.count == 2


def test_does_not_count_what_the_cache_holds(counts_compilations):
    x = jnp.ones(5)
    with counts_compilations() as count:
        jax.jit(lambda x: 5 * x)(x).block_until_ready()
    with counts_compilations() as again:
        jax.jit(lambda x: 5 * x)(x).block_until_ready()
    assert (count.count, again.count) == (1, 0)
