"""`minima.measure` on somebody else's network: a plain pytree and a function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import minima
from minima.landscape.objective import cross_entropy


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
