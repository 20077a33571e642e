"""Slices of a quadratic bowl, lengths of directions, barriers that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from landscape_cases import minimum

from minima.landscape import gauges, surfaces
from minima.landscape.families import rescalings
from minima.landscape.objective import Objective, chunks, cross_entropy, squared_error

ROOT = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
HESSIAN = ROOT.T @ ROOT / 7
BOWL = Objective(lambda params, x: x @ params["kernel"], squared_error)
DATA = chunks(ROOT, np.zeros((7, 2), np.float32), 3)
W = {"kernel": jnp.asarray(np.random.default_rng(1).normal(size=(4, 2)), jnp.float32)}


def loss(kernel):
    return 0.5 * np.sum(kernel * (HESSIAN @ kernel))


def test_every_filter_of_a_direction_is_as_long_as_its_weights(family):
    _, params, _ = minimum(family)
    direction = surfaces.random_direction(params, jax.random.key(0))
    kernels = 0
    for weights, step in zip(jax.tree.leaves(params), jax.tree.leaves(direction), strict=True):
        if weights.ndim < 2:
            assert not step.any()
            continue
        kernels += 1
        lengths = [
            np.linalg.norm(np.asarray(x).reshape(-1, x.shape[-1]), axis=0) for x in (weights, step)
        ]
        np.testing.assert_allclose(lengths[1], lengths[0], rtol=1e-5)
    assert kernels > 1


@pytest.mark.parametrize("normalised", ["layer", "model"])
def test_a_direction_as_long_as_layers_or_the_whole(normalised):
    _, params, _ = minimum("mlp")
    direction = surfaces.random_direction(params, jax.random.key(0), normalised)
    pairs = [
        (np.asarray(w), np.asarray(d))
        for w, d in zip(jax.tree.leaves(params), jax.tree.leaves(direction), strict=True)
        if w.ndim > 1
    ]
    lengths = np.array([[np.linalg.norm(x) for x in pair] for pair in pairs])
    if normalised == "layer":
        np.testing.assert_allclose(lengths[:, 1], lengths[:, 0], rtol=1e-5)
    else:
        whole = np.linalg.norm(lengths, axis=0)
        assert whole[1] == pytest.approx(whole[0], rel=1e-5)
        assert not np.allclose(lengths[:, 1], lengths[:, 0], rtol=1e-3)


def test_a_slice_of_a_bowl_is_a_parabola():
    direction = surfaces.random_direction(W, jax.random.key(1))
    positions = jnp.linspace(-1, 1, 5)
    found = jax.jit(surfaces.slice_along, static_argnums=0)(BOWL, W, direction, positions, DATA)
    kernels = [W["kernel"] + a * direction["kernel"] for a in positions]
    np.testing.assert_allclose(found.loss, [loss(np.asarray(k)) for k in kernels], rtol=1e-5)
    assert np.isnan(found.accuracy).all()  # targets are no classes


def test_a_surface_is_slices_side_by_side_in_one_compilation(counts_compilations):
    objective, params, data = minimum("mlp")
    keys = jax.random.split(jax.random.key(2), 2)
    directions = tuple(surfaces.random_direction(params, key) for key in keys)
    first, second = jnp.linspace(-1, 1, 3), jnp.linspace(-0.5, 1, 4)
    draw = jax.jit(lambda p: surfaces.surface(objective, p, directions, (first, second), data))
    with counts_compilations() as seen:
        found = jax.block_until_ready(draw(params))
    assert seen.count == 1
    assert found.loss.shape == found.accuracy.shape == (3, 4)
    for i, a in enumerate(first):
        moved = jax.tree.map(lambda w, d, a=a: w + a * d, params, directions[0])
        line = surfaces.slice_along(objective, moved, directions[1], second, data)
        np.testing.assert_allclose(found.loss[i], line.loss, rtol=1e-4)
        np.testing.assert_allclose(found.accuracy[i], line.accuracy, atol=1e-6)


def test_the_middle_of_a_slice_is_the_minimum(family):
    objective, params, data = minimum(family)
    direction = surfaces.random_direction(params, jax.random.key(3))
    found = surfaces.slice_along(objective, params, direction, jnp.zeros(1), data)
    assert float(found.loss[0]) == pytest.approx(float(objective.mean(params, data)), rel=1e-5)
    outputs = objective.apply(params, data.inputs[0])
    share = float(np.mean(np.argmax(np.asarray(outputs), axis=-1) == data.labels[0]))
    assert float(found.accuracy[0]) == pytest.approx(share, abs=1e-6)


def test_accuracy_of_tokens_is_a_mean_over_positions():
    objective = Objective(lambda params, x: x + params[None, None], cross_entropy)
    logits = np.zeros((2, 3, 4), np.float32)
    logits[:, :, 1] = 1
    labels = np.array([[1, 1, 0], [2, 1, 3]])
    found = surfaces.slice_along(
        objective, jnp.zeros(4), jnp.zeros(4), jnp.zeros(1), chunks(logits, labels, 2)
    )
    assert float(found.accuracy[0]) == pytest.approx(0.5)


def test_a_convex_loss_has_no_barrier_and_equal_ends_have_none():
    other = jax.tree.map(lambda w: -0.7 * w, W)
    found = surfaces.straight_path(BOWL, W, other, DATA, points=9)
    assert float(found.barrier) == 0
    np.testing.assert_allclose(found.loss[4], loss(0.15 * np.asarray(W["kernel"])), rtol=1e-4)
    objective, params, data = minimum("mlp")
    same = surfaces.straight_path(objective, params, params, data, points=5)
    assert float(same.barrier) == pytest.approx(0, abs=1e-6)
    assert float(same.error_barrier) == pytest.approx(0, abs=1e-6)


def test_the_barrier_of_a_double_well_is_its_hill_over_the_line_between_the_ends():
    # L(w) = (w² - 1)² / 2 + w / 10: the line from -1 to 1 rises by 0.2, the hill is 0.5 high.
    def apply(params, x):
        return x * (params[None] ** 2 - 1)

    well = Objective(apply, lambda out, label: squared_error(out, 0 * out) + label)
    data = chunks(np.ones((1, 1), np.float32), np.zeros(1, np.float32), 1)
    ends = (jnp.asarray([-1.0]), jnp.asarray([1.0]))
    found = surfaces.straight_path(well, *ends, data, points=11)
    assert float(found.barrier) == pytest.approx(0.5, rel=1e-5)
    uneven = (jnp.asarray([-1.0]), jnp.asarray([2.0]))
    found = surfaces.straight_path(well, *uneven, data, points=301)
    w = np.linspace(-1, 2, 301)
    above = (w**2 - 1) ** 2 / 2 - 4.5 * np.linspace(0, 1, 301)
    assert float(found.barrier) == pytest.approx(above.max(), rel=1e-4)


def test_slices_along_filter_normalised_directions_forget_the_gauge():
    """Li et al. 2018, section 4: what a rescaling does to weights, it does to the direction."""
    objective, params, data = minimum("mlp")
    (pair,) = rescalings(params)
    other = gauges.rescale(params, pair, jnp.full(pair.size, 1.5))
    positions = jnp.linspace(-1, 1, 5)
    # Of the kernels alone: biases stay, and a rescaling moves them too.
    found = []
    for p in (params, other):
        direction = surfaces.random_direction(p, jax.random.key(4))
        found.append(surfaces.slice_along(objective, p, direction, positions, data))
    np.testing.assert_allclose(found[1].loss, found[0].loss, rtol=1e-3)
    assert np.ptp(found[0].loss) > 0.1
