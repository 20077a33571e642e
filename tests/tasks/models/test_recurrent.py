"""Recurrent networks against plain loops in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import stats

from minima.tasks.models.recurrent import Layer

N, TIME, FEATURES, HIDDEN = 3, 7, 4, 5
CELLS = ("rnn", "irnn", "gru", "lstm")
GATES = {"rnn": 1, "irnn": 1, "gru": 3, "lstm": 4}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def loop(cell, p, x, backwards=False):
    """States (n, time, hidden), from the formulas in PyTorch's documentation of RNN, GRU, LSTM.

    Its weights are cut out of ours, gate by gate; where it adds two biases, the second is zero.
    """
    gates, hidden = GATES[cell], p["state"].shape[0]
    W = np.split(np.asarray(p["inputs"]["kernel"]), gates, axis=1)
    U = np.split(np.asarray(p["state"]), gates, axis=1)
    b = np.split(np.asarray(p["inputs"]["bias"]), gates)
    h, c = np.zeros((2, len(x), hidden))
    states = np.zeros((len(x), x.shape[1], hidden))
    times = range(x.shape[1])
    for t in reversed(times) if backwards else times:
        given = [x[:, t] @ W[i] + b[i][None] for i in range(gates)]
        held = [h @ U[i] for i in range(gates)]
        if cell == "rnn":
            h = np.tanh(given[0] + held[0])
        elif cell == "irnn":
            h = np.maximum(given[0] + held[0], 0)
        elif cell == "gru":
            r = sigmoid(given[0] + held[0])
            z = sigmoid(given[1] + held[1])
            n = np.tanh(given[2] + r * (held[2] + np.asarray(p["reset_bias"])[None]))
            h = (1 - z) * n + z * h
        else:
            i, f = sigmoid(given[0] + held[0]), sigmoid(given[1] + held[1])
            g, o = np.tanh(given[2] + held[2]), sigmoid(given[3] + held[3])
            c = f * c + i * g
            h = o * np.tanh(c)
        states[:, t] = h
    return states


@pytest.fixture(scope="module")
def layer(perturbed):
    """layer(cell, backwards) -> the layer with no bias at zero, and its parameters."""

    def call(cell, backwards=False):
        made = Layer(
            cell, FEATURES, HIDDEN, backwards=backwards, dtype=jnp.float64, rngs=nnx.Rngs(params=0)
        )
        graph, state = nnx.split(made)
        params = perturbed(nnx.to_pure_dict(state))
        return nnx.merge(graph, nnx.State(jax.tree.map(jnp.asarray, params))), params

    return call


@pytest.fixture
def x():
    return np.random.default_rng(1).normal(size=(N, TIME, FEATURES))


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_layer_equals_a_loop(x64, quick, layer, x, cell, backwards):
    made, params = layer(cell, backwards)
    states = quick(made)(x)
    assert states.shape == (N, TIME, HIDDEN)
    np.testing.assert_allclose(states, loop(cell, params, x, backwards), rtol=0, atol=1e-13)


@pytest.mark.parametrize("cell", CELLS)
def test_backwards_is_forwards_on_the_reversed_sequence(x64, layer, x, cell):
    forwards, backwards = layer(cell)[0], layer(cell, backwards=True)[0]
    flipped = forwards(x[:, ::-1])[:, ::-1]
    np.testing.assert_allclose(backwards(x), flipped, rtol=0, atol=1e-14)


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_knows_the_past_only(x64, layer, x, cell):
    made, _ = layer(cell)
    other = x.copy()
    other[:, 4] += 1
    before, after = made(x), made(other)
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert (np.abs(before - after)[:, 4:].max(axis=(0, 2)) > 1e-4).all()


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_what_a_layer_starts_from(cell):
    made = Layer(cell, 200, 16, dtype=jnp.float32, rngs=nnx.Rngs(params=0))
    blocks = np.split(np.asarray(made.state[...]), GATES[cell], axis=1)
    for i, block in enumerate(blocks):  # uniform, up to 1/√hidden
        assert 0.24 < np.abs(block).max() <= 0.25
        assert stats.kstest(block.ravel(), stats.uniform(-0.25, 0.5).cdf).pvalue > 1e-9
        assert not any(np.allclose(block, other) for other in blocks[:i])
    kernel = np.asarray(made.inputs.kernel[...])
    assert kernel.shape == (200, GATES[cell] * 16)
    assert abs(np.var(kernel) * 200 - 1) < 6 * np.sqrt(2 / kernel.size)
    bias = np.zeros((GATES[cell], 16))
    if cell == "lstm":
        bias[1] = 1  # the forget gate's
    np.testing.assert_array_equal(made.inputs.bias[...], bias.ravel())
    if cell == "gru":
        assert not made.reset_bias[...].any()
    assert hasattr(made, "reset_bias") == (cell == "gru")


def test_an_irnn_starts_as_a_sum():
    made = Layer("irnn", 200, 16, dtype=jnp.float32, rngs=nnx.Rngs(params=0))
    np.testing.assert_array_equal(made.state[...], np.eye(16))
    kernel = np.asarray(made.inputs.kernel[...])
    assert kernel.shape == (200, 16)
    assert abs(kernel.std() / 0.001 - 1) < 6 / np.sqrt(2 * kernel.size)
    assert not made.inputs.bias[...].any()


def test_a_forget_bias_is_the_models_choice(build):
    for name, bias in (("lstm", 1), ("lstm_bias0", 0)):
        params, _ = build(name, (5,), width=4).init(jax.random.key(0))
        inputs = params["layers"][0][0]["inputs"]
        np.testing.assert_array_equal(inputs["bias"], bias * (np.arange(16) // 4 == 1))


def test_the_forget_gate_keeps_a_cell():
    # Nothing comes in, and the gates are closed by their biases: c fades by sigmoid(forget_bias).
    made = Layer("lstm", 1, 1, forget_bias=2.0, dtype=jnp.float32, rngs=nnx.Rngs(params=0))
    assert made.inputs.bias[...].tolist() == [0, 2, 0, 0]
    made.state[...] = jnp.zeros((1, 4))
    made.inputs.kernel[...] = jnp.array([[100.0, 0, 100, 0]])
    x = np.zeros((1, 4, 1), np.float32)
    x[0, 0] = 1  # writes c = 1
    c = sigmoid(2.0) ** np.arange(4)
    np.testing.assert_allclose(made(x)[0, :, 0], 0.5 * np.tanh(c), rtol=1e-5)


def read_out(params, states):
    return states @ np.asarray(params["readout"]["kernel"]) + np.asarray(params["readout"]["bias"])


def encoded(params, x):
    if x.dtype.kind == "i":
        return np.asarray(params["encoder"]["table"])[x]
    x = x if x.ndim == 3 else x[..., None]
    projection = params["encoder"]["projection"]
    return x @ np.asarray(projection["kernel"]) + np.asarray(projection["bias"])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((6,), "tokens"),
        ((6,), "signal"),
        ((6, 2), "signal"),
        ((5, 3), "image"),
        ((5, 3, 2), "image"),
    ],
)
def test_networks_equal_loops(x64, quick, build, drawn, inputs_of, cell, shape, kind):
    model = build(cell, shape, 8, kind=kind, width=4, depth=2, parameter_dtype="float64")
    (params, state), x = drawn(model), inputs_of(model, N)
    logits, after = quick(model.apply)(params, state, x)
    assert after == {}
    rows = x.reshape(N, 5, -1) if kind == "image" else x
    states = encoded(params, rows)
    assert states.shape == (N, shape[0], 64)
    for i in range(2):
        states = loop(cell, params["layers"][i][0], states)
    expected = read_out(params, states if kind == "tokens" else states[:, -1])
    assert logits.shape == ((N, 6, 8) if kind == "tokens" else (N, 8))
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-12)


def test_the_published_gru_reads_all_states_of_both_sides(x64, quick, build, drawn, inputs_of):
    model = build("gru_mnist1d", (9,), 4, parameter_dtype="float64")
    (params, _), x = drawn(model), inputs_of(model, N)
    assert "encoder" not in params  # samples go in as they are
    sides = params["layers"][0]
    assert sides[0]["state"].shape == sides[1]["state"].shape == (6, 18)
    assert params["readout"]["kernel"].shape == (9 * 2 * 6, 4)
    both = [loop("gru", sides[b], x[..., None], backwards=bool(b)) for b in (0, 1)]
    states = np.concatenate(both, axis=-1).reshape(N, -1)
    logits, _ = quick(model.apply)(params, {}, x)
    np.testing.assert_allclose(logits, read_out(params, states), rtol=0, atol=1e-12)


def test_a_deep_bidirectional_layer_sees_both_sides(x64, build):
    model = build("gru_mnist1d", (9,), 4, depth=2)
    params, _ = jax.eval_shape(model.init, jax.random.key(0))
    assert params["layers"][1][0]["inputs"]["kernel"].shape == (12, 18)


@pytest.mark.parametrize("cell", CELLS)
def test_a_language_model_knows_the_past_only(quick, build, drawn, inputs_of, cell):
    model = build(cell, (8,), 11, kind="tokens", width=6)
    params, state = drawn(model)
    apply, x = quick(model.apply), inputs_of(model, 2)
    other = x.copy()
    other[:, 5] = (other[:, 5] + 1) % 11
    before, after = apply(params, state, x)[0], apply(params, state, other)[0]
    assert before.shape == (2, 8, 11)
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert (np.abs(before - after)[:, 5:].max(axis=(0, 2)) > 1e-5).all()
