"""Slices of a grid: every cell once, equal costs, few programs, the same on every machine."""

import dataclasses

import jax
import numpy as np
import pytest

from minima.record.shards import Shard
from minima.sweep import probe
from minima.sweep.config import ProcessesConfig
from minima.sweep.description import describe
from minima.sweep.grid import Grid
from minima.sweep.shard_description import split_of
from minima.sweep.sharding import cell_costs, cut, deal, shards_of_cells

PLANE = {"batch_sizes": (4, 8, 97), "learning_rates": (0.1, 0.2), "seeds": (0, 1, 2)}


def sharded(plan, index, count, **record):
    config = dataclasses.replace(
        plan.config,
        processes=ProcessesConfig(Shard(index, count)),
        record=dataclasses.replace(plan.config.record, **record),
    )
    return dataclasses.replace(plan, config=config)


@pytest.mark.parametrize("seed", range(40))
def test_any_split_has_every_cell_once_and_costs_within_one_cell(seed):
    random = np.random.default_rng(seed)
    costs = np.exp(random.normal(0, 2, random.integers(1, 8))).tolist()
    kinds = random.integers(0, len(costs), random.integers(1, 300))
    count, each = int(random.integers(1, 40)), np.array(costs)[kinds]
    fair = each.sum() / count
    for shards in (
        deal(costs, kinds, count),
        cut(costs, kinds, random.permutation(len(kinds)), count),
    ):
        assert shards.shape == kinds.shape
        assert set(shards.tolist()) <= set(range(count))
        loads = np.bincount(shards, each, count)
        assert loads.max() <= fair + each.max() * (1 + 1e-9)
        assert loads.min() >= fair - each.max() * (1 + 1e-9)


def test_dealing_keeps_any_two_shards_within_one_cell():
    costs, kinds = [7.0, 3.0, 1.0], np.repeat([0, 1, 2], [11, 5, 23])
    loads = np.bincount(deal(costs, kinds, 6), np.array(costs)[kinds], 6)
    assert np.ptp(loads) <= 1.0


def test_a_line_is_cut_so_that_programs_stay_together():
    costs, kinds = [4.0, 2.0, 1.0], np.tile([0, 1, 2], 40)
    for count in (1, 2, 3, 7, 50, 200):
        shards = cut(costs, kinds, np.arange(120), count)
        pairs = {*zip(shards.tolist(), kinds.tolist(), strict=True)}
        assert len(pairs) <= count + len(costs) - 1


def test_a_million_cells_and_more_shards_than_cells():
    kinds = np.repeat(np.arange(10), 100_000)
    costs = [float(2 ** (10 - k)) for k in range(10)]
    for shards in (deal(costs, kinds, 1000), cut(costs, kinds, np.arange(10**6), 1000)):
        loads = np.bincount(shards, np.array(costs)[kinds], 1000)
        assert np.ptp(loads) <= 2 * max(costs)
    assert np.bincount(deal([1.0], np.zeros(3, int), 5), minlength=5).tolist() == [1, 1, 1, 0, 0]


def test_costs_are_micro_steps_of_overhead_and_width(make):
    plan = make(**PLANE, budget="2epochs", microbatch=4)
    steps = [plan.timeline({"batch_size": size}).steps for size in PLANE["batch_sizes"]]
    overhead = 16  # of an MLP, as measured
    pieces = [1, 2, 25]
    expected = [n * k * (overhead + 4) for n, k in zip(steps, pieces, strict=True)]
    assert cell_costs(plan) == expected


def test_growing_batches_cost_what_their_phases_do(make):
    plan = make(batch_sizes=(4,), budget="2epochs", milestones=(1.0,), batch_factor=2, microbatch=4)
    first, second = plan.timeline({"batch_size": 4}).phases
    steps = plan.timeline({"batch_size": 4}).steps
    assert cell_costs(plan) == [20 * second.start + 40 * (steps - second.start)]
    assert (first.batch_size, second.batch_size) == (4, 8)


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_parts_are_disjoint_and_layout_is_that_of_the_whole(make, norm):
    whole = make(**PLANE, norm=norm)
    parts = [sharded(whole, index, 4) for index in range(4)]
    assert sorted(i for part in parts for i in part.part) == list(range(18))
    assert all(part.resolved() == whole.resolved() for part in parts)
    assert list(whole.part) == list(range(18))
    compiled = split_of(whole, 4).programs
    assert compiled.sum() <= 4 + len(whole.programs) - 1
    assert compiled.max() == (1 if norm == "none" else 2)
    if norm == "batch":  # every slice of a batch size has several rates
        rates = [{part.cells[i]["learning_rate"] for i in part.part} for part in parts]
        assert all(len(some) == 2 for some in rates)


def test_the_split_does_not_depend_on_the_machine(make, monkeypatch):
    plans = [make(**PLANE), make(**PLANE, lanes=2, block=2), make(**PLANE, devices=1)]
    expected = shards_of_cells(plans[0], 5)
    for plan in plans:
        assert (shards_of_cells(plan, 5) == expected).all()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert (shards_of_cells(make(**PLANE), 5) == expected).all()


def test_a_plan_of_many_cells_makes_none_of_them(make, monkeypatch):
    made = []
    monkeypatch.setattr(Grid, "__iter__", lambda grid: iter(made.append(1) or ()))
    monkeypatch.setattr(Grid, "__getitem__", lambda grid, index: made.append(1))
    plan = make(**PLANE | {"seeds": tuple(range(20_000))})
    plan = sharded(plan, 7, 100, plan_only=True)
    text = describe(plan)
    assert made == []
    assert len(plan.cells) == 120_000
    assert "shards     100 of " in text
    assert len(text.splitlines()) < 20


def test_the_description_shows_every_shard_and_what_it_takes(make, monkeypatch):
    plan = make(**PLANE, norm="batch")
    key = probe._key(plan.recipe.task, "momentum")
    away = key | {"device_kind": "H200", "device_count": 8}
    other = key | {"optimizer": "adam", "device_kind": "elsewhere"}
    entries = [
        {"key": key, "microbatch": 8, "rates": {"1": 1000.0}},
        {"key": key, "microbatch": 64, "rates": {"1": 77.0}},
        {"key": away, "microbatch": 8, "rates": {"16": 60_000.0}},
        {"key": other, "microbatch": 8, "rates": {"1": 5.0}},
    ]
    monkeypatch.setattr(probe, "_read", lambda: entries)
    share = split_of(plan, 3).share
    examples = plan.total_examples() * share.max() / 60
    text = describe(sharded(plan, 1, 3, plan_only=True))
    assert f"about {examples / 1000:.1f} minutes on 2 × cpu" in text
    assert f"{examples / 60_000:.1f} minutes on 8 × H200" in text
    assert "elsewhere unknown" in text
    for index in range(3):
        assert f"{index}/3: " in text
    lines = describe(sharded(plan, 1, 3)).splitlines()
    assert [line for line in lines if line.startswith("shard")] == [
        next(line for line in lines if line.startswith("shard      1/3: "))
    ]
    monkeypatch.setattr(probe, "_read", list)
    assert "minima probe" in describe(sharded(plan, 1, 3, plan_only=True)).splitlines()[-4]


def test_more_files_than_a_folder_should_hold_are_warned_of(make):
    plan = make(batch_sizes=(8,), learning_rates=(0.1,), seeds=tuple(range(60_000)), snapshots=2)
    assert "keeps up to 180,000 files" in describe(sharded(plan, 0, 1, plan_only=True))
    assert "warning    a shard" not in describe(sharded(plan, 0, 2, plan_only=True))


def test_examples_of_some_cells_are_their_sum(make):
    plan = make(**PLANE, budget="2epochs")
    each = [plan.examples(cell) for cell in plan.cells]
    assert plan.total_examples() == sum(each)
    assert plan.total_examples([0, 7, 17]) == each[0] + each[7] + each[17]
    assert plan.total_examples([]) == 0
