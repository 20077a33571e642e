"""Training and evaluation over eight devices against one (see `test_mesh.py`)."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest
from plain_reference import determined, worst

from minima.record.checkpoints import Checkpoints
from minima.runtime.axes import Axes, parse_axes
from minima.runtime.interrupts import StopRequest
from minima.runtime.mesh import put
from minima.sweep.placement import Placement
from minima.sweep.plan import make_plan
from minima.sweep.program import compile_program, empty_lanes
from minima.sweep.train import train
from minima.tasks.task import to_arrays

SHAPES = [
    *itertools.product(("data:8", "data:4,model:2", "data:2,model:4"), (False, True)),
    ("model:8", False),
]
PLAIN = {
    "learning_rates": (0.01,),
    "seeds": (3,),
    "batch_sizes": (13, 32),
    "budget": "30steps",
    "evaluations": 3,
    "microbatch": 16,
    "dtype": "float64",
}
INTERVENTIONS = {
    "batch_sizes": (13, 26),
    "microbatch": 0,
    "sharpness_aware": "asam",
    "sam_examples": 13,
    "average": "ema",
    "average_half_life": 100.0,
    "clip_norm": 0.7,
    "weight_decay": 0.01,
    "dropout": 0.2,
    "label_noise": 0.2,
    "label_flips": 0.1,
    "weight_noise": 0.01,
    "augmentation": "shift",
}
MODELS = {
    "mlp": {"model": "mlp", "width": 32, "depth": 2, "optimizer": "momentum"},
    "mlp interventions": {"model": "mlp", "width": 16, **INTERVENTIONS},
    "mlp_residual": {"model": "mlp_residual", "width": 16, "depth": 3, "optimizer": "lion"},
    "mlp muon": {"model": "mlp", "width": 16, "depth": 2, "optimizer": "muon"},
    "mlp early": {
        "model": "mlp",
        "width": 16,
        "budget": "200steps,early_stopping=1",
        "evaluations": 40,
        "wide": (32,),
        "learning_rates": (0.1,),
    },
    "mlp batch norm": {"model": "mlp", "width": 16, "norm": "batch", "microbatch": 0},
    "cnn_small": {"model": "cnn_small", "optimizer": "adam", "norm": "group"},
    "cnn": {"model": "cnn", "width": 16},
    "vgg batch norm": {"model": "vgg", "width": 16, "norm": "batch", "microbatch": 0},
    "lstm": {"model": "lstm", "width": 8, "optimizer": "nesterov", "dropout": 0.2},
    "gru": {"model": "gru", "width": 8, "optimizer": "adam"},
    "transformer": {"model": "transformer", "width": 32, "depth": 1, "optimizer": "adamw"},
    "language model": {
        "data": "sequences",
        "model": "transformer",
        "width": 128,
        "depth": 1,
        "optimizer": "adam",
        "dropout": 0.1,
    },
}
# Every shape and every kind of network.
FEW = [
    ("mlp", "model:8", False),
    ("mlp interventions", "data:8", True),
    ("cnn_small", "data:4,model:2", True),
    ("lstm", "data:2,model:4", False),
    ("language model", "data:4,model:2", False),
]
# The table of cuts has two patterns, so two models see every shape, the others one with all in it.
EVERYWHERE = ("mlp", "transformer")
MANY = [(model, *shape) for model in EVERYWHERE for shape in SHAPES]
MANY += [(model, "data:4,model:2", True) for model in MODELS if model not in EVERYWHERE]
# Nothing of these can be divided over a model axis.
MANY += [(model, "data:8", sharded) for model in ("resnet",) for sharded in (False, True)]
MODELS["resnet"] = {"model": "resnet", "width": 8, "microbatch": 0}
CASES = [*FEW, *(pytest.param(*case, marks=pytest.mark.long) for case in MANY if case not in FEW)]


@pytest.fixture(autouse=True, scope="module")
def cheap_compiles():
    """XLA's partitioner is what is tested here, not how well it optimises afterwards."""
    jax.config.update("jax_disable_most_optimizations", True)
    with jax.enable_x64(True):
        yield
    jax.config.update("jax_disable_most_optimizations", False)


def trained(plan, **options):
    """Records and kept states by batch size."""
    records, states = {}, {}

    def keep(cell, step, snapshot):
        states[plan.cells[cell]["batch_size"], step] = snapshot

    def note(record):
        records[record["cell"]["batch_size"]] = record

    train(plan, plan.layout.make_mesh(), note, on_snapshot=keep, **options)
    return records, states


@pytest.fixture(scope="module")
def one_device(make):
    """one_device(model) -> what one device makes of it."""
    found = {}

    def run(model):
        if model not in found:
            found[model] = trained(make(**PLAIN | MODELS[model], lanes=1, devices=1))
        return found[model]

    return run


def same(found, expected):
    """Records and states, within the contract's bound."""
    (records, states), (other_records, other_states) = found, expected
    assert records.keys() == other_records.keys()
    assert states.keys() == other_states.keys()
    for size, record in records.items():
        other = other_records[size]
        assert [record[name] for name in ("status", "steps")] == [
            other[name] for name in ("status", "steps")
        ]
        for part, reference in ((record, other), (record["trajectory"], other["trajectory"])):
            for name, value in part.items():
                if not isinstance(value, dict | str):
                    np.testing.assert_allclose(value, reference[name], rtol=0, atol=1e-10)
    for key, state in states.items():
        kept, reference = (
            determined(s._asdict() | {"opt_state": None}) for s in (state, other_states[key])
        )
        assert worst(kept, reference) < 1e-10, key


@pytest.mark.parametrize(("model", "axes", "fully_sharded"), CASES)
def test_a_mesh_gives_the_numbers_of_one_device(make, one_device, model, axes, fully_sharded):
    plan = make(**PLAIN | MODELS[model], mesh=parse_axes(axes), fully_sharded=fully_sharded)
    same(trained(plan), one_device(model))


def moments(opt_state):
    """Adam's two, wherever optax keeps them."""
    (found,) = [
        node
        for node in jax.tree.leaves(opt_state, is_leaf=lambda node: hasattr(node, "mu"))
        if hasattr(node, "mu")
    ]
    return found.mu, found.nu


def lanes_of(plan):
    """The lanes of a plan after a segment of its program."""
    recipe, mesh = plan.recipe, plan.layout.make_mesh()
    place = Placement.on(mesh, recipe.task.model, plan.layout.fully_sharded)
    arrays = put(to_arrays(plan.dataset, recipe.task.model.dtype), place.everywhere)
    program = compile_program(recipe, plan.layout, mesh, arrays)
    lanes = empty_lanes(recipe, plan.layout)
    lanes = put(lanes, place.stacked(lanes))
    orders = jax.tree.map(lambda x: np.asarray(x)[None], plan.order(plan.cells[0]))
    orders = put(orders, place.stacked(orders))
    limit = put(np.int32(4), place.everywhere)
    return program(lanes, orders, limit, arrays, None)


def test_parameters_and_all_that_follows_them_lie_in_shards(make):
    """Hidden layers of 16 and 32: cut by columns, then by rows; the rest of it over data."""
    plan = make(
        **PLAIN | MODELS["mlp"] | {"average": "swa", "optimizer": "adam", "snapshots": 1},
        mesh=Axes(4, 2),
        fully_sharded=True,
    )
    lanes, report = lanes_of(plan)
    first = {"kernel": (1, 49, 16), "bias": (1, 16)}
    second = {"kernel": (1, 16, 8), "bias": (1, 32)}
    readout = {"kernel": (1, 8, 5), "bias": (1, 5)}
    expected = {"hidden": {0: first, 1: second}, "readout": readout}
    for tree in (
        lanes.params,
        lanes.gradient,
        lanes.average.params,
        *moments(lanes.opt_state),
        report.snapshot.params,
        *moments(report.snapshot.opt_state),
    ):
        shards = jax.tree.map(lambda x: x.addressable_shards[0].data.shape, tree)
        assert shards == expected
        assert all(len(x.sharding.device_set) == 8 for x in jax.tree.leaves(tree))
    assert report.final.sharding.is_fully_replicated
    assert plan.memory_bytes() < make(**PLAIN | MODELS["mlp"], mesh=Axes(8)).memory_bytes() * 1.5


def test_a_plane_compiles_once(make, counts_compilations):
    plan = make(**PLAIN | {"seeds": (0, 1), "budget": "4steps"}, mesh=Axes(4, 2))
    with counts_compilations() as count:
        records, _ = trained(plan)
    assert count.count == 1
    assert set(records) == {13, 32}


def test_slabs_lie_over_the_data_axis_and_give_the_same_numbers(make, tmp_path, monkeypatch):
    """Of 97 examples, 48 at a time, 12 on each of four devices; stopped, and taken up again."""
    monkeypatch.setattr("minima.sweep.train._FIRST_LIMIT", 2)
    monkeypatch.setattr("minima.sweep.train._LARGEST_LIMIT", 2)
    values = PLAIN | {"label_noise": 0.3, "augmentation": "shift", "mesh": Axes(4, 2)}
    resident, streamed = make(**values), make(**values, slab_mib=0.0049)
    assert streamed.recipe.slab == 48
    expected = trained(resident)
    stop, seen = StopRequest(), []

    class Stopping(StopRequest):
        def __bool__(self):
            seen.append(1)
            return len(seen) > 5

    with Checkpoints(tmp_path) as checkpoints:
        before, states = trained(streamed, checkpoints=checkpoints, stop=Stopping())
    assert not stop
    assert len(before) < 2
    with Checkpoints(tmp_path) as checkpoints:
        done = [i for i, cell in enumerate(streamed.cells) if cell["batch_size"] in before]
        after, later = trained(streamed, checkpoints=checkpoints, done=done)
    same((before | after, states | later), expected)
    for size, record in (before | after).items():
        assert record["trajectory"] == expected[0][size]["trajectory"]  # exactly


@pytest.mark.parametrize(
    "axes", [None, *(pytest.param(a, marks=pytest.mark.slow) for a in (Axes(2, 2), Axes(8)))]
)
def test_a_cell_saved_on_one_mesh_goes_on_over_another(make, one_device, tmp_path, axes):
    """Also on one device; only the microbatch and the lane are pinned."""
    plan = make(**PLAIN | MODELS["mlp"], mesh=Axes(4, 2), fully_sharded=True)
    seen = []

    class Stopping(StopRequest):
        def __bool__(self):
            seen.append(1)
            return len(seen) > 2

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minima.sweep.train._FIRST_LIMIT", 7)
        patch.setattr("minima.sweep.train._LARGEST_LIMIT", 7)
        with Checkpoints(tmp_path) as checkpoints:
            before, states = trained(plan, checkpoints=checkpoints, stop=Stopping())
    assert not before
    config = dataclasses.replace(
        plan.config, engine=dataclasses.replace(plan.config.engine, mesh=axes, fully_sharded=False)
    )
    pinned = plan.resolved()
    other = make_plan(config, plan.recipe.task, plan.dataset, pinned)
    assert (other.layout.axes, other.layout.lanes, other.recipe.microbatch) == (axes, 1, 16)
    with Checkpoints(tmp_path) as checkpoints:
        after, later = trained(other, checkpoints=checkpoints)
    same((after, states | later), one_device("mlp"))
