"""Fashion-MNIST: a subset inside the package, or the full set from its four IDX files."""

import os
from pathlib import Path

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.arrays import NAMES, check_arrays
from minima.tasks.datasets.dataset import Dataset, assemble, sha256
from minima.tasks.datasets.idx import read_idx
from minima.tasks.datasets.npz import read_members

NAME = "fashion_mnist"
LICENCE = "MIT, Copyright (c) 2017 Zalando SE, https://tech.zalando.com"
EMBEDDED = Path(__file__).parent / "files" / "fashion_mnist_7k.npz"
IDX_FILES = {
    "train-images-idx3-ubyte": 3,
    "train-labels-idx1-ubyte": 1,
    "t10k-images-idx3-ubyte": 3,
    "t10k-labels-idx1-ubyte": 1,
}
# `sha256` of x_train, y_train, x_test, y_test, all uint8.
EMBEDDED_SHA256 = "e0b4e34f28c2e3aa27b475b916b4addb1902353baffbba8c6c5d7cb126ff7cf9"
PUBLISHED_SHA256 = "ca3ab2a37f845e1b8ae23cab1b51749a3011ba3bf1d9016176d75cbaabac376f"


def load_fashion_mnist(data_dir: str, validation_fraction: float) -> Dataset:
    """Loads Fashion-MNIST (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747): uint8 (n, 28, 28).

    Without data_dir: the first 5,000 training and the first 2,000 test images (the published order
    is already shuffled), from the package. With data_dir: all that its four IDX files hold, gzipped
    or not; if those are not the published ones, the dataset is marked as a stand-in.
    Raises UserError if a file is missing or damaged.
    """
    if data_dir:
        arrays, published = _from_directory(data_dir)
        where, names = f"--data_dir {data_dir!r}", tuple(IDX_FILES)
        source = "the published IDX files" if published else "IDX files, not the published ones"
    else:
        arrays, published = _embedded(), True
        where, names = f"--dataset {NAME}", NAMES
        source = "embedded: first 5,000 of train, first 2,000 of t10k"
    train, test, num_classes = check_arrays(*arrays, where=where, names=names)
    return assemble(
        NAME,
        train,
        test,
        num_classes=num_classes,
        kind="image",
        validation_fraction=validation_fraction,
        licence=LICENCE if published else "not stated",
        source=source,
        stand_in=not published,
    )


def _embedded() -> list[np.ndarray]:
    where = f"--dataset {NAME}: the package's file {EMBEDDED.name}"
    arrays = read_members(str(EMBEDDED), NAMES, where)
    if sha256(*arrays) != EMBEDDED_SHA256:
        raise UserError(f"{where} does not hold the bytes it was made with; reinstall minima")
    return arrays


def _from_directory(data_dir: str) -> tuple[list[np.ndarray], bool]:
    where = f"--data_dir {data_dir!r}"
    directory = Path(os.path.expanduser(data_dir))
    if not os.path.isdir(directory):
        raise UserError(f"{where}: is not a directory; it must hold the four IDX files")
    arrays = [
        read_idx(_find(directory, stem, where), rank, where) for stem, rank in IDX_FILES.items()
    ]
    return arrays, sha256(*arrays) == PUBLISHED_SHA256


def _find(directory: Path, stem: str, where: str) -> Path:
    for path in (directory / stem, directory / f"{stem}.gz"):
        if os.path.exists(path):
            return path
    raise UserError(f"{where}: holds no {stem} or {stem}.gz; all four IDX files must be there")
