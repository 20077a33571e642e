"""What is frozen: which parameters, their gradients, their norms, and every optimiser."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from minima.runtime.errors import UserError
from minima.sweep.optimizers import OPTIMIZERS, Features, Hyper, make_optimizer
from minima.tasks.models import Training, trainable

LAST_BLOCKS = {
    "mlp": ((12,), "hidden/1/bias hidden/1/kernel", {"depth": 2}),
    "cnn_small": ((14, 14), "dense/bias dense/kernel dense_norm/offset dense_norm/scale",
                  {"norm": "batch"}),
    "cnn1d": ((40,), "convolutions/2/bias convolutions/2/kernel", {}),
    "resnet": ((8, 8), "blocks/2/", {}),
    "lstm": ((12,), "layers/1/", {"depth": 2}),
    "transformer": ((12,), "blocks/1/ norm/offset norm/scale", {"depth": 2, "width": 16}),
}  # fmt: skip


def chosen(model, asked):
    mask = trainable.mask(dataclasses.replace(model, trainable=asked))
    names = zip(trainable.paths(mask), jax.tree.leaves(mask), strict=True)
    return {name for name, on in names if on}


@pytest.mark.parametrize("name", LAST_BLOCKS)
def test_head_and_last_block_of_every_family(build, name):
    shape, block, fields = LAST_BLOCKS[name]
    model = build(name, shape, **fields)
    head = {"readout/kernel", "readout/bias"}
    assert chosen(model, "head") == head
    every = chosen(model, "all")
    expected = {each for each in every for word in block.split() if each.startswith(word)}
    assert expected
    assert chosen(model, "last_block") == head | expected
    assert chosen(model, "*/bias") == {each for each in every if each.endswith("/bias")}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("last_block", "--trainable=last_block: --model=linear has none before its head"),
        ("readout/kernal", "matches no parameter of --model=linear; did you mean readout/kernel?"),
        ("readout/*,hidden/0/*", "'hidden/0/*' matches no parameter"),
        ("", "'' matches no parameter"),
    ],
)
def test_what_matches_nothing_is_refused_in_a_line(build, asked, words):
    with pytest.raises(UserError) as caught:
        chosen(build("linear", (12,), depth=0), asked)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def hyper(**values):
    ones = dict.fromkeys(Hyper._fields, jnp.zeros(()))
    return Hyper(**ones | {"learning_rate": jnp.array(0.1), "momentum": jnp.array(0.9)} | values)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_optimiser_moves_what_is_frozen_and_the_rest_as_if_alone(build, name):
    """With decay and clipping; "alone" is optax's own partition."""
    model = build("mlp", (6,), 3, width=4, depth=2)
    model = dataclasses.replace(model, trainable="last_block")
    values = hyper(beta2=jnp.array(0.99), weight_decay=jnp.array(0.3), clip_norm=jnp.array(0.5))
    plain = make_optimizer(name, values, Features(clipping=True, weight_decay=True))
    labels = jax.tree.map(lambda on: "moved" if on else "kept", trainable.mask(model))
    alone = optax.partition({"moved": plain, "kept": optax.set_to_zero()}, labels)
    ours = trainable.restrained(model, plain)
    params = model.init(jax.random.key(0))[0]
    seen, states = [], []
    for optimizer in (ours, alone):
        rng, here, state = np.random.default_rng(1), params, optimizer.init(params)
        for _ in range(3):
            gradient = jax.tree.map(
                lambda p, rng=rng: rng.normal(size=p.shape).astype(np.float32), here
            )
            change, state = jax.jit(optimizer.update)(gradient, state, here)
            here = optax.apply_updates(here, change)
        seen, states = [*seen, here], [*states, state]
    for on, begin, end, other in zip(
        *map(jax.tree.leaves, (trainable.mask(model), params, *seen)), strict=True
    ):
        np.testing.assert_allclose(end, other, rtol=1e-5, atol=1e-6)
        assert np.array_equal(begin, end) != on
    frozen = set(trainable.paths(params)) - chosen(model, "last_block")
    for path, leaf in jax.tree_util.tree_leaves_with_path(states[0]):
        if any(trainable.path_of(path).endswith(each) for each in frozen):
            assert not np.any(leaf)


def test_frozen_batch_norms_stand_in_evaluation_mode_and_keep_their_statistics(build):
    model = build("cnn_small", (8, 8), 3, norm="batch")
    params, state = model.init(jax.random.key(0))
    rng = np.random.default_rng(0)
    state = jax.tree.map(lambda x: jnp.asarray(1 + rng.random(x.shape), x.dtype), state)
    x, training = jnp.asarray(rng.normal(size=(5, 8, 8)), jnp.float32), Training(jnp.ones(5))
    there, _ = model.apply(params, state, x)

    frozen = dataclasses.replace(model, trainable="head")
    here, after = frozen.apply(params, state, x, training)
    np.testing.assert_array_equal(here, there)
    jax.tree.map(np.testing.assert_array_equal, after, state)

    partly = dataclasses.replace(model, trainable="last_block")
    _, after = partly.apply(params, state, x, training)
    jax.tree.map(np.testing.assert_array_equal, after["norms"], state["norms"])
    assert not np.array_equal(after["dense_norm"]["mean"], state["dense_norm"]["mean"])


@pytest.mark.parametrize("remat", [False, True])
def test_no_gradient_reaches_what_is_frozen_and_the_rest_has_its_own(build, remat):
    model = build("transformer", (8,), 3, depth=2, width=16, remat=remat, norm="none")
    params, state = model.init(jax.random.key(0))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 8)), jnp.float32)

    def gradient(model):
        def loss(params):
            return jnp.sum(jnp.square(model.apply(params, state, x, Training(jnp.ones(4)))[0]))

        return jax.jit(jax.grad(loss))(params)

    whole, partly = gradient(model), dataclasses.replace(model, trainable="last_block")
    for on, all_, some in zip(
        *map(jax.tree.leaves, (trainable.mask(partly), whole, gradient(partly))), strict=True
    ):
        np.testing.assert_allclose(some, all_ if on else 0 * all_, rtol=1e-5, atol=1e-6)
