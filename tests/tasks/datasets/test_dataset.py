import hashlib

import numpy as np
import pytest

from minima.tasks.datasets.dataset import Split, assemble, sha256, split_validation, token_dtype


def make_split(n=10, shape=(4, 6), dtype=np.uint8, start=0):
    inputs = np.arange(start, start + n * int(np.prod(shape))).reshape(n, *shape).astype(dtype)
    return Split(inputs, np.arange(n, dtype=np.int32) % 2)


def make_dataset(kind="image", fraction=0.2, **split):
    return assemble(
        "toy",
        make_split(**split),
        make_split(**split, start=5),
        num_classes=2,
        kind=kind,
        validation_fraction=fraction,
        licence="none",
        source="made here",
    )


def test_arrays_are_read_only_and_the_caller_keeps_his():
    mine = np.zeros((3, 2), np.float32)
    split = Split(mine, np.zeros(3, np.int32))
    with pytest.raises(ValueError, match="read-only"):
        split.inputs[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        split.labels[0] = 1
    mine[0] = 1
    assert len(split) == 3


def test_every_example_lands_in_exactly_one_split_with_its_label():
    train = Split(np.arange(50, dtype=np.float32)[:, None], np.arange(50, dtype=np.int32))
    rest, validation = split_validation(train, 0.3, seed=7)
    assert (len(rest), len(validation)) == (35, 15)
    assert sorted([*rest.labels, *validation.labels]) == list(range(50))
    for split in (rest, validation):
        np.testing.assert_array_equal(split.inputs[:, 0], split.labels)


def test_the_split_depends_on_the_seed_alone():
    train = make_split(100, (1,))
    first, again = (split_validation(train, 0.2, seed=3)[1].inputs for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, split_validation(train, 0.2, seed=4)[1].inputs)


def test_a_smaller_validation_split_lies_inside_a_larger_one():
    train = make_split(100, (1,))
    small, large = (set(split_validation(train, f, 0)[1].inputs.ravel()) for f in (0.1, 0.4))
    assert small < large


def test_fraction_zero_leaves_train_as_it_is():
    train = make_split()
    rest, validation = split_validation(train, 0, seed=0)
    np.testing.assert_array_equal(rest.inputs, train.inputs)
    assert len(validation) == 0
    assert validation.inputs.shape == (0, 4, 6)


@pytest.mark.parametrize("fraction", [-0.1, 1, 1.5, float("nan"), float("inf"), 0.01, 0.99])
def test_refuses_fractions_that_do_not_fit(fraction, refusal):
    line = refusal(split_validation, make_split(10), fraction, 0)
    assert line.startswith(f"--validation_fraction {fraction}: ")


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_mean_and_std_are_those_of_the_train_split_only(dtype):
    dataset = make_dataset(dtype=dtype)
    inputs = dataset.train.inputs.astype(np.float64)
    assert dataset.mean == pytest.approx(inputs.mean(), rel=1e-14)
    assert dataset.std == pytest.approx(inputs.std(), rel=1e-14)
    assert isinstance(dataset.mean, float)
    assert isinstance(dataset.std, float)


def test_byte_moments_do_not_depend_on_how_the_counting_is_parted():
    inputs = np.random.RandomState(0).randint(0, 256, (3, 2**21)).astype(np.uint8)
    split = Split(inputs, np.arange(3, dtype=np.int32))
    dataset = assemble(
        "big",
        split,
        split,
        num_classes=3,
        kind="vector",
        validation_fraction=0,
        licence="",
        source="",
    )
    assert dataset.mean == pytest.approx(inputs.mean(), rel=1e-12)
    assert dataset.std == pytest.approx(inputs.std(), rel=1e-12)


def test_refuses_inputs_that_cannot_be_standardised(refusal):
    split = Split(np.full((4, 2), 3, np.uint8), np.arange(4, dtype=np.int32))
    line = refusal(
        assemble,
        "flat",
        split,
        split,
        num_classes=4,
        kind="vector",
        validation_fraction=0,
        licence="",
        source="",
    )
    assert "every training input is 3" in line


def test_the_checksum_is_over_the_documented_bytes():
    dataset = make_dataset()
    digest = hashlib.sha256()
    for split in (dataset.train, dataset.validation, dataset.test):
        digest.update(split.inputs.tobytes())
        digest.update(split.labels.astype("<i4").tobytes())
    assert dataset.checksum == digest.hexdigest()
    assert dataset.checksum != make_dataset(fraction=0.3).checksum


def test_sha256_does_not_depend_on_byte_order_or_layout():
    array = np.arange(6, dtype="<i4").reshape(2, 3)
    assert sha256(array.astype(">i4")) == sha256(array) == sha256(np.asfortranarray(array))


def test_resizing_averages_blocks():
    dataset = make_dataset(shape=(4, 6), fraction=0)
    small = dataset.resized(2)
    image = dataset.train.inputs[0]  # 0 .. 23 row by row
    np.testing.assert_array_equal(image[0], [0, 1, 2, 3, 4, 5])
    # A block of 2 rows, 3 columns averages to the value midway between its corners.
    np.testing.assert_array_equal(small.train.inputs[0], [[4, 7], [16, 19]])
    assert small.train.inputs.dtype == np.float32
    assert small.input_shape == (2, 2)
    np.testing.assert_array_equal(small.train.labels, dataset.train.labels)


def test_resizing_recomputes_what_follows_from_the_inputs():
    dataset = make_dataset(shape=(4, 6))
    small = dataset.resized(2)
    inputs = small.train.inputs.astype(np.float64)
    assert small.mean == pytest.approx(inputs.mean(), rel=1e-14)
    assert small.std == pytest.approx(inputs.std(), rel=1e-14)
    assert small.checksum != dataset.checksum
    assert [len(s) for s in (small.train, small.validation, small.test)] == [8, 2, 10]


def test_resizing_keeps_channels_apart():
    inputs = np.zeros((2, 2, 2, 3), np.uint8)
    inputs[..., 1] = 10
    inputs[..., 2] = [[0, 1], [2, 4]]
    split = Split(inputs, np.arange(2, dtype=np.int32))
    dataset = assemble(
        "rgb",
        split,
        split,
        num_classes=2,
        kind="image",
        validation_fraction=0,
        licence="",
        source="",
    )
    np.testing.assert_array_equal(dataset.resized(1).test.inputs[1, 0, 0], [0, 10, 1.75])


def test_shortening_keeps_the_first_and_what_else_is_judged_on():
    dataset = make_dataset()
    short = dataset.shortened(3)
    np.testing.assert_array_equal(short.train.inputs, dataset.train.inputs[:3])
    np.testing.assert_array_equal(short.train.labels, dataset.train.labels[:3])
    assert short.validation is dataset.validation
    assert short.test is dataset.test
    assert short.mean == pytest.approx(short.train.inputs.mean(), rel=1e-14)
    assert short.std == pytest.approx(short.train.inputs.std(), rel=1e-14)
    assert short.checksum != dataset.checksum
    assert dataset.shortened(8).checksum == dataset.checksum


@pytest.mark.parametrize("count", [-1, 9])
def test_refuses_more_examples_than_there_are(count, refusal):
    line = refusal(make_dataset().shortened, count)
    assert line.startswith(f"--train_examples={count}: --dataset=toy has 8 training examples")


@pytest.mark.parametrize("size", [0, -2, 3, 4, 6, 12])
def test_refuses_sizes_that_do_not_divide_both_sides(size, refusal):
    line = refusal(make_dataset(shape=(4, 6)).resized, size)
    assert line.endswith(f"average down to a size of 1, 2, not {size}")


def test_refuses_to_resize_what_is_not_an_image(refusal):
    assert "holds signals" in refusal(make_dataset(kind="signal", shape=(6,)).resized, 2)


def make_tokens(labels, kind="tokens", **options):
    inputs = np.arange(20, dtype=np.uint8).reshape(10, 2)
    split = Split(inputs, labels)
    return assemble(
        "toy",
        split,
        split,
        num_classes=20,
        kind=kind,
        validation_fraction=0.3,
        licence="none",
        source="made here",
        **options,
    )


def test_labels_tell_the_task():
    next_tokens = np.arange(1, 21, dtype=np.int32).reshape(10, 2)
    assert make_tokens(next_tokens).task == "language_model"
    assert make_tokens(next_tokens[:, 0]).task == "classification"
    assert make_dataset().task == "classification"


def test_tokens_are_never_standardised():
    dataset = make_tokens(np.zeros(10, np.int32))
    assert (dataset.mean, dataset.std) == (0, 1)


def test_vocabulary_and_entropy_are_kept_and_absent_elsewhere():
    dataset = make_tokens(np.zeros(10, np.int32), vocabulary=("a", "b"), entropy=0.5)
    assert (dataset.vocabulary, dataset.entropy) == (("a", "b"), 0.5)
    assert (make_dataset().vocabulary, make_dataset().entropy) == (None, None)


def test_ordered_examples_are_validated_at_their_end():
    dataset = make_tokens(np.arange(10, dtype=np.int32), ordered=True)
    assert dataset.train.labels.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert dataset.validation.labels.tolist() == [7, 8, 9]


def test_tokens_take_no_more_bytes_than_they_need():
    sizes = {1: np.uint8, 256: np.uint8, 257: np.uint16, 65536: np.uint16, 65537: np.int32}
    assert {count: token_dtype(count) for count in sizes} == sizes


def test_refuses_to_resize_tokens(refusal):
    assert "holds tokens;" in refusal(make_tokens(np.zeros(10, np.int32)).resized, 2)


def test_groups_and_weights_stay_with_their_examples():
    inputs = np.arange(40, dtype=np.float32)[:, None, None] * np.ones((4, 4), np.float32)
    groups, weights = np.arange(40, dtype=np.int32) % 4, np.arange(1, 41, dtype=np.float32)
    train = Split(inputs, np.arange(40, dtype=np.int32) % 2, groups, weights)
    made = assemble(
        "toy",
        train,
        make_split(shape=(4, 4)),
        num_classes=2,
        kind="image",
        validation_fraction=0.25,
        licence="none",
        source="made here",
    )
    for kept in (made, made.resized(2), made.permuted(), made.shortened(7)):
        for split in (kept.train, kept.validation):
            np.testing.assert_array_equal(
                split.inputs.reshape(len(split), -1)[:, 0] % 4, split.groups
            )
            np.testing.assert_array_equal(
                split.weights, split.inputs.reshape(len(split), -1)[:, 0] + 1
            )
    assert (made.num_groups, made.test.groups) == (4, None)
    with pytest.raises(ValueError, match="read-only"):
        made.train.groups[0] = 1
    bare = made.remade(Split(made.train.inputs, made.train.labels))
    assert bare.checksum != made.checksum
    assert (bare.num_groups, bare.example_weights()) == (0, None)


def test_weights_of_examples_are_their_own_or_make_groups_count_the_same():
    inputs, labels = np.arange(6, dtype=np.float32)[:, None], np.zeros(6, np.int32)
    groups = np.array([0, 0, 0, 0, 2, 2], np.int32)
    data = make_dataset().remade(Split(inputs, labels, groups))
    np.testing.assert_allclose(data.example_weights(), [0.75, 0.75, 0.75, 0.75, 1.5, 1.5])
    own = np.array([1, 1, 1, 1, 1, 3], np.float32)
    data = data.remade(Split(inputs, labels, groups, own))
    np.testing.assert_allclose(data.example_weights(), own * 6 / 8)
