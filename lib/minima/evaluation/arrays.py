"""Anybody's arrays, checked: what is wrong is one line that says what would be right."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minima.runtime.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SUM_TOLERANCE = 1e-3  # of probabilities from float16 on; beyond it they are something else


def numbers(values: ArrayLike, name: str) -> Floats:
    """Real numbers as float64, in the shape that they have.

    Raises:
      UserError: there are none, or text stands where numbers belong.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise UserError(f"{name}: rows of several lengths; give an array") from error
    if array.dtype.kind not in "biuf":
        wrong = next((x for x in array.ravel().tolist() if not _is_number(x)), None)
        raise UserError(f"{name}: {wrong!r} is no number; give numbers")
    if array.size == 0:
        raise UserError(f"{name}: is empty; give one value or more")
    return array.astype(np.float64)


def finite(values: ArrayLike, name: str) -> Floats:
    """As `numbers`, without NaN or infinity.

    Raises:
      UserError: see above, or a value is not finite.
    """
    array = numbers(values, name)
    if bad := int(np.size(array) - np.isfinite(array).sum()):
        raise UserError(f"{name}: {bad:,} values are NaN or infinite; leave those examples out")
    return array


def class_labels(values: ArrayLike, classes: int, name: str = "labels") -> Ints:
    """(n,) whole numbers from 0 to classes - 1.

    Raises:
      UserError: another shape, or a value that is no class.
    """
    array = finite(values, name)
    if array.ndim != 1:
        raise UserError(f"{name}: has shape {array.shape}; give one label per example")
    whole = array.astype(np.int64)
    outside = (whole != array) | (whole < 0) | (whole >= classes)
    if outside.any():
        raise UserError(
            f"{name}: holds {array[outside][0]:g}; labels are whole numbers from 0 to {classes - 1}"
        )
    return whole


def probabilities(values: ArrayLike, name: str = "probabilities") -> Floats:
    """(n, classes) rows that sum to 1; (n,) are those of class 1 of two.

    Rows are divided by their sums, which may be off by SUM_TOLERANCE.

    Raises:
      UserError: a value outside of [0, 1], a row that does not sum to 1, or one class.
    """
    array = finite(values, name)
    if array.ndim not in (1, 2):
        raise UserError(f"{name}: has shape {array.shape}; give (examples, classes)")
    if ((array < 0) | (array > 1)).any():
        wrong = array[(array < 0) | (array > 1)][0]
        raise UserError(f"{name}: holds {wrong:g}; probabilities are from 0 to 1 (logits are not)")
    if array.ndim == 1:
        return np.stack([1 - array, array], axis=1)
    if array.shape[1] < 2:
        raise UserError(f"{name}: has one class; give two columns or more, or one row of scores")
    sums = array.sum(axis=1)
    if (off := np.abs(sums - 1)).max() > SUM_TOLERANCE:
        row = int(off.argmax())
        raise UserError(f"{name}: row {row} sums to {sums[row]:g}; rows of probabilities sum to 1")
    return array / sums[:, None]


def softmax(logits: ArrayLike, name: str = "logits") -> Floats:
    """(n, classes) probabilities of finite logits.

    Raises:
      UserError: another shape, or a value that is not finite.
    """
    array = finite(logits, name)
    if array.ndim != 2 or array.shape[1] < 2:
        raise UserError(f"{name}: has shape {array.shape}; give (examples, two classes or more)")
    shifted = np.exp(array - array.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def decisions(values: ArrayLike, name: str = "decisions") -> Bools:
    """(n,) yes or no, from booleans or 0 and 1.

    Raises:
      UserError: another shape, or another value.
    """
    array = finite(values, name)
    if array.ndim != 1:
        raise UserError(f"{name}: has shape {array.shape}; give one value per example")
    if not np.isin(array, (0, 1)).all():
        wrong = array[~np.isin(array, (0, 1))][0]
        raise UserError(f"{name}: holds {wrong:g}; give 0 or 1 (choose a threshold for scores)")
    return array == 1


def sample_weights(values: ArrayLike | None, count: int, name: str = "weights") -> Floats:
    """(n,) weights from 0 up, of which one is above; ones for None.

    Raises:
      UserError: a negative one, none above 0, or another number of them.
    """
    if values is None:
        return np.ones(count)
    array = finite(values, name)
    same_length(count, {name: array})
    if (array < 0).any() or not array.sum() > 0:
        raise UserError(f"{name}: are from 0 up, and one is above; got {array.min():g} at least")
    return array


def groups(values: Sequence[object] | ArrayLike, count: int, name: str = "groups") -> NDArray:
    """(n,) the group of each example, as text or whole numbers.

    Raises:
      UserError: another number of them, or one that is missing (None, NaN, empty text).
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise UserError(f"{name}: has shape {array.shape}; give one group per example")
    same_length(count, {name: array})
    if _any_missing(array):
        raise UserError(f"{name}: a value is missing; give that group a name, or leave it out")
    return array


def same_length(count: int, arrays: dict[str, np.ndarray]) -> None:
    """Refuses arrays of another length.

    Raises:
      UserError: names the array.
    """
    for name, array in arrays.items():
        if len(array) != count:
            raise UserError(f"{name}: has {len(array):,} examples where labels have {count:,}")


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, str) or value.strip().lower() != "nan"


def _any_missing(array: NDArray) -> bool:
    if array.dtype.kind == "O":
        return any(_is_missing(value) for value in array)
    return bool((array != array).any() or (array.dtype.kind == "U" and (array == "").any()))


def _is_missing(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))
