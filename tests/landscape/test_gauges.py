"""Functions that stay, measures that don't: rescalings of all families."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from landscape_cases import minimum, network

from minima.landscape import estimators, families, gauges, norms, operators
from minima.landscape.gauges import Part, Rescaling
from minima.landscape.precision import arithmetic, cast
from minima.tasks.models.layers import Training
from minima.tasks.models.mlp import MLP
from minima.tasks.models.settings import Settings

NORMS = {"cnn": "batch"}
KINDS = {"mlp": 1, "cnn": 6, "lstm": 1, "transformer": 6}


def rescalings_of(family, exact_only=True):
    objective, params, data = minimum(family)
    found = families.rescalings(params, NORMS.get(family, "none"))
    return objective, params, data, [r for r in found if r.exact or not exact_only]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])
def test_a_thousand_rescalings_move_no_logit(family, dtype, tolerance):
    _, params, data, found = rescalings_of(family)
    assert found
    with arithmetic(dtype):
        apply = network(family, dtype)[0]
        params, inputs = cast((params, data.inputs[0]), dtype)
        expected = apply(params, inputs)
        assert expected.dtype == dtype

        def moved(key):
            other = gauges.randomised(params, found, key, spread=0.5)
            return jnp.max(jnp.abs(apply(other, inputs) - expected))

        apart = jax.jit(lambda keys: jax.lax.map(moved, keys))(
            jax.random.split(jax.random.key(0), 1000)
        )
        assert float(apart.max()) < tolerance * max(1, float(jnp.abs(expected).max()))


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


def test_the_scale_of_a_residual_stream_is_forgotten_up_to_epsilon():
    objective, params, data, found = rescalings_of("transformer", exact_only=False)
    (stream,) = [r for r in found if not r.is_paired]
    doubled = gauges.rescale(params, stream, jnp.full(1, np.log(2)))
    before, after = (objective.apply(p, data.inputs[0]) for p in (params, doubled))
    np.testing.assert_allclose(after, before, atol=1e-3)
    readers = {"readout", "qkv", "wide", "norms", "norm"}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        moved = jax.tree_util.tree_leaves_with_path(doubled)
        other = {gauges.keys_of(p): x for p, x in moved}[gauges.keys_of(path)]
        factor = 1 if readers & set(gauges.keys_of(path)) else 2
        np.testing.assert_allclose(other, factor * leaf, rtol=1e-6)


@pytest.mark.parametrize(("norm", "size"), [("layer", 1), ("group", 8), ("batch", 32)])
def test_norms_forget_the_scale_of_what_they_look_at_together(norm, size):
    settings = Settings(
        input_shape=(6,),
        kind="signal",
        num_classes=3,
        vocabulary=0,
        per_position=False,
        width=32,
        depth=1,
        norm=norm,
        positions=False,
        parameter_dtype="float32",
    )
    graphdef, params, rest = nnx.split(MLP(settings, rngs=nnx.Rngs(0)), nnx.Param, ...)
    params = nnx.to_pure_dict(params)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(12, 6)), jnp.float32)

    def apply(params):
        module = nnx.merge(graphdef, nnx.State(params), rest, copy=True)
        return module(x, Training(jnp.ones(len(x))))

    free = [r for r in families.rescalings(params, norm) if not r.is_paired]
    assert [r.size for r in free] == [size]
    moved = gauges.randomised(params, free, jax.random.key(0), spread=0.5)
    assert float(jnp.abs(moved["hidden"][0]["kernel"] - params["hidden"][0]["kernel"]).max()) > 0.1
    np.testing.assert_allclose(apply(moved), apply(params), atol=2e-3)
    canonical = gauges.canonical(params, free)
    for layer in canonical["hidden"].values():
        columns = jnp.sum(jnp.square(layer["kernel"]), axis=0) + jnp.square(layer["bias"])
        np.testing.assert_allclose(columns.reshape(size, -1).mean(1), 1, rtol=1e-4)


def test_networks_with_sums_and_saturation_in_the_way_are_given_none():
    assert families.rescalings({"blocks": {}, "stem": {}}) == ()
    _, params, _ = minimum("mlp")
    assert families.rescalings(params, residual=True) == ()
    assert families.rescalings(params, activation="tanh") == ()


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


def test_what_failed_to_be_measured_turns_no_ordering():
    params = {"w": jnp.asarray([2.0]), "v": jnp.asarray([3.0])}
    second = jax.tree.map(lambda p: 2 * p, params)
    zero = np.zeros(1, int)
    pair = Rescaling("pair", 1, (Part(("w",), zero, 1), Part(("v",), zero, -1)))

    def broken(p):  # a maximiser that finds nothing at weights it does not know
        known = jnp.abs(jnp.log(p["w"] / p["v"] * 1.5)) < 0.1
        both = jnp.stack([p["w"], p["w"] * p["v"]])[:, 0]
        return jnp.where(known[0], both, jnp.asarray([0.0, -1.0]))

    found = gauges.attack(broken, params, second, [pair])
    np.testing.assert_allclose(found.lowest, found.before)
    np.testing.assert_allclose(found.highest, found.before)
    assert not found.flipped.any()
    whole = gauges.attack(
        lambda p: jnp.stack([p["w"], p["w"] * p["v"]])[:, 0], params, second, [pair]
    )
    assert whole.flipped.tolist() == [True, False]
    np.testing.assert_allclose(whole.highest[0] / whole.before[0], np.exp(8), rtol=1e-4)


def test_where_a_normalisation_adds_epsilon_weights_only_grow():
    params = {"w": jnp.asarray([0.5])}
    free = Rescaling("free", 1, (Part(("w",), np.zeros(1, int), 1),), exact=False)
    found = gauges.attack(lambda p: p["w"][0], params, params, [free])
    np.testing.assert_allclose([found.lowest, found.highest], [np.exp(-4), np.exp(4)], rtol=1e-4)
    seen = []
    gauges.attack(
        lambda p: jax.debug.callback(seen.append, p["w"][0]) or p["w"][0], params, params, [free]
    )
    jax.effects_barrier()
    assert min(map(float, seen)) == pytest.approx(0.5)


def test_a_rescaling_of_a_missing_parameter_says_what_there_is():
    wrong = Rescaling("wrong", 1, (Part(("nowhere",), np.zeros(1, int), 1),))
    with pytest.raises(KeyError, match="no parameter at"):
        gauges.canonical({"here": jnp.ones(1)}, [wrong])
