"""What goes between host and device: little, and no more for larger models or data."""

import jax
import numpy as np
import pytest

from minima.runtime import devices
from minima.sweep import train as loop
from minima.sweep.program import AXIS
from minima.sweep.train import train


def nbytes(tree):
    return sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(tree))


def traffic(plan, monkeypatch):
    """Bytes sent after the lanes and the data, segment by segment, and bytes of every report."""
    sent, reports, real = [], [], jax.device_put

    def put(value, where):
        sent[-1] += nbytes(value)
        return real(value, where)

    dispatch, collect = loop._Loop._dispatch, loop._Loop._collect

    def dispatched(self):
        sent.append(0)
        self.limit = 5  # micro-steps, so that a cell takes many segments
        return dispatch(self)

    def collected(self, flight):
        reports.append(nbytes(flight.report))
        return collect(self, flight)

    sent.append(0)  # what comes before the first segment
    monkeypatch.setattr(loop.jax, "device_put", put)
    monkeypatch.setattr(loop._Loop, "_dispatch", dispatched)
    monkeypatch.setattr(loop._Loop, "_collect", collected)
    train(plan, devices.make_mesh(AXIS, plan.layout.devices), lambda record: None)
    return sent[1:-1], reports  # the last dispatch finds nothing to do


def plan_of(make, **values):
    axes = {"batch_sizes": (8,), "learning_rates": (0.01,), "seeds": (0, 1)}
    return make(**axes, budget="4epochs", evaluations=2, microbatch=8, lanes=1, **values)


def test_a_segment_without_new_cells_sends_its_limit_and_nothing_else(make, monkeypatch):
    sent, _ = traffic(plan_of(make), monkeypatch)
    assert len(sent) > 8
    # A segment's limit is four bytes. Orders go out with the cells and once more without `fresh`.
    assert sum(bytes_ > 4 for bytes_ in sent) <= 2
    assert sent.count(4) == len(sent) - 2


@pytest.mark.slow
def test_a_report_is_as_small_for_a_large_model(make, monkeypatch):
    _, small = traffic(plan_of(make, model="mlp", width=4, snapshots=0), monkeypatch)
    monkeypatch.undo()
    _, large = traffic(plan_of(make, model="mlp", width=256, snapshots=0), monkeypatch)
    assert set(small) == set(large)
    lanes = plan_of(make).layout.lanes
    assert max(small) <= 200 * lanes


def test_snapshots_ride_in_the_report_once_a_segment(make, monkeypatch):
    plan = plan_of(make, model="mlp", width=4, snapshots=1)
    _, reports = traffic(plan, monkeypatch)
    state = plan.snapshot_bytes() // len(plan.cells)
    bare = plan_of(make, model="mlp", width=4, snapshots=0)
    monkeypatch.undo()
    _, plain = traffic(bare, monkeypatch)
    assert max(reports) - max(plain) <= plan.layout.lanes * (state + 64)
