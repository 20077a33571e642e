"""Memory of one update, and that whole batch and microbatches make the same one."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from minima.sweep import lane as lanes_
from minima.sweep.step_memory import accumulated, one_update, whole_batches
from minima.tasks.task import to_arrays

SIZES = (8, 16, 32, 64)


@pytest.fixture(scope="module")
def plan(make):
    return make(batch_sizes=(32,), learning_rates=(0.1,), seeds=(0,), microbatch=8)


@pytest.mark.slow
def test_a_whole_batch_pays_for_each_example_and_an_accumulated_one_does_not(plan):
    whole, pieces = whole_batches(plan, SIZES), accumulated(plan, SIZES)
    assert [step.batch_size for step in whole] == [step.batch_size for step in pieces] == [*SIZES]
    assert [step.microbatch for step in whole] == [*SIZES]
    assert {step.microbatch for step in pieces} == {8}
    assert len({step.total for step in pieces}) == 1
    assert whole[0] == pieces[0]
    added = np.diff([step.total for step in whole]) / np.diff(SIZES)
    example = plan.dataset.train.inputs[0].size * 4  # in float32: activations come on top
    assert (added >= example).all()
    assert added.max() < 1.2 * added.min()


def test_what_is_fixed_is_the_state_and_the_training_set(plan):
    train = plan.dataset.train
    data = train.inputs.nbytes + train.labels.nbytes
    state = 3 * 4 * plan.recipe.task.model.count_parameters()  # weights, momentum, gradient
    for step in whole_batches(plan, SIZES):
        assert data + state <= step.arguments < data + state + 2000
        assert step.outputs < 1000  # the state after lies where the state before lay


def test_both_make_the_same_update(plan):
    order = plan.order({"batch_size": 32, "learning_rate": 0.1, "seed": 3})
    arrays = jax.device_put(to_arrays(plan.dataset, "float32"))
    after = []
    for microbatch in (32, 8, 5):
        recipe = replace(plan.recipe, microbatch=microbatch)
        lane = jax.jit(one_update, static_argnums=0)(
            recipe, lanes_.start(recipe, order), order, arrays
        )
        assert (int(lane.step), int(lane.consumed), int(lane.position)) == (1, 0, 32)
        after.append(lane.params)
    for other in after[1:]:
        same = jax.tree.map(lambda a, b: np.allclose(a, b, atol=1e-6), after[0], other)
        assert all(jax.tree.leaves(same))
