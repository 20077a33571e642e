"""Datasets as frozen values, read from the package, from files, or generated."""

import difflib

from minima.runtime.errors import UserError
from minima.tasks.datasets import catalogue, derived, npz, text
from minima.tasks.datasets.arrays import check_arrays
from minima.tasks.datasets.catalogue import CATALOGUE, Request, spelled
from minima.tasks.datasets.dataset import Dataset, Generator, Kind, Split, split_validation
from minima.tasks.datasets.tabular import Table

__all__ = [
    "DATA_DIR",
    "NAMES",
    "TEST_EXAMPLES",
    "WINDOW",
    "Dataset",
    "Generator",
    "Kind",
    "Split",
    "Table",
    "check_arrays",
    "load",
    "open_table",
    "split_validation",
]

WINDOW = text.WINDOW

# What --dataset takes, and what a help text says about it.
NAMES = {spelled(name): entry.about for name, entry in CATALOGUE.items()} | derived.NAMES
# The datasets to which an option applies.
DATA_DIR = catalogue.taking(catalogue.DATA_DIR)
TEST_EXAMPLES = catalogue.taking(catalogue.TEST_EXAMPLES)


def load(
    name: str,
    data_dir: str = "",
    validation_fraction: float = 0.2,
    test_examples: int = 0,
    window: int = WINDOW,
    train_examples: int = 0,
    image_size: int = 0,
) -> Dataset:
    """Loads the dataset that --dataset names.

    name: a key of NAMES, with the path in place of PATH, a number in place of DISTANCE.
    data_dir: where image datasets find their published files; "" means the embedded subset for
        fashion_mnist, and otherwise an installed package, minima's cache, or a download.
    validation_fraction: share of the training examples, in [0, 1), set aside for validation.
    test_examples: size of a freshly generated test set for mnist1d; 0 means the published one, or
        10,000 fresh signals for mnist1d_infinite.
    window: tokens in one example of a text or a Markov source, steps of adding and copying.
    train_examples: size of the training set after validation was taken off; 0 for all of it.
    image_size: images are averaged down to so many pixels a side; 0 leaves them as they are.

    Raises UserError if a name, an option or a file is wrong, or an option does not apply.
    """
    if made := derived.parse(name):
        derivation, inner = made
        options = data_dir, validation_fraction, test_examples, window
        found = derived.derived(derivation, load(inner, *options, image_size=image_size), name)
        return found.shortened(train_examples) if train_examples else found
    key, rest = _parse(name)
    _check_options(name, key, data_dir, test_examples, window)
    request = Request(key, rest, data_dir, validation_fraction, test_examples, window)
    found = CATALOGUE[key].load(request)
    if image_size:
        found = found.resized(image_size)
    return found.shortened(train_examples) if train_examples else found


def open_table(name: str, data_dir: str = "") -> Table:
    """What is known of a dataset of people to decide about, beside what a model gets.

    Raises UserError if it is none, or a file is wrong.
    """
    key = name.partition(":")[0]
    if key not in catalogue.TABLES:
        known = ", ".join(spelled(each) for each in catalogue.TABLES)
        raise UserError(f"--dataset {name!r}: has no groups of people; use one of {known}")
    key, rest = _parse(name)
    _check_options(name, key, data_dir, 0, WINDOW)
    return catalogue.TABLES[key](Request(key, rest, data_dir, 0.0, 0, WINDOW))


def _parse(name: str) -> tuple[str, str]:
    """The key of CATALOGUE that a name goes by, and what follows its colon."""
    key, colon, rest = name.partition(":")
    entry = CATALOGUE.get(key)
    if colon:
        fits = entry is not None and bool(entry.argument)
    else:
        fits = entry is not None and (entry.optional or not entry.argument)
    if not fits:
        raise UserError(f"--dataset {name!r}: is not known; {_suggestion(name)}")
    return key, rest


def _check_options(name: str, key: str, data_dir: str, test_examples: int, window: int) -> None:
    options = [
        (catalogue.DATA_DIR, repr(data_dir), bool(data_dir)),
        (catalogue.TEST_EXAMPLES, str(test_examples), bool(test_examples)),
        (catalogue.WINDOW, str(window), window != WINDOW),
    ]
    for option, value, given in options:
        if given and option not in CATALOGUE[key].options:
            raise UserError(
                f"--{option} {value}: does not apply to --dataset {name!r}, only to "
                f"{', '.join(catalogue.taking(option))}; leave it out"
            )


def _suggestion(name: str) -> str:
    for ending, prefix in ((".npz", npz.PREFIX), (".txt", text.PREFIX)):
        if name.endswith(ending):
            return f"did you mean {prefix + name!r}?"
    if name in CATALOGUE:
        return f"did you mean {spelled(name)}? it must be one of {', '.join(NAMES)}"
    spelt = name.lower().replace("-", "_")
    close = difflib.get_close_matches(spelt, NAMES, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}it must be one of {', '.join(NAMES)}"
