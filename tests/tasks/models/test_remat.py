"""Blocks that are computed again: the same numbers, less memory, a bounded amount of arithmetic."""

import dataclasses

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
import pytest

from minima.tasks.models import Noise, Training

N = 3
CASES = {
    "mlp": ((4, 4), {"width": 8, "depth": 3, "norm": "batch"}),
    "mlp_residual": ((4, 4), {"width": 8, "depth": 3, "norm": "layer"}),
    "vgg": ((8, 8), {"width": 8, "depth": 2, "norm": "ghost"}),
    "cnn": ((8, 8), {"width": 8}),
    "resnet": ((4, 4), {"width": 4, "depth": 3}),
    "cnn1d": ((12,), {"width": 4, "norm": "group"}),
    "lstm": ((6,), {"width": 4, "depth": 3, "kind": "tokens"}),
    "gru_mnist1d": ((6,), {"width": 4, "depth": 2}),
    "cnn_causal": ((6,), {"width": 4, "depth": 3, "kind": "tokens"}),
    "gnn": ((3, 3), {"width": 4, "depth": 3}),
    "transformer": ((6,), {"width": 16, "depth": 3, "kind": "tokens"}),
}


def both(model):
    settings = dataclasses.replace(model.settings, remat=True)
    return model, dataclasses.replace(model, settings=settings)


def loss_of(model, state, x, training):
    def loss(params):
        logits, after = model.apply(params, state, x, training)
        return jnp.sum(jnp.sin(logits)), after

    return loss


def noise(dropout):
    return Noise(jax.random.split(jax.random.key(0), N), jnp.asarray(dropout, jnp.float64))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_gradients_statistics_and_curvature_are_the_same(x64, build, drawn, inputs_of, name):
    """Also with dropout, whose masks go by the layer's number."""
    shape, fields = CASES[name]
    plain, again = both(build(name, shape, 5, parameter_dtype="float64", **fields))
    (params, state), (direction, _), x = drawn(plain, 0), drawn(plain, 1), inputs_of(plain, N)
    training = Training(jnp.array([1.0, 1.0, 0.0]), noise(0.2))

    def asked(model):
        loss = loss_of(model, state, x, training)

        def everything(params, direction):
            (value, after), slope = jax.value_and_grad(loss, has_aux=True)(params)
            slopes = jax.grad(loss, has_aux=True)
            curved = jax.jvp(lambda p: slopes(p)[0], (params,), (direction,))[1]
            return value, after, slope, curved

        return jax.jit(everything)(params, direction)

    found, expected = asked(again), asked(plain)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for mine, theirs in zip(found, expected, strict=True):
        # Against the largest of a gradient: that of a bias before a batch norm is round-off alone.
        most = max((float(np.abs(leaf).max()) for leaf in jax.tree.leaves(theirs)), default=0)
        for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-10 * max(1, most))
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(expected[3])) > 1e-3


def compiled(model):
    params, state = jax.eval_shape(model.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((4, *model.settings.input_shape), jnp.int32)

    def loss(params, x):
        return loss_of(model, state, x, Training(jnp.ones(4)))(params)[0]

    return jax.make_jaxpr(jax.grad(loss))(params, x), jax.jit(jax.grad(loss)).lower(params, x)


@pytest.mark.slow
def test_a_deep_transformer_needs_less_memory_and_at_most_a_third_more_arithmetic(build):
    model = build("transformer", (64,), 5, kind="tokens", width=32, depth=6)
    (plain, lowered), (again, lowered_again) = map(compiled, both(model))
    memory = [
        one.compile().memory_analysis().temp_size_in_bytes for one in (lowered, lowered_again)
    ]
    assert memory[1] < 0.4 * memory[0]
    ratio = products(again.jaxpr) / products(plain.jaxpr)
    assert 1.2 < ratio <= 4 / 3


def products(jaxpr):
    """Multiply-adds of all matrix products, those of a scan as often as it steps."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            contracted = equation.params["dimension_numbers"][0][0]
            shape = equation.invars[0].aval.shape
            depth = np.prod([shape[axis] for axis in contracted])
            total += np.prod(equation.outvars[0].aval.shape) * depth
        times = equation.params.get("length", 1)
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            total += times * products(inner)
    return total
