"""Every cell of a plane against a plain optax loop over whole batches, in the contract's bounds.

The contract (README): in float64 within 1e-10 over 50 updates, in float32 within 1e-5 over 20, at
stable rates, whatever the microbatch.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from minima.sweep.stream import Purpose, example_indices, example_keys, purpose_key
from minima.tasks.augmentation import augment
from minima.tasks.models import Noise

EVERYTHING = {
    "clip_norm": 0.7,
    "weight_decay": 0.01,
    "warmup_examples": 150,
    "dropout": 0.3,
    "label_smoothing": 0.1,
    "label_noise": 0.2,
    "augmentation": "shift_flip",
}


keys_of = jax.jit(example_keys, static_argnums=1)
indices_of = jax.jit(example_indices, static_argnums=3)


def reference(plan, cell):
    """Trains one cell the way anybody would; returns its parameters after every update."""
    task, data, training = plan.recipe.task, plan.dataset, plan.config.training
    size, lr, seed, n = cell["batch_size"], cell["learning_rate"], cell["seed"], len(data.train)
    ramp = training.warmup_examples
    rate = (lambda count: lr * jnp.minimum(1, (count + 1) * float(size) / ramp)) if ramp else lr
    rule = {
        "sgd": lambda: optax.sgd(rate),
        "momentum": lambda: optax.sgd(rate, momentum=training.momentum),
        "adam": lambda: optax.adam(rate, b1=training.momentum, b2=training.beta2),
    }[training.optimizer]()
    decay = optax.add_decayed_weights(training.weight_decay)
    optimizer = optax.chain(optax.clip_by_global_norm(training.clip_norm), decay, rule)
    noisy = noisy_labels(plan, seed)

    def loss(params, x, y, keys, dropout_keys):
        x = augment(task.augmentation, task.kind, x, keys)
        x = (x.astype(task.model.dtype) - data.mean) / data.std
        noise = Noise(dropout_keys, jnp.asarray(training.dropout, task.model.dtype))
        logits = task.model.apply(params, x, noise if training.dropout else None)
        targets = optax.smooth_labels(jax.nn.one_hot(y, 5), training.label_smoothing)
        return jnp.mean(optax.softmax_cross_entropy(logits, targets))

    @jax.jit
    def update(params, state, *batch):
        value, grads = jax.value_and_grad(loss)(params, *batch)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    params = jax.jit(task.model.init)(purpose_key(seed, Purpose.INITIALISATION))
    state, path, losses = optimizer.init(params), [], []
    for step in range(plan.max_steps(cell)):
        epoch, position = np.divmod(np.arange(step * size, (step + 1) * size, dtype=np.int32), n)
        index = np.array([order(seed, e, n)[p] for e, p in zip(epoch, position, strict=True)])
        keys = [keys_of(seed, purpose, epoch, position) for purpose in (3, 2)]
        batch = (data.train.inputs[index], noisy[index], *keys)
        params, state, value = update(params, state, *batch)
        path, losses = [*path, params], [*losses, float(value)]
    return path, losses


def order(seed, epoch, n, cache={}):  # noqa: B006 - a cache on purpose
    """The permutation of one epoch."""
    if (seed, epoch, n) not in cache:
        every = np.arange(n, dtype=np.int32)
        found = indices_of(np.int32(seed), np.full(n, epoch, np.int32), every, n)
        cache[seed, epoch, n] = np.asarray(found)
    return cache[seed, epoch, n]


def noisy_labels(plan, seed):
    """The training labels after noise, example by example."""
    labels, rate = plan.dataset.train.labels, plan.config.training.label_noise
    if not rate:
        return labels
    key = purpose_key(seed, Purpose.LABEL_NOISE)

    @jax.jit
    def redraw(i, label):
        flip, other = jax.random.split(jax.random.fold_in(key, i))
        noisy = jax.random.bernoulli(flip, jnp.asarray(rate, plan.recipe.task.model.dtype))
        return jnp.where(noisy, jax.random.randint(other, (), 0, 5, jnp.int32), label)

    return np.array([redraw(i, label) for i, label in enumerate(labels)])


def worst(tree, other):
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
    return max(float(np.max(np.abs(np.asarray(a) - np.asarray(b)))) for a, b in pairs)


CASES = [
    ("mlp", "sgd", {}, 1),
    ("mlp", "momentum", EVERYTHING, 1),
    ("mlp", "momentum", {}, 2),
    ("mlp", "adam", {}, 1),
    ("cnn_small", "sgd", {}, 2),
    ("cnn_small", "momentum", {}, 1),
    ("cnn_small", "adam", EVERYTHING, 2),
]


@pytest.mark.parametrize(("model", "optimizer", "extras", "block"), CASES)
def test_float64_plane_equals_the_plain_loop(make, run_lanes, model, optimizer, extras, block):
    with jax.enable_x64(True):
        plan = make(
            model=model,
            optimizer=optimizer,
            batch_sizes=(1, 13, 32, 97),
            learning_rates=(0.01,),
            seeds=(3,),
            budget="50steps",
            evaluations=50,
            microbatch=16,
            lanes=2,
            block=block,
            dtype="float64",
            **extras,
        )
        lanes, report = run_lanes(plan, limit=7)
        for i, cell in enumerate(plan.cells):
            path, losses = reference(plan, cell)
            assert report.step[i] == 50
            assert worst(jax.tree.map(lambda x, i=i: x[i], lanes.params), path[-1]) < 1e-10, cell
            np.testing.assert_allclose(report.trajectory[i, :, 0], losses, atol=1e-10)


@pytest.mark.parametrize("model", ["mlp", "cnn_small"])
def test_float32_plane_equals_the_plain_loop(make, run_lanes, model):
    plan = make(
        model=model,
        optimizer="momentum",
        batch_sizes=(13, 32, 64, 97),
        learning_rates=(0.01,),
        seeds=(0,),
        budget="20steps",
        evaluations=2,
        lanes=2,
    )
    lanes, report = run_lanes(plan)
    assert set(report.step) == {20}
    for i, cell in enumerate(plan.cells):
        path, _ = reference(plan, cell)
        assert worst(jax.tree.map(lambda x, i=i: x[i], lanes.params), path[-1]) < 1e-5, cell


def test_early_stopping_keeps_what_the_plain_loop_would_keep(make, run_lanes):
    with jax.enable_x64(True):
        plan = make(
            optimizer="adam",
            batch_sizes=(13, 97),
            learning_rates=(0.01, 0.05),
            seeds=(1,),
            budget="50steps,early_stopping=3",
            evaluations=25,
            lanes=2,
            label_noise=0.5,
            dtype="float64",
        )
        lanes, report = run_lanes(plan)
        for i, cell in enumerate(plan.cells):
            path, _ = reference(plan, cell)
            losses = [validation_loss(plan, path[step - 1]) for step in range(2, 51, 2)]
            stop, best = patience(losses, 3)
            assert report.step[i] == 2 * (stop + 1)
            kept = jax.tree.map(lambda x, i=i: x[i], lanes.params)
            assert worst(kept, path[2 * best + 1]) < 1e-10
        assert (report.step < 50).any(), "no cell stopped early: the test tests nothing"


def validation_loss(plan, params):
    data = plan.dataset
    logits = plan.recipe.task.model.apply(
        params, (data.validation.inputs.astype("float64") - data.mean) / data.std
    )
    labels = data.validation.labels
    return float(optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean())


def patience(losses, allowed):
    """(index of the evaluation that stops, index of the best one)."""
    best = 0
    for i, loss in enumerate(losses):
        best = i if loss < losses[best] else best
        if i - best >= allowed:
            return i, best
    return len(losses) - 1, best
