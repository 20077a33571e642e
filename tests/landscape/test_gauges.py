"""Functions that stay, measures that don't: rescalings of all families."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from landscape_cases import minimum

from minima.landscape import estimators, families, gauges, norms, operators, sharpness
from minima.landscape.gauges import Part, Rescaling

NORMS = {"cnn": "batch"}
KINDS = {"mlp": 1, "cnn": 6, "lstm": 1, "transformer": 5}


def rescalings_of(family, exact_only=True):
    objective, params, data = minimum(family)
    found = families.rescalings(params, NORMS.get(family, "none"))
    return objective, params, data, [r for r in found if r.exact or not exact_only]


def test_a_thousand_rescalings_move_no_logit(family):
    objective, params, data, found = rescalings_of(family)
    assert found
    inputs = data.inputs[0]
    expected = objective.apply(params, inputs)

    def moved(key):
        other = gauges.randomised(params, found, key, spread=0.5)
        return jnp.max(jnp.abs(objective.apply(other, inputs) - expected))

    apart = jax.jit(lambda keys: jax.lax.map(moved, keys))(
        jax.random.split(jax.random.key(0), 1000)
    )
    assert float(apart.max()) < 1e-5 * max(1, float(jnp.abs(expected).max()))


def test_every_family_has_the_kinds_it_should(family):
    *_, found = rescalings_of(family, exact_only=False)
    assert len(found) == KINDS[family]


def test_scales_before_batch_normalisation_are_forgotten_up_to_its_epsilon():
    objective, params, data, found = rescalings_of("cnn", exact_only=False)
    free = [r for r in found if not r.is_paired]
    assert len(free) == 3
    doubled = params
    for rescaling in free:
        doubled = gauges.rescale(doubled, rescaling, jnp.full(rescaling.size, np.log(2)))
    before, after = (objective.apply(p, data.inputs[0]) for p in (params, doubled))
    np.testing.assert_allclose(after, before, atol=1e-3)


def test_residual_networks_are_given_none():
    assert families.rescalings({"blocks": {}, "stem": {}}) == ()


def test_no_factor_passes_a_tanh():
    for family, kinds in (("mlp", 0), ("cnn", 3)):  # batch norm forgets scales all the same
        _, params, _ = minimum(family)
        found = families.rescalings(params, NORMS.get(family, "none"), "tanh")
        assert len(found) == kinds
        assert not any(rescaling.is_paired for rescaling in found)


def test_the_canonical_gauge_is_the_same_from_everywhere(family):
    objective, params, data, found = rescalings_of(family)
    canonical = jax.jit(lambda p: gauges.canonical(p, found))
    expected = canonical(params)
    other = canonical(gauges.randomised(params, found, jax.random.key(1)))
    for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4 * float(jnp.abs(a).max() + 1))
    assert float(norms.weight_norm(expected)) <= float(norms.weight_norm(params)) + 1e-5
    before, after = (objective.apply(p, data.inputs[0]) for p in (params, expected))
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_the_largest_eigenvalue_grows_as_the_square_of_the_factor():
    """Dinh et al. 2017: layers scaled by 1/α and α, for large α."""
    objective, params, data, found = rescalings_of("mlp")

    @jax.jit
    def top(log_alpha):
        scaled = gauges.rescale(params, found[0], jnp.full(found[0].size, -log_alpha))
        hessian = operators.hessian(objective, scaled, data)
        return estimators.largest_eigenvalues(hessian, jax.random.key(0), 40).value[0]

    ratio = top(jnp.log(100.0)) / top(jnp.log(50.0))
    assert float(ratio) == pytest.approx(4, rel=0.02)


def test_the_attacker_turns_plain_measures_and_no_invariant_one():
    objective, params, data, found = rescalings_of("mlp")
    second = jax.tree.map(lambda p: 1.2 * p, params)

    def plain(p):
        hessian = operators.hessian(objective, p, data)
        return estimators.trace(hessian, jax.random.key(0), probes=5).value

    def invariant(p):
        return sharpness.adaptive(objective, p, data, 0.1).value

    turned = jax.jit(lambda: gauges.attack(plain, params, second, found))()
    assert bool(turned.flipped)
    assert turned.highest / turned.lowest > 100
    stays = jax.jit(lambda: gauges.attack(invariant, params, second, found))()
    assert not bool(stays.flipped)
    np.testing.assert_allclose([stays.lowest, stays.highest], stays.before, rtol=2e-3)


def test_a_rescaling_of_a_missing_parameter_says_what_there_is():
    wrong = Rescaling("wrong", 1, (Part(("nowhere",), np.zeros(1, int), 1),))
    with pytest.raises(KeyError, match="no parameter at"):
        gauges.canonical({"here": jnp.ones(1)}, [wrong])
