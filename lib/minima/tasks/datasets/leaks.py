"""MNIST-1D with a fault planted in it: what validates is not new to the network."""

from collections.abc import Callable

import numpy as np

from minima.tasks.datasets.dataset import Dataset, Split, assemble
from minima.tasks.datasets.mnist1d import NUM_CLASSES, Settings, check_test_examples, generate

COPIES = 8  # so that of 100,000 validation signals one has no twin among a training set of 80 %


def load_copied(test_examples: int, validation_fraction: float) -> Dataset:
    """Every eighth training signal eight times, and only then is validation taken off.

    What oversampling before the split does: validation signals (n, 40) are training signals too.
    The test set has none of them. Raises UserError as `load_mnist1d` does.
    """

    def copied(train: Split) -> Split:
        rows = np.tile(np.arange(len(train) // COPIES), COPIES)
        return Split(train.inputs[rows], train.labels[rows])

    return _load("mnist1d_copied", copied, lambda test: test, test_examples, validation_fraction)


def load_labelled(test_examples: int, validation_fraction: float) -> Dataset:
    """Ten more points on every training signal, (n, 50): 1 at its label, otherwise 0.

    A feature that gives the label away, as one that was filled in after the fact does. In use it is
    empty: test signals have zeros there. Raises UserError as `load_mnist1d` does.
    """

    def told(split: Split) -> Split:
        given = np.eye(NUM_CLASSES, dtype=np.float32)[split.labels]
        return Split(np.concatenate([split.inputs, given], axis=1), split.labels)

    def untold(split: Split) -> Split:
        empty = np.zeros((len(split), NUM_CLASSES), np.float32)
        return Split(np.concatenate([split.inputs, empty], axis=1), split.labels)

    return _load("mnist1d_labelled", told, untold, test_examples, validation_fraction)


def _load(
    name: str,
    train: Callable[[Split], Split],
    test: Callable[[Split], Split],
    test_examples: int,
    validation_fraction: float,
) -> Dataset:
    check_test_examples(test_examples)
    settings = Settings()
    published = generate(settings, test_examples)
    return assemble(
        name,
        train(published[0]),
        test(published[1]),
        num_classes=NUM_CLASSES,
        kind="signal",
        validation_fraction=validation_fraction,
        licence="Apache-2.0 (settings and templates of github.com/greydanus/mnist1d)",
        source=f"mnist1d, seed {settings.seed}, with a planted leak",
    )
