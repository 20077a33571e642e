"""Rises of a quadratic bowl, where every one of them is known; failures that say so."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minima.landscape import keskar, norms, sharpness
from minima.landscape.objective import Objective, chunks, regrouped, squared_error
from minima.landscape.sharpness import Ball

N = 7
ROOT = np.random.default_rng(0).normal(size=(N, 5)).astype(np.float32)
HESSIAN = ROOT.T @ ROOT / N  # of the mean of half squares of ROOT w
BOWL = Objective(lambda params, x: x @ params[:, None], squared_error)


def bowl(size=100):
    return chunks(ROOT, np.zeros((N, 1), np.float32), size)


W = jnp.asarray([0.5, -1.0, 2.0, 0.1, -0.3])


def loss(w):
    return 0.5 * w @ HESSIAN @ w


def test_one_step_up():
    gradient = HESSIAN @ W
    expected = loss(W + 0.1 * gradient / np.linalg.norm(gradient)) - loss(W)
    found = sharpness.ascent(BOWL, W, bowl(), 0.1)
    assert found.value == pytest.approx(float(expected), rel=1e-4)
    assert bool(found.converged)


@pytest.mark.parametrize("size", [100, 2])
def test_the_worst_case_at_the_bottom_is_the_largest_eigenvalue(size):
    # Not quite at the bottom, where there is no slope to follow.
    near = jnp.full(5, 1e-4)
    scale = jnp.asarray([1.0, 0.5, 2.0, 1.0, 1.0])
    ball = Ball(scale, jnp.asarray(0.3), euclidean=True)
    found = sharpness.worst_case(BOWL, near, bowl(size), ball, steps=100)
    scaled = np.diag(scale) @ HESSIAN @ np.diag(scale)
    expected = 0.5 * 0.3**2 * np.linalg.eigvalsh(scaled).max()
    assert found.value == pytest.approx(expected, rel=0.01)


def test_the_worst_case_in_a_box_is_at_a_corner():
    ball = Ball(jnp.ones(5), jnp.asarray(0.3), euclidean=False)
    corners = np.array(np.meshgrid(*[[-0.3, 0.3]] * 5)).reshape(5, -1).T
    expected = max(float(loss(W + corner) - loss(W)) for corner in corners)
    found = sharpness.worst_case(BOWL, W, bowl(), ball)
    assert found.value == pytest.approx(expected, rel=1e-4)


def test_keskars_number_published_and_proper():
    epsilon = 1e-2
    box = epsilon * (np.abs(np.asarray(W)) + 1)
    corners = np.array(np.meshgrid(*[[-b, b] for b in box])).reshape(5, -1).T
    highest = max(float(loss(W + corner)) for corner in corners)
    expected = 100 * (highest - float(loss(W))) / (1 + float(loss(W)))
    proper = sharpness.keskar_box(BOWL, W, bowl(), epsilon)
    assert proper.value == pytest.approx(expected, rel=1e-3)
    ten_steps = keskar.published(BOWL, W, bowl(), epsilon)
    assert ten_steps.value == pytest.approx(expected, rel=1e-3)
    assert ten_steps.sample_size == N


def test_a_maximiser_that_finds_no_rise_says_so():
    flat = Objective(lambda params, x: 0 * x @ params[:, None], squared_error)
    ball = Ball(jnp.ones(5), jnp.asarray(0.3), euclidean=True)
    for found in (
        sharpness.worst_case(flat, W, bowl(), ball),
        sharpness.ascent(flat, W, bowl(), 0.1),
        keskar.published(flat, W, bowl()),
    ):
        assert not bool(found.converged)


def test_more_steps_never_find_less():
    values = [
        float(sharpness.adaptive(BOWL, W, bowl(), 0.5, steps=steps).value) for steps in (1, 3, 9)
    ]
    assert values == sorted(values)


@pytest.mark.parametrize("adaptive", [True, False])
def test_the_average_case_is_the_trace(adaptive):
    scale = np.abs(np.asarray(W)) if adaptive else np.ones(5)
    expected = 0.5 * 0.1**2 * np.trace(np.diag(scale) @ HESSIAN @ np.diag(scale))
    found = sharpness.average_case(
        BOWL, jnp.asarray(W), bowl(), jax.random.key(0), 0.1, adaptive=adaptive, probes=4000
    )
    assert abs(float(found.value) - expected) <= 4 * float(found.standard_error)
    assert float(found.standard_error) < 0.2 * expected


def test_m_sharpness_is_the_mean_of_the_chunks_own():
    each = [
        float(sharpness.ascent(BOWL, W, chunks(ROOT[i : i + 1], np.zeros((1, 1)), 1), 0.1).value)
        for i in range(N)
    ]
    found = sharpness.chunkwise_ascent(BOWL, W, bowl(1), 0.1)
    assert found.value == pytest.approx(np.mean(each), rel=1e-4)
    whole = sharpness.ascent(BOWL, W, bowl(), 0.1)
    assert found.value > whole.value
    # Cut anew, with a chunk of padding alone at the end.
    data = regrouped(chunks(ROOT, np.zeros((N, 1), np.float32), 4), 1)
    assert data.weights.shape == (8, 1)
    again = sharpness.chunkwise_ascent(BOWL, W, data, 0.1)
    assert again.value == pytest.approx(float(found.value), rel=1e-5)
    assert int(again.probes) == N
    assert float(again.standard_error) == pytest.approx(np.std(each, ddof=1) / N**0.5, rel=1e-3)
    assert np.isnan(sharpness.chunkwise_ascent(BOWL, W, bowl(), 0.1).standard_error)


def relu_network(params, x):
    return jnp.maximum(x @ params["first"], 0) @ params["second"]


def relu_case(alpha=1.0):
    rng = np.random.default_rng(1)
    params = {
        "first": jnp.asarray(alpha * rng.normal(size=(4, 6)), jnp.float32),
        "second": jnp.asarray(rng.normal(size=(6, 2)) / alpha, jnp.float32),
    }
    targets = rng.normal(size=(20, 2)).astype(np.float32)
    return params, chunks(rng.normal(size=(20, 4)).astype(np.float32), targets, 8)


RELU = Objective(relu_network, squared_error)
INVARIANT = {
    "adaptive": lambda p, d: sharpness.adaptive(RELU, p, d, 0.1).value,
    "average": lambda p, d: sharpness.average_case(RELU, p, d, jax.random.key(0), 0.1).value,
    "fisher_rao": lambda p, d: norms.fisher_rao(RELU, p, d),
    "pac_bayes": lambda p, d: (
        norms.pac_bayes(RELU, p, d, jax.random.key(0), magnitude_aware=True).value
    ),
    "relative_flatness": lambda p, d: (
        norms.relative_flatness(RELU, p, d, jax.random.key(0), lambda q: q["first"]).value
    ),
}


@pytest.mark.parametrize("name", INVARIANT)
def test_rescaling_relu_layers_changes_no_invariant_measure(name):
    before, after = INVARIANT[name](*relu_case()), INVARIANT[name](*relu_case(4.0))
    assert float(after) == pytest.approx(float(before), rel=1e-3)


def test_rescaling_relu_layers_changes_the_plain_ones():
    params, data = relu_case()
    ball = Ball(jnp.ones(36), jnp.asarray(0.1), euclidean=True)
    before = sharpness.worst_case(RELU, params, data, ball).value
    after = sharpness.worst_case(RELU, relu_case(100.0)[0], data, ball).value
    assert after > 10 * before


def test_relative_flatness_against_the_dense_hessian():
    """κ = Σ_st (Wᵀ W)_st Σ_i H_(i,s),(i,t) for a kernel of shape (inputs i, neurons s)."""
    params, data = relu_case()
    kernel = np.asarray(params["first"], np.float64)

    def of_first(first):
        return RELU.mean(params | {"first": first}, data)

    full = np.asarray(jax.hessian(of_first)(params["first"]), np.float64)
    expected = np.einsum("st,isit->", kernel.T @ kernel, full)
    found = norms.relative_flatness(
        RELU, params, data, jax.random.key(0), lambda p: p["first"], probes=2000
    )
    assert abs(float(found.value) - expected) <= 4 * float(found.standard_error)
    assert float(found.standard_error) < 0.1 * abs(expected)


def test_pac_bayes_of_a_bowl():
    """Noise σ raises the mean by σ² tr H / 2."""
    found = norms.pac_bayes(BOWL, jnp.zeros(5), bowl(), jax.random.key(0), probes=2000)
    assert found.value == pytest.approx(np.trace(HESSIAN) / 0.2, rel=0.1)
    assert bool(found.converged)
    flat = Objective(lambda params, x: 0 * x @ params[:, None], squared_error)
    assert not bool(norms.pac_bayes(flat, W, bowl(), jax.random.key(0)).converged)


def test_margins():
    logits = jnp.asarray([[1.0, 3.0, 0.0], [2.0, 0.0, 5.0]])
    np.testing.assert_allclose(norms.margins(logits, jnp.asarray([1, 0])), [2.0, -3.0])
