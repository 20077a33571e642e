"""Sizes, initialisers and faces of the models; the feed-forward ones in a second writing."""

import functools
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import stats

from minima.tasks.models import ARCHITECTURES, Noise, Training, architecture
from minima.tasks.models.mlp import MLP

# Inputs small enough to be quick; at default widths.
SMALL = {
    "linear": (30,),
    "mlp": (7, 5),
    "mlp_residual": (9,),
    "cnn": (9, 8, 2),
    "cnn_small": (5, 6),
    "vgg": (9, 8),
    "resnet": (7, 8, 2),
    "cnn1d": (12,),
    "rnn": (5, 4),
    "gru": (6,),
    "lstm": (6,),
    "gru_mnist1d": (5,),
    "transformer": (6,),
    "irnn": (6,),
    "lstm_bias0": (6,),
    "gnn": (5, 3),
}
NAMES = list(SMALL)
FEED_FORWARD = NAMES[:8]
RECURRENT = ("rnn", "irnn", "gru", "lstm", "lstm_bias0", "gru_mnist1d")
KINDS = {"lstm": "tokens", "transformer": "tokens", "gnn": "graph"}


@pytest.fixture(scope="module")
def small(build):
    """small(name, …) -> the model for SMALL inputs and 10 classes."""

    def call(name, **fields):
        return build(
            name, SMALL[name], **({"kind": KINDS[name]} if name in KINDS else {}), **fields
        )

    return call


def dense(a, b):
    return a * b + b


def cnn_count(pooled, colours, channels, width, classes, depth=1, norm=False):
    sizes = [colours, *[c for c in channels for _ in range(depth)]]
    convolutions = sum(dense(9 * a, b) + 2 * b * norm for a, b in pairwise(sizes))
    return (
        convolutions + dense(pooled * sizes[-1], width) + 2 * width * norm + dense(width, classes)
    )


def resnet_count(colours, width, depth, classes, norm=True):
    total, channels = dense(9 * colours, width) + 2 * width * norm, width
    for stage in range(3):
        for block in range(depth):
            wanted = width * 2**stage
            total += dense(9 * channels, wanted) + dense(9 * wanted, wanted) + 4 * wanted * norm
            total += channels * wanted if stage and not block else 0  # the shortcut has no bias
            channels = wanted
    return total + dense(channels, classes)


def recurrent_count(gates, features, hidden, classes, symbols, depth=1, cell_extra=0):
    """Table or projection; each layer's W, U and b (and the GRU's second bias); read-out."""
    sizes = [features] + [hidden] * (depth - 1)
    layers = sum(gates * (dense(f, hidden) + hidden**2) + cell_extra for f in sizes)
    return symbols * features + layers + dense(hidden, classes)


def transformer_count(width, depth, length, classes, encoder, norm=True, positions=True):
    block = dense(width, 3 * width) + dense(width, width)
    block += dense(width, 4 * width) + dense(4 * width, width) + 4 * width * norm
    places = length * width * positions
    return encoder + places + depth * block + 2 * width * norm + dense(width, classes)


def gnn_count(features, width, depth, classes):
    return dense(features, width) + depth * 3 * dense(width, width) + dense(width, classes)


TEXT = {"kind": "tokens"}


@pytest.mark.parametrize(
    ("name", "shape", "classes", "fields", "count"),
    [
        ("linear", (28, 28), 10, {}, 7_850),
        ("linear", (5, 4, 3), 2, {}, dense(60, 2)),
        ("mlp", (28, 28), 10, {}, 101_770),
        ("mlp", (40,), 3, {}, dense(40, 128) + dense(128, 3)),
        ("mlp", (5, 4, 3), 2, {}, dense(60, 128) + dense(128, 2)),
        ("mlp", (5,), 2, {"depth": 3, "width": 7}, dense(5, 7) + 2 * dense(7, 7) + dense(7, 2)),
        ("mlp", (5,), 2, {"norm": "batch", "width": 7}, dense(5, 7) + 14 + dense(7, 2)),
        ("mlp_residual", (40,), 10, {}, 15_210),
        ("mlp_residual", (40,), 10, {}, dense(40, 100) + dense(100, 100) + dense(100, 10)),
        ("cnn", (28, 28), 10, {}, 105_866),
        ("cnn", (28, 28), 10, {}, cnn_count(7 * 7, 1, (16, 32), 64, 10)),
        ("cnn", (31, 29, 3), 5, {}, cnn_count(7 * 7, 3, (16, 32), 64, 5)),
        ("cnn", (8, 8), 5, {"norm": "layer"}, cnn_count(4, 1, (16, 32), 64, 5, norm=True)),
        ("cnn_small", (14, 14), 10, {}, 6_218),
        ("cnn_small", (14, 14), 10, {}, cnn_count(3 * 3, 1, (8, 16), 32, 10)),
        ("vgg", (28, 28), 10, {}, cnn_count(3 * 3, 1, (16, 32, 64), 128, 10, depth=2)),
        ("vgg", (32, 32, 3), 10, {"depth": 3}, cnn_count(16, 3, (16, 32, 64), 128, 10, depth=3)),
        ("resnet", (28, 28), 10, {}, resnet_count(1, 16, 1, 10)),
        # He et al. 2016: 0.27 million in ResNet-20; theirs has shortcuts without parameters.
        ("resnet", (32, 32, 3), 10, {"depth": 3}, resnet_count(3, 16, 3, 10)),
        ("resnet", (9, 9), 4, {"norm": "none", "width": 8}, resnet_count(1, 8, 1, 4, norm=False)),
        ("cnn1d", (40,), 10, {}, 5_210),
        ("cnn1d", (40,), 10, {}, dense(5, 25) + 2 * dense(75, 25) + dense(5 * 25, 10)),
        ("cnn1d", (39,), 3, {"norm": "group"}, 150 + 3_800 + 150 + dense(5 * 25, 3)),
        # Greydanus & Kobak's GRU has 5,134: two biases for every gate, we have the second for n.
        ("gru_mnist1d", (40,), 10, {}, 5_134 - 2 * 2 * 6),
        ("rnn", (64,), 63, TEXT, recurrent_count(1, 64, 128, 63, 63)),
        ("gru", (64,), 63, TEXT, recurrent_count(3, 64, 128, 63, 63, cell_extra=128)),
        ("lstm", (64,), 63, TEXT, recurrent_count(4, 64, 128, 63, 63)),
        (
            "lstm",
            (64,),
            63,
            TEXT | {"depth": 2},
            recurrent_count(4, 64, 128, 63, 63, depth=1) + 4 * (dense(128, 128) + 128**2),
        ),
        ("lstm", (28, 28), 10, {}, recurrent_count(4, 64, 128, 10, 0) + dense(28, 64)),
        ("transformer", (64,), 63, TEXT, transformer_count(64, 2, 64, 63, 63 * 64)),
        ("transformer", (28, 28), 10, {}, transformer_count(64, 2, 49, 10, dense(16, 64))),
        ("gnn", (64, 5), 4, {"kind": "graph"}, gnn_count(5, 32, 2, 4)),
        ("gnn", (8, 9, 3), 4, {"width": 8, "depth": 3}, gnn_count(3, 8, 3, 4)),
        (
            "transformer",
            (40,),
            10,
            {"positions": False, "norm": "none", "width": 32, "depth": 1},
            transformer_count(32, 1, 40, 10, dense(1, 32), norm=False, positions=False),
        ),
    ],
)
def test_parameters_are_as_many_as_the_architecture_says(
    build, name, shape, classes, fields, count
):
    assert build(name, shape, classes, **fields).count_parameters() == count


@pytest.fixture(scope="module")
def draws(small, flat):
    """draws(name) -> parameters and state for 64 keys: flat, in float32, keys on the first axis."""

    @functools.cache
    def call(name):
        with jax.enable_x64(False):
            keys = jax.random.split(jax.random.key(5), 64)
            params, state = jax.jit(jax.vmap(small(name).init))(keys)
            return {k: np.asarray(v) for k, v in flat(params).items()}, flat(state)

    return call


def variance(name, path, fan_in):
    """What a weight starts from, with mean 0."""
    if path in ("encoder.table", "positions"):
        return 1 if path == "encoder.table" else 0.02**2
    if path.endswith("state"):
        return 1 / 3 / fan_in  # uniform
    if name == "irnn" and path.endswith("inputs.kernel"):
        return 1e-6
    if path.startswith("readout") or name in RECURRENT:
        return 1 / fan_in
    if name == "gnn":
        return 1 / fan_in / (2 if "update" in path else 1)
    if name == "transformer":
        out = "attended" in path or "narrow" in path
        return 1 / fan_in / (2 * architecture(name).depth if out else 1)
    return 2 / fan_in


@pytest.mark.parametrize("name", NAMES)
def test_initialisers_have_the_variance_they_should(draws, name):
    # A sample variance of n draws strays by sigma² · sqrt(2 / n) if normal, and by less if the
    # tails are cut; a mean by sigma / sqrt(n). Six of those are allowed.
    for path, values in draws(name)[0].items():
        if path.endswith("inputs.bias") and name == "lstm":
            np.testing.assert_array_equal(
                values, np.repeat([0, 1, 0, 0], 128)[None] * np.ones((64, 1))
            )
            continue
        if path.endswith(("bias", "offset")):
            assert not values.any()
            continue
        if name == "irnn" and path.endswith("state"):
            assert (values == np.eye(128)[None]).all()
            continue
        if path.endswith("scale"):  # a residual block's last starts at zero
            silent = name == "resnet" and path.endswith("norms.1.scale")
            np.testing.assert_array_equal(values, 0 if silent else 1)
            continue
        expected = variance(name, path, values.shape[-2])
        assert abs(np.var(values) / expected - 1) < 6 * np.sqrt(2 / values.size), path
        assert abs(np.mean(values)) < 6 * np.sqrt(expected / values.size), path
        assert 6 * np.sqrt(2 / values.size) < 0.3, "too few to tell 1/fan_in from 2/fan_in"


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_is_drawn_on_its_own(draws, name):
    kinds = ("kernel", "table", "positions", "state")
    if name == "irnn":  # whose state begins as the identity
        kinds = kinds[:-1]
    weights = [v for path, v in draws(name)[0].items() if path.endswith(kinds)]
    for values in weights:
        assert (
            len(np.unique(values)) > 0.7 * values.size
        )  # float32 has twins, the more so if uniform
    for a, b in pairwise(weights):  # nor are two layers alike
        n = min(a[0].size, b[0].size)
        pair = [x.reshape(64, -1)[:, :n].ravel() for x in (a, b)]
        assert abs(np.corrcoef(pair)[0, 1]) < 6 / np.sqrt(64 * n)


def test_one_key_gives_one_set_of_parameters(draws, small, flat):
    # A model made apart: nothing hangs on the object or on what ran before.
    key = jax.random.split(jax.random.key(5), 64)[0]
    params, state = jax.jit(small("cnn_small").init)(key)
    for path, value in flat(params).items():
        np.testing.assert_array_equal(value, draws("cnn_small")[0][path][0])
    assert state == {}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("norm", ["none", "layer", "group", "batch", "ghost"])
def test_variables_are_plain_nested_dicts_of_arrays(small, name, norm):
    if norm not in architecture(name).norms:
        return
    model = small(name, norm=norm)
    params, state = jax.eval_shape(model.init, jax.random.key(0))

    def size(node):
        if type(node) is dict:
            return sum(map(size, node.values()))
        assert type(node) is jax.ShapeDtypeStruct
        assert node.dtype == np.float32
        return int(np.prod(node.shape))

    assert size(params) == model.count_parameters()
    assert (size(state) > 0) == (norm in ("batch", "ghost"))


def test_no_norm_leaves_the_last_kernel_of_a_residual_block_at_zero(small, flat):
    params = jax.jit(small("resnet", norm="none").init)(jax.random.key(0))[0]
    for path, value in flat(params).items():
        if path.endswith("kernel"):
            assert np.any(value) != path.endswith("second.kernel"), path


def in_plain_xla(model, params, x):
    """The same network without norms, written a second time."""
    name, depth = model.name, model.settings.depth
    tanh = model.settings.activation == "tanh"

    def activated(x):
        return jnp.tanh(x) if tanh else jnp.maximum(x, 0)

    def affine(x, p):
        return x @ p["kernel"] + p["bias"][None]

    def conv(x, p, size=3, stride=1, padding=1):
        kernel = p["kernel"].reshape(*[size] * (x.ndim - 2), x.shape[-1], -1)
        layout = ("NHWC", "HWIO", "NHWC") if x.ndim == 4 else ("NHC", "HIO", "NHC")
        sides, strides = [(padding, padding)] * (x.ndim - 2), [stride] * (x.ndim - 2)
        y = jax.lax.conv_general_dilated(x, kernel, strides, sides, dimension_numbers=layout)
        return y + p["bias"].reshape(*[1] * (x.ndim - 1), -1) if "bias" in p else y

    if model.name in ("linear", "mlp", "mlp_residual"):
        x = x.reshape(len(x), -1)
        for i in range(depth):
            y = activated(affine(x, params["hidden"][i]))
            x = x + y if i and name == "mlp_residual" else y
        return affine(x, params["readout"])
    if name == "cnn1d":
        x = x[..., None]
        for i, size in enumerate((5, 3, 3)):
            x = jnp.maximum(conv(x, params["convolutions"][i], size, stride=2), 0)
        return affine(x.reshape(len(x), -1), params["readout"])
    x = x if x.ndim == 4 else x[..., None]
    if name == "resnet":
        x = jnp.maximum(conv(x, params["stem"]), 0)
        for i, block in params["blocks"].items():
            stride = 2 if i and i % depth == 0 else 1
            y = conv(jnp.maximum(conv(x, block["first"], stride=stride), 0), block["second"])
            if "shortcut" in block:
                x = conv(x, block["shortcut"], size=1, stride=stride, padding=0)
            x = jnp.maximum(x + y, 0)
        return affine(x.mean(axis=(1, 2)), params["readout"])
    for i, convolution in params["convolutions"].items():
        x = activated(conv(x, convolution))
        if i % depth == depth - 1:
            window = (1, 2, 2, 1)
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
    x = activated(affine(x.reshape(len(x), -1), params["dense"]))
    return affine(x, params["readout"])


@pytest.mark.parametrize("more", [{}, {"depth": 1}, {"activation": "tanh"}])
@pytest.mark.parametrize("name", FEED_FORWARD)
def test_logits_equal_those_of_a_second_writing(x64, quick, small, drawn, inputs_of, name, more):
    entry = architecture(name)
    if (depth := more.get("depth")) is not None:
        more = {"depth": entry.depth and entry.depth + depth}
    if "activation" in more and not entry.activations:
        return
    model = small(name, norm="none", parameter_dtype="float64", **more)
    (params, state), x = drawn(model), inputs_of(model, 6)
    both = quick(lambda p, x: (model.apply(p, state, x)[0], in_plain_xla(model, p, x)))
    logits, expected = both(params, x)
    assert logits.shape == (6, 10)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", ["mlp", "cnn", "vgg", "resnet", "cnn1d"])
def test_norms_stand_before_the_nonlinearity(x64, quick, small, drawn, inputs_of, name):
    # With a huge offset, no ReLU is ever at rest; scales of zero then leave nothing of the input.
    model = small(name, norm="layer", parameter_dtype="float64")
    (params, state), x = drawn(model), inputs_of(model, 3)

    def silenced(path, leaf):
        return leaf * 0 if "scale" in str(path) else leaf

    logits = quick(model.apply)(jax.tree.map_with_path(silenced, params), state, x)[0]
    if name != "resnet":  # its shortcuts go on
        np.testing.assert_allclose(logits, np.tile(logits[:1], (3, 1)), rtol=0, atol=1e-12)
    plain = quick(model.apply)(params, state, x)[0]
    assert not np.allclose(plain[0], plain[1])


@pytest.mark.slow
def test_a_residual_block_starts_as_the_identity(x64, quick, small, inputs_of):
    model = small("resnet", depth=3, norm="layer", parameter_dtype="float64")
    (params, state), x = quick(model.init)(jax.random.key(0)), inputs_of(model, 3)
    apply = quick(model.apply)
    wild = jax.tree.map(lambda leaf: leaf, params)
    for block in wild["blocks"].values():
        block["first"]["kernel"] = block["first"]["kernel"] * 7 + 1
    np.testing.assert_array_equal(apply(wild, state, x)[0], apply(params, state, x)[0])


def test_hidden_layers_drop_different_units(build):
    # Identities throughout: a unit comes out as 4 if neither layer drops it.
    settings = build("mlp", (50,), 50, width=50, depth=2).settings
    module = MLP(settings, rngs=nnx.Rngs(params=0))
    for layer in (*module.hidden, module.readout):
        layer.kernel[...] = jnp.eye(50)
    keys = jax.random.split(jax.random.key(0), 100)
    training = Training(jnp.ones(100), Noise(keys, jnp.float32(0.5)))
    y = np.asarray(module(jnp.ones((100, 50)), training))
    assert set(np.unique(y)) == {0, 4}
    low, high = stats.binom.ppf([1e-9, 1 - 1e-9], y.size, 0.25)
    assert low <= np.sum(y == 4) <= high


@pytest.mark.parametrize("name", NAMES)
def test_the_least_size_is_what_the_poolings_need(build, name):
    entry = ARCHITECTURES[name]
    kind = entry.kinds[0]
    least = (entry.least_size,) * (2 if kind == "image" else 1)
    model = build(name, least, 2)
    x = jnp.ones((1, *least))
    params, state = jax.eval_shape(model.init, jax.random.key(0))
    logits, _ = jax.eval_shape(model.apply, params, state, x)
    assert logits.shape == (1, 2)
