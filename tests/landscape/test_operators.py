"""Products against closed forms and against the dense matrices of JAX's own second derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from minima.landscape import operators
from minima.landscape.objective import Objective, chunks, cross_entropy, squared_error

KINDS = ("float32", "float64")
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


@pytest.fixture(params=KINDS)
def dtype(request):
    with jax.enable_x64(request.param == "float64"):
        yield request.param


def data(dtype, n=23, features=4, classes=3):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(n, features)).astype(dtype)
    return inputs, rng.integers(0, classes, n).astype(np.int32)


def agree(found, expected, dtype):
    scale = np.abs(expected).max()
    assert np.abs(np.asarray(found) - expected).max() <= TOLERANCE[dtype] * scale


def linear(params, x):
    return x @ params


def test_least_squares(dtype):
    """H = mean of x xᵀ for every output."""
    inputs, _ = data(dtype)
    targets = np.random.default_rng(1).normal(size=(len(inputs), 2)).astype(dtype)
    params = jnp.ones((4, 2), dtype)
    examples = chunks(inputs, targets, 7, dtype)
    found = operators.dense(operators.hessian(Objective(linear, squared_error), params, examples))
    expected = np.kron(inputs.T @ inputs / len(inputs), np.eye(2))
    agree(found, expected, dtype)


def softmax_hessian(inputs, params):
    """Mean of (x xᵀ) ⊗ (diag p - p pᵀ), in the order of a raveled (features, classes) matrix."""
    logits = inputs.astype(np.float64) @ np.asarray(params, np.float64)
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    inner = np.einsum("nc,cd->ncd", p, np.eye(p.shape[1])) - np.einsum("nc,nd->ncd", p, p)
    full = np.einsum("ni,nj,ncd->icjd", inputs, inputs, inner) / len(inputs)
    size = inputs.shape[1] * p.shape[1]
    return full.reshape(size, size)


@pytest.mark.parametrize("operator", ["hessian", "gauss_newton", "true_fisher"])
def test_softmax_regression(dtype, operator):
    inputs, labels = data(dtype)
    params = jnp.asarray(np.random.default_rng(2).normal(size=(4, 3)), dtype)
    examples = chunks(inputs, labels, 8, dtype)
    found = operators.dense(
        getattr(operators, operator)(Objective(linear, cross_entropy), params, examples)
    )
    agree(found, softmax_hessian(inputs, params), dtype)


def test_logistic_regression(dtype):
    """Two classes, one of them with logit zero: H = mean of p (1 - p) x xᵀ."""
    inputs, labels = data(dtype, classes=2)
    weights = jnp.asarray([0.3, -1.0, 0.5, 0.1], dtype)

    def apply(params, x):
        return jnp.stack([jnp.zeros(len(x), dtype), x @ params], axis=1)

    examples = chunks(inputs, labels, 100, dtype)
    found = operators.dense(operators.hessian(Objective(apply, cross_entropy), weights, examples))
    p = 1 / (1 + np.exp(-(inputs.astype(np.float64) @ np.asarray(weights, np.float64))))
    agree(found, (inputs.T * (p * (1 - p))) @ inputs / len(inputs), dtype)


def network(params, x):
    hidden = jnp.tanh(x @ params["first"] + params["bias"][None])
    return hidden @ params["second"]


def network_case(dtype):
    rng = np.random.default_rng(3)
    shapes = {"first": (4, 6), "bias": (6,), "second": (6, 3)}
    params = {k: jnp.asarray(rng.normal(size=s), dtype) for k, s in shapes.items()}
    return params, *data(dtype)


def test_a_network_against_jaxs_own_second_derivative(dtype):
    params, inputs, labels = network_case(dtype)
    flat, unravel = ravel_pytree(params)

    def loss(vector):
        return jnp.mean(cross_entropy(network(unravel(vector), inputs), labels))

    objective, examples = Objective(network, cross_entropy), chunks(inputs, labels, 5, dtype)
    expected = np.asarray(jax.jacfwd(jax.jacrev(loss))(flat))
    agree(operators.dense(operators.hessian(objective, params, examples)), expected, dtype)
    np.testing.assert_allclose(objective.mean(params, examples), loss(flat), rtol=TOLERANCE[dtype])
    agree(ravel_pytree(objective.gradient(params, examples))[0], jax.grad(loss)(flat), dtype)


def test_fishers_and_gauss_newton_against_jacobians(dtype):
    params, inputs, labels = network_case(dtype)
    flat, unravel = ravel_pytree(params)
    objective, examples = Objective(network, cross_entropy), chunks(inputs, labels, 5, dtype)

    jacobian = np.asarray(jax.jacrev(lambda v: network(unravel(v), inputs))(flat))
    p = np.asarray(jax.nn.softmax(network(params, inputs)))
    inner = np.einsum("nc,cd->ncd", p, np.eye(3)) - np.einsum("nc,nd->ncd", p, p)
    expected = np.einsum("nci,ncd,ndj->ij", jacobian, inner, jacobian) / len(inputs)
    for operator in (operators.gauss_newton, operators.true_fisher):
        agree(operators.dense(operator(objective, params, examples)), expected, dtype)

    slopes = jax.jacrev(lambda v: cross_entropy(network(unravel(v), inputs), labels))(flat)
    expected = np.asarray(slopes).T @ np.asarray(slopes) / len(inputs)
    found = operators.dense(operators.empirical_fisher(objective, params, examples))
    agree(found, expected, dtype)


def test_a_preconditioned_matrix_has_the_eigenvalues_of_the_product(dtype):
    params, inputs, labels = network_case(dtype)
    hessian = operators.hessian(
        Objective(network, cross_entropy), params, chunks(inputs, labels, 50, dtype)
    )
    scale = jnp.linspace(0.5, 2, hessian.dimension, dtype=dtype)
    found = np.linalg.eigvalsh(operators.dense(operators.preconditioned(hessian, scale)))
    product = np.diag(1 / np.asarray(scale)) @ np.asarray(operators.dense(hessian))
    agree(found, np.sort(np.linalg.eigvals(product).real), dtype)


def test_curvature_relative_to_weights(dtype):
    params, inputs, labels = network_case(dtype)
    hessian = operators.hessian(
        Objective(network, cross_entropy), params, chunks(inputs, labels, 9, dtype)
    )
    flat = ravel_pytree(params)[0]
    size = np.diag(np.abs(np.asarray(flat)))
    expected = size @ np.asarray(operators.dense(hessian)) @ size
    agree(operators.dense(operators.relative(hessian, flat)), expected, dtype)


def test_chunks_change_no_number_and_padding_counts_for_nothing(dtype):
    params, inputs, labels = network_case(dtype)
    objective = Objective(network, cross_entropy)
    whole = operators.dense(operators.hessian(objective, params, chunks(inputs, labels, 99, dtype)))
    for size in (1, 2, 9, 22, 23):
        cut = chunks(inputs, labels, size, dtype)
        assert cut.size >= len(inputs)
        agree(operators.dense(operators.hessian(objective, params, cut)), whole, dtype)


def test_a_sequences_loss_is_the_mean_over_its_tokens():
    rng = np.random.default_rng(4)
    logits, labels = rng.normal(size=(5, 7, 3)).astype(np.float32), rng.integers(0, 3, (5, 7))
    found = cross_entropy(jnp.asarray(logits), jnp.asarray(labels))
    each = cross_entropy(jnp.asarray(logits.reshape(35, 3)), jnp.asarray(labels.reshape(35)))
    np.testing.assert_allclose(found, np.asarray(each).reshape(5, 7).mean(1), rtol=1e-6)


def test_as_many_labels_as_inputs():
    with pytest.raises(ValueError, match="3 inputs and 2 labels"):
        chunks(np.zeros((3, 1)), np.zeros(2), 10)
    with pytest.raises(ValueError, match="0 inputs and 0 labels"):
        chunks(np.zeros((0, 1)), np.zeros(0), 10)


@pytest.mark.parametrize("kind", ["hessian", "gauss_newton", "preconditioned"])
@pytest.mark.parametrize("chunk", [7, 100])
def test_the_quadratic_form_is_the_vector_times_the_product(dtype, kind, chunk):
    inputs, labels = data(dtype)
    rng = np.random.default_rng(3)
    params = [jnp.asarray(rng.normal(size=size), dtype) for size in ((4, 5), (5, 3))]

    def apply(params, x):
        return jnp.tanh(x @ params[0]) @ params[1]

    of = (Objective(apply, cross_entropy), params, chunks(inputs, labels, chunk, dtype))
    operator = operators.gauss_newton(*of) if kind == "gauss_newton" else operators.hessian(*of)
    if kind == "preconditioned":
        operator = operators.preconditioned(operator, jnp.linspace(0.1, 2, 35, dtype=dtype))
    vector = jnp.asarray(rng.normal(size=35), dtype)
    agree(operator.quadratic(vector), float(vector @ operator(vector)), dtype)
