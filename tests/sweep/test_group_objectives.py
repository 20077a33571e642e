"""Objectives over groups: the plain loops' numbers, axes of a program, closed forms, refusals."""

import dataclasses

import jax
import numpy as np
import pytest
from plain_reference import compare

from minima.sweep.plain_loop import plain_losses

IRM = {"irm_penalty": 30.0, "penalty_warmup_examples": 300, "weight_decay": 0.01}
DRO = {"group_dro": 0.5, "reweighting": 0.7, "sharpness_aware": "sam", "rho": 0.1}
ROWS = {
    "group DRO, reweighted, with SAM": DRO,
    "IRM that begins at 1": IRM | {"dropout": 0.2},
    "parity and V-REx": {"parity_penalty": 3.0, "parity": "equalized_odds", "vrex_penalty": 2.0},
    "reweighted alone": {"reweighting": 1.0, "batch_sizes": (13,), "microbatch": 8},
}


@pytest.fixture(scope="module")
def grouped(dataset):
    """`dataset` in three groups of unlike sizes, which say something of the label."""
    rng = np.random.default_rng(5)

    def split(part, weights=None):
        groups = np.where(
            rng.random(len(part)) < 0.3, part.labels % 3, rng.integers(0, 3, len(part))
        )
        return dataclasses.replace(part, groups=groups.astype(np.int32), weights=weights)

    return dataset.remade(split(dataset.train), split(dataset.validation), split(dataset.test))


@pytest.mark.parametrize("row", ROWS)
def test_float64_cells_equal_the_plain_loops(make, run_lanes, grouped, row):
    with jax.enable_x64(True):
        plan = make(
            **{"learning_rates": (0.01,), "seeds": (3,), "budget": "12steps", "data": grouped}
            | {"evaluations": 12, "lanes": 1, "dtype": "float64", "batch_sizes": (96,)}
            | {"devices": 1}
            | ROWS[row]
        )
        layout = dataclasses.replace(plan.layout, lanes=len(plan.cells))
        plan = dataclasses.replace(plan, watched=12, layout=layout)
        lanes, report = run_lanes(plan, limit=7)
        compare(plan, lanes, report, updates=12)
        losses = list(plain_losses(plan, plan.cells[-1]))
        np.testing.assert_allclose(report.trajectory[len(plan.cells) - 1, :, 0], losses, atol=1e-10)
