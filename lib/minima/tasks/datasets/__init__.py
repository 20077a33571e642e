"""Datasets as frozen values, read from the package, from files, or generated."""

import difflib

from minima.runtime.errors import UserError
from minima.tasks.datasets.arrays import check_arrays
from minima.tasks.datasets.dataset import Dataset, Kind, Split, split_validation
from minima.tasks.datasets.fashion_mnist import load_fashion_mnist
from minima.tasks.datasets.mnist1d import Settings, load_mnist1d
from minima.tasks.datasets.npz import PREFIX, load_npz

__all__ = ["NAMES", "Dataset", "Kind", "Split", "check_arrays", "load", "split_validation"]

# What --dataset takes, and what a help text says about it.
NAMES = {
    "fashion_mnist": "5,000 + 2,000 images of clothes, or all 70,000 with --data_dir",
    "mnist1d": "4,000 + 1,000 generated signals, or more test signals with --test_examples",
    "mnist1d_shuffled": "mnist1d with the points of every signal in one random order",
    "npz:PATH": "your own x_train, y_train, x_test, y_test",
}


def load(
    name: str, data_dir: str = "", validation_fraction: float = 0.2, test_examples: int = 0
) -> Dataset:
    """Loads the dataset that --dataset names.

    name: a key of NAMES, with the path in place of PATH.
    data_dir: where fashion_mnist finds its four IDX files; "" means the embedded subset.
    validation_fraction: share of the training examples, in [0, 1), set aside for validation.
    test_examples: size of a freshly generated test set for mnist1d; 0 means the published one.

    Raises UserError if a name, an option or a file is wrong, or an option does not apply.
    """
    mnist1d = name in ("mnist1d", "mnist1d_shuffled")
    if not mnist1d and name != "fashion_mnist" and not name.startswith(PREFIX):
        raise UserError(f"--dataset {name!r}: is not known; {_suggestion(name)}")
    if data_dir and name != "fashion_mnist":
        raise UserError(
            f"--data_dir {data_dir!r}: does not apply to --dataset {name!r}, only to fashion_mnist;"
            " leave it out"
        )
    if test_examples and not mnist1d:
        raise UserError(
            f"--test_examples {test_examples}: does not apply to --dataset {name!r}, whose test set"
            " is fixed, only to mnist1d and mnist1d_shuffled; leave it out"
        )
    if mnist1d:
        settings = Settings(shuffle_seq=name == "mnist1d_shuffled")
        return load_mnist1d(settings, test_examples, validation_fraction)
    if name == "fashion_mnist":
        return load_fashion_mnist(data_dir, validation_fraction)
    return load_npz(name.removeprefix(PREFIX), validation_fraction)


def _suggestion(name: str) -> str:
    if name.endswith(".npz"):
        return f"did you mean {PREFIX + name!r}?"
    spelled = name.lower().replace("-", "_")
    close = difflib.get_close_matches(spelled, NAMES, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}it must be one of {', '.join(NAMES)}"
