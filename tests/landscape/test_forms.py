"""Which measures are properties of the function, for every family; the attacker's report."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from landscape_cases import minimum

from minima.landscape import families, forms, gauges, norms

NORMS = {"cnn": "batch"}
INVARIANT = sorted(forms.INVARIANT.values())
# Kernels whose outputs are scaled, one by one, and kernels whose inputs are.
LAYERS = {
    "mlp": (lambda p: p["hidden"][0]["kernel"], lambda p: p["readout"]["kernel"]),
    "cnn": (None, lambda p: p["convolutions"][1]["kernel"]),
    "lstm": (
        lambda p: p["encoder"]["table"],
        lambda p: p["layers"][0]["forward"]["inputs"]["kernel"],
    ),
    "transformer": (None, lambda p: p["blocks"][0]["wide"]["kernel"]),
}


def rescalings_of(family):
    objective, params, data = minimum(family)
    found = families.rescalings(params, NORMS.get(family, "none"))
    return objective, params, data, [r for r in found if r.exact]


@functools.cache
def all_measures(family):
    """A compiled function from parameters to every measure, as an array."""
    objective, _, data, _ = rescalings_of(family)
    key = jax.random.key(0)
    return jax.jit(
        lambda p: jnp.stack([of(objective, p, data, key) for of in forms.MEASURES.values()])
    )


def test_invariant_measures_stay_and_the_others_move_by_orders_of_magnitude(family):
    _, params, _, found = rescalings_of(family)
    measured = dict(zip(forms.MEASURES, all_measures(family)(params), strict=True))
    seen = {name: [float(value)] for name, value in measured.items()}
    for number in range(8):
        moved = gauges.randomised(params, found, jax.random.key(number))
        for name, value in zip(forms.MEASURES, all_measures(family)(moved), strict=True):
            seen[name].append(float(value))
    for name in INVARIANT:
        np.testing.assert_allclose(seen[name], seen[name][0], rtol=1e-3, err_msg=name)
    for name in ("lambda_max", "trace", "keskar_sharpness"):
        assert max(seen[name]) > 2 * min(seen[name]), name


@pytest.mark.slow
def test_the_attacker_turns_what_is_not_invariant_and_nothing_else(family):
    objective, params, data, found = rescalings_of(family)
    second = jax.tree.map(lambda p: 1.1 * p, params)
    report = forms.gauge_report(objective, params, second, data, found)
    assert report.rescalings == tuple(r.name for r in found)
    for name in INVARIANT:
        row = report[name]
        assert row.invariant, row
        assert not row.flipped
        assert row.canonical == pytest.approx(row.raw, rel=2e-3)
    for name in ("lambda_max", "trace", "keskar_sharpness"):
        row = report[name]
        assert row.flipped, row
        assert row.highest > 100 * row.lowest
    assert not report["weight_norm"].invariant
    lines = str(report).splitlines()
    assert len(lines) == len(report.rows) + 2
    assert lines[1].startswith("lambda_max ")
    assert lines[1].endswith("flipped")


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
