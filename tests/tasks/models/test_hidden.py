"""What hidden layers give away: one output each, in order, and nothing changes by looking."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minima.tasks.models.hidden import noted, watched

N = 3
CASES = {  # shape, fields, shapes of hidden layers
    "linear": ((4, 4), {}, []),
    "mlp": ((4, 4), {"width": 8, "depth": 3}, [(8,)] * 3),
    "mlp_residual": ((4, 4), {"width": 8, "depth": 2, "remat": True}, [(8,)] * 2),
    "cnn": ((8, 8), {"width": 6}, [(4, 4, 16), (2, 2, 32), (6,)]),
    "resnet": ((4, 4), {"width": 4}, [(4, 4, 4), (4, 4, 4), (2, 2, 8), (1, 1, 16)]),
    "cnn1d": ((12,), {"width": 4}, [(5, 4), (3, 4), (2, 4)]),
    "lstm": ((6,), {"width": 4, "depth": 2}, [(6, 4)] * 2),
    "transformer": ((8,), {"width": 16, "depth": 2}, [(8, 16)] * 2),
}


@pytest.mark.parametrize("name", CASES)
def test_every_hidden_layer_in_its_order(build, drawn, quick, name):
    shape, fields, wanted = CASES[name]
    model = build(name, shape, **fields)
    params, state = jax.tree.map(jnp.float32, drawn(model))
    x = np.random.default_rng(0).normal(size=(N, *shape)).astype(np.float32)
    layers = quick(model.hidden)(params, state, x)
    assert [layer.shape for layer in layers] == [(N, *each) for each in wanted]
    for layer in layers:
        assert np.isfinite(layer).all()
        assert np.ptp(layer) > 0


def test_a_network_is_read_out_from_its_last_hidden_layer(build, drawn):
    model = build("mlp", (4, 4), width=8, depth=2)
    params, state = jax.tree.map(jnp.float32, drawn(model))
    x = np.random.default_rng(1).normal(size=(N, 4, 4)).astype(np.float32)
    last = model.hidden(params, state, x)[-1]
    readout = params["readout"]
    logits = np.asarray(last) @ np.asarray(readout["kernel"]) + np.asarray(readout["bias"])
    assert np.allclose(logits, model.apply(params, state, x)[0], atol=1e-5)
    first = np.maximum(
        x.reshape(N, -1) @ params["hidden"][0]["kernel"] + params["hidden"][0]["bias"][None], 0
    )
    assert np.allclose(first, model.hidden(params, state, x)[0], atol=1e-5)


def test_nothing_is_kept_where_nobody_watches():
    x = jnp.ones(3)
    assert noted(x) is x
    with watched() as outer:
        noted(x)
        with watched() as inner:
            noted(2 * x)
        noted(x)
    noted(x)
    assert (len(outer), len(inner)) == (2, 1)
    with pytest.raises(KeyError), watched() as broken:
        raise KeyError
    assert (noted(x) is x, broken) == (True, [])


def test_what_is_traced_is_the_same(build, drawn):
    model = build("cnn", (8, 8), width=6)
    params, state = jax.tree.map(jnp.float32, drawn(model))
    x = jnp.ones((N, 8, 8))
    plain = jax.make_jaxpr(lambda p: model.apply(p, state, x)[0])(params)
    with watched():
        looked_at = jax.make_jaxpr(lambda p: model.apply(p, state, x)[0])(params)
    assert str(plain) == str(looked_at)
