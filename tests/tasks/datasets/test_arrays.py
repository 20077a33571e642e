import numpy as np
import pytest

from minima.tasks.datasets.arrays import check_arrays


def good():
    return {
        "x_train": np.arange(12, dtype=np.float32).reshape(4, 3),
        "y_train": np.array([0, 1, 2, 1]),
        "x_test": np.ones((2, 3), np.float32),
        "y_test": np.array([2, 0]),
    }


def test_takes_sound_arrays():
    train, test, num_classes = check_arrays(**good(), where="--dataset x")
    assert (len(train), len(test), num_classes) == (4, 2, 3)
    assert train.labels.dtype == test.labels.dtype == np.int32


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 4, 2)])
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.uint8, np.uint8),
        (np.int64, np.float32),
        (np.uint16, np.float32),
        (np.float16, np.float32),
        (np.float64, np.float32),
        (">f4", np.float32),
        (bool, np.float32),
    ],
)
def test_keeps_bytes_and_makes_other_numbers_float32(shape, given, kept):
    arrays = good() | {
        "x_train": np.ones((4, *shape), given),
        "x_test": np.ones((2, *shape), given),
    }
    train, test, _ = check_arrays(**arrays, where="--dataset x")
    assert train.inputs.dtype == test.inputs.dtype == np.dtype(kept)
    assert train.inputs.shape == (4, *shape)
    assert (train.inputs == 1).all()


NAN = np.full((4, 3), np.nan)
INF = np.full((2, 3), -np.inf)

BAD = [
    ("x_train", np.float32(1), "x_train has shape ()"),
    ("x_train", np.ones(4), "x_train has shape (4,)"),
    ("x_train", np.ones((4, 1, 1, 1, 1)), "x_train has shape (4, 1, 1, 1, 1)"),
    ("x_train", np.ones((0, 3)), "x_train is empty, with shape (0, 3)"),
    ("x_test", np.ones((2, 0)), "x_test is empty, with shape (2, 0)"),
    ("x_train", NAN, "x_train holds 12 values that are NaN"),
    ("x_test", INF, "x_test holds 6 values that are NaN, infinite"),
    ("x_train", np.full((4, 3), 1e300), "too large for float32"),
    ("x_train", np.ones((4, 3), object), "x_train is an array of Python objects"),
    ("y_test", np.array([0, None]), "y_test is an array of Python objects"),
    ("x_train", np.ones((4, 3), "S2"), "it must hold real numbers"),
    ("x_train", np.ones((4, 3), "U2"), "it must hold real numbers"),
    ("x_train", np.ones((4, 3), "M8[s]"), "it must hold real numbers"),
    ("x_train", np.ones((4, 3), [("a", "f4"), ("b", "O")]), "Python objects"),
    ("x_test", np.ones((2, 3), complex), "x_test has dtype complex128"),
    ("y_train", np.array([0, 1, 1]), "x_train has 4 examples but y_train has 3"),
    ("x_test", np.ones((5, 3)), "x_test has 5 examples but y_test has 2"),
    ("x_test", np.ones((2, 4)), "input of x_train has shape (3,) but one of x_test has (4,)"),
    ("x_test", np.ones((2, 3, 1)), "has shape (3,) but one of x_test has (3, 1)"),
    ("x_test", np.ones((2, 3), np.uint8), "x_train is float32 but x_test is uint8"),
    ("y_train", np.array([0.0, 1, 2, 1]), "y_train is float32 but y_test is int"),
    ("y_test", np.array([0.0, np.nan]), "y_test holds 1 values that are NaN"),
    ("y_train", np.array([0, 1j, 2, 1]), "y_train has dtype complex128; labels must be integers"),
    ("y_test", np.array([True, False]), "y_test has dtype bool; labels must be integers"),
    ("y_train", np.array(["a", "b", "a", "b"]), "y_train has dtype <U1"),
    ("y_train", np.eye(4, dtype=int), "y_train has shape (4, 4); labels must be one class index"),
    ("y_test", np.zeros((2, 1), int), "y_test has shape (2, 1)"),
    ("y_test", np.zeros(0, int), "y_test is empty"),
    ("y_train", np.array([0, -1, 1, 2]), "y_train holds the label -1"),
    ("y_test", np.array([-5, 0]), "y_test holds the label -5"),
    ("y_train", np.array([1, 2, 3, 1]), "y_train reaches 3 but never holds 0"),
    ("y_train", np.array([0, 1, 3, 1]), "y_train reaches 3 but never holds 2"),
    ("y_train", np.array([0, 1, 2, 2**64 - 1], np.uint64), "never holds 3"),
    ("y_train", np.zeros(4, int), "y_train holds only class 0"),
    ("y_test", np.array([0, 3]), "holds the label 3, but y_train defines the classes 0 .. 2"),
    ("y_test", np.array([0, 2**64 - 1], np.uint64), "holds the label 18446744073709551615"),
]


@pytest.mark.parametrize(("name", "array", "says"), BAD, ids=[says for _, _, says in BAD])
def test_refuses(name, array, says, refusal):
    line = refusal(check_arrays, **(good() | {name: array}), where="--dataset x")
    assert line.startswith("--dataset x: ")
    assert says in line


def test_floating_labels_make_a_regression(refusal):
    numbers = {"y_train": np.array([0.5, -2, 1e3, 0]), "y_test": np.array([1, 7], np.float16)}
    train, test, outputs = check_arrays(**(good() | numbers), where="--dataset x")
    assert train.labels.dtype == test.labels.dtype == np.float32
    assert (train.labels.tolist(), outputs) == ([0.5, -2, 1e3, 0], 1)
    line = refusal(
        check_arrays, **(good() | numbers | {"y_train": np.ones(4)}), where="--dataset x"
    )
    assert line == "--dataset x: y_train holds only 1; labels must differ"


def test_calls_the_arrays_by_the_given_names(refusal):
    arrays = good() | {"y_test": np.array([0, 9])}
    line = refusal(check_arrays, **arrays, where="--data_dir d", names=("a", "b", "c", "d"))
    assert line == "--data_dir d: d holds the label 9, but b defines the classes 0 .. 2"
