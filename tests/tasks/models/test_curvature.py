"""Gradients and products with curvature of the sequence models, against plain definitions.

Models are written so that XLA runs them fast (rules for tangents, turned kernels, features before
positions); here they are written so that anybody can check them, and differentiated by JAX alone.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

N, LENGTH, SYMBOLS = 6, 12, 5  # rows enough for the kernels that are turned
CASES = {"rnn": {"width": 4}, "gru": {"width": 4}, "lstm": {"width": 4, "depth": 2}}
CASES |= {"transformer": {"width": 16, "depth": 2}}


def dense(p, x):
    return x @ p["kernel"] + p["bias"]


def rnn(p, h, given):
    return (jnp.tanh(given + h[0] @ p["state"]),)


def gru(p, h, given):
    r, z, n = jnp.split(given, 3, axis=-1)
    r_h, z_h, n_h = jnp.split(h[0] @ p["state"], 3, axis=-1)
    r, z = jax.nn.sigmoid(r + r_h), jax.nn.sigmoid(z + z_h)
    return ((1 - z) * jnp.tanh(n + r * (n_h + p["reset_bias"])) + z * h[0],)


def lstm(p, h, given):
    i, f, g, o = jnp.split(given + h[0] @ p["state"], 4, axis=-1)
    c = jax.nn.sigmoid(f) * h[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def recurrent(cell, params, x):
    for sides in params["layers"].values():
        p = sides[0]

        def step(carry, now, p=p):
            carry = cell(p, carry, dense(p["inputs"], now))
            return carry, carry[0]

        start = (jnp.zeros((N, p["state"].shape[0])),) * (2 if cell is lstm else 1)
        x = jnp.swapaxes(jax.lax.scan(step, start, jnp.swapaxes(x, 0, 1))[1], 0, 1)
    return x


def normal(p, x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / jnp.sqrt(x.var(axis=-1, keepdims=True) + 1e-5) * p["scale"] + p["offset"]


def attention(p, x):
    parts = jnp.split(dense(p["qkv"], x), 3, axis=-1)
    q, k, v = (part.reshape(*x.shape[:2], -1, 16) for part in parts)
    scores = jnp.einsum("nqhf,nkhf->nhqk", q, k) / 4
    scores = jnp.where(np.tri(x.shape[1], dtype=bool), scores, -jnp.inf)
    return jnp.einsum("nhqk,nkhf->nqhf", jax.nn.softmax(scores), v).reshape(x.shape)


def transformer(params, x):
    x = x + params["positions"]
    for block in params["blocks"].values():
        x = x + dense(block["attended"], attention(block, normal(block["norms"][0], x)))
        x = x + dense(
            block["narrow"], jax.nn.gelu(dense(block["wide"], normal(block["norms"][1], x)))
        )
    return normal(params["norm"], x)


PLAIN = {cell.__name__: functools.partial(recurrent, cell) for cell in (rnn, gru, lstm)}
PLAIN |= {"transformer": transformer}


@pytest.fixture(params=list(CASES))
def pair(x64, request, build, drawn, inputs_of):
    """Parameters, a direction, and logits(params) as the model has them and as written here."""
    name = request.param
    fields = {"kind": "tokens", "parameter_dtype": "float64"} | CASES[name]
    model = build(name, (LENGTH,), SYMBOLS, **fields)
    x, (params, _), (direction, _) = inputs_of(model, N), drawn(model, 0), drawn(model, 1)

    def ours(params):
        return model.apply(params, {}, x)[0]

    def plain(params):
        return dense(params["readout"], PLAIN[name](params, params["encoder"]["table"][x]))

    return params, direction, ours, plain


def loss_of(logits):
    labels = np.random.default_rng(5).integers(0, SYMBOLS, (N, LENGTH))
    return jnp.sum(optax.softmax_cross_entropy_with_integer_labels(logits, labels))


def gradient(logits, params, direction):
    return jax.grad(lambda p: loss_of(logits(p)))(params)


def hessian_product(logits, params, direction):
    return jax.jvp(lambda p: gradient(logits, p, None), (params,), (direction,))[1]


def hessian_product_in_reverse(logits, params, direction):
    def slope(p):
        return jax.jvp(lambda q: loss_of(logits(q)), (p,), (direction,))[1]

    return jax.grad(slope)(params)


def gauss_newton_product(logits, params, direction):
    at, moved = jax.jvp(logits, (params,), (direction,))
    curved = jax.jvp(jax.grad(loss_of), (at,), (moved,))[1]
    return jax.vjp(logits, params)[1](curved)[0]


def third_slope(logits, params, direction):
    def bent(p):
        return jax.jvp(lambda q: loss_of(logits(q)), (p,), (direction,))[1]

    return jax.jvp(lambda p: jax.jvp(bent, (p,), (direction,))[1], (params,), (direction,))


@pytest.mark.parametrize(
    "measure",
    [
        gradient,
        hessian_product,
        hessian_product_in_reverse,
        gauss_newton_product,
        third_slope,
    ],
)
def test_derivatives_equal_those_of_a_plain_writing(quick, pair, measure):
    params, direction, ours, plain = pair
    direction = jax.tree.map(lambda x: x / 10, direction)
    found = quick(functools.partial(measure, ours))(params, direction)
    with jax.numpy_rank_promotion("allow"):
        expected = quick(functools.partial(measure, plain))(params, direction)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert np.abs(b).max() > 1e-3
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)
