"""Gradients back in time and tangents forward, against closed forms and plain derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minima.landscape.propagation import Carried, carried, rates
from minima.sweep.config import SweepConfig, TaskConfig
from minima.sweep.plan import load_task
from minima.tasks.task import to_arrays

TIME, N = 20, 5


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def made(model, **fields):
    """A task in float64, its parameters, and how to follow gradients through it."""
    asked = TaskConfig("adding", model=model, window=TIME, width=16, loss="squared_error", **fields)
    task, data = load_task(SweepConfig(task=asked))
    task = task.computed_in("float64")
    arrays = to_arrays(data, "float64")
    examples = tuple(part[:N] for part in arrays.test)

    def follow(params):
        return carried(task, params, arrays, *examples, jax.random.key(0))

    return task, task.model.init(jax.random.key(1))[0], examples, jax.jit(follow)


def with_state(params, matrix):
    layer = params["layers"][0][0]
    quiet = jax.tree.map(jnp.zeros_like, layer["inputs"])
    return params | {"layers": {0: {0: layer | {"state": matrix, "inputs": quiet}}}}


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.2])
def test_a_scaled_rotation_carries_by_its_gain(gain):
    """A tanh RNN at rest is linear: all it does to a gradient in a step is to multiply it."""
    _, params, _, follow = made("rnn")
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0]
    found = follow(with_state(params, gain * turn))
    np.testing.assert_allclose(found.growth, np.log(gain), atol=1e-12)
    lags = np.arange(TIME)[::-1, None]
    np.testing.assert_allclose(found.gradients, found.gradients[-1:] * gain**lags, rtol=1e-10)
    np.testing.assert_allclose(rates(found), np.log(gain), atol=1e-10)


@pytest.mark.parametrize("model", ["rnn", "gru", "lstm"])
def test_the_last_gradient_is_that_of_the_read_out(model):
    task, params, (x, y), follow = made(model)
    outputs = task.model.apply(params, {}, x)[0][:, 0]
    kernel = params["readout"]["kernel"][:, 0]
    expected = 2 * jnp.abs(outputs - y) * jnp.linalg.norm(kernel)
    found = follow(params)
    if model != "lstm":  # whose cell is no part of its output at the last step
        np.testing.assert_allclose(found.gradients[-1], expected, rtol=1e-10)
    assert found.gradients.shape == found.growth.shape == (TIME, N)
    assert (found.gradients[-1] > 0).all()


def test_an_open_irnn_keeps_its_gradients():
    """With all units open the network is a sum: a gradient is the read-out's at every lag."""
    _, params, _, follow = made("irnn")
    layer = params["layers"][0][0]
    opened = layer["inputs"] | {"bias": layer["inputs"]["bias"] + 0.1}
    params = params | {"layers": {0: {0: layer | {"inputs": opened}}}}
    found = follow(params)
    np.testing.assert_allclose(found.gradients, np.tile(found.gradients[-1:], (TIME, 1)), rtol=1e-9)
    np.testing.assert_allclose(rates(found), 0, atol=1e-9)


def test_a_transformer_is_followed_to_what_it_reads():
    _, params, _, follow = made("transformer", depth=1)
    found = follow(params)
    assert found.growth is None
    assert found.gradients.shape == (TIME, N)
    slope, gain = rates(found)
    assert abs(slope) < 0.1
    assert np.isnan(gain)


def test_a_planted_decay_is_found_and_a_vanished_one_is_none():
    lags = np.arange(TIME)[::-1, None]
    decay = np.exp(-0.3 * lags) * np.ones((1, N))
    assert rates(Carried(decay, np.full((TIME, N), -0.2))) == pytest.approx((-0.3, -0.2))
    slope, gain = rates(Carried(0 * decay, np.full((TIME, N), -np.inf)))
    assert np.isnan(slope)
    assert gain == -np.inf


@pytest.mark.parametrize("model", ["mlp", "gru_mnist1d"])
def test_other_networks_are_refused(model):
    config = TaskConfig("adding", model=model, window=TIME, loss="squared_error")
    task, data = load_task(SweepConfig(task=config))
    arrays = to_arrays(data)
    params = task.model.init(jax.random.key(0))[0]
    with pytest.raises(ValueError, match="no network with one recurrent layer"):
        carried(task, params, arrays, arrays.test[0][:2], arrays.test[1][:2], jax.random.key(0))
