"""The arithmetic that shares of peak are counted in, against the models themselves."""

import math

import jax
import jax.extend.core
import jax.numpy as jnp
import pytest

from minima.sweep.plan import load_task
from sides.minima_plane import configure
from workloads import WORKLOADS, share


def products(jaxpr):
    """Multiply-adds of every matrix product in a jaxpr, those of a scan as often as it steps."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            contracted = equation.params["dimension_numbers"][0][0]
            shape = equation.invars[0].aval.shape
            depth = math.prod(shape[axis] for axis in contracted)
            total += math.prod(equation.outvars[0].aval.shape) * depth
        times = equation.params.get("length", 1)
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            total += times * products(inner)
    return total


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_forward_pass_takes_the_arithmetic_that_is_counted(name):
    work = WORKLOADS[name]
    task, dataset = load_task(configure(work))
    inputs = jnp.asarray(dataset.train.inputs[:1])
    inputs = inputs.astype(jnp.int32 if dataset.kind == "tokens" else jnp.float32)

    def forward(key):
        return task.model.apply(*task.model.init(key), inputs)[0]

    counted = products(jax.make_jaxpr(forward)(jax.random.key(0)).jaxpr)
    if dataset.kind == "tokens":  # looking characters up is written as a product
        counted -= 64 * dataset.num_classes * 64
    # Convolutions before a pooling leave out the row that it drops, the last of seven, and
    # multiply a few zeros instead: they are counted as their definition has them.
    assert counted == pytest.approx(work.forward, rel=0.06 if "cnn" in name else 0.01)


def test_processes_share_all_cells_and_every_batch_size():
    for work in WORKLOADS.values():
        parts = [share(work.cells, part, 2) for part in range(2)]
        assert sorted(parts[0] + parts[1]) == sorted(work.cells)
        for part in parts:
            assert {batch_size for batch_size, _ in part} == set(work.batch_sizes)
