"""Curvature over eight devices against one (see `tests/sweep/test_mesh.py`)."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest
from trained_runs import mesh, train

from minima.landscape.panels import PANELS
from minima.landscape.run_measures import kept_minima, measure_points
from minima.record import measures
from minima.record.snapshots import Snapshots
from minima.runtime.axes import parse_axes
from minima.sweep.minima import predict_test_set
from minima.sweep.program import Layout

SHAPES = ("data:8", "model:8", "data:4,model:2", "data:2,model:4")
SHORT = {"budget": "5steps", "train_examples": 60, "batch_sizes": (12,), "snapshots": 1}
RUNS = {
    "mlp": {"depth": 2, "width": 8, "learning_rates": (0.05, 0.1), "label_noise": 0.3},
    "mlp adam": {"optimizer": "adam", "width": 16},
    "mlp_residual": {"model": "mlp_residual", "width": 8, "norm": "batch"},
    "transformer": SHORT | {"model": "transformer", "width": 32, "dataset": "mnist1d"},
    "lstm": SHORT | {"model": "lstm", "dataset": "mnist1d"},
    "gru": SHORT | {"model": "gru", "dataset": "mnist1d"},
    "cnn_small": SHORT | {"model": "cnn_small", "dataset": "fashion_mnist"},
}
FEW = [
    ("mlp", "hessian", "data:4,model:2", True),
    ("mlp", "noise", "data:8", False),
]
# Every shape for the products that all measures are made of, every network and panel on one.
MANY = [
    *itertools.product(("transformer",), ("hessian",), SHAPES, (False,)),
    *itertools.product(RUNS, ("hessian", "noise"), ("data:4,model:2",), (False,)),
    ("transformer", "hessian", "data:4,model:2", True),
    ("mlp", "sharpness", "data:4,model:2", False),
    ("mlp adam", "preconditioned", "data:4,model:2", False),
]
CASES = [*FEW, *(pytest.param(*case, marks=pytest.mark.long) for case in MANY if case not in FEW)]


@pytest.fixture(autouse=True, scope="module")
def cheap_compiles():
    """XLA's partitioner is what is tested here, not how well it optimises afterwards."""
    assert jax.device_count() == 8  # and starts the backend, which takes no other number after
    jax.config.update("jax_disable_most_optimizations", True)
    with jax.enable_x64(True):
        yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """trained(name) -> a finished run, trained on one device."""
    runs = {}

    def get(name):
        if name not in runs:
            folder = tmp_path_factory.mktemp("runs")
            runs[name] = train(folder, dtype="float64", devices=1, lanes=1, **RUNS[name])
        return runs[name]

    return get


@pytest.fixture(scope="module")
def one_device(trained):
    """one_device(name, panel) -> measured on one device."""
    found = {}

    def get(name, panel):
        if (name, panel) not in found:
            run = trained(name)
            found[name, panel] = measured(run.plan, run.directory, panel, mesh(1))
        return found[name, panel]

    return get


def measured(plan, directory, panel, where):
    """Anew, whatever has been measured."""
    (directory / measures.FILE).unlink(missing_ok=True)
    points = kept_minima(plan, directory)
    assert points
    return measure_points(plan, directory, points, PANELS[panel], examples=0, mesh=where)


def over(plan, axes, fully_sharded):
    """The plan, its cells spread over a mesh."""
    return dataclasses.replace(plan, layout=Layout(1, 1, 1, parse_axes(axes), fully_sharded))


@pytest.mark.parametrize(("name", "panel", "axes", "fully_sharded"), CASES)
def test_measures_are_those_of_one_device(trained, one_device, name, panel, axes, fully_sharded):
    expected, run = one_device(name, panel), trained(name)
    plan = over(run.plan, axes, fully_sharded)
    found = measured(plan, run.directory, panel, plan.layout.make_mesh())
    assert [list(one) for one in found] == [list(one) for one in expected]
    for one, other in zip(found, expected, strict=True):
        for key, estimate in one.items():
            reference = other[key]
            assert estimate.converged == reference.converged, key
            np.testing.assert_allclose(
                estimate.value, reference.value, rtol=1e-8, atol=1e-8, err_msg=key
            )


def test_predictions_are_those_of_one_device(trained):
    run = trained("mlp")
    points, kept = kept_minima(run.plan, run.directory), Snapshots(run.directory)
    expected = predict_test_set(run.plan, kept, points, mesh(1))
    plan = over(run.plan, "data:4,model:2", True)
    found = predict_test_set(plan, kept, points, plan.layout.make_mesh())
    np.testing.assert_array_equal(found, expected)
