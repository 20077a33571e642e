"""Targets of transfer: what is the same as in MNIST-1D, and what is not."""

import numpy as np
import pytest

from minima.tasks.datasets import load
from minima.tasks.datasets.mnist1d import STROKES, Settings, generate, stretched_templates
from minima.tasks.datasets.mnist1d_targets import TARGETS, strokes

CHECKSUMS = {
    "mnist1d_near": "10b5a2058f6aee0f1d5ff3c8c05d66cec33c7f8b990b5b07fc00ea241615f07c",
    "mnist1d_far": "3889fdd365a48866a6e85ad48015d552b0a578c0c7efe8d12477d3bd5598eeab",
    "mnist1d_near_shuffled": "e4f66264ba0bb8c5f18b75569d7f596ef928db45b3faffb37b87461d1308ce22",
}


@pytest.mark.parametrize("name", TARGETS)
def test_loads_by_name_and_is_the_same_everywhere(name):
    dataset = load(name, validation_fraction=0.0)
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [
        12_000,
        0,
        4000,
    ]
    assert (dataset.name, dataset.kind) == (name, "signal")
    assert (dataset.input_shape, dataset.num_classes) == ((40,), 10)
    assert dataset.train.inputs.dtype == np.float32
    assert abs(dataset.mean) < 0.02
    assert abs(dataset.std - 1) < 0.02
    assert dataset.checksum == CHECKSUMS[name]


@pytest.mark.parametrize("labels", [1, 5, 50, 1000])
def test_the_first_examples_hold_equally_many_of_each_class(labels):
    train = load("mnist1d_far", validation_fraction=0.0, train_examples=10 * labels).train
    assert (np.bincount(train.labels, minlength=10) == labels).all()


def test_a_validation_set_may_be_taken_off(refusal):
    dataset = load("mnist1d_near", validation_fraction=0.25)
    assert len(dataset.validation) == 3000
    line = refusal(load, "mnist1d_near", test_examples=50)
    assert line.startswith("--test_examples 50: does not apply")


def test_the_destroyed_target_has_the_near_ones_signals_in_one_other_order():
    near, shuffled = (
        load(n, validation_fraction=0.0) for n in ("mnist1d_near", "mnist1d_near_shuffled")
    )
    order = [int(np.flatnonzero(near.train.inputs[0] == x)[0]) for x in shuffled.train.inputs[0]]
    assert sorted(order) == list(range(40))
    assert order != list(range(40))
    for ours, theirs in ((near.train, shuffled.train), (near.test, shuffled.test)):
        np.testing.assert_array_equal(ours.inputs[:, order], theirs.inputs)
        np.testing.assert_array_equal(ours.labels, theirs.labels)


def test_no_target_holds_a_signal_of_the_source():
    source = {row.tobytes() for split in generate(Settings()) for row in split.inputs}
    for name in TARGETS:
        data = load(name, validation_fraction=0.0)
        rows = {row.tobytes() for split in (data.train, data.test) for row in split.inputs}
        assert len(rows) == 16_000
        assert not rows & source


def test_the_far_strokes_are_ten_and_none_of_the_digits():
    far = np.array(strokes(44))
    assert far.shape == np.array(STROKES).shape
    assert (far[:, 0] == 5).all()
    assert (far[:, -1] == 5).all()
    assert strokes(44) == TARGETS["mnist1d_far"].strokes != strokes(45)
    shapes = [stretched_templates(each)[:, 0] for each in (Settings(), TARGETS["mnist1d_far"])]
    noise = 0.02 * np.sqrt(shapes[0].shape[-1])  # on every point of a signal, in template units
    assert closest(shapes[1], shapes[1]) > noise
    assert closest(*shapes) > noise


def closest(a, b):
    """The least distance between two rows that are not the same one."""
    distances = np.linalg.norm(a[:, None] - b[None, :], axis=-1)
    return distances[distances > 0].min()
