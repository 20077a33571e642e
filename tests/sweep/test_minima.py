"""Predictions from kept minima, against the cells' own records."""

import numpy as np

from minima.record.snapshots import Snapshots
from minima.runtime import devices
from minima.sweep.branch import to_arrays
from minima.sweep.minima import predict_test_set
from minima.sweep.program import AXIS


def test_hits_counted_from_snapshots_are_the_recorded_accuracies(make, run_cells, tmp_path):
    plan = make(
        batch_sizes=(8, 32),
        learning_rates=(0.01, 0.1),
        seeds=tuple(range(9)),
        budget="20steps",
        snapshots=2,
        evaluations=4,
    )
    kept, points = Snapshots(tmp_path), []

    def keep(cell, step, snapshot):
        kept.write(cell, step, to_arrays(snapshot))
        points.append((cell, step))

    records = run_cells(plan, on_snapshot=keep)
    assert len(points) == 72
    assert kept.steps(0) == (10, 20)
    ends = [point for point in points if point[1] == 20]
    found = predict_test_set(plan, kept, ends, devices.make_mesh(AXIS, 2))
    assert found.shape == (36, 60)
    for (cell, _), row in zip(ends, found, strict=True):
        hits = (row == plan.dataset.test.labels).mean()
        assert hits == records[cell]["test_accuracy"]
    halfway = predict_test_set(plan, kept, [(0, 10)], devices.make_mesh(AXIS, 2))
    assert halfway.shape == (1, 60)
    assert np.any(halfway[0] != found[[cell for cell, _ in ends].index(0)])
    assert predict_test_set(plan, kept, [], devices.make_mesh(AXIS, 2)).shape == (0, 60)
