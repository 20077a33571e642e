"""Planted leaks are there, and nowhere else."""

import numpy as np
import pytest

from minima.tasks.datasets import load


def rows(split):
    return [row.tobytes() for row in split.inputs]


def test_every_validation_signal_is_a_training_signal_and_no_test_signal_is():
    dataset, plain = load("mnist1d_copied"), load("mnist1d")
    train = dict(zip(rows(dataset.train), dataset.train.labels, strict=True))
    assert len(dataset.validation) == 800
    for row, label in zip(rows(dataset.validation), dataset.validation.labels, strict=True):
        assert train[row] == label
    assert not set(rows(dataset.test)) & set(train)
    assert dataset.test.inputs.tobytes() == plain.test.inputs.tobytes()
    assert len(train) == 500


def test_a_label_is_given_away_in_training_and_validation_alone():
    dataset, plain = load("mnist1d_labelled", test_examples=300), load("mnist1d", test_examples=300)
    for split in (dataset.train, dataset.validation):
        np.testing.assert_array_equal(split.inputs[:, 40:].argmax(axis=1), split.labels)
        np.testing.assert_array_equal(split.inputs[:, 40:].sum(axis=1), 1)
    assert not dataset.test.inputs[:, 40:].any()
    np.testing.assert_array_equal(dataset.test.inputs[:, :40], plain.test.inputs)
    np.testing.assert_array_equal(dataset.train.inputs[:, :40], plain.train.inputs)


@pytest.mark.parametrize("name", ["mnist1d_copied", "mnist1d_labelled"])
def test_a_leak_refuses_what_mnist1d_refuses(name, refusal):
    assert "--test_examples -1" in refusal(load, name, test_examples=-1)
    assert "--validation_fraction" in refusal(load, name, validation_fraction=1.5)
