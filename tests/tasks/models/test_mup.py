"""muP: equal to the standard parametrisation at the base width, and the same at every other."""

import functools
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from minima.runtime.errors import UserError
from minima.sweep.config import SweepConfig, TaskConfig, TrainingConfig
from minima.sweep.optimizers import OPTIMIZERS, Features, Hyper, make_optimizer
from minima.tasks import datasets
from minima.tasks.models import mup
from minima.tasks.models.layers import Dense
from minima.tasks.objectives import classification
from minima.tasks.task import ModelChoice, make_task

TOKENS = {"kind": "tokens"}
CASES = [("mlp", (6,), {"depth": 2, "norm": "layer"}), ("transformer", (8,), TOKENS)]
N, CLASSES = 16, 5


@pytest.fixture
def model_of(build):
    """model_of(name, width, base_width, …) -> a model with two hidden layers, or one block."""

    def call(name, width, base_width, **fields):
        fields = ({"depth": 2} if name == "mlp" else TOKENS | {"depth": 1}) | fields
        return build(name, (8,), CLASSES, width=width, base_width=base_width, **fields)

    return call


def hyper(rate, decay=0.0, clip=np.inf):
    values = {"learning_rate": rate, "momentum": 0.9, "beta2": 0.99, "weight_decay": decay}
    zeros = dict.fromkeys(Hyper._fields, 0.0) | values | {"clip_norm": clip}
    return Hyper(**{name: jnp.asarray(value, jnp.float32) for name, value in zeros.items()})


def optimizer_of(model, name, *args, **features):
    return mup.rescaled(model, name, make_optimizer(name, hyper(*args), Features(**features)))


def batch_of(model):
    rng, tokens = np.random.default_rng(0), model.settings.kind == "tokens"
    shape = (N, *model.settings.input_shape)
    x = rng.integers(0, CLASSES, shape) if tokens else rng.normal(size=shape).astype(np.float32)
    return x, rng.integers(0, CLASSES, shape if tokens else N)


def gradient_of(model, params, x, y):
    def loss(params):
        return classification(model.apply(params, {}, x)[0], y, jnp.ones(len(x))).loss / len(x)

    return jax.value_and_grad(loss)(params)


def trained(model, optimizer, params, steps, x, y):
    def step(_, carry):
        params, state = carry
        change, state = optimizer.update(gradient_of(model, params, x, y)[1], state, params)
        return optax.apply_updates(params, change), state

    return jax.lax.fori_loop(0, steps, step, (params, optimizer.init(params)))[0]


@pytest.mark.parametrize("name", ["mlp", "transformer"])
def test_the_base_width_is_the_standard_parametrisation_to_the_bit(model_of, name):
    model, standard = model_of(name, 32, 32), model_of(name, 32, 0)
    key, (x, y) = jax.random.key(0), batch_of(standard)

    def run(model):
        params = model.init(key)[0]
        return params, gradient_of(model, params, x, y), model.apply(params, {}, x)[0]

    ours, theirs = (jax.jit(run, static_argnums=0)(m) for m in (model, standard))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    for optimizer in OPTIMIZERS:
        plain = make_optimizer(optimizer, hyper(0.1), Features())
        assert mup.rescaled(model, optimizer, plain) is plain
        assert mup.rescaled(standard, optimizer, plain) is plain


def test_logits_and_gradients_at_given_weights_know_nothing_of_it(model_of, quick):
    model, standard = model_of("mlp", 32, 8), model_of("mlp", 32, 0)
    params, (x, y) = standard.init(jax.random.key(1))[0], batch_of(standard)
    both = [quick(functools.partial(gradient_of, m))(params, x, y) for m in (model, standard)]
    jax.tree.map(np.testing.assert_array_equal, *both)


ROLES = {
    "hidden.0.kernel": "input",
    "hidden.1.kernel": "hidden",
    "norms.0.scale": "input",
    "norms.1.offset": "input",
    "hidden.1.bias": "input",
    "encoder.table": "input",
    "positions": "input",
    "blocks.0.qkv.kernel": "hidden",
    "blocks.0.qkv.bias": "input",
    "blocks.1.attended.kernel": "hidden",
    "blocks.1.wide.kernel": "hidden",
    "blocks.1.narrow.kernel": "hidden",
    "norm.scale": "input",
    "readout.kernel": "output",
    "readout.bias": "fixed",
}
# Rates at four times the base width, as tables 3 and 8 have them.
SGD = {"input": 4, "hidden": 1, "output": 1 / 4, "fixed": 1}
ADAM = {"input": 1, "hidden": 1 / 4, "output": 1 / 4, "fixed": 1}


@pytest.mark.parametrize(("name", "shape", "fields"), CASES)
def test_roles_initial_weights_and_rates_are_the_tables(build, flat, name, shape, fields):
    model = build(name, shape, CLASSES, width=64, base_width=16, **fields)
    roles = flat(mup.roles(model))
    assert set(roles.values()) == {"input", "hidden", "output", "fixed"}
    assert {p: r for p, r in ROLES.items() if p in roles}.items() <= roles.items()
    standard = replace(model, settings=replace(model.settings, base_width=0))
    ours, theirs = (flat(jax.jit(m.init)(jax.random.key(0))[0]) for m in (model, standard))
    for path in roles:
        half = 0.5 if roles[path] == "output" else 1  # a quarter of the variance
        np.testing.assert_array_equal(ours[path], half * theirs[path])
    for optimizer in OPTIMIZERS[:-1]:
        sgd = optimizer in ("sgd", "momentum", "nesterov")
        before, after = map(flat, mup.scales(model, optimizer))
        for path, role in roles.items():
            rate = before[path] * after[path] if sgd else after[path]
            assert rate == (SGD if sgd else ADAM)[role]


def test_an_unknown_optimizer_is_refused(model_of):
    with pytest.raises(
        UserError, match=r"--parametrisation=mup: has no rates for --optimizer=lars"
    ):
        mup.rescaled(model_of("mlp", 8, 4), "lars", optax.lars(0.1))


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "adamw", "lion", "muon"])
def test_weights_decay_alike_at_every_width(model_of, quick, name):
    """Without a gradient, a decaying weight shrinks by rate · decay, whatever its rate."""
    model = model_of("mlp", 64, 16)
    optimizer = optimizer_of(model, name, 0.5, 0.1, weight_decay=True)
    params = jax.tree.map(lambda leaf: leaf + 1, model.init(jax.random.key(0))[0])
    zero = jax.tree.map(jnp.zeros_like, params)
    change = quick(optimizer.update)(zero, optimizer.init(params), params)[0]
    for path, (moved, weight) in pairs(change, params):
        expected = -0.05 * (1.9 if name == "nesterov" else 1) * weight
        np.testing.assert_allclose(moved, expected, rtol=1e-5, err_msg=path)


def pairs(*trees):
    leaves = [jax.tree.flatten_with_path(tree)[0] for tree in trees]
    return [
        (jax.tree_util.keystr(row[0][0]), [leaf for _, leaf in row])
        for row in zip(*leaves, strict=True)
    ]


def test_muon_moves_inputs_and_outputs_as_the_spectral_condition_says(model_of, flat):
    narrow, wide, base = (model_of("mlp", width, 4) for width in (6, 256, 4))

    def size(model, path):
        """Of an update with singular values 1: optax's factor times ours."""
        shape = flat(jax.eval_shape(base.init, jax.random.key(0))[0])[path].shape
        scale = 1.0
        if model is not base:
            shape = flat(jax.eval_shape(model.init, jax.random.key(0))[0])[path].shape
            scale = flat(mup.scales(model, "muon")[1])[path]
        return math.sqrt(max(1, shape[1] / shape[0])) * scale

    for path, power in (("hidden.0.kernel", 1), ("hidden.1.kernel", 0), ("readout.kernel", -1)):
        for model in (narrow, wide):
            ratio = model.settings.width / 4
            growth = size(model, path) / size(base, path)
            assert growth == pytest.approx(ratio ** (power / 2))


def activations(model, params, x):
    """What every dense layer gives out, in order."""
    seen, call = [], Dense.__call__
    module = nnx.merge(model._graphdef, nnx.State(params), copy=True)

    def spy(layer, x):
        seen.append(call(layer, x))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dense, "__call__", spy)
        module(x)
    return seen


def slopes(models, optimizer, rate, steps=3):
    """d log(mean |change of activations|) / d log(width), for every layer; the read-out is last."""
    moves = []
    for model in models:
        x, y = batch_of(model)

        def run(key, model=model, x=x, y=y):
            start = model.init(key)[0]
            end = trained(model, optimizer_of(model, optimizer, rate), start, steps, x, y)
            both = (activations(model, params, x) for params in (start, end))
            return [jnp.mean(jnp.abs(b - a)) for a, b in zip(*both, strict=True)]

        keys = jax.random.split(jax.random.key(0), 4)
        moves.append(np.mean(np.asarray(jax.jit(lambda k, f=run: jax.lax.map(f, k))(keys)), axis=1))
    widths = [model.settings.width for model in models]
    return np.polyfit(np.log(widths), np.log(np.stack(moves)), 1)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "optimizer", "rate", "widths"),
    [
        ("mlp", "sgd", 0.1, (64, 1024)),
        ("mlp", "adam", 0.003, (64, 1024)),
        ("mlp", "muon", 0.02, (64, 256)),
        ("transformer", "sgd", 0.01, (64, 256)),
        ("transformer", "adam", 0.001, (64, 256)),
    ],
)
def test_coordinate_check(model_of, name, optimizer, rate, widths):
    """Changes of activations neither grow nor vanish with the width (Yang et al. 2022, D.1)."""
    ours = slopes([model_of(name, width, 64) for width in widths], optimizer, rate)
    theirs = slopes([model_of(name, width, 0) for width in widths], optimizer, rate)
    assert np.abs(ours).max() < 0.25
    assert theirs[-1] > 0.3  # logits blow up


def test_the_norm_that_is_clipped_does_not_grow(model_of, quick):
    def norm(width, base):
        model = model_of("mlp", width, base)
        scale = mup.scales(model, "sgd")[0] if base else 1
        x, y = batch_of(model)

        def of(key):
            gradient = gradient_of(model, model.init(key)[0], x, y)[1]
            scales = scale if base else jax.tree.map(lambda _: 1.0, gradient)
            return optax.tree.norm(jax.tree.map(lambda g, s: g * s, gradient, scales))

        return np.mean(quick(lambda keys: jax.lax.map(of, keys))(jax.random.split(KEY, 8)))

    assert norm(1024, 64) < 1.2 * norm(64, 64)
    assert norm(1024, 0) > 3 * norm(64, 0)


KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def images():
    return datasets.load("fashion_mnist", data_dir="", validation_fraction=0.2)


def best_rates(data, rates, widths, base, steps=60, batch=64):
    """The rate of Adam (as a place in `rates`) with the least training loss, for every width."""
    best = []
    for width in widths:
        mode = {"parametrisation": "mup", "base_width": base} if base else {}
        task, small = make_task(data.resized(14), ModelChoice("mlp", width, 2, **mode))
        model, n = task.model, steps * batch
        x = task.prepare(small, small.train.inputs[:n]).reshape(steps, batch, 14, 14)
        y = small.train.labels[:n].reshape(steps, batch)

        def final_loss(key, rate, model=model, x=x, y=y):
            chosen = optimizer_of(model, "adam", rate)
            params = model.init(key)[0]

            def step(carry, xy):
                params, state = carry
                loss, gradient = gradient_of(model, params, *xy)
                change, state = chosen.update(gradient, state, params)
                return (optax.apply_updates(params, change), state), loss

            losses = jax.lax.scan(step, (params, chosen.init(params)), (x, y))[1]
            return jnp.mean(losses[-20:])

        keys = jnp.repeat(jax.random.split(KEY, 2), len(rates))
        run = jax.jit(lambda k, r, f=final_loss: jax.lax.map(lambda kr: f(*kr), (k, r)))
        losses = np.asarray(run(keys, jnp.tile(rates, 2))).reshape(2, -1).mean(axis=0)
        best.append(int(np.argmin(losses)))
    return best


@pytest.mark.slow
def test_the_best_rate_stays_where_it_is(images):
    widths, rates = (32, 128, 512), 2 ** np.arange(-10, -3, dtype=np.float32)
    ours, theirs = (best_rates(images, rates, widths, base) for base in (32, 0))
    assert np.ptp(ours) <= 1
    assert np.ptp(theirs) >= 2


@pytest.mark.parametrize(
    ("choice", "line"),
    [
        (
            {"name": "lstm"},
            "--parametrisation=mup: --model=lstm has none; use --model=mlp or transformer",
        ),
        ({"name": "linear"}, "--parametrisation=mup: --model=linear has none"),
        (
            {"name": "transformer", "base_width": 24},
            "--base_width=24: --model=transformer needs a multiple of 16",
        ),
        (
            {"name": "mlp", "base_width": 8, "parametrisation": "standard"},
            "--base_width=8: --parametrisation=standard has none; use --parametrisation=mup",
        ),
    ],
)
def test_what_has_no_mup_is_refused_in_a_line(images, choice, line):
    with pytest.raises(UserError) as caught:
        make_task(images, ModelChoice(**({"parametrisation": "mup"} | choice)))
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_the_base_width_is_the_models_own_where_no_flag_says_otherwise(images):
    task, _ = make_task(images, ModelChoice("mlp", 512, parametrisation="mup"))
    assert task.model.settings.base_width == 128
    task, _ = make_task(images, ModelChoice("mlp", 512))
    assert task.model.settings.base_width == 0


def test_adam_with_l2_is_refused():
    def config(optimizer):
        training = TrainingConfig(optimizer=optimizer, weight_decay=0.1)
        return SweepConfig(task=TaskConfig(model="mlp", parametrisation="mup"), training=training)

    with pytest.raises(UserError, match=r"--weight_decay=0.1: --optimizer=adam can't hold it"):
        config("adam")
    config("adamw")
