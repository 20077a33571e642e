"""The host's forecast of a lane, against a plain count of micro-steps."""

import numpy as np

from minima.sweep.budgets import Budget
from minima.sweep.slots import Slot, free_lanes
from minima.sweep.timeline import make_timeline


def random_course(rng):
    marks = tuple(sorted(float(x) for x in rng.uniform(0.1, 3, rng.integers(0, 3))))
    budget, evaluations = Budget(epochs=float(rng.uniform(0.2, 4))), int(rng.integers(1, 9))
    size, factor = int(rng.integers(1, 40)), int(rng.integers(1, 4))
    widths = tuple(np.unique(rng.integers(1, 24, rng.integers(1, 4))).tolist())
    return make_timeline(budget, size, 50, evaluations, marks, factor), widths


def batch_size_of(course, step):
    return [phase.batch_size for phase in course.phases if phase.start <= step][-1]


def walk(size, widths):
    """Examples of a batch after each of its micro-steps, counted one by one."""
    consumed = [0]
    while consumed[-1] < size:
        left = size - consumed[-1]
        width = max([w for w in widths if w <= left], default=widths[0])
        consumed.append(consumed[-1] + min(width, left))
    return consumed


def test_a_slot_uses_up_its_budget_in_exactly_as_many_micro_steps():
    rng = np.random.default_rng(0)
    for _ in range(300):
        course, widths = random_course(rng)
        limit = int(rng.integers(1, 200))
        slot, moved, segments = Slot(0, course, widths), 0, 0
        while not slot.finished:
            moved += slot.advance(limit)
            segments += 1
        sizes = [batch_size_of(course, step) for step in range(course.steps)]
        assert moved == sum(len(walk(size, widths)) - 1 for size in sizes)
        assert slot.step == course.steps
        if limit >= moved:
            assert segments == len(course.evaluations)


def test_a_resumed_slot_goes_on_where_it_was():
    """Wherever a kill strikes: the lane's step and consumed examples say all."""
    rng = np.random.default_rng(1)
    for _ in range(300):
        course, widths = random_course(rng)
        limit = int(rng.integers(1, 30))
        slot, moved = Slot(0, course, widths), 0
        for _ in range(int(rng.integers(0, 12))):
            moved += 0 if slot.finished else slot.advance(limit)
        step = max(s for s in range(course.steps + 1) if course.micro_steps(s, widths) <= moved)
        into = moved - course.micro_steps(step, widths)
        consumed = walk(batch_size_of(course, step), widths)[into]
        assert course.examples_after(moved, widths) == course.examples(step) + consumed
        again = Slot.resumed(0, course, widths, step=step, consumed=consumed)
        assert (again.finished, again.step) == (slot.finished, slot.step)
        assert slot.finished or again.micro_left == slot.micro_left
        assert not again.fresh


def test_lanes_are_filled_so_that_devices_have_equally_many():
    assert free_lanes([False] * 6, devices=2) == [0, 3, 1, 4, 2, 5]
    assert free_lanes([True, True, False, False, False, True], devices=2) == [3, 2, 4]
    assert free_lanes([True] * 4, devices=4) == []
    rng = np.random.default_rng(2)
    for _ in range(100):
        devices, each = int(rng.integers(1, 5)), int(rng.integers(1, 6))
        busy = rng.random(devices * each) < 0.5
        free = free_lanes(list(busy), devices)
        assert sorted(free) == list(np.flatnonzero(~busy))
        work = busy.reshape(devices, each).sum(axis=1)
        for lane in free:  # each goes to a device that has the least of those with a free lane
            device = lane // each
            assert work[device] == min(work[d] for d in range(devices) if work[d] < each)
            work[device] += 1
