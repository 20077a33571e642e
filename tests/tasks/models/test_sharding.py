"""The table of what a mesh cuts, on every model."""

import math

import jax
import pytest

from minima.runtime.axes import Axes
from minima.tasks.models import Model, Settings
from minima.tasks.models.sharding import cuts


def parameters(name, **values):
    settings = {"input_shape": (28, 28), "kind": "image", "num_classes": 10, "vocabulary": 0}
    settings |= {"per_position": False, "positions": True, "parameter_dtype": "float32"}
    model = Model(name, Settings(**settings, **values))
    return jax.eval_shape(model.init, jax.random.key(0))[0]


def specs(params, axes, fully_sharded=False):
    found = cuts(params, axes, fully_sharded)
    return {"/".join(path): tuple(cut.spec) for path, cut in found.items()}


def test_a_transformer_block_is_cut_by_columns_and_then_by_rows():
    params = parameters("transformer", width=32, depth=2, norm="layer")
    found = specs(params, Axes(4, 2))
    for block in ("blocks/0", "blocks/1"):
        assert found[f"{block}/qkv/kernel"] == found[f"{block}/wide/kernel"] == (None, "model")
        assert found[f"{block}/qkv/bias"] == found[f"{block}/wide/bias"] == ("model",)
        assert found[f"{block}/attended/kernel"] == ("model", None)
        assert found[f"{block}/narrow/kernel"] == ("model", None)
        assert found[f"{block}/attended/bias"] == found[f"{block}/norms/0/scale"] == (None,)
    assert found["positions"] == found["readout/kernel"] == (None, None)


def test_fully_sharded_cuts_the_largest_dimension_that_is_left():
    params = parameters("transformer", width=32, depth=1, norm="layer")
    found = specs(params, Axes(4, 2), fully_sharded=True)
    assert found["blocks/0/qkv/kernel"] == ("data", "model")
    assert found["blocks/0/narrow/kernel"] == ("model", "data")
    assert found["positions"] == (None, "data")  # 49 places are not divided by 4
    assert found["readout/kernel"] == ("data", None)
    assert found["blocks/0/norms/0/scale"] == (None,)


def test_hidden_layers_of_a_perceptron_take_turns():
    params = parameters("mlp", width=24, depth=3, norm="none")
    found = specs(params, Axes(1, 8))
    assert found["hidden/0/kernel"] == found["hidden/2/kernel"] == (None, "model")
    assert found["hidden/1/kernel"] == ("model", None)


def test_what_is_not_divided_stays_whole_and_says_so():
    params = parameters("mlp", width=20, depth=2, norm="none")
    found = cuts(params, Axes(1, 8))
    assert all(cut.spec == jax.P(*[None] * len(cut.shape)) for cut in found.values())
    whole = {"/".join(path) for path, cut in found.items() if cut.whole}
    assert whole == {"hidden/0/kernel", "hidden/0/bias", "hidden/1/kernel"}


@pytest.mark.parametrize("fully_sharded", [False, True])
def test_devices_hold_their_share(fully_sharded):
    params = parameters("mlp", width=64, depth=1, norm="none")
    found = cuts(params, Axes(4, 2), fully_sharded)
    held = {"/".join(path): cut.held(Axes(4, 2)) for path, cut in found.items()}
    share = 8 if fully_sharded else 2
    assert held["hidden/0/kernel"] == 784 * 64 // share
    assert held["hidden/0/bias"] == 32
    assert held["readout/bias"] == 10
    whole = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
    assert sum(cut.held(Axes()) for cut in found.values()) == whole
