"""Planted shortcuts: how often the cue goes with the label in which split, and what it changes."""

import numpy as np
import pytest

from minima.runtime.errors import UserError
from minima.tasks.datasets import load, planted

BASE = load("digits")
COLOURED = load("coloured:digits")


def agreement(split, cue):
    return (cue.found(split.inputs) == split.labels).mean()


def test_colours_follow_the_published_protocol():
    train, cue = COLOURED.train, planted.cue_of(COLOURED)
    assert len(train) >= planted.LEAST
    truth = planted.upper_half(BASE, BASE.train)[np.arange(len(train)) % len(BASE.train)]
    assert (train.labels != truth).mean() == pytest.approx(0.25, abs=0.01)
    for environment, disagree in enumerate((0.2, 0.1)):
        mine = train.picked(train.groups == environment)
        assert agreement(mine, cue) == pytest.approx(1 - disagree, abs=0.01)
        assert len(mine) == pytest.approx(len(train) / 2, abs=1)
    assert agreement(COLOURED.test, cue) == pytest.approx(0.1, abs=0.03)
    assert agreement(COLOURED.validation, cue) == pytest.approx(0.85, abs=0.02)
    assert set(COLOURED.test.groups) == {2}
    assert COLOURED.input_shape == (8, 8, 2)


def test_the_picture_is_in_one_channel_and_grey_has_it_without_the_other():
    grey = load("grey:digits")
    np.testing.assert_array_equal(grey.train.inputs, COLOURED.train.inputs.sum(-1))
    np.testing.assert_array_equal(grey.train.labels, COLOURED.train.labels)
    np.testing.assert_array_equal(grey.test.inputs, BASE.test.inputs)
    assert not (COLOURED.train.inputs.min(axis=-1) > 0).any()


def test_crossed_groups_are_label_and_colour():
    crossed = load("coloured_crossed:digits")
    np.testing.assert_array_equal(crossed.train.inputs, COLOURED.train.inputs)
    red = planted.COLOUR.found(crossed.train.inputs)
    np.testing.assert_array_equal(crossed.train.groups, 2 * crossed.train.labels + red)
    counts = np.bincount(crossed.train.groups)
    weights = crossed.example_weights()
    assert weights.mean() == pytest.approx(1)
    sums = np.bincount(crossed.train.groups, weights)
    np.testing.assert_allclose(sums, np.full(4, counts.sum() / 4), rtol=1e-3)


@pytest.mark.parametrize("name", ["ruler:fashion_mnist", "ruler:digits", "word:tickets"])
def test_rulers_and_words_are_shared_by_all_splits(name):
    data = load(name)
    cue = planted.cue_of(data)
    for split in (data.train, data.validation, data.test):
        assert agreement(split, cue) == pytest.approx(0.95, abs=0.04)
        np.testing.assert_array_equal(split.groups, 2 * split.labels + cue.found(split.inputs))
    base = load(name.partition(":")[2])
    np.testing.assert_array_equal(data.test.labels, planted.upper_half(base, base.test))
    assert (data.num_classes, data.train.inputs.shape) == (2, base.train.inputs.shape)
    assert load(name).checksum == data.checksum != base.checksum


@pytest.mark.parametrize("name", ["coloured:digits", "ruler:fashion_mnist", "word:tickets"])
def test_a_cue_can_be_put_anywhere_and_found_there(name):
    data = load(name)
    cue, inputs = planted.cue_of(data), data.test.inputs
    there = cue.found(inputs)
    np.testing.assert_array_equal(cue.put(inputs, there), inputs)
    other = cue.put(inputs, ~there)
    np.testing.assert_array_equal(cue.found(other), ~there)
    np.testing.assert_array_equal(cue.put(other, there), inputs)
    assert other.dtype == inputs.dtype
    assert not np.array_equal(other, inputs)


def test_a_ruler_is_in_its_corner_alone_and_grey_is_between_colours():
    data = load("ruler:fashion_mnist")
    base, corner = load("fashion_mnist").test.inputs, np.s_[:, -5:, :14]
    drawn = data.test.inputs.copy()
    drawn[corner], base = 0, base.copy()
    base[corner] = 0
    np.testing.assert_array_equal(drawn, base)
    half = planted.COLOUR.put(COLOURED.test.inputs, np.full(len(COLOURED.test), 0.5))
    np.testing.assert_array_equal(half[..., 0], half[..., 1])
    np.testing.assert_allclose(half.sum(-1), BASE.test.inputs)


def test_the_word_is_new_and_last():
    data, base = load("word:tickets"), load("tickets")
    assert data.vocabulary == (*base.vocabulary, planted.WORD)
    np.testing.assert_array_equal(data.test.inputs[:, :-1], base.test.inputs[:, :-1])
    assert set(np.unique(data.test.inputs[:, -1])) == {0, len(base.vocabulary)}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("coloured:cifar_like", None),
        ("coloured:mnist1d", "'coloured:mnist1d': goes with grey images"),
        ("coloured:coloured:digits", "goes with grey images"),
        ("ruler:tickets", "'ruler:tickets': goes with images of 8×8 pixels or more"),
        ("word:digits", "'word:digits': goes with sentences"),
        ("word:kjv", "only a fixed set of examples with a class each"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(name, words):
    with pytest.raises(UserError) as caught:
        load(name)
    assert (words or "is not known") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_dataset_without_a_cue_says_so():
    with pytest.raises(UserError, match="has no planted cue"):
        planted.cue_of(BASE)
