"""Fashion-MNIST: a subset inside the package; `mnist` reads the full set from its files."""

from pathlib import Path

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.arrays import NAMES, check_arrays
from minima.tasks.datasets.dataset import Dataset, assemble, sha256
from minima.tasks.datasets.mnist import PUBLISHED, load_idx_files
from minima.tasks.datasets.npz import read_members

NAME = "fashion_mnist"
EMBEDDED = Path(__file__).parent / "files" / "fashion_mnist_7k.npz"
# `sha256` of x_train, y_train, x_test, y_test, all uint8.
EMBEDDED_SHA256 = "e0b4e34f28c2e3aa27b475b916b4addb1902353baffbba8c6c5d7cb126ff7cf9"


def load_fashion_mnist(data_dir: str, validation_fraction: float) -> Dataset:
    """Loads Fashion-MNIST (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747): uint8 (n, 28, 28).

    Without data_dir: the first 5,000 training and the first 2,000 test images (the published order
    is already shuffled), from the package. With data_dir: all that its four IDX files hold, gzipped
    or not; if those are not the published ones, the dataset is marked as a stand-in.
    Raises UserError if a file is missing or damaged.
    """
    if data_dir:
        return load_idx_files(NAME, NAME, data_dir, validation_fraction)
    where = f"--dataset {NAME}"
    train, test, num_classes = check_arrays(*_embedded(), where=where, names=NAMES)
    return assemble(
        NAME,
        train,
        test,
        num_classes=num_classes,
        kind="image",
        validation_fraction=validation_fraction,
        licence=PUBLISHED[NAME].licence,
        source="embedded: first 5,000 of train, first 2,000 of t10k",
    )


def _embedded() -> list[np.ndarray]:
    where = f"--dataset {NAME}: the package's file {EMBEDDED.name}"
    arrays = read_members(str(EMBEDDED), NAMES, where)
    if sha256(*arrays) != EMBEDDED_SHA256:
        raise UserError(f"{where} does not hold the bytes it was made with; reinstall minima")
    return arrays
