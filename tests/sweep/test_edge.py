"""A linear model with squared error is a quadratic: the engine leaves it beyond the edge alone."""

import numpy as np
import pytest

from minima.landscape.stability import critical_sharpness
from minima.sweep.replay import plain_losses

SHARES = (0.9, 1.1)


def curvature(data):
    """The largest eigenvalue of the Hessian: of the second moment of (inputs, 1)."""
    x = (data.train.inputs.reshape(len(data.train), -1) - data.mean) / data.std
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    return np.linalg.eigvalsh(x.T @ x / len(x))[-1]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov"])
def test_full_batch_descent_is_stable_up_to_its_edge(make, run_cells, dataset, optimizer):
    edge = critical_sharpness(optimizer, 1.0, 0.9) / curvature(dataset)
    plan = make(
        model="linear",
        loss="squared_error",
        optimizer=optimizer,
        batch_sizes=(len(dataset.train),),
        learning_rates=tuple(share * edge for share in SHARES),
        seeds=(0, 1),
        budget="200steps",
        evaluations=4,
        dtype="float32",
    )
    for cell in run_cells(plan).values():
        stable = cell["cell"]["learning_rate"] < edge
        assert (cell["status"] == "diverged") == (not stable), cell["cell"]
        losses = cell["trajectory"]["train_loss"]
        assert (losses[-1] < losses[0]) == stable


@pytest.mark.slow
def test_the_loop_that_replay_compares_with_knows_the_loss(make, run_cells, dataset):
    plan = make(
        loss="squared_error",
        activation="tanh",
        optimizer="momentum",
        batch_sizes=(len(dataset.train),),
        learning_rates=(0.01,),
        seeds=(0,),
        budget="10steps",
        evaluations=10,
        label_smoothing=0.1,
    )
    [cell] = run_cells(plan).values()
    losses = list(plain_losses(plan, plan.cells[0]))
    np.testing.assert_allclose(cell["trajectory"]["train_loss"], losses, rtol=1e-5)
