"""The plan: microbatches, layouts, memory, warnings, and what is refused before compilation."""

import dataclasses

import numpy as np
import pytest

from minima.runtime.errors import UserError
from minima.sweep import probe
from minima.sweep.config import SweepConfig
from minima.sweep.description import describe
from minima.sweep.hyperparameters import hyperparameters
from minima.sweep.layout import choose_widths
from minima.sweep.plan import make_plan


@pytest.mark.parametrize(
    ("sizes", "most", "overhead", "expected"),
    [
        ((32,), 4000, 8, 32),
        ((1024,), 4000, 8, 256),  # no more than the largest
        ((16, 32, 64, 128, 256, 512), 4000, 8, 32),  # half a microbatch wasted at 16 is worth it
        ((16, 32, 64, 128, 256, 512), 4000, 1, 16),  # here it isn't
        ((1,), 4000, 8, 1),
        ((97,), 97, 8, 97),
        ((97,), 40, 8, 33),  # three microbatches of 33 hold 97 with two to spare
    ],
)
def test_the_microbatch_is_the_cheapest_for_the_mix(sizes, most, overhead, expected):
    assert choose_widths(sizes, min(most, 256), overhead) == (expected,)


@pytest.mark.parametrize(
    ("sizes", "overhead", "expected"),
    [
        ((32, 64, 128, 256, 512, 1024), 16, (32, 64, 256)),
        ((16, 32, 64, 128, 256, 512), 1, (16,)),  # little to save
        ((16, 32, 64, 128, 256, 512), 4, (16, 64)),
        ((1, 512), 1, (1, 256)),
        ((64,), 12, (64,)),
        ((1024,), 12, (256,)),
    ],
)
def test_wider_micro_steps_where_they_save_more_than_they_cost(sizes, overhead, expected):
    assert choose_widths(sizes, 256, overhead, most=3) == expected


def test_micro_steps_are_wide_where_a_block_is_one_lane_and_nothing_else_is_asked(make):
    values = {"batch_sizes": (4, 97), "learning_rates": (0.1,), "seeds": (0, 1)}
    plan = make(**values)
    assert plan.recipe.widths == (4, 97)
    assert plan.resolved()["wide"] == [97]
    for other in (
        make(**values, lanes=2, block=2),
        make(**values, microbatch=4),
        make(**values, norm="ghost"),
        make(**values, norm="batch"),
    ):
        assert all(program.recipe.wide == () for program in other.programs)


def test_lanes_are_no_more_than_the_cells_can_fill(make):
    assert make(batch_sizes=(32,), learning_rates=(0.1,), seeds=(0, 1)).layout.lanes == 2
    assert make(batch_sizes=(32,), learning_rates=(0.1,), seeds=range_(40)).layout.lanes == 8


def range_(n):
    return tuple(range(n))


def test_memory_does_not_depend_on_the_number_of_cells(make):
    few = make(batch_sizes=(8, 16), learning_rates=(0.1,), seeds=range_(8))
    many = make(batch_sizes=(8, 16), learning_rates=(0.1, 0.2, 0.3), seeds=range_(2000))
    assert len(many.cells) == 12_000
    assert many.memory_bytes() == few.memory_bytes()


def test_early_stopping_pays_for_its_second_copy(make):
    values = {"batch_sizes": (8, 16), "learning_rates": (0.1,), "seeds": range_(8)}
    plain = make(**values, budget="1epochs")
    stopping = make(**values, budget="1epochs,early_stopping=2")
    copy = plain.layout.lanes * (plain.recipe.task.model.count_parameters() * 4 + 8)
    assert stopping.memory_bytes() - plain.memory_bytes() == copy


def test_an_order_holds_the_cell_and_the_config_in_the_models_dtype(make):
    plan = make(
        batch_sizes=(8,),
        learning_rates=(0.25,),
        seeds=(5,),
        budget="7steps,train_loss<=0.5,early_stopping=3",
        evaluations=2,
        momentum=0.5,
        weight_decay=0.125,
    )
    order = plan.order(plan.cells[0])
    schedule, hyper = order.schedule, order.schedule.hyper
    assert (order.seed, order.patience, schedule.steps) == (5, 3, 7)
    assert schedule.evaluations.tolist() == [4, 7]
    assert schedule.starts.tolist() == [0]
    assert order.target == 0.5
    assert hyper.learning_rate == [0.25]
    assert hyper.momentum == [0.5]
    assert hyper.weight_decay == [0.125]
    assert hyper.batch_size == [8]
    assert hyper.batch_size.dtype == np.int32
    assert {x.dtype for x in hyper[:-1]} == {np.dtype("float32")}
    assert plan.recipe.features.weight_decay
    assert not plan.recipe.features.dropout


def test_the_description_names_what_will_happen_and_warns(make):
    plan = make(batch_sizes=(8, 97), learning_rates=(0.1,), seeds=(0,), budget="2epochs")
    text = describe(plan)
    for words in ("2 = 2 batch sizes × 1 learning rate × 1 seed", "97/24/60", "MiB", "2 to 25"):
        assert words in text
    assert "batch size 97 gets 2 updates, too few" in text
    long = make(batch_sizes=(8,), learning_rates=(0.1,), seeds=(0,), budget="50epochs")
    assert "warning" not in describe(long)


def test_the_description_shows_the_parametrisation(make):
    values = {"batch_sizes": (8,), "learning_rates": (0.1,), "seeds": (0,), "width": 16}
    assert "muP" not in describe(make(**values))
    text = describe(make(**values, parametrisation="mup"))
    assert "(width 16, depth 1, muP from width 128)" in text
    text = describe(make(**values, parametrisation="mup", base_width=4))
    assert "muP from width 4)" in text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"batch_sizes": (8, 98)}, "--batch_sizes=98: more than the 97 training examples"),
        ({"microbatch": 98}, "--microbatch=98: larger than the 97 training examples"),
        ({"devices": 3}, "--devices=3: this machine has 2"),
        ({"lanes": 3, "block": 2}, "--lanes=3: not a multiple of --block=2"),
        ({"budget": "3000000000steps"}, "2^31 updates or more"),
        ({"lanes": 100_000_000}, "--lanes=100000000: needs"),
    ],
)
def test_what_cannot_run_is_refused_in_a_line(make, values, words):
    with pytest.raises(UserError) as caught:
        make(**{"batch_sizes": (8,), "learning_rates": (0.1,), "seeds": (0,)} | values)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_resumed_plan_keeps_what_bits_depend_on(make):
    plan = make(batch_sizes=(8, 32), learning_rates=(0.1,), seeds=range_(9), microbatch=8)
    task, config = plan.recipe.task, dataclasses.replace(plan.config)
    for pinned in (
        {"microbatch": 4, "wide": [8], "lanes": 6, "block": 1, "devices": 2},
        {"microbatch": 4, "wide": [], "lanes": 3, "block": 1, "devices": 1},
    ):
        assert make_plan(config, task, plan.dataset, pinned).resolved() == pinned
    # Saved on more devices than there are now: the same lanes, spread over fewer.
    pinned = {"microbatch": 4, "wide": [9, 16], "lanes": 15, "block": 1, "devices": 5}
    resolved = make_plan(config, task, plan.dataset, pinned).resolved()
    assert resolved == pinned | {"devices": 1}


@pytest.mark.slow
def test_the_plan_reads_what_was_probed(make, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    values = {"batch_sizes": (8,), "learning_rates": (0.1,), "seeds": range_(8)}
    plan = make(**values)
    assert plan.examples_per_second is None
    assert "minima probe" in describe(plan)
    assert probe.lookup(plan.recipe.task, "momentum", 8) is None

    from minima.runtime import devices
    from minima.sweep.program import AXIS
    from minima.tasks.task import to_arrays

    monkeypatch.setattr(probe, "_SECONDS", 0.01)
    mesh = devices.make_mesh(AXIS, 2)
    rates = dict(probe.measure(plan.recipe, to_arrays(plan.dataset), (1, 2), mesh))
    assert set(rates) == {1, 2}
    assert min(rates.values()) > 0
    planned = make(**values)
    assert planned.examples_per_second in rates.values()
    assert "about" in describe(planned)
    assert make(**values | {"optimizer": "adam"}).examples_per_second is None
    twice = make(**values, sharpness_aware="sam").examples_per_second
    assert twice == planned.examples_per_second / 2


def test_a_wider_block_must_be_worth_it():
    assert probe.Table({1: 100.0, 4: 105.0}).best_block() == 1
    assert probe.Table({1: 100.0, 4: 120.0, 8: 115.0}).best_block() == 4
    assert probe.Table({1: 100.0, 4: 120.0}).examples_per_second(3) == 120.0


def test_a_damaged_table_counts_as_none(tmp_path, monkeypatch, make):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    probe.table_path().parent.mkdir(parents=True)
    for text in ("", "{", "[1, 2]", '[{"key": 1}]', "{}"):
        probe.table_path().write_text(text)
        assert make(batch_sizes=(8,), learning_rates=(0.1,)).examples_per_second is None


def test_identity_reads_back_and_leaves_out_where_results_go(make):
    config = make(
        batch_sizes=(8, 16), learning_rates=(0.1, 0.25), budget="2epochs,early_stopping=4"
    ).config
    again = SweepConfig.from_identity(config.identity())
    assert again == config
    elsewhere = dataclasses.replace(
        config, record=dataclasses.replace(config.record, workdir="elsewhere", plan_only=True)
    )
    assert elsewhere.identity() == config.identity()
    assert again.identity() == config.identity()


def test_batch_norm_gets_a_program_per_batch_size(make):
    values = {"batch_sizes": (8, 32, 97), "learning_rates": (0.1, 0.2), "seeds": (0, 1)}
    plan = make(**values, norm="batch")
    assert [program.recipe.microbatch for program in plan.programs] == [8, 32, 97]
    assert [len(program.cells) for program in plan.programs] == [4, 4, 4]
    sizes = [{plan.cells[i]["batch_size"] for i in program.cells} for program in plan.programs]
    assert sizes == [{8}, {32}, {97}]
    for norm in ("none", "layer", "group", "ghost"):
        assert len(make(**values, norm=norm).programs) == 1
    assert make(**values, norm="ghost", ghost_size=16).recipe.microbatch == 16


def test_rates_and_beta2_follow_the_batch_size_where_asked(make):
    def values(size, **settings):
        plan = make(batch_sizes=(8, 32), learning_rates=(0.1,), **settings)
        return hyperparameters(
            plan.config.training, {"batch_size": size, "learning_rate": 0.1, "seed": 0}
        )

    assert values(32)["learning_rate"] == 0.1
    linear = {"learning_rate_scaling": "linear", "base_batch_size": 16}
    assert values(32, **linear)["learning_rate"] == pytest.approx(0.2)
    assert values(8, **linear)["learning_rate"] == pytest.approx(0.05)
    root = {"learning_rate_scaling": "sqrt", "base_batch_size": 8}
    assert values(32, **root)["learning_rate"] == pytest.approx(0.2)
    adam = {"optimizer": "adam", "beta2_half_life": 64}
    assert values(32, **adam)["beta2"] == pytest.approx(0.5**0.5)
    assert values(8, **adam)["beta2"] ** 8 == pytest.approx(0.5)
    # Half the memory is gone after 64 examples, whatever the batch.
    assert values(8, optimizer="lion")["beta2"] == 0.99
    assert values(8, optimizer="muon")["momentum"] == 0.95
    assert values(8, optimizer="adam", momentum=0.8, beta2=0.95)["momentum"] == 0.8
