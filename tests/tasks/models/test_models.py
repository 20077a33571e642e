"""The models against closed forms, a second writing in plain XLA, and finite differences."""

import functools
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import stats

from minima.runtime.errors import UserError
from minima.tasks.models import ARCHITECTURES, Model, Noise, architecture
from minima.tasks.models.mlp import MLP
from minima.tasks.objectives import classification

SMALL = {"mlp": (7, 5), "cnn": (9, 8, 2), "cnn_small": (5, 6)}
NAMES = list(SMALL)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def flat(params):
    """{"hidden.0.kernel": array, ...}."""
    leaves, _ = jax.tree.flatten_with_path(params)
    return {".".join(str(part.key) for part in path): leaf for path, leaf in leaves}


def dense(a, b):
    return a * b + b


def cnn_count(pooled, colours, channels, width, classes):
    first, second = channels
    convolutions = dense(9 * colours, first) + dense(9 * first, second)
    return convolutions + dense(pooled * second, width) + dense(width, classes)


@pytest.mark.parametrize(
    ("name", "shape", "classes", "count"),
    [
        ("mlp", (28, 28), 10, 101_770),
        ("mlp", (40,), 3, dense(40, 128) + dense(128, 3)),
        ("mlp", (5, 4, 3), 2, dense(60, 128) + dense(128, 2)),
        ("cnn", (28, 28), 10, 105_866),
        ("cnn", (28, 28), 10, cnn_count(7 * 7, 1, (16, 32), 64, 10)),
        ("cnn", (31, 29, 3), 5, cnn_count(7 * 7, 3, (16, 32), 64, 5)),
        ("cnn_small", (14, 14), 10, 6_218),
        ("cnn_small", (14, 14), 10, cnn_count(3 * 3, 1, (8, 16), 32, 10)),
    ],
)
def test_parameters_are_as_many_as_the_architecture_says(name, shape, classes, count):
    assert Model(name, shape, classes).count_parameters() == count


@pytest.fixture(scope="module")
def draws():
    """draws(name) -> float32 parameters for 64 keys, in a list, for SMALL inputs and 10 classes."""

    @functools.cache
    def call(name):
        with jax.enable_x64(False):
            init = jax.jit(Model(name, SMALL[name], 10).init)
            return [init(key) for key in jax.random.split(jax.random.key(5), 64)]

    return call


def stacked(draws):
    return {k: np.array(v) for k, v in flat(jax.tree.map(lambda *x: np.stack(x), *draws)).items()}


@pytest.mark.parametrize("name", NAMES)
def test_initialisers_have_the_variance_they_should(draws, name):
    # A sample variance of n draws strays by sigma² · sqrt(2 / n) if normal, and by less if the
    # tails are cut; a mean by sigma / sqrt(n). Six of those are allowed.
    for path, values in stacked(draws(name)).items():
        if path.endswith("bias"):
            assert not values.any()
            continue
        fan_in = values.shape[-2]
        variance = (1 if path.startswith("readout") else 2) / fan_in
        assert abs(np.var(values) / variance - 1) < 6 * np.sqrt(2 / values.size), path
        assert abs(np.mean(values)) < 6 * np.sqrt(variance / values.size), path
        assert 6 * np.sqrt(2 / values.size) < 0.2, "too few to tell 1/fan_in from 2/fan_in"


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_is_drawn_on_its_own(draws, name):
    weights = [v for path, v in stacked(draws(name)).items() if path.endswith("kernel")]
    for values in weights:
        assert len(np.unique(values)) > 0.95 * values.size  # float32 has twins
    for a, b in pairwise(weights):  # nor are two layers alike
        n = min(a[0].size, b[0].size)
        pair = [x.reshape(64, -1)[:, :n].ravel() for x in (a, b)]
        assert abs(np.corrcoef(pair)[0, 1]) < 6 / np.sqrt(64 * n)


def test_one_key_gives_one_set_of_parameters(draws):
    # A model made apart: nothing hangs on the object or on what ran before.
    first, key = draws("cnn_small")[0], jax.random.split(jax.random.key(5), 64)[0]
    again = jax.jit(Model("cnn_small", SMALL["cnn_small"], 10).init)(key)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_a_plain_nested_dict_of_arrays(draws, name):
    def size(node):
        if type(node) is dict:
            return sum(map(size, node.values()))
        assert isinstance(node, jax.Array)
        assert node.dtype == np.float32
        return node.size

    assert size(draws(name)[0]) == Model(name, SMALL[name], 10).count_parameters()


def in_plain_xla(name, params, x):
    """The same network, written a second time."""
    p = flat(params)
    if name == "mlp":
        x = np.maximum(x.reshape(len(x), -1) @ p["hidden.0.kernel"] + p["hidden.0.bias"][None], 0)
        return x @ p["readout.kernel"] + p["readout.bias"][None]
    x = x if x.ndim == 4 else x[..., None]
    for i in range(2):
        kernel = p[f"convolutions.{i}.kernel"].reshape(3, 3, x.shape[-1], -1)
        layout = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)
        x = jnp.maximum(x + p[f"convolutions.{i}.bias"][None, None, None], 0)
        window = (1, 2, 2, 1)
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
    x = jnp.maximum(x.reshape(len(x), -1) @ p["dense.kernel"] + p["dense.bias"][None], 0)
    return x @ p["readout.kernel"] + p["readout.bias"][None]


def perturbed(params):
    """In float64, with biases off zero, so that a bias left out shows."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: np.asarray(x) + 0.1 * rng.normal(size=x.shape), params)


def direction_in(params, path, rng):
    """A random direction of length 1 within one leaf of the parameters."""
    leaves, tree = jax.tree.flatten(params)
    within = list(flat(params)).index(path)
    leaves = [rng.normal(size=x.shape) * (i == within) for i, x in enumerate(leaves)]
    return jax.tree.unflatten(tree, [x / np.linalg.norm(leaves[within]) for x in leaves])


@pytest.fixture(scope="module")
def passes(draws):
    """passes(name) -> model, params, x, logits(params, x, noise) compiled, noise, in float64."""

    @functools.cache
    def call(name):
        model = Model(name, SMALL[name], 10, "float64")
        x = np.random.default_rng(1).normal(size=(6, *SMALL[name]))
        noise = Noise(jax.random.split(jax.random.key(2), 6), np.float64(0.3))
        return model, perturbed(draws(name)[0]), x, jax.jit(model.apply), noise

    return call


@pytest.mark.parametrize("name", NAMES)
def test_logits_equal_those_of_a_second_writing(x64, passes, name):
    _, params, x, apply, _ = passes(name)
    logits = apply(params, x)
    assert logits.shape == (6, 10)
    np.testing.assert_allclose(logits, in_plain_xla(name, params, x), rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_finite_differences(x64, passes, name):
    # In a training pass with dropout; along random directions within every parameter, then x.
    model, params, x, _, noise = passes(name)
    labels, weights = np.array([0, 1, 2, 3, 0, 1]), np.ones(6)
    everything = {"params": params, "x": x}

    def loss(at):
        logits = model.apply(at["params"], at["x"], noise)
        return classification(logits, labels, weights).loss

    value_and_gradient = jax.jit(jax.value_and_grad(loss))
    gradient = value_and_gradient(everything)[1]
    step, rng = 1e-6, np.random.default_rng(3)
    for path in flat(everything):
        along = direction_in(everything, path, rng)
        up, down = (
            value_and_gradient(jax.tree.map(lambda p, v, t=t: p + t * v, everything, along))[0]
            for t in (step, -step)
        )
        pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(along), strict=True)
        slope = sum(np.vdot(g, v) for g, v in pairs)
        size = np.linalg.norm(flat(gradient)[path])
        assert size > 1e-3, path
        assert abs((up - down) / (2 * step) - slope) < 1e-6 * size, path


@pytest.mark.parametrize("name", NAMES)
def test_float64_is_float64_everywhere(x64, passes, name):
    model, params, x, _, noise = passes(name)
    fresh = jax.eval_shape(model.init, jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(fresh)} == {np.dtype("float64")}
    program = jax.make_jaxpr(jax.grad(lambda p, x: jnp.sum(model.apply(p, x, noise))))(params, x)
    assert "f64" in str(program)
    assert "f32" not in str(program)


@pytest.mark.parametrize("name", NAMES)
def test_dropout_acts_in_training_passes_only(x64, passes, name):
    _, params, x, apply, noise = passes(name)
    plain = apply(params, x)
    still = apply(params, x, noise._replace(dropout=np.float64(0)))
    np.testing.assert_allclose(still, plain, rtol=0, atol=1e-12)
    noisy = apply(params, x, noise)
    assert (np.abs(noisy - plain).max(axis=1) > 1e-3).all()
    # An example's logits hang on its key, not on its place.
    order = np.array([3, 0, 5, 1, 2, 4])
    again = apply(params, x[order], noise._replace(keys=noise.keys[order]))
    np.testing.assert_allclose(again, noisy[order], rtol=0, atol=1e-12)


def test_hidden_layers_drop_different_units():
    # Identities throughout: a unit comes out as 4 if neither layer drops it.
    module = MLP((50,), 50, width=50, depth=2, dtype=jnp.float32, rngs=nnx.Rngs(params=0))
    for layer in (*module.hidden, module.readout):
        layer.kernel[...] = jnp.eye(50)
    keys = jax.random.split(jax.random.key(0), 100)
    y = np.asarray(module(jnp.ones((100, 50)), Noise(keys, jnp.float32(0.5))))
    assert set(np.unique(y)) == {0, 4}
    low, high = stats.binom.ppf([1e-9, 1 - 1e-9], y.size, 0.25)
    assert low <= np.sum(y == 4) <= high


@pytest.mark.parametrize("name", ["mlp", "cnn_small"])
def test_lanes_with_parameters_of_their_own(x64, draws, passes, name):
    model, params, x, apply, _ = passes(name)
    lanes = [params, perturbed(draws(name)[1])]
    both = jax.tree.map(lambda *leaves: np.stack(leaves), *lanes)
    logits = jax.jit(jax.vmap(model.apply, in_axes=(0, None)))(both, x)
    for lane, own in enumerate(lanes):
        np.testing.assert_allclose(logits[lane], apply(own, x), rtol=0, atol=1e-12)


# Logits of one sine wave, with the parameters of key 0. Change them only when an initialiser or an
# architecture changes on purpose; runs recorded before then can't be compared with later ones.
GOLDEN = {
    "mlp": """1.323509 0.654541 -0.834505 0.634371 0.369673
        -0.012008 1.040475 0.507877 -0.68883 0.67697""",
    "cnn": """-3.320032 0.6998 -2.734057 0.87357 -0.232658
        -1.424417 -1.827461 -0.128843 -1.473373 1.018565""",
    "cnn_small": """0.092735 -0.593025 -1.509689 0.754736 0.258697
        -0.651247 -0.453532 -1.273199 -2.439399 -1.082532""",
}


@pytest.mark.parametrize("name", NAMES)
def test_golden_logits(name):
    side = 14 if name == "cnn_small" else 28
    model = Model(name, (side, side), 10)
    x = np.sin(np.arange(side**2, dtype=np.float64)).reshape(1, side, side).astype(np.float32)
    logits = jax.jit(lambda key: model.apply(model.init(key), x))(jax.random.key(0))
    np.testing.assert_allclose(logits[0], np.array(GOLDEN[name].split(), float), rtol=0, atol=1e-5)


def test_a_model_is_a_static_argument(counts_compilations):
    traced = []

    @functools.partial(jax.jit, static_argnums=0)
    def logits(model, params, x):
        traced.append(model)
        return model.apply(params, x)

    model, twin = (Model("mlp", (3,), 2) for _ in range(2))
    assert model == twin
    assert hash(model) == hash(twin)
    params = model.init(jax.random.key(0))
    logits(model, params, jnp.ones((1, 3)))
    assert hash(model) == hash(twin), "a model's hash changed by use"
    logits(twin, params, jnp.ones((1, 3)))
    assert len(traced) == 1
    others = [("cnn", (3,), 2), ("mlp", (4,), 2), ("mlp", (3,), 3), ("mlp", (3,), 2, "float64")]
    assert model not in [Model(*fields) for fields in others]


@pytest.mark.parametrize(
    ("name", "hint"), [("cnn_smal", "; did you mean cnn_small?"), ("MLP2", ""), ("", "")]
)
def test_refuses_unknown_names(name, hint):
    for call in (architecture, lambda name: Model(name, (3,), 2).init(jax.random.key(0))):
        with pytest.raises(UserError) as caught:
            call(name)
        assert str(caught.value) == f"--model={name}: not one of mlp, cnn, cnn_small{hint}"


@pytest.mark.parametrize("name", NAMES)
def test_the_least_size_is_what_the_poolings_need(name):
    least = ARCHITECTURES[name].least_size
    assert Model(name, (least, least), 2).count_parameters() > 0
    if least > 1:
        with pytest.raises(ZeroDivisionError):
            Model(name, (least - 1, 50), 2).count_parameters()
