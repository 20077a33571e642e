"""The user's own arrays: `--dataset npz:PATH`."""

import os
import zipfile
from typing import BinaryIO

import numpy as np
from numpy.lib.npyio import NpzFile

from minima.runtime.errors import UserError
from minima.tasks.datasets.arrays import KINDS, NAMES, check_arrays, refuse_objects
from minima.tasks.datasets.dataset import Dataset, assemble

PREFIX = "npz:"


def load_npz(path: str, validation_fraction: float) -> Dataset:
    """Loads x_train, y_train, x_test, y_test from an npz file; nothing is ever unpickled.

    Inputs are vectors (n, D) or images (n, H, W) or (n, H, W, C): uint8 is kept, other numbers
    become float32. Labels are integers (n,) in 0 .. K-1, or floating numbers (n,) for a regression.
    Other members are ignored.
    Raises UserError if the file or an array is not of this form.
    """
    name = PREFIX + path
    where = f"--dataset {name!r}"
    arrays = read_members(os.path.expanduser(path), NAMES, where)
    train, test, num_classes = check_arrays(*arrays, where=where)
    return assemble(
        name,
        train,
        test,
        num_classes=num_classes,
        kind=KINDS[train.inputs.ndim],
        validation_fraction=validation_fraction,
        licence="not stated",
        source=os.path.basename(path),
    )


def read_members(path: str, names: tuple[str, ...], where: str) -> list[np.ndarray]:
    """Reads the named arrays of an npz file without unpickling.

    Raises UserError that opens with `where` if the file is missing, empty, truncated or not an
    npz archive, or if a member is missing, damaged or made of Python objects.
    """
    try:
        with open(path, "rb") as file:
            archive = _open_archive(file, where)
            missing = [name for name in names if name not in archive]
            if missing:
                raise UserError(
                    f"{where}: lacks {', '.join(missing)} and holds {archive.files[:8]};"
                    f" it must hold {', '.join(names)}"
                )
            return [_member(archive, name, f"{where}: {name}") for name in names]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise UserError(f"{where}: cannot be read ({reason}); check the path") from error


def _open_archive(file: BinaryIO, where: str) -> NpzFile:
    # Told by content before numpy looks: np.load would also take .npy files and try pickles.
    head = file.read(2)
    if not zipfile.is_zipfile(file):
        state = {b"": "is empty", b"PK": "is truncated"}.get(head, "is not an npz archive")
        raise UserError(f"{where}: {state}; save it with np.savez_compressed")
    file.seek(0)
    # Whatever damage makes zipfile, zlib or numpy raise, here and below, means one thing.
    try:
        archive = np.load(file, allow_pickle=False)
    except Exception as error:
        raise UserError(f"{where}: is damaged; save it again with np.savez") from error
    if not isinstance(archive, NpzFile):
        raise UserError(f"{where}: is not an npz archive; save it with np.savez_compressed")
    return archive


def _member(archive: NpzFile, name: str, what: str) -> np.ndarray:
    try:
        array = archive[name]
    except Exception as error:
        if "allow_pickle" in str(error):
            refuse_objects(what)
        raise UserError(f"{what} is damaged; save the file again with np.savez") from error
    if not isinstance(array, np.ndarray):
        raise UserError(f"{what} is not a numpy array; save the file with np.savez")
    return array
