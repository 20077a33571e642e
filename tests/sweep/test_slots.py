"""The host's forecast of a lane, against a plain count of micro-steps."""

import numpy as np

from minima.sweep.slots import Slot


def micro_steps_to_the_end(sizes):
    return sizes["max_steps"] * sizes["steps_per_update"]


def random_sizes(rng):
    return {
        "max_steps": int(rng.integers(1, 40)),
        "eval_every": int(rng.integers(1, 15)),
        "steps_per_update": int(rng.integers(1, 6)),
    }


def test_a_slot_uses_up_its_budget_in_exactly_as_many_micro_steps():
    rng = np.random.default_rng(0)
    for _ in range(300):
        sizes, limit = random_sizes(rng), int(rng.integers(1, 50))
        slot, moved, segments = Slot(0, **sizes), 0, 0
        while not slot.finished:
            moved += slot.advance(limit)
            segments += 1
        assert moved == micro_steps_to_the_end(sizes)
        assert slot.step == sizes["max_steps"]
        if limit >= sizes["eval_every"] * sizes["steps_per_update"]:
            assert segments == -(-sizes["max_steps"] // sizes["eval_every"])


def test_a_resumed_slot_goes_on_where_it_was():
    rng = np.random.default_rng(1)
    for _ in range(300):
        sizes, limit = random_sizes(rng), int(rng.integers(1, 9))
        slot, moved = Slot(0, **sizes), 0
        for _ in range(int(rng.integers(0, 12))):
            moved += 0 if slot.finished else slot.advance(limit)
        step, consumed = divmod(moved, sizes["steps_per_update"])
        again = Slot.resumed(0, step, consumed, **sizes)
        assert (again.finished, again.step) == (slot.finished, slot.step)
        assert slot.finished or again.micro_left == slot.micro_left
        assert not again.fresh
