"""Rates and batch sizes by update, against the formulas they stand for."""

import dataclasses
import math

import numpy as np
import pytest

from minima.sweep.schedules import batch_size_at, hyper_at

CELLS = {"batch_sizes": (8,), "learning_rates": (0.5,), "seeds": (0,), "evaluations": 2}


def rates(plan):
    cell, features = plan.cells[0], plan.recipe.features
    schedule = plan.order(cell).schedule
    steps = np.arange(plan.timeline(cell).steps, dtype=np.int32)
    return [float(hyper_at(schedule, step, features).learning_rate) for step in steps]


def test_a_constant_schedule_is_constant(make):
    assert rates(make(**CELLS, budget="5steps")) == [0.5] * 5


@pytest.mark.parametrize(
    ("decay", "value"),
    [
        ("linear", lambda share: 1 - share),
        ("cosine", lambda share: (1 + math.cos(math.pi * share)) / 2),
        ("sqrt", lambda share: 1 - math.sqrt(share)),
    ],
)
def test_decays_fall_from_the_full_rate_to_just_above_zero(make, decay, value):
    plan = make(**CELLS, budget="20steps", decay=decay, decay_fraction=0.5)
    expected = [0.5] * 10 + [0.5 * value(k / 10) for k in range(10)]
    np.testing.assert_allclose(rates(plan), expected, rtol=1e-6)


def test_warm_up_counts_examples_and_multiplies_the_rest(make):
    plan = make(**CELLS, budget="20steps", decay="linear", warmup_examples=40)
    expected = [0.5 * min(1, (k + 1) * 8 / 40) * (1 - k / 20) for k in range(20)]
    np.testing.assert_allclose(rates(plan), expected, rtol=1e-6)


def test_milestones_change_rate_and_batch_and_half_life(make):
    plan = make(
        **CELLS,
        budget="4epochs",
        milestones=(1.0, 2.0),
        rate_factor=0.5,
        batch_factor=3,
        optimizer="adam",
        beta2_half_life=16,
    )
    schedule, features = plan.order(plan.cells[0]).schedule, plan.recipe.features
    starts = schedule.starts.tolist()
    assert starts == [0, 13, 17]  # 104 of 97 examples, and 200 of 194
    for step, size, rate in ((0, 8, 0.5), (12, 8, 0.5), (13, 24, 0.25), (17, 72, 0.125)):
        hyper = hyper_at(schedule, np.int32(step), features)
        assert batch_size_at(schedule, np.int32(step)) == size
        assert float(hyper.learning_rate) == rate
        assert float(hyper.beta2) == pytest.approx(0.5 ** (size / 16))


def test_a_longer_run_begins_with_the_shorter_one(make):
    values = CELLS | {"milestones": (1.0,), "rate_factor": 0.1, "warmup_examples": 30}
    short, long = (make(**values, budget=budget) for budget in ("2epochs", "5epochs"))
    assert rates(long)[: len(rates(short))] == rates(short)


def test_watching_the_first_updates_changes_no_rate(make):
    plan = make(**CELLS, budget="20steps", decay="cosine")
    assert rates(dataclasses.replace(plan, watched=2)) == rates(plan)[:2]
