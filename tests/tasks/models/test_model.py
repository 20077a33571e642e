"""A model as a value: what it equals, and which names there are."""

import functools

import jax
import jax.numpy as jnp
import pytest

from minima.runtime.errors import UserError
from minima.tasks.models.model import ARCHITECTURES, Model, architecture


def test_a_model_is_a_static_argument(build):
    traced = []

    @functools.partial(jax.jit, static_argnums=0)
    def logits(model, params, x):
        traced.append(model)
        return model.apply(params, {}, x)[0]

    model, twin = (build("mlp", (3,), 2) for _ in range(2))
    assert model == twin
    assert hash(model) == hash(twin)
    params, _ = model.init(jax.random.key(0))
    logits(model, params, jnp.ones((1, 3)))
    assert hash(model) == hash(twin), "a model's hash changed by use"
    logits(twin, params, jnp.ones((1, 3)))
    assert len(traced) == 1
    changes = [{"width": 5}, {"depth": 2}, {"norm": "batch"}, {"activation": "tanh"}]
    changes.append({"parameter_dtype": "float64"})
    others = [build("linear", (3,), 2), build("mlp", (4,), 2), build("mlp", (3,), 3)]
    assert model not in others + [build("mlp", (3,), 2, **fields) for fields in changes]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cnn_smal", "; did you mean cnn_small?"),
        ("lstmm", "; did you mean lstm?"),
        ("BERT", ""),
        ("", ""),
    ],
)
def test_refuses_unknown_names(build, name, hint):
    settings = build("mlp", (3,), 2).settings
    for call in (architecture, lambda name: Model(name, settings).init(jax.random.key(0))):
        with pytest.raises(UserError) as caught:
            call(name)
        assert str(caught.value) == f"--model={name}: not one of {', '.join(ARCHITECTURES)}{hint}"
