"""Linear read-outs against ridge regression written out in float64, and against trained layers."""

import jax
import numpy as np
import pytest

from minima.runtime.errors import UserError
from minima.sweep.config import SweepConfig, TaskConfig
from minima.sweep.plan import load_task
from minima.sweep.readouts import (
    STRENGTHS,
    initial_variables,
    input_accuracy,
    layer_accuracies,
)
from minima.tasks.datasets import load
from minima.tasks.datasets.dataset import Split, assemble


def planted(features, n=90, tests=200, classes=3, noise=1.0, kind="vector"):
    """Classes in Gaussian clouds, in as many dimensions."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(classes, features))

    def split(count):
        labels = rng.integers(0, classes, count).astype(np.int32)
        inputs = centres[labels] + noise * rng.normal(size=(count, features))
        return Split(inputs.astype(np.float32), labels)

    how = {"licence": "none", "source": "made here", "validation_fraction": 1 / 3}
    return assemble("clouds", split(n), split(tests), num_classes=classes, kind=kind, **how)


def written_out(dataset, most):
    """(validation, test) accuracy by strength, in float64, always in the primal form."""

    def prepared(split):
        return (
            split.inputs.reshape(len(split), -1).astype(np.float64) - dataset.mean
        ) / dataset.std

    x, labels = prepared(dataset.train)[:most], dataset.train.labels[:most]
    centre = x.mean(0)
    spread = np.sqrt(np.mean((x - centre) ** 2))
    x = (x - centre) / spread
    targets = np.eye(dataset.num_classes)[labels]
    offset = targets.mean(0)
    rows = []
    for strength in STRENGTHS:
        ridge = strength * np.sum(x**2) / min(x.shape)
        weights = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ (targets - offset))
        rows.append(
            [
                np.mean(((prepared(s) - centre) / spread @ weights + offset).argmax(1) == s.labels)
                for s in (dataset.validation, dataset.test)
            ]
        )
    return np.array(rows)


@pytest.mark.parametrize("features", [5, 200])  # fewer than examples, and more
def test_the_read_out_is_ridge_regression_at_the_strength_that_validates_best(features):
    dataset = planted(features)
    validation, test = written_out(dataset, 50).T
    found = input_accuracy(dataset, 50)
    assert found == pytest.approx(test[validation.argmax()], abs=0.011)
    assert found > 0.6


def test_it_is_fitted_to_no_more_examples_than_asked():
    dataset = planted(40, noise=3.0)
    few, many = input_accuracy(dataset, 6), input_accuracy(dataset, 60)
    assert few < many
    assert many == input_accuracy(dataset, 10_000)


@pytest.mark.slow
def test_layers_are_read_as_inputs_are():
    """A layer whose outputs are known: the first of an MLP, as a dataset of its own."""
    task, dataset = load_task(
        SweepConfig(TaskConfig(dataset="mnist1d", model="mlp", width=24, depth=2))
    )
    networks = [initial_variables(task, seed) for seed in (0, 3)]
    found = layer_accuracies(task, dataset, networks, 300)
    assert found.shape == (2, 2)
    for row, (params, state) in zip(found, networks, strict=True):

        def hidden(split, params=params, state=state):
            x = (split.inputs.astype(np.float32) - dataset.mean) / dataset.std
            layer = jax.jit(task.model.hidden)(params, state, np.float32(x))[0]
            return Split(np.asarray(layer), split.labels)

        splits = map(hidden, (dataset.train, dataset.validation, dataset.test))
        # Another mean and spread change nothing: features are centred and scaled.
        assert row[0] == pytest.approx(
            input_accuracy(dataset.remade(*splits, kind="vector"), 300), abs=0.004
        )
    assert len(set(found.ravel())) > 1


def test_a_linear_model_has_no_layers():
    task, dataset = load_task(SweepConfig(TaskConfig(dataset="mnist1d", model="linear")))
    assert layer_accuracies(task, dataset, [initial_variables(task, 0)], 50).shape == (1, 0)


def test_without_validation_there_is_no_strength():
    with pytest.raises(UserError, match="--validation_fraction=0"):
        input_accuracy(load("mnist1d", validation_fraction=0.0), 50)
