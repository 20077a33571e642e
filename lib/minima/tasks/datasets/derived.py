"""Datasets made of others, by name: `hog:fashion_mnist`, `draw3:fashion_mnist`, `shifted:mnist1d`.

Each is a function from a dataset to a dataset; names nest, the last one is loaded first. Some are
broken on purpose, for experiments that ask whether one would notice; they count as stand-ins.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets import corruptions, planted
from minima.tasks.datasets.dataset import Dataset, Split
from minima.tasks.datasets.engineered import engineered

Derivation = Callable[[Dataset], Dataset]

# What stands before the colon, and what a help text says about it.
NAMES = {
    "permuted:NAME": "pixels, samples, tokens or nodes in one random order",
    "hog:NAME": "histograms of oriented gradients and pixel statistics of images, as vectors",
    "drawN:NAME": "its training examples in the N-th random order, of which --train_examples "
    "takes the first",
    "shifted:NAME": "validation and test inputs mirrored at the mean: another distribution",
    "missing:NAME": "the upper half of the classes left out of the training set",
    "proxy:NAME": "training labels that only say in which half of the classes an example is",
    "coloured:NAME": "grey images in a colour that goes with the upper half of the classes in two "
    "environments, and against it in the test set",
    "coloured_crossed:NAME": "the same, with groups by label and colour instead of environments",
    "grey:NAME": "the same labels, of which a quarter is flipped, without the colours",
    "ruler:NAME": "a ruler in the corner of 95 % of the images of the upper half of the classes",
    "pulse:NAME": "a pulse at the end of 95 % of the signals of the upper half of the classes",
    "word:NAME": "a last word that goes with the upper half of the classes, such as word:tickets",
    "CORRUPTIONN:NAME": "a test set corrupted at severity N of 1 to 5, such as fog3:fashion_mnist: "
    + ", ".join(corruptions.NAMES),
}


def parse(name: str) -> tuple[Derivation, str] | None:
    """What is done, and the name of the dataset it is done to; None for a name of another kind."""
    prefix, colon, inner = name.partition(":")
    number = re.fullmatch(r"draw(\d{1,9})", prefix)
    corrupted = prefix[:-1] in corruptions.NAMES and prefix[-1].isdigit()
    if not colon or not (number or corrupted or prefix in _DERIVATIONS):
        return None
    if corrupted:
        name, severity = prefix[:-1], int(prefix[-1])
        return partial(corruptions.with_corrupted_test, name=name, severity=severity), inner
    return partial(draw, number=int(number[1])) if number else _DERIVATIONS[prefix], inner


def derived(derivation: Derivation, dataset: Dataset, name: str) -> Dataset:
    """The dataset of that name.

    Raises:
      UserError: it is a text, or draws its examples without end; or the derivation says so.
    """
    any_task = derivation is Dataset.permuted
    if not any_task and (dataset.generator is not None or dataset.task != "classification"):
        raise UserError(
            f"--dataset {name!r}: only a fixed set of examples with a class each can be made "
            "another one; use e.g. fashion_mnist or mnist1d"
        )
    return replace(derivation(dataset), name=name)


def draw(dataset: Dataset, number: int) -> Dataset:
    """Training examples in another order: the beginning of one draw is a sample of its own.

    One order for all sizes, so that a draw's small training sets lie inside its large ones.
    """
    order = np.random.RandomState(number).permutation(len(dataset.train))
    return dataset.remade(dataset.train.picked(order))


def shifted(dataset: Dataset) -> Dataset:
    """Broken data: what is learned on one distribution is asked about another."""

    def mirrored(split: Split) -> Split:
        inputs = split.inputs.astype(np.float32)
        return replace(split, inputs=(2 * dataset.mean - inputs).astype(np.float32))

    train = replace(dataset.train, inputs=dataset.train.inputs.astype(np.float32))
    others = mirrored(dataset.validation), mirrored(dataset.test)
    return dataset.remade(train, *others, stand_in=True)


def missing(dataset: Dataset) -> Dataset:
    """Broken data: of half of the classes there is no training example.

    Others take their places, again from the beginning, so that the size stays.
    """
    train = dataset.train
    there = np.flatnonzero(train.labels < -(-dataset.num_classes // 2))
    return dataset.remade(train.picked(np.resize(there, len(train))), stand_in=True)


def proxy(dataset: Dataset) -> Dataset:
    """A broken objective: what is rewarded is not what is wanted, though it has to do with it.

    Training labels are 0 for the lower half of the classes and the first of the upper half else.
    """
    half = -(-dataset.num_classes // 2)
    labels = np.where(dataset.train.labels < half, 0, half).astype(np.int32)
    return dataset.remade(replace(dataset.train, labels=labels), stand_in=True)


_DERIVATIONS: dict[str, Derivation] = {
    "permuted": Dataset.permuted,
    "hog": engineered,
    "shifted": shifted,
    "missing": missing,
    "proxy": proxy,
    "coloured": planted.coloured,
    "coloured_crossed": planted.coloured_crossed,
    "grey": planted.grey,
    "ruler": planted.ruler,
    "pulse": planted.pulse,
    "word": planted.word,
}
