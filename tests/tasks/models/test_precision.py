"""bfloat16 where matrices are multiplied, float32 where anything adds up."""

import dataclasses

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from minima.tasks.models import Noise, Training
from minima.tasks.models.layers import Dense
from minima.tasks.objectives import classification

N = 6
CASES = {
    "mlp": ((6, 6), {"width": 16, "depth": 2, "norm": "batch", "activation": "tanh"}),
    "mlp_residual": ((6, 6), {"width": 16, "norm": "layer", "activation": "tanh"}),
    "cnn": ((8, 8), {"width": 16, "norm": "group", "activation": "tanh"}),
    "resnet": ((6, 6), {"width": 8}),
    "gru": ((9,), {"width": 8, "kind": "tokens"}),
    "lstm": ((9,), {"width": 8, "depth": 2, "kind": "tokens"}),
    "transformer": ((9,), {"width": 32, "kind": "tokens"}),
    "cnn_causal": ((9,), {"width": 8, "depth": 2, "kind": "tokens"}),
    "gnn": ((3, 3), {"width": 8, "norm": "layer"}),
    "by chunks": ((9,), {"width": 32, "kind": "tokens", "attention_chunk": 4, "remat": True}),
}
# What adds up, or goes from a range into another where half precision has too few numbers.
SUMS = {"reduce_sum", "exp", "log", "rsqrt", "cumsum", "logistic", "reduce_max"}


@pytest.fixture(params=list(CASES))
def case(request, build, drawn, inputs_of):
    """A model in half precision, its variables, and a training loss of them."""
    shape, fields = CASES[request.param]
    name = "transformer" if request.param == "by chunks" else request.param
    model = build(name, shape, 5, compute_dtype="bfloat16", **fields)
    x = inputs_of(model, N)
    x = x if model.settings.kind == "tokens" else x.astype(np.float32)
    labels = np.arange(x.size if model.settings.per_position else N, dtype=np.int32) % 5
    labels = labels.reshape(x.shape if model.settings.per_position else N)
    noise = Noise(jax.random.split(jax.random.key(0), N), jnp.float32(0.1))

    def loss_of(model):
        def loss(params, state):
            logits, after = model.apply(params, state, x, Training(jnp.ones(N), noise))
            return classification(logits, labels, jnp.ones(N)).loss, (logits, after)

        return loss

    variables = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), drawn(model))
    return model, variables, loss_of


def operations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            yield from operations(inner)


def floats(equation):
    kinds = [v.aval.dtype for v in equation.invars if hasattr(v.aval, "dtype")]
    return {str(kind) for kind in kinds if jnp.issubdtype(kind, jnp.floating)}


def test_products_are_narrow_and_sums_are_wide(case):
    model, variables, loss_of = case
    gradient = jax.grad(loss_of(model), has_aux=True)
    every = [*operations(jax.make_jaxpr(gradient)(*variables).jaxpr)]
    seen = {}
    for equation in every:
        seen.setdefault(equation.primitive.name, set()).update(floats(equation))
    assert seen["dot_general"] == {"bfloat16"}
    assert {
        name: kinds for name, kinds in seen.items() if "bfloat16" in kinds and name in SUMS
    } == {}
    assert "float32" in seen["reduce_sum"] & seen["exp"] & seen["log"]


def test_what_goes_in_and_comes_out_is_float32(case):
    model, variables, loss_of = case
    found = jax.eval_shape(jax.grad(loss_of(model), has_aux=True), *variables)
    assert {leaf.dtype for leaf in jax.tree.leaves((variables, found))} == {jnp.dtype("float32")}
    assert jax.tree.structure(found[0]) == jax.tree.structure(variables[0])


def test_gradients_are_those_of_float32_within_the_rounding(case):
    """Of 2⁻⁹ in each of some tens of operations, where no ReLU or maximum tips over."""
    model, variables, loss_of = case
    if model.name in ("cnn", "resnet"):
        return
    plain = dataclasses.replace(
        model, settings=dataclasses.replace(model.settings, compute_dtype="")
    )
    found, expected = (
        jax.jit(jax.grad(loss_of(one), has_aux=True))(*variables) for one in (model, plain)
    )
    for a, b in zip(found, expected, strict=True):
        flat = [np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(x)]) for x in (a, b)]
        distance = np.linalg.norm(flat[0] - flat[1]) / np.linalg.norm(flat[1])
        assert 1e-4 < distance < 8 * 2**-8


def test_a_long_product_adds_up_in_float32():
    """In bfloat16 a sum of ones stops at 256; so would the gradient of a bias."""
    ones = jnp.ones((1, 4096), jnp.bfloat16)
    assert float((ones @ ones.T)[0, 0]) == 4096
    layer = Dense(1, 1, param_dtype=jnp.float32, dtype=jnp.bfloat16, rngs=nnx.Rngs(params=0))

    graph, state = nnx.split(layer)

    def total(state):
        return jnp.sum(
            nnx.merge(graph, state)(jnp.ones((4096, 1), jnp.bfloat16)), dtype=jnp.float32
        )

    assert float(jax.grad(total)(state)["bias"][...][0]) == 4096
