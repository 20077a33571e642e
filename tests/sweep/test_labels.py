"""Labels that are numbers, and labels that ask for nothing, through all that reads labels."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plain_reference import compare

from minima.landscape.objective import Objective, chunks, task_loss
from minima.record.snapshots import Snapshots
from minima.runtime import devices
from minima.runtime.errors import UserError
from minima.sweep.branch import to_arrays as flat
from minima.sweep.config import SweepConfig, TaskConfig
from minima.sweep.description import describe
from minima.sweep.examples import labels_of
from minima.sweep.minima import predict_test_set
from minima.sweep.plan import fit_task
from minima.sweep.program import AXIS
from minima.tasks.datasets.dataset import Split
from minima.tasks.task import to_arrays

NUMBERS = {"data": "numbers", "loss": "squared_error"}
PARTLY = {"data": "partly", "model": "lstm", "width": 8}
FEW = {"batch_sizes": (13,), "learning_rates": (0.003,), "seeds": (3,), "budget": "20steps"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        NUMBERS | {"model": "mlp", "weight_decay": 0.01, "clip_norm": 0.7, "augmentation": "shift"},
        NUMBERS | {"model": "irnn", "width": 8},
        PARTLY,
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_a_cell_equals_the_plain_loop(make, run_lanes, settings):
    with jax.enable_x64(True):
        settings = FEW | settings | {"batch_sizes": (5, 32), "microbatch": 16, "lanes": 1}
        plan = make(**settings, optimizer="adam", evaluations=20, dtype="float64", block=1)
        compare(plan, *run_lanes(plan, limit=7), updates=20)


def kept_minima(plan, run_cells, folder):
    """Records of all cells and what their minima predict."""
    kept, points = Snapshots(folder), []

    def keep(cell, step, snapshot):
        kept.write(cell, step, flat(snapshot))
        points.append((cell, step))

    records = run_cells(plan, on_snapshot=keep)
    points = sorted(points)
    found = predict_test_set(plan, kept, points, devices.make_mesh(AXIS, 2))
    return [records[cell] for cell, _ in points], found


def test_a_regression_records_squared_errors_and_hits(make, run_cells, tmp_path):
    plan = make(
        **FEW | NUMBERS | {"learning_rates": (0.003, 0.01, 3e8)}, optimizer="adam", snapshots=1
    )
    records, predicted = kept_minima(plan, run_cells, tmp_path)
    labels = plan.dataset.test.labels
    assert [record["status"] for record in records][:2] == ["complete", "complete"]
    for record, row in zip(records[:2], predicted, strict=False):
        assert record["test_loss"] == pytest.approx(np.mean((row - labels) ** 2), rel=1e-5)
        hits = plan.dataset.right(row[None])
        assert record["test_accuracy"] == pytest.approx(hits.mean())
        assert 0 < hits.mean() < 1
    assert predicted.dtype == np.float32
    # Half as large, and every gradient is half as large.
    first = records[1]["trajectory"]["train_loss"]
    assert first[-1] < first[0] / 2


@pytest.mark.slow
def test_one_number_for_everything_is_no_collapse_but_one_class_is(make, run_cells, numbers):
    def same(data):
        inputs = np.broadcast_to(data.test.inputs[:1], data.test.inputs.shape)
        return dataclasses.replace(data, test=Split(inputs, data.test.labels))

    classes = dataclasses.replace(
        numbers,
        num_classes=2,
        **{
            name: Split(part.inputs, (part.labels > 0).astype(np.int32))
            for name in ("train", "validation", "test")
            for part in [getattr(numbers, name)]
        },
    )
    for settings, data, status in ((NUMBERS, numbers, "complete"), ({}, classes, "collapsed")):
        plan = make(**FEW | NUMBERS)
        config = dataclasses.replace(
            plan.config,
            task=dataclasses.replace(
                plan.config.task, loss=settings.get("loss", "cross_entropy"), model="mlp"
            ),
        )
        task, data = fit_task(config, same(data))
        recipe = dataclasses.replace(plan.recipe, task=task)
        program = dataclasses.replace(plan.programs[0], recipe=recipe)
        plan = dataclasses.replace(plan, config=config, dataset=data, programs=(program,))
        assert run_cells(plan)[0]["status"] == status


@pytest.mark.slow
def test_numbers_come_from_the_host_as_well(make, run_cells):
    settings = FEW | NUMBERS | {"batch_sizes": (8,), "lanes": 2}
    resident, sent = (
        run_cells(make(**settings, slab_mib=mib))[0] for mib in (0.0, 2 * 33 * 76 / 2**20)
    )
    assert sent["trajectory"] == resident["trajectory"]
    assert sent["train_loss"] == pytest.approx(resident["train_loss"], rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"loss": "cross_entropy"}, "--loss=cross_entropy: the labels of --dataset=numbers are"),
        ({"label_noise": 0.1}, "--label_noise=0.1: goes with classes"),
        ({"label_flips": 0.1}, "--label_flips=0.1: goes with classes"),
        ({"label_smoothing": 0.1}, "--label_smoothing=0.1: goes with classes"),
        ({"axes": (("label_noise", (0.0, 0.2)),)}, "--label_noise=0.2: goes with classes"),
    ],
)
def test_what_goes_with_classes_is_refused_for_numbers(make, settings, says):
    with pytest.raises(UserError) as caught:
        make(**FEW | NUMBERS | settings)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_the_plan_says_what_the_labels_are(make):
    text = describe(make(**FEW | NUMBERS))
    assert (
        "97/24/60 train/validation/test, 9×2 signals, a number to predict, right within 1" in text
    )
    assert "12 tokens, 7 symbols" in describe(make(**FEW | PARTLY))


@pytest.mark.slow
def test_only_what_is_asked_counts(make, run_cells, tmp_path):
    plan = make(**FEW | PARTLY, optimizer="adam", snapshots=1)
    records, predicted = kept_minima(plan, run_cells, tmp_path)
    assert plan.recipe.task.ignores
    labels = plan.dataset.test.labels
    right = plan.dataset.right(predicted)
    assert right.shape == (1, 60 * 4)
    assert right.mean() == pytest.approx(records[0]["test_accuracy"])
    np.testing.assert_array_equal(right, (predicted[0] == labels)[:, -4:].reshape(1, -1))


def test_labels_that_ask_for_nothing_stay_so_under_noise(make):
    plan = make(**FEW | PARTLY | {"label_noise": 0.9})
    clean = jnp.asarray(plan.dataset.train.labels)
    index = jnp.arange(len(clean), dtype=jnp.int32)
    noisy = labels_of(plan.recipe.task, 0, index, clean, 0.9)
    np.testing.assert_array_equal(noisy < 0, clean < 0)
    assert np.mean(noisy[:, -4:] != clean[:, -4:]) > 0.5


def test_a_minimum_is_measured_by_what_it_was_trained_on(make):
    """The Hessian of a linear regression is 2 XᵀX / n; ignored positions have no part in a loss."""
    config = SweepConfig(task=TaskConfig(model="linear", loss="squared_error"))
    task, data = fit_task(config, make(**FEW | NUMBERS).dataset)
    arrays = to_arrays(data)
    prepared = np.asarray(task.prepare(arrays, jnp.asarray(arrays.train[0])))
    params, state = task.model.init(jax.random.key(0))
    objective = Objective(lambda p, x: task.model.apply(p, state, x)[0], task_loss(task))
    examples = chunks(prepared, arrays.train[1], 40)
    kernel = params["readout"]["kernel"]
    found = jax.hessian(
        lambda k: objective.mean({"readout": params["readout"] | {"kernel": k}}, examples)
    )(kernel)
    x = prepared.reshape(len(prepared), -1)
    np.testing.assert_allclose(found[:, 0, :, 0], 2 * x.T @ x / len(x), atol=1e-5)

    task = make(**FEW | PARTLY).recipe.task
    outputs = jax.random.normal(jax.random.key(1), (5, 12, 7))
    labels = jnp.asarray(make(**FEW | PARTLY).dataset.train.labels[:5])
    log_p = np.asarray(jax.nn.log_softmax(outputs))[:, -4:]
    picked = np.take_along_axis(log_p, np.asarray(labels)[:, -4:, None], axis=-1)
    np.testing.assert_allclose(
        task_loss(task)(outputs, labels), -picked.mean(axis=(1, 2)), rtol=1e-6
    )
