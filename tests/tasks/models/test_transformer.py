"""The transformer against a second writing, its symmetries, and the encoders it shares."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from minima.tasks.models import Settings
from minima.tasks.models.attention import attention
from minima.tasks.models.sequence import Encoder

N = 2


@pytest.fixture(scope="module")
def attend():
    """Attention, query by query and head by head."""

    def call(q, k, v, causal):
        result = np.zeros_like(q)
        for i, t, head in np.ndindex(q.shape[:3]):
            seen = slice(0, t + 1) if causal else slice(None)
            scores = k[i, seen, head] @ q[i, t, head] / np.sqrt(q.shape[-1])
            shares = np.exp(scores) / np.exp(scores).sum()
            result[i, t, head] = shares @ v[i, seen, head]
        return result

    return call


def mix(q, k, v, causal):
    """The model's attention for (n, length, heads, features), as `attend` has it."""
    turned = attention(*(x.transpose(0, 2, 3, 1) for x in (q, k, v)), causal)
    return jnp.transpose(turned, (0, 3, 1, 2))


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_a_softmax_over_what_may_be_seen(x64, attend, causal):
    q, k, v = np.random.default_rng(0).normal(size=(3, N, 7, 2, 16))
    mixed = mix(q, k, v, causal)
    np.testing.assert_allclose(mixed, attend(q, k, v, causal), rtol=0, atol=1e-14)
    theirs = jax.nn.dot_product_attention(q, k, v, is_causal=causal)  # in float32
    np.testing.assert_allclose(mixed, theirs, rtol=0, atol=1e-6)


def test_attention_with_huge_scores_picks_the_largest(x64):
    q, k, v = np.random.default_rng(0).normal(size=(3, N, 7, 2, 16))
    mixed = np.asarray(mix(q * 1e6, k, v, causal=False))
    best = np.einsum("nqhf,nkhf->nhqk", q, k).argmax(axis=-1)
    for i, t, head in np.ndindex(q.shape[:3]):
        np.testing.assert_allclose(mixed[i, t, head], v[i, best[i, head, t], head], atol=1e-12)


def normal(x, p):
    if p is None:
        return x
    centred = x - x.mean(axis=-1, keepdims=True)
    y = centred / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    return y * np.asarray(p["scale"]) + np.asarray(p["offset"])


def dense(x, p):
    return x @ np.asarray(p["kernel"]) + np.asarray(p["bias"])


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def in_numpy(params, vectors, attend, causal):
    """All that comes after the encoder, written a second time; vectors (n, length, width)."""
    x = vectors + np.asarray(params["positions"])[None] if "positions" in params else vectors
    for block in params["blocks"].values():
        norms = block.get("norms", [None, None])
        qkv = dense(normal(x, norms[0]), block["qkv"])
        heads = (*x.shape[:2], x.shape[2] // 16, 16)
        q, k, v = (part.reshape(heads) for part in np.split(qkv, 3, axis=-1))
        x = x + dense(attend(q, k, v, causal).reshape(x.shape), block["attended"])
        x = x + dense(gelu(dense(normal(x, norms[1]), block["wide"])), block["narrow"])
    x = normal(x, params.get("norm"))
    return dense(x if causal else x.mean(axis=1), params["readout"])


def patches(x):
    """Patches of 4×4, row by row, each row by row with channels last."""
    x = x if x.ndim == 4 else x[..., None]
    rows, columns = x.shape[1] // 4, x.shape[2] // 4
    cut = [
        x[:, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4].reshape(len(x), -1)
        for r in range(rows)
        for c in range(columns)
    ]
    return np.stack(cut, axis=1)


CASES = [
    ((6,), "tokens", {}),
    ((6,), "tokens", {"norm": "none", "positions": False, "depth": 1}),
    ((6,), "signal", {}),
    ((8, 12), "image", {}),
    ((9, 7, 3), "image", {"positions": False}),
]


@pytest.mark.parametrize(("shape", "kind", "fields"), CASES)
def test_logits_equal_those_of_a_second_writing(
    x64, quick, build, drawn, inputs_of, attend, shape, kind, fields
):
    fields = {"width": 32, "parameter_dtype": "float64"} | fields
    model = build("transformer", shape, 8, kind=kind, **fields)
    (params, _), x = drawn(model), inputs_of(model, N)
    logits, state = quick(model.apply)(params, {}, x)
    assert state == {}
    encoder = params["encoder"]
    if kind == "tokens":
        vectors = np.asarray(encoder["table"])[x]
    else:
        vectors = dense(x[..., None] if kind == "signal" else patches(x), encoder["projection"])
    expected = in_numpy(params, vectors, attend, causal=kind == "tokens")
    assert logits.shape == ((N, 6, 8) if kind == "tokens" else (N, 8))
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("at", [0, 3, 7])
def test_a_language_model_sees_the_past_only(quick, build, drawn, inputs_of, at):
    model = build("transformer", (8,), 11, kind="tokens", width=32)
    params, state = drawn(model)
    apply, x = quick(model.apply), inputs_of(model, N)
    other = x.copy()
    other[:, at] = (other[:, at] + 1) % 11
    before, after = apply(params, state, x)[0], apply(params, state, other)[0]
    np.testing.assert_array_equal(before[:, :at], after[:, :at])
    assert (np.abs(before - after)[:, at:].max(axis=(0, 2)) > 1e-5).all()


@pytest.mark.parametrize("positions", [False, True])
def test_a_classifier_sees_a_set_unless_it_knows_positions(
    x64, quick, build, drawn, inputs_of, positions
):
    fields = {"width": 16, "parameter_dtype": "float64"}
    model = build("transformer", (8,), 3, positions=positions, **fields)
    (params, state), x = drawn(model), inputs_of(model, N)
    assert ("positions" in params) == positions
    apply, order = quick(model.apply), np.array([3, 1, 7, 0, 2, 6, 5, 4])
    one, other = apply(params, state, x)[0], apply(params, state, x[:, order])[0]
    assert np.allclose(one, other, rtol=0, atol=1e-12) != positions
    assert (np.abs(one - other).max() > 1e-3) == positions


def test_what_blocks_start_from_depends_on_their_number(quick, build):
    model = build("transformer", (8,), 5, depth=8, width=64)
    params, _ = quick(model.init)(jax.random.key(0))
    for name, fan_in, shrink in (("qkv", 64, 1), ("attended", 64, 16), ("narrow", 256, 16)):
        values = np.stack([np.asarray(b[name]["kernel"]) for b in params["blocks"].values()])
        assert abs(np.var(values) * fan_in * shrink - 1) < 6 * np.sqrt(2 / values.size), name
    places = np.asarray(params["positions"])
    assert abs(np.std(places) / 0.02 - 1) < 6 / np.sqrt(2 * places.size)


def settings(shape, kind, **fields):
    common = {"num_classes": 5, "vocabulary": 0, "per_position": False, "width": 6, "depth": 1}
    common |= {"norm": "none", "positions": True, "parameter_dtype": "float64"}
    return Settings(input_shape=shape, kind=kind, **(common | fields))


def test_tokens_are_looked_up_and_the_gradient_is_a_count(x64):
    asked = settings((7,), "tokens", vocabulary=9)
    encoder = Encoder(asked, 6, patches=True, rngs=nnx.Rngs(params=0))
    table, x = np.asarray(encoder.table[...]), np.random.default_rng(0).integers(0, 9, (3, 7))
    assert table.shape == (9, 6)
    assert (encoder.length, encoder(x).dtype) == (7, np.float64)
    np.testing.assert_array_equal(encoder(x), table[x])
    np.testing.assert_array_equal(encoder(x.astype(np.uint8)), table[x])
    graph, state = nnx.split(encoder)
    gradient = jax.grad(lambda s: jnp.sum(nnx.merge(graph, s)(x)))(state)["table"][...]
    counts = np.bincount(x.ravel(), minlength=9)
    np.testing.assert_allclose(gradient, np.tile(counts[:, None], 6), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "kind", "cut", "length", "features"),
    [
        ((7,), "signal", True, 7, 1),
        ((8, 12), "image", True, 6, 16),
        ((9, 7, 3), "image", True, 2, 48),
        ((28, 28), "image", True, 49, 16),
        ((9, 7), "image", False, 9, 7),
        ((9, 7, 3), "image", False, 9, 21),
    ],
)
def test_signals_and_images_become_vectors(x64, shape, kind, cut, length, features):
    encoder = Encoder(settings(shape, kind), 6, patches=cut, rngs=nnx.Rngs(params=0))
    assert encoder.length == length
    kernel = np.asarray(encoder.projection.kernel[...])
    assert kernel.shape == (features, 6)
    x = np.random.default_rng(0).normal(size=(2, *shape))
    rows = patches(x) if kind == "image" and cut else x.reshape(2, length, -1)
    np.testing.assert_allclose(encoder(x), rows @ kernel, rtol=0, atol=1e-13)
