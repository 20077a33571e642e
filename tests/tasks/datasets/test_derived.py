"""Datasets made of others by name: what each does to which split, and that names nest."""

import numpy as np
import pytest

from minima.tasks.datasets import NAMES, load
from minima.tasks.datasets.dataset import sha256

BASE = {name: load(name) for name in ("mnist1d", "fashion_mnist")}


def rows(inputs):
    return sorted(map(bytes, inputs))


def test_a_draw_is_another_order_of_the_same_training_examples():
    base, first, second = BASE["mnist1d"], load("draw1:mnist1d"), load("draw2:mnist1d")
    assert rows(first.train.inputs) == rows(second.train.inputs) == rows(base.train.inputs)
    assert not np.array_equal(first.train.inputs, second.train.inputs)
    assert first.checksum not in (second.checksum, base.checksum)
    assert np.array_equal(first.validation.inputs, base.validation.inputs)
    assert np.array_equal(first.test.labels, base.test.labels)
    assert (first.name, first.stand_in) == ("draw1:mnist1d", False)
    assert load("draw1:mnist1d").checksum == first.checksum


def test_a_draw_keeps_labels_with_their_inputs_and_small_ones_lie_in_large_ones():
    base, drawn = BASE["mnist1d"], load("draw7:mnist1d")
    of = dict(zip(map(bytes, base.train.inputs), base.train.labels, strict=True))
    assert all(
        of[bytes(x)] == y for x, y in zip(drawn.train.inputs, drawn.train.labels, strict=True)
    )
    small = load("draw7:mnist1d", train_examples=50)
    assert np.array_equal(small.train.inputs, drawn.train.inputs[:50])
    assert len(small.train) == 50


def test_shifted_mirrors_what_is_asked_about_at_the_mean_of_what_is_learned():
    base, shifted = BASE["fashion_mnist"], load("shifted:fashion_mnist")
    assert np.array_equal(shifted.train.inputs, base.train.inputs)
    for name in ("validation", "test"):
        there, here = getattr(base, name), getattr(shifted, name)
        assert np.array_equal(here.labels, there.labels)
        middle = (here.inputs + there.inputs.astype(np.float32)) / 2
        assert np.allclose(middle, base.mean, atol=1e-3)
    assert shifted.train.inputs.dtype == shifted.test.inputs.dtype
    assert (shifted.mean, shifted.std) == pytest.approx((base.mean, base.std), rel=1e-5)
    assert shifted.stand_in


def test_missing_leaves_the_upper_half_of_the_classes_out_of_training_alone():
    base, missing = BASE["mnist1d"], load("missing:mnist1d")
    assert set(missing.train.labels) == set(range(5))
    assert len(missing.train) == len(base.train)
    assert set(missing.validation.labels) == set(missing.test.labels) == set(range(10))
    assert missing.num_classes == 10
    assert missing.stand_in


def test_proxy_labels_say_the_half_and_are_for_training_alone():
    base, proxy = BASE["mnist1d"], load("proxy:mnist1d")
    assert np.array_equal(proxy.train.inputs, base.train.inputs)
    assert np.array_equal(proxy.train.labels, np.where(base.train.labels < 5, 0, 5))
    assert proxy.train.labels.dtype == np.int32
    assert np.array_equal(proxy.validation.labels, base.validation.labels)


def test_names_nest_and_the_last_is_loaded_first():
    nested = load("draw3:missing:mnist1d", train_examples=20)
    assert nested.name == "draw3:missing:mnist1d"
    assert set(nested.train.labels) <= set(range(5))
    again = load("missing:mnist1d").train
    order = np.random.RandomState(3).permutation(len(again))[:20]
    assert np.array_equal(nested.train.inputs, again.inputs[order])
    splits = (nested.train, nested.validation, nested.test)
    arrays = [array for split in splits for array in (split.inputs, split.labels)]
    assert nested.checksum == sha256(*arrays)


@pytest.mark.parametrize("inner", ["markov", "kjv", "mnist1d_infinite"])
def test_only_a_fixed_set_of_examples_with_classes_can_be_made_another(inner, refusal):
    line = refusal(load, f"draw1:{inner}")
    assert line.startswith(f"--dataset 'draw1:{inner}': only a fixed set")


@pytest.mark.parametrize("name", ["draw:mnist1d", "draw-1:mnist1d", "hogg:mnist1d", "draw1:mnst1d"])
def test_what_is_no_such_name_is_refused_with_those_that_are(name, refusal):
    line = refusal(load, name)
    assert "is not known" in line


def test_help_texts_name_them():
    assert {"hog:NAME", "drawN:NAME", "shifted:NAME", "missing:NAME", "proxy:NAME"} <= set(NAMES)
