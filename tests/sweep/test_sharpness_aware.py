"""Sharpness-aware gradients against closed forms, optax's SAM and what they maximise."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from minima.sweep.optimizers import Hyper
from minima.sweep.sharpness_aware import ascent, gradient

RULES = ("sam", "asam")


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def hyper(rho, share=1.0):
    blank = dict.fromkeys(Hyper._fields, 0.0)
    return Hyper(**blank | {"rho": jnp.asarray(rho), "rho_share": jnp.asarray(share)})


def quadratic(n=6, seed=0):
    """½ wᵀA w, its matrix, and a point with both signs and a zero."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, n))
    matrix = jnp.asarray(root @ root.T)

    def loss(params):
        w = jnp.concatenate([params["a"], params["b"]])
        return w @ matrix @ w / 2, "aux"

    w = rng.normal(size=n)
    w[0] = 0
    return loss, matrix, {"a": jnp.asarray(w[:2]), "b": jnp.asarray(w[2:])}


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


@pytest.mark.parametrize("rho", [0.0, 0.05, 3.0])
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_closed_forms_on_a_quadratic(rho, share):
    loss, matrix, params = quadratic()
    w = flat(params)
    g, size = matrix @ w, np.abs(w) + 0.01
    steps = {
        "sam": rho * g / np.linalg.norm(g),
        "asam": rho * size**2 * g / np.linalg.norm(size * g),
    }
    for rule, step in steps.items():
        found, aux = gradient(rule, loss, params, hyper(rho, share))
        wanted = (1 - share) * g + share * (matrix @ (w + step))
        np.testing.assert_allclose(flat(found), wanted, rtol=1e-12, atol=1e-12)
        assert aux == "aux"


@pytest.mark.parametrize("rho", [0.05, 1.0])
def test_equals_the_sam_of_optax(rho):
    loss, _, params = quadratic()

    def plain(params, _):
        return jax.grad(loss, has_aux=True)(params)[0]

    climb = optax.chain(optax.contrib.normalize(), optax.sgd(rho))
    theirs = optax.contrib.sam(optax.sgd(0.1), climb, opaque_mode=True)
    change, _ = theirs.update(plain(params, 0), theirs.init(params), params, grad_fn=plain)
    ours, _ = gradient("sam", loss, params, hyper(rho))
    np.testing.assert_allclose(-0.1 * flat(ours), flat(change), rtol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_no_step_of_its_length_climbs_a_linear_loss_further(rule):
    """SAM's ball is |ε| <= ρ, ASAM's |ε / (|w| + η)| <= ρ."""
    loss, _, params = quadratic()
    slope = jax.grad(loss, has_aux=True)(params)[0]
    size = np.abs(flat(params)) + 0.01 if rule == "asam" else np.ones(6)
    step = flat(ascent(rule, params, slope, jnp.asarray(0.7)))
    assert np.linalg.norm(step / size) == pytest.approx(0.7, rel=1e-12)
    others = np.random.default_rng(1).normal(size=(10_000, 6))
    others = 0.7 * size * others / np.linalg.norm(others, axis=1, keepdims=True)
    assert (others @ flat(slope)).max() < step @ flat(slope)


def test_rescaled_layers_give_asam_the_same_climb_and_sam_another():
    """f(v, w) = g(v·w) is the same at (100 v, w / 100); η is nothing beside large weights."""

    def loss(params):
        return jnp.sum(jnp.sin(params["v"] * params["w"] / 1e6)), None

    rng = np.random.default_rng(0)
    here = {"v": jnp.asarray(rng.normal(size=5) + 3), "w": jnp.asarray(rng.normal(size=5) + 3)}
    here = jax.tree.map(lambda leaf: 1000 * leaf, here)
    there = {"v": 100 * here["v"], "w": here["w"] / 100}

    def climbed(rule, params):
        slope = jax.grad(loss, has_aux=True)(params)[0]
        step = ascent(rule, params, slope, jnp.asarray(0.5))
        return float(loss(jax.tree.map(jnp.add, params, step))[0] - loss(params)[0])

    assert climbed("asam", there) == pytest.approx(climbed("asam", here), rel=1e-2)
    assert climbed("sam", there) > 10 * climbed("sam", here)


@pytest.mark.parametrize("rule", RULES)
def test_a_gradient_of_zero_climbs_nowhere(rule):
    params = {"a": jnp.zeros(2), "b": jnp.zeros(4)}
    found, _ = gradient(rule, quadratic()[0], params, hyper(0.05))
    np.testing.assert_array_equal(flat(found), 0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_steps_have_their_length_though_squares_leave_float32(rule, size):
    params = {"a": jnp.ones(3, jnp.float32)}
    slope = {"a": size * jnp.array([3.0, 0.0, 4.0], jnp.float32)}
    step = flat(ascent(rule, params, slope, jnp.float32(0.5)))
    factor = 1.01 if rule == "asam" else 1.0
    np.testing.assert_allclose(step, factor * np.array([0.3, 0, 0.4]), rtol=1e-6)


def test_a_small_share_is_a_penalty_on_the_gradients_norm():
    """Zhao et al. 2022: up to O(ρ), (1 - a) ∇L(w) + a ∇L(w + ρ g/|g|) = ∇(L + a ρ |∇L|)."""

    def loss(params):
        return jnp.sum(jnp.tanh(params) ** 2 * jnp.arange(1.0, 5.0)), None

    def plain(params):
        return jax.grad(loss, has_aux=True)(params)[0]

    params = jnp.array([0.3, -0.7, 1.1, 0.2])
    of_norm = jax.grad(lambda p: jnp.linalg.norm(plain(p)))(params)
    rho, share = 1e-5, 0.8
    found, _ = gradient("sam", loss, params, hyper(rho, share))
    np.testing.assert_allclose((found - plain(params)) / (share * rho), of_norm, rtol=1e-4)


def test_forward_mode_goes_through():
    loss, _, params = quadratic()
    ones = jax.tree.map(jnp.ones_like, params)
    _, tangent = jax.jvp(lambda p: gradient("asam", loss, p, hyper(0.1))[0], (params,), (ones,))
    assert np.isfinite(flat(tangent)).all()
