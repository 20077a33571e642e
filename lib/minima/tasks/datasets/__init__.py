"""Datasets as frozen values, read from the package, from files, or generated."""

import difflib

from minima.runtime.errors import UserError
from minima.tasks.datasets import cifar, markov, mnist1d, needle, npz, opinions, queue, text
from minima.tasks.datasets.arrays import check_arrays
from minima.tasks.datasets.dataset import (
    PERMUTED,
    Dataset,
    Generator,
    Kind,
    Split,
    split_validation,
)
from minima.tasks.datasets.fashion_mnist import load_fashion_mnist
from minima.tasks.datasets.mnist import load_idx_files

__all__ = [
    "NAMES",
    "WINDOW",
    "Dataset",
    "Generator",
    "Kind",
    "Split",
    "check_arrays",
    "load",
    "split_validation",
]

WINDOW = text.WINDOW

# What --dataset takes, and what a help text says about it.
NAMES = {
    "fashion_mnist": "5,000 + 2,000 images of clothes, or all 70,000 with --data_dir",
    "fashion_mnist_full": "60,000 + 10,000 images of clothes: --data_dir, Debian's, or a download",
    "mnist": "60,000 + 10,000 images of digits: --data_dir or a download",
    "cifar10": "50,000 + 10,000 colour images of 10 classes: --data_dir or a download",
    "cifar100": "50,000 + 10,000 colour images of 100 classes: --data_dir or a download",
    "mnist1d": "4,000 + 1,000 generated signals, or more test signals with --test_examples",
    "mnist1d_shuffled": "mnist1d with the points of every signal in one random order",
    "mnist1d_infinite": "every training signal of mnist1d's kind drawn anew; 10,000 to test on",
    "kjv": "436,248 characters of the King James Bible, in windows of --window",
    "markov": "20,000 + 4,000 generated sequences of 16 symbols, of known entropy",
    "markov_infinite": "the source of markov, every training sequence drawn anew",
    "opinions": "5,000 + 4,000 generated opinions of 64 people: how many friends agree (a graph)",
    "queue": "5,000 + 4,000 generated sequences of 32 events: how many still wait at the end",
    "needle:DISTANCE": "20,000 + 4,000 generated sequences with one symbol to remember so long",
    "text:PATH": "the characters of your own UTF-8 text, in windows of --window",
    "npz:PATH": "your own x_train, y_train, x_test, y_test",
    "permuted:NAME": "any of these with pixels, samples, tokens or nodes in one random order",
}
# The datasets to which an option applies.
DATA_DIR = ("fashion_mnist", "fashion_mnist_full", "mnist", "cifar10", "cifar100")
TEST_EXAMPLES = ("mnist1d", "mnist1d_shuffled", "mnist1d_infinite")
WINDOWED = ("kjv", "markov", "markov_infinite", "needle:DISTANCE", "text:PATH")


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
    window: tokens in one example of a text, a Markov source or a search for a needle.
    train_examples: size of the training set after validation was taken off; 0 for all of it.
    image_size: images are averaged down to so many pixels a side; 0 leaves them as they are.

    Raises UserError if a name, an option or a file is wrong, or an option does not apply.
    """
    inner = name.removeprefix(PERMUTED)
    key, path = _parse(inner)
    _check_options(inner, key, data_dir, test_examples, window)
    found = _load(key, path, data_dir, validation_fraction, test_examples, window)
    if image_size:
        found = found.resized(image_size)
    if inner != name:
        found = found.permuted()
    return found.shortened(train_examples) if train_examples else found


def _load(
    key: str,
    path: str,
    data_dir: str,
    validation_fraction: float,
    test_examples: int,
    window: int,
) -> Dataset:
    if key in ("mnist1d_infinite", "markov_infinite"):
        return _load_infinite(key, validation_fraction, test_examples, window)
    if key in TEST_EXAMPLES:
        settings = mnist1d.Settings(shuffle_seq=key == "mnist1d_shuffled")
        return mnist1d.load_mnist1d(settings, test_examples, validation_fraction)
    if key == "opinions":
        return opinions.load_opinions(opinions.Settings(), validation_fraction)
    if key == "queue":
        return queue.load_queue(queue.Settings(), validation_fraction)
    if key == "markov":
        return markov.load_markov(markov.Settings(), window, validation_fraction)
    if key == "needle:DISTANCE":
        return needle.load_needle(path, window, validation_fraction)
    if key == "kjv":
        return text.load_kjv(window, validation_fraction)
    if key == "text:PATH":
        return text.load_text(path, window, validation_fraction)
    if key == "npz:PATH":
        return npz.load_npz(path, validation_fraction)
    if key in cifar.PUBLISHED:
        return cifar.load_cifar(key, data_dir, validation_fraction)
    if key == "fashion_mnist":
        return load_fashion_mnist(data_dir, validation_fraction)
    return load_idx_files(key, key.removesuffix("_full"), data_dir, validation_fraction)


def _load_infinite(
    key: str, validation_fraction: float, test_examples: int, window: int
) -> Dataset:
    # Imported here, as these bring JAX with them, which nothing else in this package needs.
    from minima.tasks.datasets import markov_stream, mnist1d_stream

    if key == "markov_infinite":
        return markov_stream.load_markov_infinite(window, validation_fraction)
    return mnist1d_stream.load_mnist1d_infinite(test_examples, validation_fraction)


def _parse(name: str) -> tuple[str, str]:
    """The key of NAMES that a name goes by, and its path, or what else follows the colon."""
    for key in NAMES:
        prefix, colon, _ = key.partition(":")
        if colon and key != f"{PERMUTED}NAME" and name.startswith(prefix + colon):
            return key, name.removeprefix(prefix + colon)
    if name not in NAMES:
        raise UserError(f"--dataset {name!r}: is not known; {_suggestion(name)}")
    return name, ""


def _check_options(name: str, key: str, data_dir: str, test_examples: int, window: int) -> None:
    options = [
        (f"--data_dir {data_dir!r}", bool(data_dir), DATA_DIR),
        (f"--test_examples {test_examples}", bool(test_examples), TEST_EXAMPLES),
        (f"--window {window}", window != WINDOW, WINDOWED),
    ]
    for option, given, fitting in options:
        if given and key not in fitting:
            raise UserError(
                f"{option}: does not apply to --dataset {name!r}, only to {', '.join(fitting)};"
                " leave it out"
            )


def _suggestion(name: str) -> str:
    for ending, prefix in ((".npz", npz.PREFIX), (".txt", text.PREFIX)):
        if name.endswith(ending):
            return f"did you mean {prefix + name!r}?"
    spelled = name.lower().replace("-", "_")
    close = difflib.get_close_matches(spelled, NAMES, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}it must be one of {', '.join(NAMES)}"
