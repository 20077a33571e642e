"""What the flagship trains beside its plane: configurations, worked out by hand."""

import dataclasses

import pytest

from minima.claims.choosing import UndecidedError, choose
from minima.claims.protocol import (
    as_many_updates,
    can_branch,
    infinite_plane,
    split_seeds,
    switches,
)
from minima.claims.worlds import World
from minima.sweep.budgets import parse_budget
from minima.sweep.config import (
    BranchConfig,
    GridConfig,
    RecordConfig,
    SweepConfig,
    TaskConfig,
    TrainingConfig,
)

RATES = tuple(2.0**k for k in range(-8, 1))
# Small is best at 1/64, large 16 times higher.
WORLD = World(
    batch_sizes=(8, 128), learning_rates=RATES, best_rate=2.0**-6, curvature=4.0, num_test=200
)
EVIDENCE = WORLD.draw(0)


def config(budget="10epochs", **training):
    return SweepConfig(
        task=TaskConfig(dataset="mnist1d"),
        grid=GridConfig(batch_sizes=(8, 128), learning_rates=RATES, seeds=(0, 1)),
        training=TrainingConfig(budget=parse_budget(budget), **training),
    )


def chosen(row):
    return choose(EVIDENCE, "epochs", row).rate


def test_the_first_three_in_ten_seeds_choose():
    assert split_seeds(tuple(range(10))) == ((0, 1, 2), (3, 4, 5, 6, 7, 8, 9))
    assert split_seeds((7, 8)) == ((0,), (1,))


def test_the_largest_batch_goes_on_to_the_updates_of_the_smallest():
    stage = as_many_updates(config(), "trunk", EVIDENCE, "epochs", 3200)
    assert (stage.name, stage.before) == ("updates", 250)
    assert stage.config.training.budget.steps == 4000 - 250
    assert stage.config.grid.batch_sizes == (128,)
    assert stage.config.branch == BranchConfig(branch_from="trunk")
    small, large = RATES.index(chosen(0)), RATES.index(chosen(1))
    assert small < large
    assert stage.config.grid.learning_rates == RATES[small - 1 : large + 2]


def test_rate_and_batch_change_by_the_same_factor_halfway():
    decayed, grown = switches(config(), "trunk", EVIDENCE, 3200)
    assert (decayed.name, grown.name) == ("decayed", "grown")
    assert decayed.before == grown.before == 2000
    for stage, size, rate in ((decayed, 8, chosen(0) / 4), (grown, 32, chosen(0))):
        assert stage.config.grid.batch_sizes == (size,)
        assert stage.config.grid.learning_rates == (rate,)
        assert stage.config.training.budget.examples == 16_000
        assert stage.config.branch == BranchConfig("trunk", 1, 8, chosen(0))


@pytest.mark.parametrize(
    ("snapshots", "which", "before"), [(2, 1, 2000), (3, 1, 1600), (4, 2, 2000)]
)
def test_the_switch_is_at_a_snapshot_that_was_kept(snapshots, which, before):
    record = RecordConfig(snapshots=snapshots)
    asked = dataclasses.replace(config(), record=record)
    stage = switches(asked, "trunk", EVIDENCE, 3200)[0]
    assert (stage.config.branch.branch_snapshot, stage.before) == (which, before)


def test_the_twin_has_the_ends_of_the_plane_and_endless_data():
    stage = infinite_plane(config())
    assert stage.config.task.dataset == "mnist1d_infinite"
    assert stage.config.grid.batch_sizes == (8, 128)
    assert stage.config.training == config().training


@pytest.mark.parametrize("name", ["updates", "schedules", "infinite"])
@pytest.mark.parametrize(
    "changes",
    [
        {"decay": "linear"},
        {"milestones": (2.0,), "rate_factor": 0.1},
        {"budget": "10epochs,early_stopping=2"},
        {"budget": "10epochs,train_loss<=0.1"},
    ],
)
def test_a_plane_with_a_horizon_or_early_endings_has_no_branches(name, changes):
    assert can_branch(config(), name) == ""
    assert "constant rates and a budget of epochs" in can_branch(config(**changes), name)


def test_what_has_nothing_to_branch_to_says_so():
    with pytest.raises(UndecidedError, match="at one of steps, updates are the same"):
        as_many_updates(config("500steps"), "trunk", EVIDENCE, "epochs", 3200)
    with pytest.raises(UndecidedError, match="2 or more --evaluations"):
        switches(config(evaluations=1), "trunk", EVIDENCE, 3200)
    images = dataclasses.replace(config(), task=TaskConfig(dataset="fashion_mnist"))
    assert "no twin that never repeats" in can_branch(images, "infinite")
    few = dataclasses.replace(config(), record=RecordConfig(snapshots=1))
    assert "--snapshots=2" in can_branch(few, "schedules")
    assert "warm-up" in can_branch(config(warmup_examples=100), "schedules")
