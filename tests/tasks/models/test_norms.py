"""Normalisation against numpy, flax and closed forms of the running averages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from minima.tasks.models import ARCHITECTURES, Training
from minima.tasks.models.norms import NORMS, Affine, BatchNorm, identity, make_norm
from minima.tasks.objectives import classification

EPSILON = 1e-5
SHAPES = [(7, 6), (7, 5, 6), (7, 3, 4, 6)]


def rows(shape, seed=0):
    """Values whose mean and spread differ from feature to feature."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) * rng.uniform(0.5, 3, shape[-1]) + rng.normal(size=shape[-1])


def with_parameters(norm, seed=2):
    """The layer with scale and offset off their start; and both, as numpy."""
    rng = np.random.default_rng(seed)
    scale, offset = rng.normal(size=(2, norm.scale.shape[0]))
    norm.scale[...], norm.offset[...] = jnp.asarray(scale), jnp.asarray(offset)
    return norm, scale, offset


WEIGHTS = np.array([1.0, 0, 1, 1, 0, 1, 1])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weights", [np.ones(7), WEIGHTS, np.eye(7)[3]], ids=["all", "some", "one"])
def test_batch_statistics_are_those_of_the_examples_that_count(x64, shape, weights):
    norm, scale, offset = with_parameters(BatchNorm(6, dtype=jnp.float64))
    x = rows(shape)
    real = x[weights > 0].reshape(-1, 6)
    mean, variance = real.mean(axis=0), real.var(axis=0)  # biased: divided by the count
    y = norm(x, Training(weights))
    expected = (x - mean) / np.sqrt(variance + EPSILON) * scale + offset
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-11)
    np.testing.assert_allclose(norm.mean[...], 0.1 * mean, rtol=1e-12)
    np.testing.assert_allclose(norm.variance[...], 0.9 + 0.1 * variance, rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_padding_changes_neither_the_others_nor_the_state(x64, shape):
    x, others = rows(shape), rows(shape, seed=5) * 1e3
    mask = WEIGHTS.reshape(-1, *[1] * (len(shape) - 1)) > 0
    found = []
    for given in (x, np.where(mask, x, others)):
        norm = BatchNorm(6, dtype=jnp.float64)
        y = np.asarray(norm(given, Training(WEIGHTS)))[WEIGHTS > 0]
        found.append((y, norm.mean[...], norm.variance[...]))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["mlp", "cnn1d", "resnet"])
def test_padding_gets_no_gradient_and_gives_none(x64, quick, build, drawn, inputs_of, name):
    shape = {"mlp": (5,), "cnn1d": (9,), "resnet": (4, 4)}[name]
    model = build(name, shape, 3, norm="batch", width=4, parameter_dtype="float64")
    (params, state), x = drawn(model), inputs_of(model, 7)

    def loss(params, x):
        logits, _ = model.apply(params, state, x, Training(WEIGHTS))
        return classification(logits, np.arange(7) % 3, WEIGHTS).loss

    gradients = quick(jax.grad(loss, argnums=(0, 1)))
    (whole, by_input), few = gradients(params, x), x[WEIGHTS > 0]
    np.testing.assert_array_equal(by_input[WEIGHTS == 0], 0)

    def loss_of_few(params):
        logits, _ = model.apply(params, state, few, Training(np.ones(5)))
        return classification(logits, (np.arange(7) % 3)[WEIGHTS > 0], np.ones(5)).loss

    for a, b in zip(
        *map(jax.tree.leaves, (whole, quick(jax.grad(loss_of_few))(params))), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-11)


def test_a_pass_without_any_example_stays_finite(x64):
    # A lane that idles runs along in its program; its numbers are thrown away.
    def loss(x):
        norm = BatchNorm(6, dtype=jnp.float64)
        return jnp.sum(norm(x, Training(np.zeros(7))) ** 2)

    assert np.isfinite(jax.grad(loss)(rows((7, 6)))).all()


def test_running_averages_after_k_passes(x64):
    norm = BatchNorm(4, dtype=jnp.float64)
    passes = [rows((6, 5, 4), seed) for seed in range(12)]
    for x in passes:
        norm(x, Training(np.ones(6)))
    # What is 0.9^k old counts 0.1 · 0.9^k; the start, 0 and 1, what is left.
    shares = 0.1 * 0.9 ** np.arange(len(passes))[::-1]
    means = np.array([x.mean(axis=(0, 1)) for x in passes])
    variances = np.array([x.var(axis=(0, 1)) for x in passes])
    np.testing.assert_allclose(norm.mean[...], shares @ means, rtol=1e-12)
    np.testing.assert_allclose(norm.variance[...], shares @ variances + 0.9**12, rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_evaluation_uses_the_running_averages_and_leaves_them(x64, shape):
    norm, scale, offset = with_parameters(BatchNorm(6, dtype=jnp.float64))
    mean, variance = np.random.default_rng(3).uniform(1, 2, (2, 6))
    norm.mean[...], norm.variance[...] = jnp.asarray(mean), jnp.asarray(variance)
    x = rows(shape)
    expected = (x - mean) / np.sqrt(variance + EPSILON) * scale + offset
    np.testing.assert_allclose(norm(x), expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(norm.mean[...], mean)
    np.testing.assert_array_equal(norm.variance[...], variance)


def test_batch_norm_equals_that_of_flax(x64):
    x = rows((7, 3, 4, 6))
    flax = nnx.BatchNorm(6, momentum=0.9, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    flax.mean, flax.var = nnx.BatchStat(jnp.zeros(6)), nnx.BatchStat(jnp.ones(6))  # float64
    ours = BatchNorm(6, dtype=jnp.float64)
    for _ in range(2):
        np.testing.assert_allclose(ours(x, Training(np.ones(7))), flax(x), rtol=0, atol=1e-11)
    np.testing.assert_allclose(ours.mean[...], flax.mean[...], rtol=1e-12)
    np.testing.assert_allclose(ours.variance[...], flax.var[...], rtol=1e-11)
    flax.eval()
    np.testing.assert_allclose(ours(x), flax(x), rtol=0, atol=1e-11)


def test_a_model_hands_its_state_on(x64, quick, build, drawn, inputs_of):
    model = build("mlp", (5,), 3, norm="batch", width=4, depth=2, parameter_dtype="float64")
    params, state = drawn(model)
    assert jax.tree.map(jnp.shape, state["norms"][1]) == {"mean": (4,), "variance": (4,)}
    apply, x = quick(model.apply), inputs_of(model, 6)
    before = jax.tree.map(np.asarray, state)
    logits, after = apply(params, state, x, Training(np.ones(6)))
    hidden = x @ params["hidden"][0]["kernel"] + params["hidden"][0]["bias"][None]
    np.testing.assert_allclose(after["norms"][0]["mean"], 0.1 * hidden.mean(axis=0), rtol=1e-12)
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(a, b)  # pure: the state given is as it was
    evaluated, same = apply(params, after, x)
    assert jax.tree.structure(same) == jax.tree.structure(state)
    for a, b in zip(jax.tree.leaves(same), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.allclose(evaluated, logits)
    assert not np.allclose(evaluated, apply(params, state, x)[0])


@pytest.mark.parametrize("name", ["mlp", "cnn1d"])
def test_ghost_is_batch_on_a_microbatch(x64, quick, build, drawn, inputs_of, name):
    # One layer under both names; who sees the whole batch is the engine's affair.
    shape = {"mlp": (5,), "cnn1d": (9,), "resnet": (4, 4)}[name]
    fields = {"width": 4, "parameter_dtype": "float64"}
    batch, ghost = (build(name, shape, 3, norm=norm, **fields) for norm in ("batch", "ghost"))
    assert batch.couples_examples
    assert not ghost.couples_examples
    (params, state), x = drawn(ghost), inputs_of(ghost, 8)
    whole = quick(batch.apply)(params, state, x, Training(np.ones(8)))[0]
    apply = quick(ghost.apply)
    np.testing.assert_array_equal(whole, apply(params, state, x, Training(np.ones(8)))[0])
    now, halves = state, []
    for part in (x[:4], x[4:]):
        logits, now = apply(params, now, part, Training(np.ones(4)))
        halves.append(logits)
    assert not np.allclose(np.concatenate(halves), whole)
    first, _ = quick(batch.apply)(params, state, x[:4], Training(np.ones(4)))
    np.testing.assert_array_equal(halves[0], first)


def normalised(x, groups, per_position):
    """Group by group, in loops."""
    y = np.empty_like(x)
    for i in range(len(x)):
        for group in np.split(np.arange(x.shape[-1]), groups):
            places = np.ndindex(x.shape[1:-1]) if per_position else [...]
            for place in places:
                where = (i, *place) if per_position else i
                part = x[where][..., group]
                normal = (part - part.mean()) / np.sqrt(part.var() + EPSILON)
                view = y[where]
                view[..., group] = normal
    return y


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("groups", "per_position"), [(1, False), (1, True), (3, False)])
def test_layer_and_group_norm_equal_loops(x64, shape, groups, per_position):
    norm = Affine(6, groups=groups, per_position=per_position, dtype=jnp.float64)
    norm, scale, offset = with_parameters(norm)
    x = rows(shape)
    expected = normalised(x, groups, per_position) * scale + offset
    for training in (None, Training(WEIGHTS)):
        np.testing.assert_allclose(norm(x, training), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_layer_and_group_norm_equal_those_of_flax(x64, shape):
    options = {"epsilon": EPSILON, "param_dtype": jnp.float64, "rngs": nnx.Rngs(0)}
    theirs = nnx.LayerNorm(6, **options)
    ours = make_norm("layer", 6, dtype=jnp.float64, per_position=True)
    np.testing.assert_allclose(ours(rows(shape)), theirs(rows(shape)), rtol=0, atol=1e-11)
    theirs = nnx.GroupNorm(16, num_groups=8, **options)
    ours, wide = make_norm("group", 16, dtype=jnp.float64), rows((*shape[:-1], 16))
    np.testing.assert_allclose(ours(wide), theirs(wide), rtol=0, atol=1e-11)


@pytest.mark.parametrize("kind", NORMS)
def test_what_a_norm_is_made_of(kind):
    norm = make_norm(kind, 12, dtype=jnp.float32)
    if kind == "none":
        assert norm is identity
        assert norm(kind) is kind
        return
    assert isinstance(norm, BatchNorm if kind in ("batch", "ghost") else Affine)
    assert norm.scale[...].tolist() == [1] * 12
    assert norm.offset[...].tolist() == [0] * 12
    state = nnx.to_pure_dict(nnx.state(norm, nnx.BatchStat))
    averages = {"mean": [0] * 12, "variance": [1] * 12}
    kept = {name: value.tolist() for name, value in state.items()}
    assert kept == (averages if kind in ("batch", "ghost") else {})


@pytest.mark.parametrize(
    ("features", "groups"),
    [
        (128, 8),
        (64, 8),
        (16, 8),
        (12, 6),
        (100, 5),
        (25, 5),
        (10, 5),
        (8, 4),
        (4, 2),
        (7, 1),
        (1, 1),
    ],
)
def test_groups_divide_the_features_and_none_is_alone(features, groups):
    assert make_norm("group", features, dtype=jnp.float32).groups == groups


SCALED = {"mlp": (6,), "mlp_residual": (6,), "cnn": (4, 5), "vgg": (8, 8), "cnn1d": (12,)}


@pytest.mark.parametrize("norm", ["layer", "group", "batch"])
@pytest.mark.parametrize("name", list(SCALED))
def test_what_comes_before_may_have_any_scale(x64, quick, build, inputs_of, name, norm):
    # Weights (biases are zero) times 10 make no difference, but for ε; nor, therefore, does a step
    # along them.
    model = build(name, SCALED[name], 3, norm=norm, width=40, parameter_dtype="float64")
    assert norm in ARCHITECTURES[name].norms
    (params, state), x = quick(model.init)(jax.random.key(0)), 1e4 * inputs_of(model, 6)

    def logits(size):
        def scaled(path, leaf):
            kernel = "kernel" in str(path) and "readout" not in str(path)
            return leaf * size if kernel else leaf

        larger = jax.tree.map_with_path(scaled, params)
        return model.apply(larger, state, x, Training(np.ones(6)))[0]

    (one, slope), ten = quick(lambda: (jax.jvp(logits, (1.0,), (1.0,)), logits(10.0)))()
    assert np.abs(one).max() > 0.1
    np.testing.assert_allclose(ten, one, rtol=0, atol=1e-3)
    np.testing.assert_allclose(slope, 0, rtol=0, atol=1e-3)
