"""Minima are measured by the loss that they were trained on."""

import jax.numpy as jnp
import numpy as np
import pytest
from trained_runs import mesh, train

from minima.landscape.objective import cross_entropy, task_loss
from minima.landscape.panels import PANELS
from minima.landscape.run_measures import kept_minima, measure_points
from minima.tasks.task import Task


@pytest.mark.slow
def test_the_hessian_of_a_linear_model_under_squared_error(tmp_path):
    """It is the second moment of (inputs, 1), whatever the weights."""
    run = train(tmp_path, model="linear", width=0, loss="squared_error", snapshots=2)
    points = kept_minima(run.plan, run.directory)
    [found] = measure_points(
        run.plan, run.directory, points, PANELS["hessian"], examples=0, mesh=mesh()
    )
    data = run.plan.dataset
    x = (data.train.inputs.astype(np.float64) - data.mean) / data.std
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    values = np.linalg.eigvalsh(x.T @ x / len(x))
    assert found["lambda_max"].value == pytest.approx(values[-1], rel=1e-5)
    low, high = found["trace"].interval(0.999)
    assert low <= 3 * values.sum() <= high


@pytest.mark.parametrize("shape", [(6,), (6, 4)])
def test_losses_of_a_task_are_means_over_tokens(shape):
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.normal(size=(*shape, 5)), jnp.float32)
    labels = rng.integers(0, 5, shape).astype(np.int32)
    found = task_loss(Task(None, "tokens"))(logits, labels)
    np.testing.assert_allclose(found, cross_entropy(logits, labels), rtol=1e-6)
    squared = task_loss(Task(None, "tokens", loss="squared_error"))(logits, labels)
    apart = np.square(np.asarray(logits) - np.eye(5)[labels]).sum(-1) / 2
    np.testing.assert_allclose(squared, apart.reshape(6, -1).mean(1), rtol=1e-5)
