"""TensorBoard's scalars as a table, so that a log of theirs reads like a CSV."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from minima.runtime.errors import UserError

Row = tuple[int, list[str]]  # a step, and the texts of its cells


def holds_events(log: str) -> bool:
    """Whether this is an event file, or a folder with some in it."""
    return bool(_folders(log))


def read_events(log: str) -> tuple[Sequence[str], list[Row]]:
    """Names of columns, "step" first, and a row for every step with a scalar; empty where none is.

    A tag is a column's name; where events lie in several folders, as Keras writes train/ and
    validation/, a folder's name comes before its tags.

    Raises:
      UserError: a file is damaged, or no scalar is there.
    """
    folders = _folders(log)
    columns: dict[str, dict[int, float]] = {}
    for folder in folders:
        prefix = f"{folder.relative_to(log)}/" if len(folders) > 1 else ""
        for tag, values in _scalars(folder).items():
            columns[prefix + tag] = values
    if not columns:
        raise UserError(f"{log}: its event files hold no scalars; give a run that logs its losses")
    steps = sorted(set().union(*columns.values()))
    cells = [[_text(values, step) for values in columns.values()] for step in steps]
    return ["step", *columns], [(s, [str(s), *row]) for s, row in zip(steps, cells, strict=True)]


def _text(values: Mapping[int, float], step: int) -> str:
    return repr(values[step]) if step in values else ""


def _folders(log: str) -> list[Path]:
    path = Path(log)
    if path.is_file():
        return [path] if "tfevents" in path.name else []
    return sorted({Path(folder) for folder, _, names in os.walk(log) if _are_events(names)})


def _are_events(names: list[str]) -> bool:
    return any("tfevents" in name for name in names)


def _scalars(place: Path) -> dict[str, dict[int, float]]:
    """By tag, values by step: the last of each. Plain scalars, and TensorFlow 2's in tensors."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(place), size_guidance={"scalars": 0, "tensors": 0})
    try:
        events.Reload()
    except Exception as error:  # whatever damage makes protobuf raise means one thing
        raise UserError(f"{place}: an event file is damaged; give a CSV log") from error
    found = {
        tag: {each.step: float(each.value) for each in events.Scalars(tag)}
        for tag in events.Tags()["scalars"]
    }
    for tag in events.Tags()["tensors"]:
        tensors = {each.step: make_ndarray(each.tensor_proto) for each in events.Tensors(tag)}
        if all(tensor.ndim == 0 and tensor.dtype.kind == "f" for tensor in tensors.values()):
            found[tag] = {step: float(tensor) for step, tensor in tensors.items()}
    return found
