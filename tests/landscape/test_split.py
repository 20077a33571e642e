"""Norm, confidence, shape: planted causes come back whole, and the parts add up."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from landscape_cases import minimum

from minima.landscape import estimators, families, gauges, operators, split
from minima.landscape.objective import Objective, chunks, cross_entropy

NORMS = {"cnn": "batch"}
KINDS = (split.matched_loss, split.calibrated)


def sharpness(objective, params, data):
    """Trace and largest eigenvalue, (2,)."""
    hessian = operators.hessian(objective, params, data)
    top = estimators.largest_eigenvalues(hessian, jax.random.key(0), steps=15).value[0]
    return jnp.stack([estimators.trace(hessian, jax.random.key(0), probes=8).value, top])


def rescalings_of(family):
    _, params, _ = minimum(family)
    return [r for r in families.rescalings(params, NORMS.get(family, "none")) if r.exact]


@functools.cache
def splitter(family):
    """(first, second, factors) -> their split, compiled once."""
    objective, _, data = minimum(family)
    found = rescalings_of(family)
    return jax.jit(
        lambda first, second, factors: split.split(
            sharpness, objective, first, second, data, found, factors
        )
    )


@functools.cache
def factors_of(family, kind):
    objective, _, data = minimum(family)
    return jax.jit(lambda first, second: kind(objective, first, second, data))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_pure_rescaling_is_norm_alone(family, kind):
    _, params, _ = minimum(family)
    other = gauges.randomised(params, rescalings_of(family), jax.random.key(1))
    found = splitter(family)(other, params, factors_of(family, kind)(other, params))
    whole = np.asarray(found.log_ratio)
    assert (np.abs(whole) > 0.1).all()
    for parts in (found.confidence_first, found.norm_first):
        bound = 5e-3 * np.abs(whole).max()
        np.testing.assert_allclose(parts.norm, whole, atol=bound)
        np.testing.assert_allclose(parts.confidence, [0, 0], atol=bound)
        np.testing.assert_allclose(parts.shape, [0, 0], atol=bound)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pure_logit_scale_is_confidence_alone(family, kind):
    _, params, _ = minimum(family)
    other = split.scale_readout(params, jnp.asarray(0.25))
    factors = factors_of(family, kind)(other, params)
    assert factors[0] / factors[1] == pytest.approx(4, rel=1e-3)
    found = splitter(family)(other, params, factors)
    whole = np.asarray(found.log_ratio)
    assert (np.abs(whole) > 0.02).any()  # the CNN's λmax happens to stay
    np.testing.assert_allclose(found.confidence_first.confidence, whole, atol=5e-3)
    np.testing.assert_allclose(found.confidence_first.norm, [0, 0], atol=5e-3)
    np.testing.assert_allclose(found.confidence_first.shape, [0, 0], atol=5e-3)


def test_logits_scaled_behind_the_network_are_confidence_too():
    objective, params, data = minimum("mlp")
    # The same weights, the outputs of the first multiplied: a leaf of its own says by how much.
    louder = Objective(lambda p, x: p["by"] * objective.apply(p["net"], x), cross_entropy)
    first, second = ({"net": params, "by": jnp.asarray(by)} for by in (2.0, 1.0))

    def of_net(whole, p, data):
        fixed = jax.lax.stop_gradient(p["by"])
        inner = Objective(lambda net, x: whole.apply({"net": net, "by": fixed}, x), cross_entropy)
        return sharpness(inner, p["net"], data)

    @jax.jit
    def run():
        factors = split.matched_loss(louder, first, second, data)
        return split.split(of_net, louder, first, second, data, (), factors, readout=None)

    found = run()
    assert (np.abs(found.log_ratio) > 0.02).all()
    for parts in (found.confidence_first, found.norm_first):
        np.testing.assert_allclose(parts.confidence, found.log_ratio, atol=1e-3)


def test_parts_add_up_and_shape_forgets_every_rescaling():
    _, params, _ = minimum("mlp")
    noise = gauges.randomised(params, rescalings_of("mlp"), jax.random.key(3))
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    moved = [x + 0.2 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    other = jax.tree.unflatten(structure, moved)

    def run(first, second):
        factors = factors_of("mlp", split.matched_loss)(first, second)
        return jax.tree.map(lambda x: x[0], splitter("mlp")(first, second, factors))

    found, rescaled = run(other, params), run(other, noise)
    for one in (found, rescaled):
        for parts in (one.confidence_first, one.norm_first, one.mean):
            assert float(sum(parts)) == pytest.approx(float(one.log_ratio), abs=1e-5)
    shape = float(found.confidence_first.shape)
    assert abs(shape) > 0.01
    assert float(rescaled.confidence_first.shape) == pytest.approx(shape, abs=2e-3)
    assert abs(float(rescaled.log_ratio - found.log_ratio)) > 0.1
    difference = found.confidence_first.norm - found.norm_first.norm
    assert float(found.interaction) == float(difference)
    assert str(found).count("×") == 2
    swapped = run(params, other)
    np.testing.assert_allclose(
        swapped.confidence_first, [-x for x in found.confidence_first], atol=1e-5
    )


def logistic(factor):
    """Two outcomes, logits ±a/2 · factor for all, a share q of them right."""
    q, a = 0.8, 0.5
    logits = np.tile(np.array([[a / 2, -a / 2]], np.float32), (10, 1))
    labels = np.where(np.arange(10) < 10 * q, 0, 1)
    objective = Objective(lambda params, x: params * x, cross_entropy)
    return objective, jnp.asarray(factor, jnp.float32), chunks(logits, labels, 4), np.log(4) / a


@pytest.mark.parametrize("factor", [0.5, 1.0, 20.0])
def test_the_temperature_of_a_coin_is_known(factor):
    """The best logit difference is log q / (1 - q): T = a · factor / log 4."""
    objective, params, data, best = logistic(factor)
    found = split.temperature(objective, params, data)
    assert float(found) == pytest.approx(factor / best, rel=1e-4)


def test_what_fits_its_data_has_no_temperature_and_is_matched_by_its_loss():
    objective, params, data, _ = logistic(1.0)
    data = data._replace(labels=0 * data.labels)
    assert np.isnan(split.temperature(objective, params, data))
    surer = 3 * params
    factors = split.matched_loss(objective, params, surer, data)
    np.testing.assert_allclose(factors, [1, 1 / 3], rtol=1e-4)
    assert np.isnan(split.calibrated(objective, params, surer, data)).all()


def test_matched_losses_are_equal():
    objective, params, data = minimum("mlp")
    other = jax.tree.map(lambda p: 1.3 * p, params)
    factors = split.matched_loss(objective, params, other, data)
    pairs = zip((params, other), factors, strict=True)
    losses = [split.loss_of_scale(objective, p, data)(factor) for p, factor in pairs]
    assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-5)
    assert float(factors.max()) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("times", [0.95, 1.1])
def test_a_minimum_is_brought_to_a_loss_from_above_and_below(times):
    objective, params, data = minimum("mlp")
    level = times * objective.mean(params, data)
    scaled = split.scale_to_loss(objective, params, data, level)
    assert float(objective.mean(scaled, data)) == pytest.approx(float(level), rel=1e-4)
    assert np.isnan(split.factor_for_loss(objective, params, data, 100.0))


def test_over_the_best_temperature_the_factor_is_the_one_on_the_way_down():
    objective, params, data, best = logistic(1.0)
    loss = split.loss_of_scale(objective, params, data)
    level = loss(jnp.asarray(1.5 * best))
    found = split.factor_for_loss(objective, 1.5 * best * params, data, level)
    assert float(1.5 * best * found) < best
    assert float(loss(1.5 * best * found)) == pytest.approx(float(level), rel=1e-5)
    assert np.isnan(split.factor_for_loss(objective, params, data, 0.4))  # the best is 0.5 nats


def test_a_loss_above_that_of_equal_logits_can_not_be_matched():
    objective, params, data, _ = logistic(1.0)
    wrong = -10 * params
    assert np.isnan(split.matched_loss(objective, wrong, params, data)).all()


def test_a_network_without_that_readout_is_told():
    with pytest.raises(KeyError, match="no parameters below"):
        split.scale_readout({"head": jnp.ones(3)}, jnp.asarray(2.0))
