"""Where weights start before ReLU and before tanh."""

import jax
import numpy as np
import pytest


@pytest.mark.parametrize(("name", "shape"), [("mlp", (7, 5)), ("cnn_small", (5, 6))])
def test_weights_before_tanh_start_with_half_the_variance(build, flat, name, shape):
    key = jax.random.key(3)
    relu, tanh = (
        flat(jax.jit(build(name, shape, activation=activation).init)(key)[0])
        for activation in ("relu", "tanh")
    )
    for path, leaf in relu.items():
        ratio = 1.0 if path.startswith("readout") else 2**-0.5
        np.testing.assert_allclose(tanh[path], ratio * leaf, rtol=1e-6, err_msg=path)


def test_tanh_keeps_the_scale_of_small_signals(build):
    """The gradient of the logits passes ten layers, and neither vanishes nor explodes."""
    model = build("mlp", (50,), 10, width=100, depth=10, activation="tanh")
    params, state = jax.jit(model.init)(jax.random.key(0))
    x = 1e-3 * np.random.default_rng(0).normal(size=(200, 50)).astype(np.float32)
    logits = jax.jit(model.apply)(params, state, x)[0]
    assert 0.5 < np.std(logits) / np.std(x) < 2
