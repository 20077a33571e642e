"""Signals of several channels."""

import jax
import numpy as np
import pytest


@pytest.mark.parametrize("name", ["mlp", "cnn1d", "gru_mnist1d", "lstm", "transformer"])
def test_a_signal_of_several_channels(x64, build, drawn, inputs_of, name):
    """With nothing in the others it is a signal of one channel, by that channel's weights."""
    pair, single = (
        build(name, shape, 4, kind="signal", width=16, parameter_dtype="float64")
        for shape in ((12, 2), (12,))
    )
    (params, state), x = drawn(pair), inputs_of(pair, 3)
    x[..., 1] = 0
    logits, _ = pair.apply(params, state, x)
    shapes = jax.eval_shape(single.init, jax.random.key(0))[0]

    def first(leaf, wanted):
        """Rows of the first channel: the fastest index of what the first layer reads."""
        return leaf if leaf.shape == wanted.shape else leaf.reshape(-1, 2, *leaf.shape[1:])[:, 0]

    one, _ = single.apply(jax.tree.map(first, params, shapes), state, x[..., 0])
    assert logits.shape == (3, 4)
    np.testing.assert_allclose(logits, one, atol=1e-12)
    x[..., 1] = 1
    assert np.abs(pair.apply(params, state, x)[0] - logits).max() > 1e-3
