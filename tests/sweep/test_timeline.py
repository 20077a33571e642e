"""A cell's course on the host: budgets, evaluations, growing batches; against plain counting."""

import numpy as np
import pytest

from minima.sweep.budgets import Budget
from minima.sweep.timeline import make_timeline


def timeline(budget, size=10, n=100, evaluations=4, **values):
    return make_timeline(Budget(**budget), size, n, evaluations, **values)


def counted(course):
    """(batch size, rate factor) of every update, the long way."""
    rows = []
    for step in range(course.steps):
        phase = [phase for phase in course.phases if phase.start <= step][-1]
        rows.append((phase.batch_size, phase.rate))
    return rows


def test_a_cell_stops_after_the_first_update_that_uses_up_its_budget():
    rng = np.random.default_rng(0)
    for _ in range(300):
        size, n = int(rng.integers(1, 300)), int(rng.integers(1, 1000))
        epochs, examples = float(rng.integers(1, 30)), int(rng.integers(1, 10_000))
        steps = timeline({"epochs": epochs}, size, n).steps
        assert steps * size >= epochs * n > (steps - 1) * size
        steps = timeline({"examples": examples}, size, n).steps
        assert steps * size >= examples > (steps - 1) * size


def test_whichever_bound_comes_first_counts():
    budget = {"epochs": 10, "steps": 50, "examples": 900}
    assert timeline(budget, 1).steps == 50
    assert timeline(budget, 100).steps == 9
    assert timeline({"epochs": 2, "steps": 50}, 100).steps == 2
    assert timeline({"epochs": 0.01}, 100).steps == 1


@pytest.mark.parametrize(("steps", "count"), [(40, 4), (41, 4), (7, 3), (3, 10), (1, 5)])
def test_evaluations_are_evenly_spaced_and_the_last_is_the_end(steps, count):
    course = timeline({"steps": steps}, evaluations=count)
    assert len(course.evaluations) == min(steps, count)
    gaps = np.diff([0, *course.evaluations])
    assert gaps.max() - gaps.min() <= 1
    assert course.evaluations[-1] == steps


def test_batches_grow_and_rates_drop_at_the_first_update_at_or_after_a_milestone():
    course = timeline({"epochs": 6}, milestones=(2, 4), batch_factor=5, rate_factor=0.5)
    # 20 updates of 10, then 4 of 50, then the rest of 200 examples as one update of 250.
    assert [(p.start, p.batch_size, p.rate) for p in course.phases] == [
        (0, 10, 1.0),
        (20, 50, 0.5),
        (24, 250, 0.25),
    ]
    assert course.steps == 25
    assert course.examples(25) == 650


def test_sums_over_phases_are_those_of_plain_counting():
    rng = np.random.default_rng(1)
    for _ in range(200):
        marks = tuple(sorted(float(x) for x in rng.uniform(0.1, 8, rng.integers(0, 4))))
        course = timeline(
            {"epochs": float(rng.uniform(0.5, 9))},
            size=int(rng.integers(1, 60)),
            evaluations=int(rng.integers(1, 9)),
            milestones=marks,
            batch_factor=int(rng.integers(1, 4)),
        )
        sizes, m = [size for size, _ in counted(course)], int(rng.integers(1, 40))
        for step in {0, course.steps // 3, course.steps}:
            assert course.examples(step) == sum(sizes[:step])
            assert course.micro_steps(step, (m,)) == sum(-(-size // m) for size in sizes[:step])
        for examples in rng.integers(1, course.examples(course.steps) + 1, 5):
            step = course.step_at(examples)
            assert course.examples(step) >= examples > course.examples(step - 1)


def test_a_schedule_knows_no_horizon_before_its_decay():
    short, long = (
        timeline({"epochs": epochs}, milestones=(2, 5), batch_factor=2, rate_factor=0.1)
        for epochs in (6, 12)
    )
    assert counted(long)[: short.steps] == counted(short)


def test_the_decay_ends_with_the_budget():
    course = timeline({"steps": 40}, decay_fraction=0.25)
    assert (course.decay_start, course.decay_end) == (30, 40)
    assert course.beginning(5).decay_end == 40
    assert course.beginning(3).evaluations == (1, 2, 3)
    assert course.beginning(90).steps == 40
