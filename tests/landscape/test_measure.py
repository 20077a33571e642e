"""`minima.measure` on somebody else's network: a plain pytree and a function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import minima
from minima.landscape import keskar
from minima.landscape.full_panel import full_panel
from minima.landscape.norms import mean_margin
from minima.landscape.objective import Objective, chunks, cross_entropy, squared_error


def apply(params, x):
    (first, bias), second = params
    return jnp.tanh(x @ first + bias[None]) @ second


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    first, bias, second = (rng.normal(size=s).astype(np.float32) for s in ((4, 5), (5,), (5, 3)))
    data = rng.normal(size=(60, 4)).astype(np.float32), rng.integers(0, 3, 60)
    return ((first, bias), second), data


@pytest.fixture(scope="module")
def measured(case):
    return minima.measure(apply, *case, chunk=16)


@pytest.mark.slow
def test_it_agrees_with_the_dense_hessian(case, measured):
    params, (inputs, labels) = case
    flat, unravel = jax.flatten_util.ravel_pytree(params)

    def loss(vector):
        return jnp.mean(cross_entropy(apply(unravel(vector), inputs), jnp.asarray(labels)))

    eigenvalues = np.linalg.eigvalsh(np.asarray(jax.hessian(loss)(flat), np.float64))
    assert measured.loss.value == pytest.approx(float(loss(flat)), rel=1e-5)
    assert measured.lambda_max.value == pytest.approx(eigenvalues.max(), rel=1e-3)
    assert measured.lambda_max.converged
    low, high = measured.trace.interval(0.999)
    assert low <= eigenvalues.sum() <= high
    assert measured.weight_norm.value == pytest.approx(np.linalg.norm(flat), rel=1e-5)
    assert measured.trace.sample_size == 60
    assert measured.trace.probes == 30


def test_it_prints_a_line_for_each_number(measured):
    lines = str(measured).splitlines()
    assert len(lines) == len(list(measured)) + 1
    assert lines[0].startswith("loss ")
    assert lines[-1].split() == ["examples", "60"]
    assert any(line.startswith("lambda_max") and "residual" in line for line in lines)


def test_it_is_frozen_and_knows_what_it_holds(measured):
    with pytest.raises(AttributeError):
        measured.measured = {}
    with pytest.raises(TypeError):
        measured.measured["loss"] = None
    with pytest.raises(AttributeError, match="'flatness' was not measured; there are loss"):
        _ = measured.flatness


def test_the_same_seed_gives_the_same_numbers_and_another_others(case, measured):
    again = minima.measure(apply, *case, chunk=16)
    assert [str(again[n]) for n in again] == [str(measured[n]) for n in measured]
    other = minima.measure(apply, *case, chunk=16, seed=1)
    assert other.trace.value != measured.trace.value
    assert other.lambda_max.value == pytest.approx(measured.lambda_max.value, rel=1e-3)


def test_a_custom_vjp_is_refused(case):
    @jax.custom_vjp
    def hidden(x):
        return jnp.sin(x)

    hidden.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (jnp.cos(x) * g,))
    with pytest.raises(TypeError, match="forward-mode"):
        minima.measure(lambda p, x: hidden(x @ p), jnp.ones((4, 3)), case[1])


def test_in_float64_it_equals_closed_forms():
    """Softmax regression: loss, gradient, trace and largest eigenvalue to 1e-10."""
    rng = np.random.default_rng(1)
    w = rng.normal(size=(4, 3)).astype(np.float32)
    x, y = rng.normal(size=(50, 4)).astype(np.float32), rng.integers(0, 3, 50)
    found = minima.measure(lambda p, x: x @ p, w, (x, y), chunk=16, dtype="float64")
    X, W = x.astype(np.float64), w.astype(np.float64)
    p = np.exp(X @ W)
    p /= p.sum(1, keepdims=True)
    hessian = np.zeros((12, 12))
    for row, q in zip(X, p, strict=True):
        hessian += np.kron(np.outer(row, row), np.diag(q) - np.outer(q, q)) / 50
    gradient = X.T @ (p - np.eye(3)[y]) / 50
    noise = (
        sum(
            np.sum((np.outer(r, q - e) - gradient) ** 2)
            for r, q, e in zip(X, p, np.eye(3)[y], strict=True)
        )
        / 49
    )
    squared = np.sum(gradient**2) - noise / 50
    expected = {
        "loss": -np.mean(np.log(p[np.arange(50), y])),
        "gradient_norm": np.linalg.norm(gradient),
        "weight_norm": np.linalg.norm(W),
        "lambda_max": np.linalg.eigvalsh(hessian).max(),
        "trace": np.trace(hessian),  # the sketch sees all of twelve dimensions
        "squared_frobenius": np.sum(hessian**2),
        "noise_scale": noise / squared if squared > 0 else np.nan,
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, rel=1e-10, nan_ok=True), name
    coarse = minima.measure(lambda p, x: x @ p, w, (x, y), chunk=16)
    assert coarse.lambda_max.value == pytest.approx(found.lambda_max.value, rel=1e-5)
    assert coarse.lambda_max.value != found.lambda_max.value
    assert jnp.ones(1).dtype == jnp.float32  # afterwards all is as before


def test_keskars_number_in_float64_finds_a_rise_that_float32_does_not():
    """Around outputs of 1, losses of 1e-14: in float32 the outputs stay where they are."""
    objective = Objective(lambda p, x: 1 + x @ p[:, None], squared_error)
    rng = np.random.default_rng(2)
    x = (1e-4 * rng.normal(size=(20, 5))).astype(np.float32)
    data = chunks(x, np.ones((20, 1), np.float32), 8)
    params = np.full(5, 1e-3, np.float32)
    X, w = x.astype(np.float64), params.astype(np.float64)
    box = 1e-3 * (np.abs(w) + 1)
    corners = np.array(np.meshgrid(*[[-1, 1]] * 5)).reshape(5, -1).T * box

    def loss(v):
        return 0.5 * np.mean((X @ v) ** 2)

    expected = 100 * (max(loss(w + c) for c in corners) - loss(w)) / (1 + loss(w))
    fine = keskar.published(objective, params, data, dtype="float64")
    assert 0 < fine.value <= expected * (1 + 1e-6)
    assert fine.converged
    assert fine.value != pytest.approx(keskar.published(objective, params, data).value, rel=0.1)


def test_another_dtype_is_refused(case):
    with pytest.raises(ValueError, match="dtype='float16': choose float32 or float64"):
        minima.measure(apply, *case, dtype="float16")


@pytest.mark.slow
def test_the_full_panel_is_the_default_one_and_more(case, measured):
    params, (inputs, labels) = case
    found = minima.measure(apply, params, (inputs, labels), chunk=16, panel=full_panel)
    assert list(found)[: len(list(measured))] == list(measured)
    assert found.lambda_max.value == pytest.approx(measured.lambda_max.value, rel=1e-3)
    flat, unravel = jax.flatten_util.ravel_pytree(params)

    def loss(vector):
        return jnp.mean(cross_entropy(apply(unravel(vector), inputs), jnp.asarray(labels)))

    size = np.abs(np.asarray(flat, np.float64))
    relative = size[:, None] * np.asarray(jax.hessian(loss)(flat), np.float64) * size[None]
    top = np.linalg.eigvalsh(relative).max()
    assert found.relative_lambda_max.value == pytest.approx(top, rel=1e-3)
    low, high = found.relative_trace.interval(0.999)
    assert low <= np.trace(relative) <= high
    logits = np.array(apply(params, inputs))
    right = logits[np.arange(60), labels]
    logits[np.arange(60), labels] = -np.inf
    assert found.margin.value == pytest.approx(np.mean(right - logits.max(1)), rel=1e-4)
    assert found.m_sharpness.value > found.sam_sharpness.value
    assert found.m_sharpness.probes == 2  # 60 examples, 32 at a time
    assert 2 < found.bits_per_weight.value < 12


def test_the_margin_of_tokens_is_a_mean_over_positions():
    objective = Objective(lambda p, x: x + p[None, None], cross_entropy)
    logits = np.array([[[2.0, 0.0], [0.0, 1.0]], [[3.0, 0.0], [0.0, 5.0]]], np.float32)
    data = chunks(logits, np.array([[0, 0], [0, 1]]), 1)
    assert float(mean_margin(objective, jnp.zeros(2), data)) == pytest.approx((2 - 1 + 3 + 5) / 4)


@pytest.mark.slow
def test_a_full_panel_of_a_regression_has_no_margin():
    rng = np.random.default_rng(3)
    x, y = (rng.normal(size=(8, 2)).astype(np.float32) for _ in range(2))
    found = minima.measure(
        lambda p, x: x @ p, np.eye(2, dtype=np.float32), (x, y), squared_error, panel=full_panel
    )
    assert "margin" not in list(found)
    assert "relative_trace" in list(found)
