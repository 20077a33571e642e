"""Predictions from kept minima, against the cells' own records."""

import jax
import numpy as np
import pytest

from minima.record.snapshots import Snapshots
from minima.runtime import devices
from minima.sweep import minima
from minima.sweep.branch import from_arrays, to_arrays
from minima.sweep.minima import predict_logits, predict_test_set, predict_with_dropout
from minima.sweep.program import AXIS, blank_initial
from minima.tasks.models import Noise, Training


@pytest.mark.slow
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


@pytest.fixture(scope="module")
def trained(make, run_cells, tmp_path_factory):
    """Two cells with batch norm, their plan, and where their states are kept."""
    plan = make(
        batch_sizes=(32,),
        learning_rates=(0.05,),
        seeds=(0, 1),
        budget="20steps",
        snapshots=1,
        norm="batch",
        dropout=0.3,
        model="mlp",
    )
    kept = Snapshots(tmp_path_factory.mktemp("kept"))
    run_cells(plan, on_snapshot=lambda c, step, state: kept.write(c, step, to_arrays(state)))
    return plan, kept, [(0, 20), (1, 20)], devices.make_mesh(AXIS, 2)


@pytest.mark.slow
def test_logits_say_what_is_predicted_of_any_inputs(trained):
    plan, kept, points, mesh = trained
    inputs = plan.dataset.test.inputs
    logits = predict_logits(plan, kept, points, inputs, mesh)
    assert logits.shape == (2, 60, 5)
    classes = predict_test_set(plan, kept, points, mesh)
    np.testing.assert_array_equal(logits.argmax(axis=-1), classes)
    darker = predict_logits(plan, kept, points[:1], inputs // 2, mesh)
    assert not np.allclose(darker[0], logits[0])
    assert predict_logits(plan, kept, [], inputs, mesh).shape[0] == 0


def test_no_dropout_is_the_plain_prediction_also_of_batch_norm(trained):
    plan, kept, points, mesh = trained
    inputs = plan.dataset.test.inputs
    logits = predict_logits(plan, kept, points, inputs, mesh)
    found = predict_with_dropout(plan, kept, points, inputs, mesh, [0.0, 0.0], draws=3)
    np.testing.assert_allclose(found, jax.nn.softmax(logits), rtol=2e-5, atol=1e-7)


def test_dropout_stays_on_and_one_program_serves_all_draws_and_rates(trained):
    plan, kept, points, mesh = trained
    inputs = plan.dataset.test.inputs
    minima._with_dropout.cache_clear()
    several = predict_with_dropout(plan, kept, points, inputs, mesh, [0.3, 0.3], draws=4)
    np.testing.assert_allclose(several.sum(axis=-1), 1, rtol=1e-5)

    # The same, written out: every draw by the model's own training pass, one example at a time.
    model, key = plan.recipe.task.model, jax.random.fold_in(jax.random.key(0), 1)
    state = from_arrays(kept.read(1, 20), blank_initial(plan.recipe))
    x = (inputs[7].astype(np.float32) - plan.dataset.mean) / plan.dataset.std
    drawn = []
    for draw in range(4):
        own = jax.random.fold_in(jax.random.fold_in(key, draw), 7)
        training = Training(None, Noise(own[None], np.float32(0.3)))
        logits, _ = model.apply(state.params, state.state, np.asarray(x)[None], training)
        drawn.append(jax.nn.softmax(logits[0]))
    np.testing.assert_allclose(several[1, 7], np.mean(drawn, axis=0), rtol=1e-4)
    assert np.ptp(np.stack(drawn), axis=0).max() > 1e-3  # draws differ

    again = predict_with_dropout(plan, kept, points, inputs, mesh, [0.3, 0.3], draws=4)
    np.testing.assert_array_equal(again, several)
    other = predict_with_dropout(plan, kept, points, inputs, mesh, [0.5, 0.1], draws=9, seed=1)
    assert not np.allclose(other, several)
    assert minima._with_dropout(plan.recipe.task, mesh)._cache_size() == 1
