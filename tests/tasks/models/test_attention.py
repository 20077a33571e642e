"""Attention by chunks: the same numbers as all at once, in memory linear in the length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minima.tasks.models.attention import attention

LENGTH = 13


@pytest.fixture(scope="module")
def derived():
    """derived(chunk, causal, arrays, direction) -> value, gradient, product with the Hessian."""

    def call(chunk, causal, arrays, direction):
        weights = np.random.default_rng(2).normal(size=arrays[0].shape)

        def value(arrays):
            return jnp.sum(jnp.sin(attention(*arrays, causal, chunk)) * weights)

        @jax.jit
        def every(arrays, direction):
            return value(arrays), jax.jvp(jax.grad(value), (arrays,), (direction,))

        return jax.tree.leaves(every(arrays, direction))

    return call


def drawn(seed):
    return tuple(np.random.default_rng(seed).normal(size=(3, 2, 2, 4, LENGTH)))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("chunk", [1, 2, 5, 12, 13, 14])
def test_chunks_change_neither_values_nor_gradients_nor_curvature(x64, derived, chunk, causal):
    """Chunks that divide the length and others; at borders a query sees itself and no later one."""
    found = derived(chunk, causal, drawn(0), drawn(1))
    for a, b in zip(found, derived(0, causal, drawn(0), drawn(1)), strict=True):
        assert np.abs(b).max() > 1e-2
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize("chunk", [3, 4])
@pytest.mark.parametrize("at", [0, 3, 4, 7, 12])
def test_by_chunks_too_the_past_does_not_see_the_future(x64, chunk, at):
    q, k, v = drawn(0)
    later = [x.copy() for x in (k, v)]
    for x in later:
        x[..., at] += 1
    before, after = attention(q, k, v, True, chunk), attention(q, *later, True, chunk)
    np.testing.assert_array_equal(before[..., :at], after[..., :at])
    assert (np.abs(before - after)[..., at:].max(axis=(0, 1, 2)) > 1e-4).all()


def test_huge_scores_and_lanes_of_their_own(x64):
    """A softmax relative to the largest score so far overflows nowhere; vmap changes nothing."""
    q, k, v = drawn(0)
    lanes = jnp.stack([q, 1e6 * q]), jnp.stack([k, k]), jnp.stack([v, v])
    by_chunks = jax.vmap(lambda *arrays: attention(*arrays, True, 4))(*lanes)
    at_once = jax.vmap(lambda *arrays: attention(*arrays, True))(*lanes)
    np.testing.assert_allclose(by_chunks, at_once, rtol=0, atol=1e-10)


def temporary(length, chunk, causal, curvature):
    """Bytes of a gradient, or of a product with the Hessian, as the compiler plans them."""

    def value(arrays):
        return jnp.sum(jnp.sin(attention(*arrays, causal, chunk)))

    asked = jax.grad(value)
    if curvature:
        asked = lambda arrays: jax.jvp(jax.grad(value), (arrays,), (arrays,))[1]  # noqa: E731
    array = jax.ShapeDtypeStruct((1, 1, 16, length), jnp.float32)
    compiled = jax.jit(asked).lower((array,) * 3).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("curvature", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_memory_grows_with_the_length_and_not_with_its_square(causal, curvature):
    lengths = (256, 512, 1024)

    def exponent(chunk):
        found = [temporary(length, chunk, causal, curvature) for length in lengths]
        return np.polyfit(np.log(lengths), np.log(found), 1)[0]

    assert exponent(chunk=0) > 1.8
    assert 0.7 < exponent(chunk=32) < 1.3


def test_half_precision_is_that_of_products_alone():
    q, k, v = (jnp.asarray(x, jnp.float32) for x in drawn(0))
    narrow = [x.astype(jnp.bfloat16) for x in (q, k, v)]
    for chunk in (0, 5):
        found = attention(*narrow, True, chunk)
        assert found.dtype == jnp.bfloat16
        np.testing.assert_allclose(found, attention(q, k, v, True), rtol=0, atol=0.04)
