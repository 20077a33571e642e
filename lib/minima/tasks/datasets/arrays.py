"""Arrays from outside become splits, or one line says why they cannot."""

from typing import NoReturn

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.dataset import Kind, Split

NAMES = ("x_train", "y_train", "x_test", "y_test")
KINDS: dict[int, Kind] = {2: "vector", 3: "image", 4: "image"}


def check_arrays(
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    *,
    where: str,
    names: tuple[str, ...] = NAMES,
) -> tuple[Split, Split, int]:
    """Validates a train and a test set.

    Inputs are vectors (n, D), or images (n, H, W) or (n, H, W, C), of real numbers; uint8 stays,
    everything else becomes float32. Labels are integers (n,); the training labels define the
    classes 0 .. K-1, each of which must occur (so labels counted from 1 are caught). Or they are
    floating numbers (n,), which become float32: a regression, and K is 1.

    Returns (train, test, K). Raises UserError that opens with `where` (a flag and its value) and
    calls the arrays by `names`.
    """
    inputs = [_inputs(x, f"{where}: {names[i]}") for i, x in ((0, x_train), (2, x_test))]
    labels = [_labels(y, f"{where}: {names[i]}") for i, y in ((1, y_train), (3, y_test))]
    for i in (0, 1):
        if len(inputs[i]) != len(labels[i]):
            raise UserError(
                f"{where}: {names[2 * i]} has {len(inputs[i])} examples but {names[2 * i + 1]} has"
                f" {len(labels[i])}; they must have one label each"
            )
    _check_alike(inputs[0], inputs[1], where, names)
    numbers = any(y.dtype.kind == "f" for y in labels)
    check = _check_numbers if numbers else _check_classes
    num_classes, dtype = (
        check(labels[0], labels[1], where, names),
        np.dtype("f4" if numbers else "i4"),
    )
    train, test = (Split(x, y.astype(dtype)) for x, y in zip(inputs, labels, strict=True))
    return train, test, num_classes


def _inputs(array: np.ndarray, what: str) -> np.ndarray:
    array = np.asarray(array)
    _refuse_objects(array, what)
    if array.dtype.kind not in "biuf":
        raise UserError(f"{what} has dtype {array.dtype}; it must hold real numbers")
    if array.ndim not in KINDS:
        raise UserError(
            f"{what} has shape {array.shape}; it must be vectors (n, D) or images (n, H, W)"
            " or (n, H, W, C)"
        )
    if array.size == 0:
        raise UserError(f"{what} is empty, with shape {array.shape}; it must hold examples")
    return array if array.dtype == np.uint8 else _finite_float32(array, what)


def _finite_float32(array: np.ndarray, what: str) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        array = array.astype(np.float32)
    bad = array.size - np.count_nonzero(np.isfinite(array))
    if bad:
        raise UserError(
            f"{what} holds {bad} values that are NaN, infinite or too large for float32;"
            " all must be finite"
        )
    return array


def _labels(array: np.ndarray, what: str) -> np.ndarray:
    array = np.asarray(array)
    _refuse_objects(array, what)
    if array.dtype.kind not in "iuf":
        raise UserError(
            f"{what} has dtype {array.dtype}; labels must be integers, e.g. .astype(np.int32), or "
            "floating numbers for a regression"
        )
    if array.ndim != 1:
        raise UserError(
            f"{what} has shape {array.shape}; labels must be one class index per example, (n,)"
        )
    if array.size == 0:
        raise UserError(f"{what} is empty; it must hold one label per example")
    if array.dtype.kind == "f":
        return _finite_float32(array, what)
    if array.min() < 0:
        raise UserError(f"{what} holds the label {array.min()}; labels must count from 0")
    return array


def _refuse_objects(array: np.ndarray, what: str) -> None:
    if array.dtype.hasobject:
        refuse_objects(what)


def refuse_objects(what: str) -> NoReturn:
    """Raises the UserError for an array of Python objects."""
    raise UserError(
        f"{what} is an array of Python objects, which is never unpickled;"
        " save plain numbers, one shape for all examples"
    )


def _check_alike(
    x_train: np.ndarray, x_test: np.ndarray, where: str, names: tuple[str, ...]
) -> None:
    if x_train.shape[1:] != x_test.shape[1:]:
        raise UserError(
            f"{where}: one input of {names[0]} has shape {x_train.shape[1:]} but one of {names[2]}"
            f" has {x_test.shape[1:]}; they must be the same"
        )
    # Bytes 0..255 beside floats 0..1 would be standardised by the wrong constants, silently.
    if x_train.dtype != x_test.dtype:
        raise UserError(
            f"{where}: {names[0]} is {x_train.dtype} but {names[2]} is {x_test.dtype};"
            " give both in one unit and dtype"
        )


def _check_numbers(
    y_train: np.ndarray, y_test: np.ndarray, where: str, names: tuple[str, ...]
) -> int:
    if y_train.dtype != y_test.dtype:
        raise UserError(
            f"{where}: {names[1]} is {y_train.dtype} but {names[3]} is {y_test.dtype};"
            " both must be integers for classes, or floating numbers for a regression"
        )
    if y_train.min() == y_train.max():
        raise UserError(f"{where}: {names[1]} holds only {y_train[0]:g}; labels must differ")
    return 1


def _check_classes(
    y_train: np.ndarray, y_test: np.ndarray, where: str, names: tuple[str, ...]
) -> int:
    classes = np.unique(y_train)
    gaps = np.flatnonzero(classes != np.arange(len(classes)))
    if gaps.size:
        raise UserError(
            f"{where}: {names[1]} reaches {classes[-1]} but never holds {gaps[0]};"
            " labels must be 0 .. K-1, each present"
        )
    if len(classes) < 2:
        raise UserError(f"{where}: {names[1]} holds only class 0; there must be two or more")
    if y_test.max() > classes[-1]:
        raise UserError(
            f"{where}: {names[3]} holds the label {y_test.max()}, but {names[1]} defines the"
            f" classes 0 .. {classes[-1]}"
        )
    return len(classes)
