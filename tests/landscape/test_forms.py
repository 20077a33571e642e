"""Which measures are properties of the function, for every family; the attacker's report."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from landscape_cases import minimum

from minima.landscape import estimators, families, forms, gauges, norms, operators, sharpness
from minima.landscape.objective import Chunks

NORMS = {"cnn": "batch"}
INVARIANT = sorted(forms.INVARIANT.values())
# Kernels whose outputs are scaled, one by one, and kernels whose inputs are.
LAYERS = {
    "mlp": (lambda p: p["hidden"][0]["kernel"], lambda p: p["readout"]["kernel"]),
    "cnn": (None, lambda p: p["convolutions"][1]["kernel"]),
    "lstm": (
        lambda p: p["encoder"]["table"],
        lambda p: p["layers"][0][0]["inputs"]["kernel"],
    ),
    "transformer": (None, lambda p: p["blocks"][0]["wide"]["kernel"]),
}


def rescalings_of(family):
    objective, params, data = minimum(family)
    found = families.rescalings(params, NORMS.get(family, "none"))
    return objective, params, data, [r for r in found if r.exact]


# As in the library, with fewer steps and probes: what is invariant is so after any number of them.
LIGHT = {
    "relative_lambda_max": lambda o, p, d, k: estimators.largest_eigenvalues(
        relative(o, p, d), k, 6
    ).value[0],
    "relative_trace": lambda o, p, d, k: estimators.trace(relative(o, p, d), k, 2).value,
    "adaptive_sharpness": lambda o, p, d, _: sharpness.adaptive(o, p, d, 0.1, 4).value,
    "average_sharpness": lambda o, p, d, k: sharpness.average_case(o, p, d, k, 0.1, probes=2).value,
    "relative_box": lambda o, p, d, _: sharpness.relative_box(o, p, d, 1e-2, 4).value,
    "magnitude_aware_pac_bayes": lambda o, p, d, k: (
        norms.pac_bayes(o, p, d, k, magnitude_aware=True, probes=2).value
    ),
    "fisher_rao": lambda o, p, d, _: norms.fisher_rao(o, p, d),
}


def relative(objective, params, data):
    return operators.relative(operators.hessian(objective, params, data), ravel_pytree(params)[0])


@pytest.mark.slow
def test_invariant_measures_stay_under_rescalings(family):
    assert sorted(LIGHT) == INVARIANT
    objective, params, data, found = rescalings_of(family)
    few = Chunks(data.inputs[:, :16], data.labels[:, :16], 3 * data.weights[:, :16])

    @jax.jit
    def measured(keys):
        def at(key):
            moved = gauges.randomised(params, found, key)
            probes = jax.random.key(0)
            return jnp.stack([of(objective, moved, few, probes) for of in LIGHT.values()])

        return jax.lax.map(at, keys)

    draws = 1000 if family == "mlp" else 200
    values = measured(jax.random.split(jax.random.key(1), draws))
    apart = jnp.max(values, axis=0) / jnp.min(values, axis=0) - 1
    assert dict(zip(LIGHT, apart.tolist(), strict=True)) == dict.fromkeys(
        LIGHT, pytest.approx(0, abs=2e-3)
    )


@pytest.mark.slow
def test_the_attacker_turns_what_is_not_invariant_and_nothing_else(family):
    objective, params, data, found = rescalings_of(family)
    second = jax.tree.map(lambda p: 1.1 * p, params)
    plain = ("lambda_max", "trace", "keskar_sharpness")
    invariant = ("relative_lambda_max", "adaptive_sharpness", "fisher_rao")
    measures = {name: forms.MEASURES[name] for name in (*plain, *invariant)}
    report = forms.gauge_report(objective, params, second, data, found, measures=measures)
    assert report.rescalings == tuple(r.name for r in found)
    for name in invariant:
        row = report[name]
        assert row.invariant, row
        assert not row.flipped
        assert row.canonical == pytest.approx(row.raw, rel=2e-3)
    for name in plain:
        row = report[name]
        assert row.flipped, row
        assert row.highest > 100 * row.lowest
    lines = str(report).splitlines()
    assert len(lines) == len(measures) + 2
    assert lines[1].startswith("lambda_max ")
    assert lines[1].endswith("flipped")


@pytest.mark.parametrize("name", forms.MEASURES)
def test_which_measures_a_rescaling_of_relu_layers_moves(name):
    objective, params, data, found = rescalings_of("mlp")
    few = Chunks(data.inputs[:, :16], data.labels[:, :16], 3 * data.weights[:, :16])
    measure = jax.jit(lambda p: forms.MEASURES[name](objective, p, few, jax.random.key(0)))
    moved = gauges.randomised(params, found, jax.random.key(1))
    before, after = float(measure(params)), float(measure(moved))
    assert before > 0
    assert (after == pytest.approx(before, rel=1e-3)) == (name in INVARIANT)


def test_relative_flatness_forgets_factors_of_outputs_and_not_of_inputs(family):
    objective, params, data, found = rescalings_of(family)
    moved = gauges.randomised(params, found, jax.random.key(1))

    @functools.partial(jax.jit, static_argnums=1)
    def flatness(p, layer):
        key = jax.random.key(0)
        return norms.relative_flatness(objective, p, data, key, layer, probes=200).value

    outputs, inputs = LAYERS[family]
    if outputs is not None:
        assert flatness(moved, outputs) == pytest.approx(float(flatness(params, outputs)), rel=1e-3)
    assert flatness(moved, inputs) != pytest.approx(float(flatness(params, inputs)), rel=0.05)


SIZES = {
    "lambda_max": lambda o, p, d, _: norms.weight_norm(p) ** 2,
    "relative_lambda_max": lambda o, p, d, _: norms.fisher_rao(o, p, d),
    "mine": lambda o, p, d, _: norms.weight_norm(p["readout"]),
}


def test_forms_of_a_measure():
    objective, params, data, found = rescalings_of("mlp")
    named = forms.forms(objective, params, data, found, jax.random.key(0), SIZES)
    assert list(named) == ["lambda_max", "mine"]
    canonical = gauges.canonical(params, found)
    form = named["lambda_max"]
    assert float(form.raw) == pytest.approx(float(norms.weight_norm(params)) ** 2)
    assert float(form.canonical) == pytest.approx(float(norms.weight_norm(canonical)) ** 2)
    assert float(form.invariant) == pytest.approx(float(norms.fisher_rao(objective, params, data)))
    assert np.isnan(named["mine"].invariant)


def test_a_family_without_rescalings_says_so():
    objective, params, data, _ = rescalings_of("mlp")
    report = forms.gauge_report(objective, params, params, data, (), measures=SIZES)
    assert all(row.raw == row.canonical == row.lowest == row.highest == 1 for row in report.rows)
    assert not any(row.flipped for row in report.rows)
    assert str(report).count("no rescaling known") == len(SIZES)
    assert str(report).endswith("rescalings: none known")
