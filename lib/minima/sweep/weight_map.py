"""Which array of a file is which parameter: by name, or as a map written by hand says.

A map is a JSON object from our name to theirs:

    {"dense/bias": "fc1.bias",
     "dense/kernel": {"name": "fc1.weight", "reshape": [64, 32, 7, 7], "transpose": [2, 3, 1, 0]}}

The array is first reshaped, then its axes are put in that order (as by numpy.transpose), and
leading axes that are more than the parameter has are merged: a convolution's (out, in, y, x) with
"transpose": [2, 3, 1, 0] becomes our (y · x · in, out). What the map leaves out keeps our name.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.models.trainable import is_head

Arrays = Mapping[str, np.ndarray]
Shape = tuple[int, ...]

_SHOWN = 8  # names in a message


@dataclass(frozen=True)
class Entry:
    """One array of theirs: its name, and what is done to its axes; None for nothing."""

    name: str
    reshape: Shape | None = None
    transpose: Shape | None = None

    def turned(self, array: np.ndarray) -> np.ndarray:
        """The array with its axes as ours.

        Raises:
          ValueError: it has no such axes.
        """
        array = array if self.reshape is None else array.reshape(self.reshape)
        return array if self.transpose is None else array.transpose(self.transpose)


@dataclass(frozen=True)
class Fit:
    """What of a source fits a model.

    Attributes:
      entries: by our name, what is taken up.
      fresh: by our name, what starts fresh, and the source's shape (None: has none).
    """

    entries: dict[str, Entry]
    fresh: dict[str, Shape | None]


def read_map(path: str, names: Sequence[str]) -> dict[str, Entry]:
    """The map in a file, or an empty one for an empty path; `names` are our parameters.

    Raises:
      UserError: it is missing, no JSON of that form, or speaks of parameters that are not ours.
    """
    if not path:
        return {}
    try:
        content = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--weight_map={path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"--weight_map={path}: is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"--weight_map={path}: must be a JSON object from our names to theirs")
    if unknown := [name for name in content if name not in names]:
        raise UserError(
            f"--weight_map={path}: {unknown[0]!r} is no parameter here; these are: "
            + ", ".join(names)
        )
    return {name: _entry(path, name, each) for name, each in content.items()}


def fit(
    arrays: Mapping[str, np.ndarray],
    shapes: Mapping[str, Shape],
    mapped: Mapping[str, Entry],
    fresh: frozenset[str],
    source: str,
) -> Fit:
    """Finds every parameter in a source; a head that doesn't fit starts fresh, all of it.

    Args:
      arrays: the source's, by its names.
      shapes: ours, by our names.
      mapped: from `read_map`.
      fresh: ours that are to start fresh.
      source: for messages, such as "--initial_weights=FILE".

    Raises:
      UserError: the map is wrong, or something else than the head doesn't fit; lists the names and
        shapes of both sides.
    """
    entries = {name: mapped.get(name, Entry(name)) for name in shapes}
    for name, entry in mapped.items():
        if entry.name not in arrays:
            raise UserError(f"--weight_map: {name} is to be {entry.name!r}, which {source} lacks")
    found = {name: _shape(name, entry, arrays, shapes[name]) for name, entry in entries.items()}
    unlike = {name for name in shapes if found[name] != shapes[name]} - fresh
    if any(is_head(name) for name in unlike):
        fresh |= {name for name in shapes if is_head(name)}
    unlike -= fresh
    if unlike:
        taken = {entries[name].name for name in set(shapes) - unlike - fresh}
        ours = [f"{name} {_by(shapes[name])} ({_there(found[name])})" for name in sorted(unlike)]
        rest = [f"{name} {_by(a.shape)}" for name, a in arrays.items() if name not in taken]
        raise UserError(
            f"{source}: {len(unlike)} of {len(shapes)} parameters do not fit: {_listed(ours)}; "
            f"not taken up of it: {_listed(rest)}; say in --weight_map which is which, or which "
            "start fresh in --fresh_weights"
        )
    return Fit(
        {name: entry for name, entry in entries.items() if name not in fresh},
        {name: found[name] for name in shapes if name in fresh},
    )


def taken_up(
    arrays: Arrays, found: Fit, shapes: Mapping[str, Shape], dtype: str, source: str
) -> dict[str, np.ndarray]:
    """The parameters that a source has, by our names, in our shapes and dtype.

    Raises:
      UserError: one of them is not finite, or not within the dtype.
    """
    taken = {}
    for name, entry in found.entries.items():
        with np.errstate(over="ignore"):
            taken[name] = entry.turned(arrays[entry.name]).reshape(shapes[name]).astype(dtype)
        if not np.isfinite(taken[name]).all():
            raise UserError(f"{source}: {entry.name} holds values that are not finite in {dtype}")
    return taken


def listed(found: Fit, shapes: Mapping[str, Shape]) -> str:
    """What starts fresh, in words: our shapes, and the source's where they differ."""
    words = [
        f"{name} {_by(shapes[name])}" + ("" if there == shapes[name] else f" ({_there(there)})")
        for name, there in found.fresh.items()
    ]
    return ", ".join(words) if words else "none"


def _entry(path: str, name: str, given: Any) -> Entry:
    if isinstance(given, str):
        return Entry(given)
    known = {"name", "reshape", "transpose"}
    if not isinstance(given, dict) or not isinstance(given.get("name"), str) or set(given) - known:
        raise UserError(
            f"--weight_map={path}: {name} must be their name, or an object with name, and perhaps "
            "reshape and transpose"
        )
    axes: dict[str, Shape | None] = {}
    for key in ("reshape", "transpose"):
        numbers = given.get(key)
        whole = isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)
        if numbers is not None and not whole:
            raise UserError(f"--weight_map={path}: {key} of {name} must be a list of whole numbers")
        axes[key] = None if numbers is None else tuple(numbers)
    return Entry(given["name"], **axes)


def _shape(name: str, entry: Entry, arrays: Arrays, ours: Shape) -> Shape | None:
    """The shape of an array of theirs as ours, or None where there is none."""
    if entry.name not in arrays:
        return None
    try:
        shape = entry.turned(arrays[entry.name]).shape
    except ValueError as error:
        there = _by(arrays[entry.name].shape)
        raise UserError(f"--weight_map: {name} from {entry.name} {there}: {error}") from error
    merged = len(shape) - len(ours)
    if merged > 0 and ours:
        return (math.prod(shape[: merged + 1]), *shape[merged + 1 :])
    return shape


def _by(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "scalar"


def _there(shape: Shape | None) -> str:
    return "not there" if shape is None else f"{_by(shape)} there"


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return (", ".join(words[:_SHOWN]) or "nothing") + more
