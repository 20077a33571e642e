"""A cell trained the way anybody would: whole batches, optax, plain numbers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from plain_groups_reference import counting, decayed, decays, objective, strengths

from minima.sweep.stream import Purpose, example_indices, example_keys, purpose_key
from minima.tasks.augmentation import augment
from minima.tasks.models import Noise, Training

keys_of = jax.jit(example_keys, static_argnums=1)
indices_of = jax.jit(example_indices, static_argnums=3)


def reference(plan, cell):
    """Trains one cell the way anybody would; returns its variables after every update."""
    task, data, training = plan.recipe.task, plan.dataset, plan.config.training
    seed, n, seen = cell["seed"], len(data.train), 0
    sizes, rates = plain_course(plan, cell)
    optimizer, noisy = plain_optimizer(plan, rates, size=sizes[0]), noisy_labels(plan, seed)
    q = np.ones(plan.dataset.num_groups) / max(1, plan.dataset.num_groups)
    groups, weights = plan.dataset.train.groups, counting(plan)
    groups = np.zeros(n, np.int32) if groups is None else groups
    if plan.config.task.parametrisation == "mup":
        optimizer = by_tensor(plan, rates)

    def loss(params, state, now, x, y, keys, dropout_keys, groups, weights):
        x = task.prepare(data, augment(task.augmentation, task.kind, x, keys))
        noise = Noise(dropout_keys, jnp.asarray(training.dropout, task.model.dtype))
        passing = Training(jnp.ones(len(x)), noise if training.dropout else None)
        logits, state = task.model.apply(params, state, x, passing)
        if jnp.issubdtype(y.dtype, jnp.floating):
            mean = jnp.mean((logits[..., 0] - y) ** 2)
            return mean, (state, mean, now[1])
        if plan.recipe.groups or training.reweighting:
            mean = jnp.average(by_example(logits, y), weights=weights)
            if not plan.recipe.groups:
                return mean, (state, mean, now[1])
            found, q = objective(plan, now, logits, y, groups, weights, by_example)
            return found, (state, mean, q)
        mean = jnp.mean(by_example(logits, y), where=y >= 0)
        return mean, (state, mean, now[1])

    def by_example(logits, y):
        targets = jax.nn.one_hot(y, logits.shape[-1], dtype=logits.dtype)
        targets = optax.smooth_labels(targets, training.label_smoothing)
        if plan.config.task.loss == "squared_error":
            return jnp.sum(optax.l2_loss(logits, targets), axis=-1)
        return optax.softmax_cross_entropy(logits, targets)

    @jax.jit
    def update(params, state, opt_state, now, noise_key, *batch):
        seen = params if not training.weight_noise else beside(params, noise_key)
        value, q, state, grads = gradient(seen, state, now, batch)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), state, opt_state, value, q

    def gradient(params, state, now, batch):
        """The mean over groups that climb together; whole batches are one group."""
        group = training.sam_examples or len(batch[0])
        groups = [part.reshape(-1, group, *part.shape[1:]) for part in batch]
        found = jax.vmap(functools.partial(climbed, params, state, now))(*groups)
        return jax.tree.map(lambda parts: parts.mean(0), found)

    def climbed(params, state, now, *group):
        here, (state, value, q) = jax.grad(loss, has_aux=True)(params, state, now, *group)
        if training.sharpness_aware == "none":
            return value, q, state, here
        eta = None if training.sharpness_aware == "sam" else 0.01
        t = jax.tree.map(lambda w: jnp.ones_like(w) if eta is None else abs(w) + eta, params)
        length = optax.tree.norm(jax.tree.map(jnp.multiply, t, here))
        up = jax.tree.map(lambda w, t, g: w + training.rho * t**2 * g / length, params, t, here)
        there, share = jax.grad(loss, has_aux=True)(up, state, now, *group)[0], training.rho_share
        return value, q, state, optax.incremental_update(there, here, share)

    def beside(params, key):
        leaves, structure = jax.tree.flatten(params)
        draws = map(
            jax.random.normal, jax.random.split(key, len(leaves)), [x.shape for x in leaves]
        )
        sigma = training.weight_noise
        noisy = [leaf + sigma * draw for leaf, draw in zip(leaves, draws, strict=True)]
        return jax.tree.unflatten(structure, noisy)

    params, state = jax.jit(task.model.init)(purpose_key(seed, Purpose.INITIALISATION))
    opt_state, path, losses = optimizer.init(params), [], []
    for step, size in enumerate(sizes):
        epoch, position = np.divmod(np.arange(seen, seen + size, dtype=np.int32), n)
        seen += size
        index = np.array([order(seed, e, n)[p] for e, p in zip(epoch, position, strict=True)])
        keys = [keys_of(seed, purpose, epoch, position) for purpose in (3, 2)]
        labels = flipped_labels(plan, seed, noisy[index], epoch, position)
        noise_key = keys_of(seed, Purpose.WEIGHT_NOISE, epoch[:1], position[:1])[0]
        batch = (data.train.inputs[index], labels, *keys, groups[index], weights[index])
        now = strengths(plan, step, size), q
        params, state, opt_state, value, q = update(
            params, state, opt_state, now, noise_key, *batch
        )
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


def plain_optimizer(plan, rates, factor=1.0, eps=1e-8, size=0):
    """The optimiser as its papers have it, from optax with plain numbers.

    With a factor on the rate, and decay by rate times decay as without.
    """
    training, rates = plan.config.training, [rate * factor for rate in rates]
    decay, name = training.weight_decay / factor, training.optimizer
    rate = (lambda count: jnp.asarray(rates)[count]) if len(set(rates)) > 1 else rates[0]
    coupled = optax.add_decayed_weights(decay)
    if training.penalty_warmup_examples:
        coupled = decayed(decays(plan, size))
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
    """The training labels after noise that each keeps."""
    labels, rate = plan.dataset.train.labels, plan.config.training.label_noise
    if not rate:
        return labels
    key = purpose_key(seed, Purpose.LABEL_NOISE)
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(np.arange(len(labels)))
    return np.asarray(redrawn(keys, labels, jnp.asarray(rate, plan.recipe.task.model.dtype)))


def flipped_labels(plan, seed, labels, epoch, position):
    """The labels of a batch, redrawn for this once."""
    rate = plan.config.training.label_flips
    if not rate:
        return labels
    keys = keys_of(seed, Purpose.LABEL_FLIPS, epoch, position)
    return np.asarray(redrawn(keys, labels, jnp.asarray(rate, plan.recipe.task.model.dtype)))


@jax.jit
def redrawn(keys, labels, rate):
    def redraw(key, label):
        flip, other = jax.random.split(key)
        noisy = jax.random.bernoulli(flip, rate)
        return jnp.where(noisy, jax.random.randint(other, (), 0, 5, jnp.int32), label)

    return jax.vmap(redraw)(keys, labels)


def determined(tree):
    """The tree without attention's key bias: softmax undoes it, so that its gradient is round-off,
    which Adam divides by the root of round-off."""

    def keep(path, leaf):
        if "['qkv']['bias']" not in jax.tree_util.keystr(path):
            return leaf
        queries, _, values = np.split(np.asarray(leaf), 3, axis=-1)
        return np.concatenate([queries, values], axis=-1)

    return jax.tree.map_with_path(keep, tree)


def worst(tree, other):
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
    return max(float(np.max(np.abs(np.asarray(a) - np.asarray(b)))) for a, b in pairs)


def compare(plan, lanes, report, updates):
    """Every cell's last parameters, state and training losses against the plain loop's."""
    for i, cell in enumerate(plan.cells):
        path, losses = reference(plan, cell)
        assert report.step[i] == updates
        found = jax.tree.map(lambda x, i=i: x[i], (lanes.params, lanes.state))
        assert worst(determined(found), determined(path[-1])) < 1e-10, cell
        np.testing.assert_allclose(report.trajectory[i, :, 0], losses, atol=1e-10)
