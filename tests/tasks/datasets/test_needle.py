import numpy as np
import pytest

from minima.runtime.errors import UserError
from minima.tasks.datasets import load, needle


@pytest.fixture(scope="module")
def data():
    return load("needle:5", window=12)


def test_the_needles_are_what_they_were(data):
    sizes = [len(s) for s in (data.train, data.validation, data.test)]
    assert sizes == [16_000, 4_000, 4_000]
    assert data.checksum == "2f987fb9e8f4c21aeca1e32464f835872eaf22909723d5bde3967ebb734cd739"
    assert (data.name, data.kind, data.task) == ("needle:5", "tokens", "classification")
    assert (data.input_shape, data.num_classes, len(data.vocabulary)) == ((12,), 8, 9)
    assert (data.train.inputs.dtype, data.train.labels.dtype) == (np.uint8, np.int32)
    assert not data.stand_in


def test_the_class_is_what_follows_the_only_marker_so_many_tokens_before_the_end(data):
    for split in (data.train, data.validation, data.test):
        marked = split.inputs == 8
        assert (marked.sum(axis=1) == 1).all()
        after = np.argmax(marked, axis=1) + 1
        assert (split.inputs.shape[1] - 1 - after == 5).all()
        assert (split.inputs[np.arange(len(split)), after] == split.labels).all()


def test_classes_are_balanced_and_noise_knows_nothing_of_them(data):
    split = data.train
    shares = np.bincount(split.labels, minlength=8) / len(split)
    assert np.abs(shares - 1 / 8).max() < 4 * np.sqrt(7 / 64 / len(split))
    for place in (0, 3, 7, 11):
        agree = np.mean(split.inputs[:, place] == split.labels)
        assert abs(agree - 1 / 8) < 4 * np.sqrt(7 / 64 / len(split))


def test_distances_differ_in_the_place_of_the_needle_alone():
    near, far = (load(f"needle:{d}", window=12, validation_fraction=0) for d in (2, 9))
    assert (near.train.labels == far.train.labels).all()
    same = [p for p in range(12) if p not in (0, 1, 2, 8, 9)]
    assert (near.train.inputs[:, same] == far.train.inputs[:, same]).all()
    # Where the other's needle lies there is noise.
    assert (near.train.inputs[:, :3].max(), far.train.inputs[:, 8:10].max()) == (7, 7)


def test_settings_make_other_sizes():
    small = needle.load_needle("1", 4, 0, needle.Settings(num_train=10, num_test=5))
    assert (len(small.train), len(small.test)) == (10, 5)


@pytest.mark.parametrize("name", ["needle:", "needle:0", "needle:11", "needle:x", "needle:-1"])
def test_a_distance_that_does_not_fit_is_one_line(name):
    with pytest.raises(UserError, match="from 1 to 10") as caught:
        load(name, window=12)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
