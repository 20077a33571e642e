"""Cells that start from weights of a run or a file, and train a part of them."""

import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from plain_reference import order, worst
from safetensors.numpy import save_file

from minima.record import results
from minima.record.checkpoints import Checkpoints
from minima.record.snapshots import Snapshots
from minima.runtime import devices
from minima.runtime.errors import UserError
from minima.runtime.interrupts import StopRequest
from minima.sweep import describe, execute, prepare
from minima.sweep.budgets import parse_budget
from minima.sweep.config import (
    BranchConfig,
    EngineConfig,
    GridConfig,
    RecordConfig,
    SweepConfig,
    TaskConfig,
    TrainingConfig,
)
from minima.sweep.program import AXIS
from minima.sweep.replay import replay
from minima.sweep.stream import Purpose, purpose_key
from minima.sweep.train import train

WHERE = {"batch_size": 32, "learning_rate": 0.05}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, dataset):
    """Two tasks on the same pictures: five classes, and three."""
    folder = tmp_path_factory.mktemp("pretrained")
    parts = (dataset.train, dataset.validation)
    x = np.concatenate([part.inputs for part in parts])
    y = np.concatenate([part.labels for part in parts])
    for name, classes in (("source", 5), ("target", 3)):
        np.savez(
            folder / f"{name}.npz",
            x_train=x,
            y_train=y % classes,
            x_test=dataset.test.inputs,
            y_test=dataset.test.labels % classes,
        )
    return folder


@pytest.fixture(scope="module")
def plan_of(folder):
    """plan_of(data="target", any leaf) -> what is prepared."""

    def plan_of(data="target", **values):
        defaults = {
            "budget": "12steps", "evaluations": 2, "optimizer": "momentum", "weight_decay": 0.1,
            "batch_sizes": (8,), "learning_rates": (0.02,), "seeds": (0, 1), "model": "mlp",
            "width": 8, "depth": 2, "lanes": 2, "microbatch": 8,
            "workdir": str(folder / "runs"), "tensorboard": False, "snapshots": 1,
        }  # fmt: skip
        values = {"dataset": f"npz:{folder / data}.npz"} | defaults | values
        values["budget"] = parse_budget(values["budget"])
        groups = {"task": TaskConfig, "grid": GridConfig, "training": TrainingConfig}
        groups |= {"branch": BranchConfig, "engine": EngineConfig, "record": RecordConfig}
        parts = {}
        for name, kind in groups.items():
            names = {field.name for field in dataclasses.fields(kind)} & set(values)
            parts[name] = kind(**{each: values.pop(each) for each in names})
        assert not values
        return prepare(SweepConfig(**parts), "pretrained")

    return plan_of


@pytest.fixture(scope="module")
def source(plan_of):
    """Minima of five classes; at one rate all cells diverge."""
    prepared = plan_of("source", batch_sizes=(8, 32), learning_rates=(0.05, 1e12))
    assert execute(prepared, "") == 0
    return prepared


@pytest.fixture(scope="module")
def start(source):
    """Flags that start from its cells of batch size 32."""
    return {
        "initial_weights": str(source.directory),
        "trunk_batch_size": 32,
        "trunk_learning_rate": 0.05,
    }


@pytest.fixture(scope="module")
def tuned(plan_of, start):
    """The last layer but one is trained, and the head; a cell for each seed, at once complete."""
    prepared = plan_of(**start, trainable="last_block", evaluations=6)
    assert execute(prepared, "") == 0
    return prepared


def read(prepared):
    return results.load(prepared.directory)


def minimum(prepared, number):
    kept = Snapshots(prepared.directory)
    return kept.read(number, kept.steps(number)[-1])


def source_number(source, seed):
    return source.plan.grid.index(WHERE | {"seed": seed})


def named(tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {f"params/{jax.tree_util.keystr(p, simple=True, separator='/')}": x for p, x in leaves}


@pytest.mark.slow
def test_cells_start_at_the_minimum_of_their_seed_bit_for_bit_with_a_fresh_head(
    plan_of, source, start
):
    prepared, scratch = plan_of(**start), plan_of()
    model = scratch.plan.recipe.task.model
    assert "start" in describe(prepared.plan)
    assert "fresh: readout/bias 3 (5 there), readout/kernel 8×3 (8×5 there)" in describe(
        prepared.plan
    )
    for cell in prepared.plan.cells:
        begin = prepared.plan.order(cell).initial
        there = minimum(source, source_number(source, cell["seed"]))
        assert scratch.plan.order(cell).initial is None
        key = purpose_key(np.int32(cell["seed"]), Purpose.INITIALISATION)
        fresh = named(jax.jit(model.init)(key)[0])
        for name, array in named(begin.params).items():
            expected = fresh[name] if "readout" in name else there[name]
            np.testing.assert_array_equal(array, expected)
        assert (begin.epoch, begin.position) == (0, 0)
        assert not any(np.any(leaf) for leaf in jax.tree.leaves(begin.opt_state))


@pytest.mark.slow
def test_what_is_frozen_is_still_the_source_after_training_and_the_rest_has_moved(source, tuned):
    assert "99 trained" in describe(tuned.plan)  # 8×8 + 8 + 8×3 + 3
    for number, cell in enumerate(tuned.plan.cells):
        there, here = minimum(source, source_number(source, cell["seed"])), minimum(tuned, number)
        for name in ("params/hidden/0/kernel", "params/hidden/0/bias"):
            np.testing.assert_array_equal(here[name], there[name])
        assert not np.array_equal(here["params/hidden/1/kernel"], there["params/hidden/1/kernel"])


@pytest.mark.slow
def test_training_from_a_minimum_equals_a_plain_loop(tuned, source):
    """Optax on the trainable parameters alone, from the source's arrays."""
    plan, cell = tuned.plan, tuned.plan.cells[1]
    data, n = plan.dataset, len(plan.dataset.train)
    model = dataclasses.replace(plan.recipe.task.model, trainable="all")
    there = minimum(source, source_number(source, cell["seed"]))
    params = plan.order(cell).initial.params
    fixed = {"hidden": {0: {n: there[f"params/hidden/0/{n}"] for n in ("kernel", "bias")}}}
    moving = {"hidden": {1: params["hidden"][1]}, "readout": params["readout"]}

    def loss(moving, x, y):
        whole = moving | {"hidden": fixed["hidden"] | moving["hidden"]}
        logits, _ = model.apply(whole, {}, (x - data.mean) / data.std)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, y))

    rule = optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.02, momentum=0.9))
    state, step = rule.init(moving), jax.jit(jax.grad(loss))
    for batch in order(cell["seed"], 0, n)[: 12 * 8].reshape(12, 8):  # within the first epoch
        x = data.train.inputs[batch].astype(np.float32)
        change, state = rule.update(step(moving, x, data.train.labels[batch]), state, moving)
        moving = optax.apply_updates(moving, change)
    here, found = minimum(tuned, 1), named(moving)
    assert worst([here[name] for name in found], list(found.values())) < 1e-5
    assert replay(tuned.directory, "1", updates=12).holds


def test_a_kill_changes_no_number(tuned, run_cells, tmp_path):
    """Stopped after the first segment, taken up from the checkpoint."""
    plan, stop, beats, records = tuned.plan, StopRequest(), [], []
    whole = {plan.grid.index(record["cell"]): record for record in read(tuned).cells}

    def beat():
        beats.append(True)
        if len(beats) == 2:  # the first says that it has compiled
            stop.ask()

    mesh = devices.make_mesh(AXIS, plan.layout.devices)
    with Checkpoints(tmp_path) as checkpoints:
        how = {"checkpoints": checkpoints, "stop": stop, "beat": beat}
        assert train(plan, mesh, records.append, **how).stopped
    assert not records
    with Checkpoints(tmp_path) as checkpoints:
        train(plan, mesh, records.append, checkpoints=checkpoints)
    assert {plan.grid.index(record["cell"]): record for record in records} == whole


def test_the_run_goes_by_its_weights_and_not_by_their_absence(plan_of, source, start, folder):
    plain, kernel = plan_of(), minimum(source, 0)
    assert "trainable" not in plain.identity["task"]
    assert not {"initial_weights", "weight_map", "fresh_weights"} & set(plain.identity["branch"])
    ids = {plain.run_id, plan_of(trainable="head").run_id, plan_of(**start).run_id}
    for shift in (0, 1):
        moved = {name: array + np.float32(shift) for name, array in kernel.items()}
        np.savez(folder / "weights.npz", **moved)
        ids.add(plan_of(initial_weights=str(folder / "weights.npz")).run_id)
    assert len(ids) == 5


def test_cells_of_a_pretraining_that_diverged_diverge_at_once(plan_of, source, start):
    with pytest.raises(UserError, match="all of its cells diverged"):
        plan_of(**start | {"trunk_learning_rate": 1e12})
    rates = {"trunk_learning_rate": 0.0, "learning_rates": (0.05, 1e12), "trainable": "head"}
    prepared = plan_of(**start | rates)
    assert "minima of 4 cells, 2 diverged" in describe(prepared.plan)
    assert execute(prepared, "") == 0
    for record in read(prepared).cells:
        gone = record["cell"]["learning_rate"] > 1
        assert (record["status"], record["steps"]) == (
            ("diverged", 0) if gone else ("complete", 12)
        )


def test_averaged_and_frozen_weights_start_as_they_are(plan_of, source, start):
    """An average begins at the weights taken up, and what never moves has itself as average."""
    prepared = plan_of(
        **start, trainable="head", average="ema", average_half_life=16.0, optimizer="adamw"
    )
    assert execute(prepared, "") == 0
    for number, cell in enumerate(prepared.plan.cells):
        there = minimum(source, source_number(source, cell["seed"]))
        here = minimum(prepared, number)
        for name in ("hidden/0/kernel", "hidden/1/kernel", "hidden/1/bias"):
            for kind in ("params", "average"):
                np.testing.assert_array_equal(here[f"{kind}/{name}"], there[f"params/{name}"])
        assert not np.array_equal(here["average/readout/kernel"], here["params/readout/kernel"])


@pytest.mark.slow
def test_a_network_from_elsewhere_computes_here_what_it_did_there(plan_of, folder, source):
    """One written as PyTorch has them, channels first, saved by the safetensors package."""
    rng = np.random.default_rng(0)
    shapes = {"c1": (8, 1, 3, 3), "c2": (16, 8, 3, 3), "f1": (32, 16 * 3 * 3), "f2": (3, 32)}
    theirs = {f"{n}.w": 0.3 * rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    theirs |= {f"{n}.b": rng.normal(size=s[0]).astype(np.float32) for n, s in shapes.items()}
    save_file(theirs, folder / "theirs.safetensors")
    ours = {"convolutions/0": "c1", "convolutions/1": "c2", "dense": "f1", "readout": "f2"}
    turns = {"c1": {"transpose": [2, 3, 1, 0]}, "c2": {"transpose": [2, 3, 1, 0]}}
    turns |= {
        "f1": {"reshape": [32, 16, 3, 3], "transpose": [2, 3, 1, 0]},
        "f2": {"transpose": [1, 0]},
    }
    mapped = {f"{our}/bias": f"{their}.b" for our, their in ours.items()}
    mapped |= {f"{our}/kernel": {"name": f"{t}.w"} | turns[t] for our, t in ours.items()}
    (folder / "map.json").write_text(json.dumps(mapped))
    prepared = plan_of(
        model="cnn_small",
        width=0,
        depth=0,
        initial_weights=str(folder / "theirs.safetensors"),
        weight_map=str(folder / "map.json"),
    )
    assert "fresh: none" in describe(prepared.plan)
    begin = prepared.plan.order(prepared.plan.cells[0]).initial
    x = rng.normal(size=(5, 14, 14)).astype(np.float32)
    found, _ = prepared.plan.recipe.task.model.apply(begin.params, begin.state, x)

    h = x[:, None]
    for name in ("c1", "c2"):
        h = jax.lax.conv_general_dilated(h, theirs[f"{name}.w"], (1, 1), "SAME")
        h = jax.nn.relu(h + theirs[f"{name}.b"][None, :, None, None])
        n, c, rows, columns = h.shape
        h = h[:, :, : rows // 2 * 2, : columns // 2 * 2]
        h = h.reshape(n, c, rows // 2, 2, columns // 2, 2).max(axis=(3, 5))
    h = jax.nn.relu(h.reshape(5, -1) @ theirs["f1.w"].T + theirs["f1.b"][None])
    np.testing.assert_allclose(
        found, h @ theirs["f2.w"].T + theirs["f2.b"][None], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"width": 9}, "parameters do not fit: hidden/0/bias 9 (8 there), hidden/0/kernel 196×9"),
        ({"seeds": (0, 5)}, "seed=5 is not on the grid"),
        ({"trunk_batch_size": 0, "batch_sizes": (16,)}, "is not on the grid; name its cells by"),
        ({"trunk_batch_size": 16}, "batch_size=16 is not on the grid"),
        ({"initial_weights": "nowhere"}, "nowhere"),
        ({"initial_weights": "nowhere.npz", "trunk_batch_size": 0, "trunk_learning_rate": 0.0},
         "--initial_weights=nowhere.npz: cannot be read (No such file"),
        ({"initial_weights": "a.npz"}, "is a file, which has no cells"),
        ({"initial_weights": ""}, "set --branch_from"),
        ({"initial_weights": "", "weight_map": "m.json"}, "set --initial_weights"),
        ({"initial_weights": "", "fresh_weights": "head"}, "set --initial_weights"),
        ({"branch_from": "there"}, "use one of the two"),
        ({"branch_snapshot": 1}, "takes a run's minima; leave it out"),
        ({"fresh_weights": "heads"}, "--fresh_weights=heads: 'heads' matches no parameter"),
        ({"weight_map": "nowhere.json"}, "--weight_map=nowhere.json: cannot be read"),
        ({"trainable": "hidden/7/*"}, "--trainable=hidden/7/*: 'hidden/7/*' matches no parameter"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_line(plan_of, start, values, words):
    with pytest.raises(UserError) as caught:
        plan_of(**start | values)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_that_kept_nothing_or_is_not_done_is_refused(plan_of, folder, source, start):
    bare = shutil.copytree(source.directory, folder / "bare", ignore=lambda *_: ["snapshots"])
    with pytest.raises(UserError, match="train it with --snapshots=1 or more"):
        plan_of(**start | {"initial_weights": str(bare)})
    lines = (bare / "cells.jsonl").read_text().splitlines(keepends=True)
    (bare / "cells.jsonl").write_text("".join(lines[:1]))
    with pytest.raises(UserError, match="has not finished; run its command again first"):
        plan_of(**start | {"initial_weights": str(bare)})
