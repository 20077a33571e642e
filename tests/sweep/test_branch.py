"""Branches: cells that go on from a trunk's snapshots, through run directories on disk."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

from minima.record import results
from minima.record.snapshots import Snapshots
from minima.runtime.errors import UserError
from minima.sweep import execute, prepare
from minima.sweep.branch import from_arrays, to_arrays
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
from minima.sweep.program import blank_initial
from minima.sweep.replay import replay

TRUNK_STEPS = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory, dataset):
    folder = tmp_path_factory.mktemp("branch")
    both = [
        np.concatenate([getattr(part, name) for part in (dataset.train, dataset.validation)])
        for name in ("inputs", "labels")
    ]
    test = dataset.test
    np.savez(
        folder / "blobs.npz",
        x_train=both[0],
        y_train=both[1],
        x_test=test.inputs,
        y_test=test.labels,
    )
    return folder


@pytest.fixture(scope="module")
def go(folder):
    """go(budget=…, any training or branch field) -> the run's directory."""

    def config(**values) -> SweepConfig:
        groups = {"training": TrainingConfig, "branch": BranchConfig, "grid": GridConfig}
        groups["record"] = RecordConfig
        defaults = {
            "budget": f"{TRUNK_STEPS}steps", "evaluations": 4,
            "optimizer": "momentum", "clip_norm": 1.0,
            "batch_sizes": (8, 32), "learning_rates": (0.05, 1e4), "seeds": (0, 1),
            "workdir": str(folder / "runs"), "tensorboard": False, "snapshots": 2,
        }  # fmt: skip
        values = defaults | values
        values["budget"] = parse_budget(values["budget"])
        parts = {
            name: kind(**{f.name: values.pop(f.name) for f in dataclasses.fields(kind)
                          if f.name in values})
            for name, kind in groups.items()
        }  # fmt: skip
        assert not values
        task = TaskConfig(dataset=f"npz:{folder / 'blobs.npz'}", model="mlp", width=8)
        return SweepConfig(task=task, engine=EngineConfig(lanes=2, microbatch=8), **parts)

    def go(**values):
        prepared = prepare(config(**values), "branches")
        assert execute(prepared, "") == 0
        return prepared.directory

    return go


@pytest.fixture(scope="module")
def trunk(go):
    return go()


def by_cell(run):
    return {tuple(record["cell"].values()): record for record in results.load(run).cells}


@pytest.mark.slow
def test_a_trunk_keeps_its_cells_states_halfway_and_at_the_end(trunk):
    run, kept = results.load(trunk), Snapshots(trunk)
    seen = set()
    for record in run.cells:
        cell = record["cell"]
        number = [list(p) for p in np.ndindex(2, 2, 2)].index(
            [run.axes[name].index(cell[name]) for name in run.axes]
        )
        steps, curve = kept.steps(number), record["trajectory"]["step"]
        if record["status"] == "diverged":
            assert steps == ()
        else:
            assert steps == (curve[1], curve[3])
            assert curve[3] == record["steps"]
        seen.add(record["status"])
    assert {"complete", "diverged"} <= seen


@pytest.mark.slow
@pytest.mark.parametrize("snapshot", [1, 2])
def test_a_branch_that_changes_nothing_is_the_longer_run_bit_for_bit(go, trunk, snapshot):
    gone = TRUNK_STEPS // 2 * snapshot
    steps = 2 * TRUNK_STEPS - gone
    whole = by_cell(go(budget=f"{2 * TRUNK_STEPS}steps", evaluations=8))
    branch = by_cell(
        go(
            budget=f"{steps}steps",
            evaluations=steps // 6,
            branch_from=str(trunk),
            branch_snapshot=snapshot,
        )
    )
    assert set(branch) == set(whole)
    for cell, record in branch.items():
        if whole[cell]["status"] == "diverged":
            assert record["status"] == "diverged"
            continue
        assert record["test_loss"] == whole[cell]["test_loss"]
        for name in ("validation_loss", "train_loss"):
            curve = record["trajectory"][name]
            assert curve == whole[cell]["trajectory"][name][-len(curve) :]
            assert len(curve) == steps // 6


INTERVENTIONS = {
    "sharpness_aware": "sam",
    "sam_examples": 8,
    "weight_noise": 0.01,
    "label_flips": 0.1,
    "average": "ema",
    "average_half_life": 100.0,
    "learning_rates": (0.05,),
}


@pytest.mark.slow
def test_interventions_go_on_in_a_branch(go):
    whole = by_cell(go(**INTERVENTIONS, budget=f"{2 * TRUNK_STEPS}steps", evaluations=8))
    trunk = go(**INTERVENTIONS)
    branch = go(**INTERVENTIONS, branch_from=str(trunk))
    assert replay(branch, "bs=32,lr=0.05,seed=1", updates=6).holds
    for cell, record in by_cell(branch).items():
        assert record["test_loss"] == whole[cell]["test_loss"]
        assert (
            record["trajectory"]["validation_loss"]
            == (whole[cell]["trajectory"]["validation_loss"][4:])
        )


@pytest.mark.slow
def test_a_branch_begins_or_ends_interventions_at_the_trunks_last_weights(go, trunk):
    """An average that spans one update is none; one that forgets nothing is not."""
    plain = {"branch_from": str(trunk), "learning_rates": (0.05,)}
    averaging = {"average": "ema", "average_half_life": 1e9}
    last, mean = by_cell(go(**plain)), by_cell(go(**plain, **averaging))
    short = by_cell(go(**plain, average="swa", average_fraction=0.01))
    for cell, record in last.items():
        curves = (records[cell]["trajectory"]["train_loss"] for records in (mean, last))
        np.testing.assert_allclose(*curves, rtol=1e-5)
        assert mean[cell]["test_loss"] != record["test_loss"]
        assert short[cell]["test_loss"] == pytest.approx(record["test_loss"], rel=1e-5)
    averaged = go(**averaging, learning_rates=(0.05,))
    again = by_cell(go(**plain | {"branch_from": str(averaged)}))
    for cell, record in last.items():
        assert again[cell]["test_loss"] == pytest.approx(record["test_loss"], rel=1e-5)


def test_cells_of_a_diverged_trunk_diverge_at_once(go, trunk):
    branch = by_cell(go(budget="1epochs", branch_from=str(trunk), decay="linear"))
    wild = [cell for cell, record in by_cell(trunk).items() if record["status"] == "diverged"]
    assert wild
    for cell in wild:
        assert branch[cell]["status"] == "diverged"
        assert branch[cell]["steps"] == 0


@pytest.mark.slow
def test_one_trunk_cell_forks_into_other_batch_sizes_and_rates(go, trunk):
    branch = go(
        budget="1epochs",
        branch_from=str(trunk),
        trunk_batch_size=32,
        trunk_learning_rate=0.05,
        batch_sizes=(1, 16, 97),
        learning_rates=(0.01, 0.1),
        warmup_examples=40,
    )
    records = by_cell(branch)
    assert len(records) == 12
    assert {record["status"] for record in records.values()} == {"complete"}
    assert replay(branch, "bs=16,lr=0.1,seed=1", updates=7).holds
    assert replay(branch, "bs=1,lr=0.01,seed=0", updates=20).holds


@pytest.mark.parametrize("optimizer", ["momentum", "adam", "muon"])
def test_a_state_comes_back_from_its_arrays(make, optimizer):
    plan = make(
        model="cnn_small",
        norm="batch",
        optimizer=optimizer,
        batch_sizes=(8,),
        learning_rates=(0.1,),
    )
    rng, like = np.random.default_rng(0), blank_initial(plan.recipe)
    state = jax.tree.map(lambda x: (10 * rng.random(x.shape)).astype(x.dtype), like)
    again = from_arrays(to_arrays(state), like)
    jax.tree.map(np.testing.assert_array_equal, again, state)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"optimizer": "adam"}, "--optimizer=adam: --branch_from="),
        ({"batch_sizes": (8, 64)}, "name its cells by --trunk_batch_size"),
        ({"seeds": (0, 2)}, "no cell with seed=2"),
        ({"branch_snapshot": 3}, "--branch_snapshot=3: cell 0 of"),
        ({"branch_from": "nowhere"}, "nowhere"),
        ({"branch_from": "", "trunk_batch_size": 8}, "--trunk_batch_size=8: says where"),
    ],
)
def test_what_cannot_be_branched_from_is_refused_in_a_line(go, trunk, values, words):
    with pytest.raises(UserError) as caught:
        go(**{"branch_from": str(trunk)} | values)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_snapshot_is_named(go, folder, trunk):
    copy = shutil.copytree(trunk, folder / "damaged")
    for path in copy.glob("snapshots/cell-000000/*.npz"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    with pytest.raises(UserError, match="can't be read"):
        go(branch_from=str(copy), budget="1epochs")
