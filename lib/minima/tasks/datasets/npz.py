"""The user's own arrays: `--dataset npz:PATH`."""

import os
import zipfile

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.arrays import KINDS, NAMES, check_arrays, refuse_objects
from minima.tasks.datasets.dataset import Dataset, assemble

PREFIX = "npz:"


def load_npz(path: str, validation_fraction: float) -> Dataset:
    """Loads x_train, y_train, x_test, y_test from an npz file; nothing is ever unpickled.

    Inputs are vectors (n, D) or images (n, H, W) or (n, H, W, C): uint8 is kept, other numbers
    become float32. Labels are integers (n,) in 0 .. K-1. Other members are ignored.
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
        _check_archive(path, where)
        archive = np.load(path, allow_pickle=False)
    except OSError as error:
        raise UserError(f"{where}: cannot be read ({error.strerror}); check the path") from error
    except (ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{where}: is damaged; save it again with np.savez") from error
    with archive:
        missing = [name for name in names if name not in archive]
        if missing:
            raise UserError(
                f"{where}: lacks {', '.join(missing)} and holds {archive.files[:8]};"
                f" it must hold {', '.join(names)}"
            )
        return [_member(archive, name, f"{where}: {name}") for name in names]


def _check_archive(path: str, where: str) -> None:
    # Told by content before numpy looks: np.load would also take .npy files and try pickles.
    with open(path, "rb") as file:
        head = file.read(2)
        if zipfile.is_zipfile(file):
            return
    state = {b"": "is empty", b"PK": "is truncated"}.get(head, "is not an npz archive")
    raise UserError(f"{where}: {state}; save it with np.savez_compressed")


def _member(archive: np.lib.npyio.NpzFile, name: str, what: str) -> np.ndarray:
    # Whatever a damaged zip entry or npy header makes zipfile, zlib or numpy raise means one thing.
    try:
        array = archive[name]
    except Exception as error:
        if "allow_pickle" in str(error):
            refuse_objects(what)
        raise UserError(f"{what} is damaged; save the file again with np.savez") from error
    if not isinstance(array, np.ndarray):
        raise UserError(f"{what} is not a numpy array; save the file with np.savez")
    return array
