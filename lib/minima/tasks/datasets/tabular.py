"""Tables of people to decide about: what a model sees of them, and what stands beside.

A model gets the features alone. Groups are what outcomes are compared by; the truth is what came of
it, where somebody knows better than the labels that are learned.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minima.runtime.errors import UserError
from minima.tasks.datasets.dataset import (
    SPLIT_SEED,
    Dataset,
    Split,
    assemble,
    split_validation,
)

Values = NDArray[np.float64] | NDArray[np.str_]
Text = NDArray[np.str_]

MOST_VALUES = 50  # of a feature in words: more are names, which nothing can be learned from


@dataclass(frozen=True, eq=False)
class Rows:
    """People of one split.

    Attributes:
      inputs: (n, D) float32.
      labels: (n,) int32, 0 or 1: what is learned.
      truth: (n,) int32, 0 or 1: what came of it; the labels where nobody knows better.
      attributes: (n,) groups by the attribute's name; no part of the inputs.
      chance: (n,) probability that the truth is 1, where a generator knows it.
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.int32]
    truth: NDArray[np.int32]
    attributes: Mapping[str, Text]
    chance: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        """How many."""
        return len(self.labels)

    def picked(self, index: NDArray) -> "Rows":
        """Some of them, by number."""
        attributes = {name: values[index] for name, values in self.attributes.items()}
        chance = None if self.chance is None else self.chance[index]
        return Rows(self.inputs[index], self.labels[index], self.truth[index], attributes, chance)


@dataclass(frozen=True, eq=False)
class Table:
    """Training and test rows, and what their columns are.

    Attributes:
      name: of the dataset.
      columns: (D,) the feature that each column of the inputs is of: those of words have several.
      knows_truth: whether the truth is more than the labels.
      licence, source, stand_in: see `Dataset`.
    """

    name: str
    train: Rows
    test: Rows
    columns: tuple[str, ...]
    knows_truth: bool
    licence: str
    source: str
    stand_in: bool

    @property
    def features(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(dict.fromkeys(self.columns))

    def places(self, feature: str) -> NDArray[np.intp]:
        """Which columns of the inputs are of a feature."""
        return np.flatnonzero(np.array(self.columns) == feature)

    def splits(self, validation_fraction: float) -> tuple[Rows, Rows, Rows]:
        """Training, validation and test rows, as they are in `dataset`."""
        numbers = np.arange(len(self.train))
        parts = split_validation(Split(numbers, numbers), validation_fraction, SPLIT_SEED)
        train, validation = (self.train.picked(part.labels) for part in parts)
        return train, validation, self.test

    def dataset(self, validation_fraction: float) -> Dataset:
        """The features as vectors (n, D), to learn the labels from.

        Groups are by the first attribute; weights make it and the label independent, see
        `reweighing`.

        Raises:
          UserError: validation_fraction does not fit.
        """
        attribute = next(iter(self.train.attributes))
        names = np.unique(self.train.attributes[attribute])
        train, test = (
            np.searchsorted(names, rows.attributes[attribute]).clip(max=len(names) - 1)
            for rows in (self.train, self.test)
        )
        weights = reweighing(train, self.train.labels)
        return assemble(
            self.name,
            Split(self.train.inputs, self.train.labels, train.astype(np.int32), weights),
            Split(self.test.inputs, self.test.labels, test.astype(np.int32)),
            num_classes=2,
            kind="vector",
            validation_fraction=validation_fraction,
            licence=self.licence,
            source=self.source,
            stand_in=self.stand_in,
        )


def reweighing(groups: NDArray, labels: NDArray) -> NDArray[np.float32]:
    """(n,) weights under which group and label are independent, with the shares that each has.

    P(group) · P(label) / P(group and label), Kamiran and Calders 2012, Knowledge and Information
    Systems 33.
    """
    of, label = (np.unique(values, return_inverse=True)[1] for values in (groups, labels))
    counts = np.zeros((of.max() + 1, label.max() + 1))
    np.add.at(counts, (of, label), 1)
    expected = counts.sum(axis=1)[:, None] * counts.sum(axis=0) / len(of)
    weights = expected / np.where(counts > 0, counts, 1)
    return weights[of, label].astype(np.float32)


def encoded(
    train: Mapping[str, Values], test: Mapping[str, Values], where: str
) -> tuple[NDArray[np.float32], NDArray[np.float32], tuple[str, ...]]:
    """Inputs of both splits, and the feature of each column.

    Numbers have mean 0 and standard deviation 1 over the training rows; words become a column for
    each value that the training rows have.

    Raises:
      UserError: a feature is one value everywhere, or has too many words.
    """
    columns: list[str] = []
    mine, others = [], []
    for name, values in train.items():
        first, second = _columns_of(name, values, test[name], where)
        columns += [name] * first.shape[1]
        mine.append(first)
        others.append(second)
    inputs = np.concatenate(mine, axis=1).astype(np.float32)
    return inputs, np.concatenate(others, axis=1).astype(np.float32), tuple(columns)


def _columns_of(
    name: str, values: Values, other: Values, where: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if values.dtype.kind == "f":
        numbers, others = values.astype(np.float64), other.astype(np.float64)
        middle, spread = float(numbers.mean()), float(numbers.std())
        if not spread > 0:
            raise UserError(f"{where}: {name} is {numbers[0]:g} everywhere; leave it out")
        return (numbers[:, None] - middle) / spread, (others[:, None] - middle) / spread
    kinds = np.unique(values)
    if len(kinds) > MOST_VALUES:
        raise UserError(
            f"{where}: {name} has {len(kinds):,} different values in words, more than "
            f"{MOST_VALUES}; leave it out, or give numbers"
        )
    first, second = (column[:, None] == kinds for column in (values, other))
    return first.astype(np.float64), second.astype(np.float64)
