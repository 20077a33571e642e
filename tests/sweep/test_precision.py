"""Planes in half precision, with blocks computed again, and with attention by chunks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minima.runtime.errors import UserError
from minima.sweep import lane as lanes_
from minima.sweep.config import SweepConfig, TrainingConfig
from minima.sweep.description import describe
from minima.sweep.plain_loop import plain_losses
from minima.sweep.program import blank_order
from minima.sweep.replay import TOLERANCES
from minima.sweep.step_memory import one_update
from minima.tasks.task import to_arrays

MLP = {"model": "mlp", "norm": "layer", "activation": "tanh", "learning_rates": (0.02,)}
TRANSFORMER = {"data": "sequences", "model": "transformer", "width": 16, "depth": 1}
TRANSFORMER |= {"optimizer": "adam", "learning_rates": (0.01,)}
CASES = {"mlp": MLP, "transformer": TRANSFORMER}
SHORT = {"budget": "20steps", "evaluations": 20, "devices": 1}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_learning_curve_is_that_of_float32(make, run_lanes, case):
    """Seed by seed within a hundredth, on average within a few thousandths, and not the very same.

    And the plain loop over whole batches, which rounds other sums, is as near as `replay` asks.
    """
    seeds = {"batch_sizes": (32,), "seeds": (0, 1, 2, 3), "microbatch": 16, "lanes": 4, "block": 4}
    curves = []
    for compute in ("default", "bfloat16"):
        plan = make(**CASES[case], **SHORT, **seeds, compute_dtype=compute)
        curves.append(run_lanes(plan)[1].trajectory[:, :, 0])
    gap = np.abs(curves[1] - curves[0])
    assert curves[0][:, -1].max() < 0.9 * curves[0][:, 0].min()  # something was learned
    assert 1e-5 < gap.max() < 0.02
    assert np.abs(np.mean(curves[1] - curves[0], axis=0)).max() < 0.005
    tolerance, horizon = TOLERANCES["bfloat16"]
    assert horizon == 20
    plain = [*plain_losses(plan, plan.cells[0])]
    np.testing.assert_allclose(curves[1][0], plain, rtol=tolerance, atol=tolerance)


def test_lanes_and_updates_stay_in_float32(make):
    plan = make(**MLP, **SHORT, batch_sizes=(32,), microbatch=8, compute_dtype="bfloat16")
    order = blank_order(plan.recipe)
    lane = jax.eval_shape(lambda order: lanes_.start(plan.recipe, order), order)
    arrays = to_arrays(plan.dataset)
    after = jax.eval_shape(lambda *given: one_update(plan.recipe, *given), lane, order, arrays)
    for leaf in jax.tree.leaves((lane, after)):
        assert leaf.dtype in (jnp.float32, jnp.int32, jnp.bool_)


@pytest.mark.slow
def test_a_plane_compiles_once(make, run_cells, counts_compilations):
    plan = make(
        **TRANSFORMER | {"learning_rates": (0.003, 0.01)},
        batch_sizes=(8, 32),
        seeds=(0,),
        microbatch=8,
        budget="2epochs",
        compute_dtype="bfloat16",
        attention_chunk=5,
        remat=True,
    )
    with counts_compilations() as seen:
        records = run_cells(plan)
    assert seen.count == 1
    assert {record["status"] for record in records.values()} == {"complete"}
    assert "products in bfloat16" in describe(plan)
    assert "attention by 5 positions" in describe(plan)
    assert "blocks computed again" in describe(plan)


@pytest.mark.slow
def test_what_only_saves_memory_changes_no_number_beyond_round_off(make, run_lanes):
    found = []
    for fields in ({}, {"attention_chunk": 5, "remat": True}):
        with jax.enable_x64(True):
            asked = TRANSFORMER | SHORT | {"depth": 2} | fields
            plan = make(**asked, batch_sizes=(13,), seeds=(0,), microbatch=8, dtype="float64")
            found.append(run_lanes(plan)[1].trajectory)
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-10)


def test_half_precision_goes_with_float32_alone():
    with pytest.raises(
        UserError, match="--compute_dtype=bfloat16: goes with parameters in float32"
    ):
        SweepConfig(training=TrainingConfig(dtype="float64", compute_dtype="bfloat16"))


def test_a_config_comes_back_from_its_identity():
    config = SweepConfig(training=TrainingConfig(compute_dtype="bfloat16"))
    config = dataclasses.replace(
        config, task=dataclasses.replace(config.task, remat=True, attention_chunk=7)
    )
    assert SweepConfig.from_identity(config.identity()) == config


def test_minima_are_measured_in_full_precision(make):
    task = make(**MLP, batch_sizes=(32,), compute_dtype="bfloat16").recipe.task
    plain = make(**MLP, batch_sizes=(32,)).recipe.task
    assert task != plain
    assert task.computed_in("float32") == plain
