"""What every family of models must do: derivatives, float64, dropout, lanes, golden logits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minima.tasks.models import ARCHITECTURES, Noise, Training
from minima.tasks.objectives import classification

# Every architecture and every norm, tiny: name, shape, fields that differ from the default.
CASES = {
    "linear": ("linear", (5,), {}),
    "mlp": ("mlp", (3, 2), {"width": 9, "norm": "layer"}),
    "mlp_residual": ("mlp_residual", (6,), {"width": 9, "norm": "group"}),
    "cnn": ("cnn", (7, 8, 2), {"width": 9, "norm": "group"}),
    "cnn_small": ("cnn_small", (5, 6), {"width": 6}),
    "vgg": ("vgg", (8, 9), {"width": 5, "norm": "layer"}),
    "resnet": ("resnet", (6, 5), {"width": 3, "norm": "batch"}),
    "resnet_plain": ("resnet", (5, 5, 2), {"width": 2, "norm": "none"}),
    "cnn1d": ("cnn1d", (19,), {"width": 4, "norm": "ghost"}),
    "cnn_causal": ("cnn_causal", (6,), {"width": 3, "depth": 1, "kind": "tokens"}),
    "rnn": ("rnn", (4, 3), {"width": 3, "depth": 2}),
    "gru": ("gru", (5,), {"width": 3}),
    "lstm": ("lstm", (5,), {"width": 3, "kind": "tokens"}),
    "irnn": ("irnn", (5, 2), {"width": 8, "kind": "signal"}),
    "lstm_bias0": ("lstm_bias0", (4,), {"width": 2}),
    "gru_mnist1d": ("gru_mnist1d", (4,), {"width": 2}),
    "transformer": ("transformer", (5,), {"width": 16, "kind": "tokens"}),
    "transformer_image": ("transformer", (8, 9), {"width": 32, "depth": 1}),
    "gnn": ("gnn", (5, 2), {"width": 4, "kind": "graph"}),
    "gnn_image": ("gnn", (3, 4), {"width": 3, "norm": "layer"}),
}
N, CLASSES = 6, 4


@pytest.fixture(scope="module")
def passes(quick, build, perturbed, inputs_of):
    """passes(case) -> model, params, state, x, logits(params, state, x, training) compiled."""

    @functools.cache
    def call(case):
        name, shape, fields = CASES[case]
        model = build(name, shape, CLASSES, parameter_dtype="float64", **fields)
        params, state = quick(model.init)(jax.random.key(0))
        apply = quick(lambda *a: model.apply(*a)[0])
        return model, perturbed(params), state, inputs_of(model, N), apply

    return call


def training(rate=0.3, order=slice(None)):
    keys = jax.random.split(jax.random.key(2), N)[order]
    return Training(np.ones(N), Noise(keys, np.float64(rate)))


def unit(tree, rng, within=None):
    """A random direction of length 1, within one leaf of the tree or within all."""
    leaves, structure = jax.tree.flatten(tree)
    leaves = [rng.normal(size=x.shape) * (within in (None, i)) for i, x in enumerate(leaves)]
    length = np.sqrt(sum(np.sum(x**2) for x in leaves))
    return jax.tree.unflatten(structure, [x / length for x in leaves])


def inner(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return sum(np.vdot(x, y) for x, y in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_derivatives_equal_finite_differences(x64, quick, passes, flat, case):
    """The gradient along a direction in every leaf; its own derivative, forwards over reverse.

    In a training pass with dropout and with weights, and with respect to floating inputs too.
    """
    model, params, state, x, _ = passes(case)
    shape = (N, *model.settings.input_shape) if model.settings.per_position else (N,)
    labels = np.random.default_rng(4).integers(0, CLASSES, shape)
    noise = training()._replace(weights=np.array([1.0, 1, 0, 1, 1, 1]))
    tokens = model.settings.kind == "tokens"
    everything = {"params": params} if tokens else {"params": params, "x": x}

    def loss(at):
        logits, _ = model.apply(at["params"], state, at.get("x", x), noise)
        return classification(logits, labels, noise.weights).loss

    @quick
    def both(along, step):
        at = jax.tree.map(lambda p, v: p + step * v, everything, along)
        return jax.jvp(jax.value_and_grad(loss), (at,), (along,))

    def differences(along):
        (up, down) = (both(along, np.float64(step))[0] for step in (1e-6, -1e-6))
        return jax.tree.map(lambda a, b: (a - b) / 2e-6, up, down)

    rng = np.random.default_rng(3)
    for i, path in enumerate(flat(everything)):
        along = unit(everything, rng, within=i)
        (_, gradient), (slope, _) = both(along, np.float64(0))
        size = np.linalg.norm(flat(gradient)[path])
        np.testing.assert_allclose(slope, inner(gradient, along), rtol=0, atol=1e-13 + 1e-9 * size)
        if path.endswith("bias") and size < 1e-13:  # batch statistics take it away again
            assert model.settings.norm in ("batch", "ghost")
            assert "readout" not in path
            continue
        assert size > 1e-3, path
        assert abs(differences(along)[0] - slope) < 1e-6 * size, path

    along = unit(everything, rng)
    curvature = both(along, np.float64(0))[1][1]
    numeric = differences(along)[1]
    error = jax.tree.map(jnp.subtract, numeric, curvature)
    assert np.sqrt(inner(curvature, curvature)) > 1e-2
    assert np.sqrt(inner(error, error) / inner(curvature, curvature)) < 1e-6


@pytest.mark.parametrize("case", CASES)
def test_float64_is_float64_everywhere(x64, passes, case):
    model, params, state, x, _ = passes(case)
    fresh = jax.eval_shape(model.init, jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(fresh)} == {np.dtype("float64")}

    def total(params, x):
        logits, after = model.apply(params, state, x, training())
        return jnp.sum(logits), after

    program = jax.make_jaxpr(jax.grad(total, has_aux=True))(params, x)
    assert "f64" in str(program)
    for small in ("f32", "f16", "bf16"):
        assert small not in str(program)


@pytest.mark.parametrize("case", CASES)
def test_dropout_acts_in_training_passes_only(x64, passes, case):
    model, params, state, x, apply = passes(case)
    if case == "linear":  # no hidden layer, nothing to drop
        np.testing.assert_array_equal(apply(params, state, x, training()), apply(params, state, x))
        return
    plain = apply(params, state, x)
    if model.settings.norm in ("batch", "ghost"):
        plain = apply(params, state, x, Training(np.ones(N)))
    still = apply(params, state, x, training(0))
    np.testing.assert_allclose(still, plain, rtol=0, atol=1e-12)
    noisy = apply(params, state, x, training())
    assert (np.abs(noisy - plain).reshape(N, -1).max(axis=1) > 1e-4).all()
    # An example's logits hang on its key, not on its place.
    order = np.array([3, 0, 5, 1, 2, 4])
    again = apply(params, state, x[order], training(order=order))
    np.testing.assert_allclose(again, noisy[order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_evaluation_looks_at_one_example_at_a_time(x64, passes, case):
    _, params, state, x, apply = passes(case)
    logits = apply(params, state, x)
    other = x.copy()
    other[1:] = other[:0:-1]
    np.testing.assert_array_equal(apply(params, state, other)[0], logits[0])
    assert not np.allclose(apply(params, state, other)[1], logits[1])


@pytest.mark.parametrize("case", ["cnn", "resnet", "lstm", "transformer", "gnn"])
def test_lanes_with_parameters_of_their_own(x64, quick, passes, perturbed, case):
    model, params, state, x, apply = passes(case)
    lanes = [params, perturbed(params, seed=1)]
    both = jax.tree.map(lambda *leaves: np.stack(leaves), *lanes)
    states = jax.tree.map(lambda leaf: np.stack([leaf, leaf + 1]), state)
    lane_pass = quick(jax.vmap(lambda *a: model.apply(*a)[0], in_axes=(0, 0, None, None)))
    for how in (None, training()):
        logits = lane_pass(both, states, x, how)
        for lane, own in enumerate(lanes):
            mine = jax.tree.map(lambda leaf, lane=lane: leaf[lane], states)
            expected = apply(own, mine, x, how)
            np.testing.assert_allclose(logits[lane], expected, rtol=0, atol=1e-11)


# Logits of one sine wave (or text), with the parameters of key 0, at the defaults. Change them only
# when an initialiser or an architecture changes on purpose; runs recorded before then can't be
# compared with later ones.
GOLDEN = {
    "linear": """0.576367 0.043418 0.966733 -0.480385 0.37735
        0.2619 -0.439496 0.611842 -0.408442 0.12019""",
    "mlp": """1.323509 0.654541 -0.834505 0.634371 0.369673
        -0.012008 1.040475 0.507877 -0.68883 0.67697""",
    "mlp_residual": """-0.824005 0.451273 0.021527 -0.223987 0.056924
        -0.468338 0.996673 -0.099735 -0.635837 -0.531836""",
    "cnn": """-3.320032 0.6998 -2.734057 0.87357 -0.232658
        -1.424417 -1.827461 -0.128843 -1.473373 1.018565""",
    "cnn_small": """0.092735 -0.593025 -1.509689 0.754736 0.258697
        -0.651247 -0.453532 -1.273199 -2.439399 -1.082532""",
    "vgg": """4.326097 -1.680947 0.181436 -3.567453 1.186866
        3.097617 -0.497623 0.706713 2.773183 -1.124909""",
    "resnet": """0.775667 0.033299 -0.107117 0.094653 0.059566
        0.094199 -0.425299 -0.376156 -0.47407 0.042941""",
    "cnn1d": """0.195251 0.847309 -0.175046 -0.304144 0.316463
        -0.042782 -1.629882 -1.56491 0.591151 -0.340796""",
    "cnn_causal": """-5.546716 -0.385566 -4.695384 -2.104406 -3.504905
        7.006855 0.0607 0.481074 2.267285 -5.267692""",
    "rnn": """0.259639 0.122204 -0.337687 -0.422646 -0.609187
        0.146983 -1.429102 -0.382436 -0.183797 0.15515""",
    "gru": """0.023609 0.144367 0.066272 -0.411756 -0.133221
        -0.27033 -0.513878 -0.042764 -0.405875 0.206614""",
    "lstm": """0.197667 0.507035 -0.208652 -0.211509 -0.079202
        0.326058 0.045518 0.156321 0.058943 0.283515""",
    "irnn": """-0.002229 -0.000060 -0.003523 -0.003269 -0.003320
        0.003550 0.005566 -0.003131 0.001830 0.001799""",
    "lstm_bias0": """0.034440 0.017383 0.123351 -0.000141 0.020309
        -0.005568 0.021151 0.032565 -0.042447 0.100679""",
    "gru_mnist1d": """0.017292 0.336943 0.80074 -0.385587 0.020572
        -0.715584 0.37216 -0.165614 0.531372 -0.15953""",
    "gnn": """-0.158189 0.52073 0.609843 -0.442641 -0.483174
        -1.824906 1.502889 2.734189 3.309978 -0.960405""",
    "transformer": """1.661213 -1.189185 -0.674137 -1.369193 0.780369
        0.68142 1.349777 0.273568 2.263489 -2.900646""",
}
SIGNALS = ("linear", "mlp_residual", "cnn1d", "gru_mnist1d")
TEXTS = ("cnn_causal", "lstm", "transformer")


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_golden_logits(quick, build, name):
    side = 14 if name == "cnn_small" else 28
    shape = (16,) if name in TEXTS else (40,) if name in SIGNALS else (side, side)
    x = np.sin(np.arange(np.prod(shape), dtype=np.float64)).reshape(1, *shape).astype(np.float32)
    model = build(name, shape)
    if name in TEXTS:
        model, x = build(name, shape, 63, kind="tokens"), (np.arange(16) ** 2 % 63)[None]
    logits = quick(lambda key: model.apply(*model.init(key), x)[0])(jax.random.key(0))
    found = np.asarray(logits).reshape(-1)[-10:]
    expected = np.array(GOLDEN[name].split(), float)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
