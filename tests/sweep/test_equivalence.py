"""Every cell of a plane against a plain optax loop over whole batches, in the contract's bounds.

The contract (README): in float64 within 1e-10 over 50 updates, in float32 within 1e-5 over 20, at
stable rates, whatever the microbatch.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from minima.sweep.replay import plain_losses
from minima.sweep.stream import Purpose, example_indices, example_keys, purpose_key
from minima.tasks.augmentation import augment
from minima.tasks.models import Noise, Training

EVERYTHING = {
    "clip_norm": 0.7,
    "weight_decay": 0.01,
    "warmup_examples": 150,
    "dropout": 0.3,
    "label_smoothing": 0.1,
    "label_noise": 0.2,
    "augmentation": "shift_flip",
}
COURSE = {
    "milestones": (1.0, 2.5),
    "batch_factor": 2,
    "rate_factor": 0.5,
    "decay": "cosine",
    "decay_fraction": 0.4,
    "warmup_examples": 60,
}


keys_of = jax.jit(example_keys, static_argnums=1)
indices_of = jax.jit(example_indices, static_argnums=3)


def reference(plan, cell):
    """Trains one cell the way anybody would; returns its variables after every update."""
    task, data, training = plan.recipe.task, plan.dataset, plan.config.training
    seed, n, seen = cell["seed"], len(data.train), 0
    sizes, rates = plain_course(plan, cell)
    optimizer, noisy = plain_optimizer(plan, rates), noisy_labels(plan, seed)
    if plan.config.task.parametrisation == "mup":
        optimizer = by_tensor(plan, rates)

    def loss(params, state, x, y, keys, dropout_keys):
        x = task.prepare(data, augment(task.augmentation, task.kind, x, keys))
        noise = Noise(dropout_keys, jnp.asarray(training.dropout, task.model.dtype))
        passing = Training(jnp.ones(len(x)), noise if training.dropout else None)
        logits, state = task.model.apply(params, state, x, passing)
        targets = jax.nn.one_hot(y, logits.shape[-1], dtype=logits.dtype)
        targets = optax.smooth_labels(targets, training.label_smoothing)
        if plan.config.task.loss == "squared_error":
            return jnp.mean(jnp.sum(optax.l2_loss(logits, targets), axis=-1)), state
        return jnp.mean(optax.softmax_cross_entropy(logits, targets)), state

    @jax.jit
    def update(params, state, opt_state, *batch):
        (value, state), grads = jax.value_and_grad(loss, has_aux=True)(params, state, *batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), state, opt_state, value

    params, state = jax.jit(task.model.init)(purpose_key(seed, Purpose.INITIALISATION))
    opt_state, path, losses = optimizer.init(params), [], []
    for size in sizes:
        epoch, position = np.divmod(np.arange(seen, seen + size, dtype=np.int32), n)
        seen += size
        index = np.array([order(seed, e, n)[p] for e, p in zip(epoch, position, strict=True)])
        keys = [keys_of(seed, purpose, epoch, position) for purpose in (3, 2)]
        batch = (data.train.inputs[index], noisy[index], *keys)
        params, state, opt_state, value = update(params, state, opt_state, *batch)
        path, losses = [*path, (params, state)], [*losses, float(value)]
    return path, losses


def plain_course(plan, cell):
    """Batch size and learning rate of every update, for a budget of steps."""
    training, n, steps = plan.config.training, len(plan.dataset.train), plan.budget.steps
    size, rate, seen, left = cell["batch_size"], cell["learning_rate"], 0, [*training.milestones]
    share = training.decay_fraction if training.decay != "none" else 0
    tail, sizes, rates = round(share * steps), [], []
    for step in range(steps):
        while left and seen >= left[0] * n:
            size, rate, left = size * training.batch_factor, rate * training.rate_factor, left[1:]
        ramp = (
            min(1, (step + 1) * size / training.warmup_examples) if training.warmup_examples else 1
        )
        into = max(0, step - (steps - tail)) / tail if tail else 0
        assert training.decay in ("none", "cosine")
        sizes, rates = [*sizes, size], [*rates, rate * ramp * (1 + np.cos(np.pi * into)) / 2]
        seen += size
    return sizes, rates


def plain_optimizer(plan, rates, factor=1.0, eps=1e-8):
    """The optimiser as its papers have it, from optax with plain numbers.

    With a factor on the rate, and decay by rate times decay as without.
    """
    training, rates = plan.config.training, [rate * factor for rate in rates]
    decay, name = training.weight_decay / factor, training.optimizer
    rate = (lambda count: jnp.asarray(rates)[count]) if len(set(rates)) > 1 else rates[0]
    coupled = optax.add_decayed_weights(decay)
    rules = {
        "sgd": lambda: optax.chain(coupled, optax.sgd(rate)),
        "momentum": lambda: optax.chain(coupled, optax.sgd(rate, momentum=0.9)),
        "nesterov": lambda: optax.chain(coupled, optax.sgd(rate, momentum=0.9, nesterov=True)),
        "adam": lambda: optax.chain(coupled, optax.adam(rate, eps=eps)),
        "adamw": lambda: optax.adamw(rate, eps=eps, weight_decay=decay),
        "lion": lambda: optax.lion(rate, weight_decay=decay),
        "muon": lambda: optax.contrib.muon(rate, weight_decay=decay, adam_weight_decay=decay),
    }
    return optax.chain(optax.clip_by_global_norm(training.clip_norm), rules[name]())


def by_tensor(plan, rates):
    """An optimiser of its own for every column of table 3 in Yang et al. 2022, for an mlp.

    Adam's ε is that of gradients over table 9's multiplier.
    """
    settings = plan.recipe.task.model.settings
    r = settings.width / settings.base_width
    sgd = plan.config.training.optimizer in ("sgd", "momentum", "nesterov")
    factors = {"in": r, "hidden": 1} if sgd else {"in": 1, "hidden": 1 / r}
    factors |= {"out": 1 / r, "fixed": 1}
    multipliers = {"in": r**0.5, "hidden": 1, "out": r**-0.5, "fixed": 1}
    roles = {"readout.kernel": "out", "readout.bias": "fixed", "hidden.1.kernel": "hidden"}
    rules = {
        role: plain_optimizer(plan, rates, factors[role], 1e-8 / multiplier)
        for role, multiplier in multipliers.items()
    }

    def role(path, leaf):
        return roles.get(jax.tree_util.keystr(path, simple=True, separator="."), "in")

    return optax.multi_transform(rules, lambda params: jax.tree.map_with_path(role, params))


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


PLAIN: dict = {}
SQUARED = {"loss": "squared_error", "activation": "tanh"}
CASES = [
    # model, optimizer, other settings, lanes per block
    ("mlp", "sgd", PLAIN, 1),
    ("mlp", "momentum", EVERYTHING, 1),
    ("mlp", "nesterov", PLAIN, 2),
    ("mlp", "momentum", COURSE | {"batch_sizes": (1, 5, 13, 24)}, 1),
    ("mlp", "adam", EVERYTHING | {"wide": (32, 80)}, 1),
    ("mlp", "momentum", COURSE | {"batch_sizes": (1, 5, 13, 24), "wide": (20, 40)}, 1),
    ("cnn_small", "adam", COURSE | {"batch_sizes": (1, 4, 7, 24)}, 2),
    ("mlp", "adamw", {"weight_decay": 0.1, "norm": "layer", "depth": 2}, 1),
    ("mlp_residual", "lion", {"weight_decay": 0.1}, 1),
    ("cnn_small", "sgd", {"norm": "group"}, 2),
    ("cnn_small", "momentum", PLAIN, 1),
    ("cnn_small", "adam", EVERYTHING, 2),
    ("mlp", "muon", PLAIN, 1),
    ("mlp", "sgd", SQUARED | {"depth": 2}, 1),
    ("mlp", "momentum", EVERYTHING | SQUARED, 2),
    pytest.param("vgg", "sgd", PLAIN, 1, marks=pytest.mark.slow),
    ("rnn", "adam", {"width": 8}, 1),
    ("gru", "momentum", {"width": 8, "dropout": 0.2}, 2),
    ("lstm", "nesterov", {"width": 8}, 1),
    ("transformer", "adamw", {"width": 16, "depth": 1, "dropout": 0.1}, 1),
]


def compare(plan, lanes, report, updates):
    for i, cell in enumerate(plan.cells):
        path, losses = reference(plan, cell)
        assert report.step[i] == updates
        found = jax.tree.map(lambda x, i=i: x[i], (lanes.params, lanes.state))
        assert worst(found, path[-1]) < 1e-10, cell
        np.testing.assert_allclose(report.trajectory[i, :, 0], losses, atol=1e-10)


@pytest.mark.parametrize(("model", "optimizer", "extras", "block"), CASES)
def test_float64_plane_equals_the_plain_loop(make, run_lanes, model, optimizer, extras, block):
    with jax.enable_x64(True):
        plan = make(
            model=model,
            optimizer=optimizer,
            learning_rates=(0.003,),
            seeds=(3,),
            budget="50steps",
            evaluations=50,
            microbatch=16,
            lanes=2,
            block=block,
            dtype="float64",
            **{"batch_sizes": (1, 13, 32, 97)} | extras,
        )
        # Growing batches see more examples late; this looks after every update all the same.
        plan = dataclasses.replace(plan, watched=50)
        compare(plan, *run_lanes(plan, limit=7), updates=50)


@pytest.mark.parametrize(
    ("optimizer", "extras"),
    [
        ("sgd", {"weight_decay": 0.1}),
        ("nesterov", {"norm": "layer", "warmup_examples": 150}),
        ("adam", {"dropout": 0.2}),
        ("adamw", {"weight_decay": 0.1}),
        ("lion", {"weight_decay": 0.1}),
    ],
)
def test_mup_equals_a_plain_loop_with_a_rate_for_every_tensor(make, run_lanes, optimizer, extras):
    """The engine, and the loop that `replay` compares with."""
    with jax.enable_x64(True):
        plan = make(
            model="mlp",
            width=24,
            depth=2,
            parametrisation="mup",
            base_width=8,
            optimizer=optimizer,
            batch_sizes=(13, 32),
            learning_rates=(0.003,),
            seeds=(3,),
            budget="20steps",
            evaluations=20,
            microbatch=16,
            lanes=1,
            dtype="float64",
            **extras,
        )
        lanes, report = run_lanes(plan, limit=7)
        compare(plan, lanes, report, updates=20)
        losses = list(plain_losses(plan, plan.cells[1]))
        np.testing.assert_allclose(report.trajectory[1, :, 0], losses, atol=1e-10)


@pytest.mark.parametrize("model", ["lstm", "transformer"])
def test_language_models_equal_the_plain_loop(make, run_lanes, model):
    with jax.enable_x64(True):
        plan = make(
            data="sequences",
            model=model,
            width=16,
            depth=1,
            optimizer="adam",
            batch_sizes=(5, 32),
            learning_rates=(0.003,),
            seeds=(1,),
            budget="20steps",
            evaluations=20,
            microbatch=16,
            lanes=1,
            dtype="float64",
        )
        compare(plan, *run_lanes(plan), updates=20)


@pytest.mark.parametrize(("model", "size"), [("mlp", 97), ("cnn_small", 32), ("resnet", 13)])
def test_batch_norm_equals_the_plain_loop_on_whole_batches(make, run_lanes, model, size):
    """One program per batch size, whose microbatch is the batch: statistics included."""
    with jax.enable_x64(True):
        plan = make(
            model=model,
            norm="batch",
            batch_sizes=(size,),
            learning_rates=(0.01, 0.03),
            seeds=(2,),
            budget="20steps",
            evaluations=20,
            lanes=1,
            dtype="float64",
        )
        assert plan.recipe.microbatch == size
        compare(plan, *run_lanes(plan), updates=20)


def test_ghost_norm_of_a_batch_that_is_one_ghost_equals_batch_norm(make, run_lanes):
    """And of a larger batch it doesn't."""
    with jax.enable_x64(True):
        values = {
            "model": "mlp",
            "learning_rates": (0.01,),
            "seeds": (2,),
            "budget": "10steps",
            "evaluations": 10,
            "lanes": 1,
            "devices": 1,
            "dtype": "float64",
        }
        for size, same in ((32, True), (64, False)):
            batch = make(**values, batch_sizes=(size,), norm="batch")
            ghost = make(**values, batch_sizes=(size,), norm="ghost", ghost_size=32)
            assert ghost.recipe.microbatch == 32
            a, b = (run_lanes(plan)[0].params for plan in (batch, ghost))
            assert (worst(a, b) < 1e-12) == same


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
        assert worst(jax.tree.map(lambda x, i=i: x[i], lanes.params), path[-1][0]) < 1e-5, cell


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
            losses = [validation_loss(plan, path[step - 1][0]) for step in range(2, 51, 2)]
            stop, best = patience(losses, 3)
            assert report.step[i] == 2 * (stop + 1)
            kept = jax.tree.map(lambda x, i=i: x[i], lanes.params)
            assert worst(kept, path[2 * best + 1][0]) < 1e-10
        assert (report.step < 50).any(), "no cell stopped early: the test tests nothing"


def validation_loss(plan, params):
    data, task = plan.dataset, plan.recipe.task
    logits, _ = task.model.apply(params, {}, task.prepare(data, data.validation.inputs))
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
