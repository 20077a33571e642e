"""What a task is trained and judged on: three splits, and where they came from."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from minima.runtime.errors import UserError

Kind = Literal["image", "signal", "vector", "tokens", "graph"]
Edges = tuple[tuple[int, int], ...]  # pairs of nodes, undirected, none twice
# A pure JAX function of one PRNG key: one example of a split, (input, label).
Generator = Callable[[Any], tuple[Any, Any]]

# One split for everybody: two runs with the same --validation_fraction validate on the same
# examples, so their curves are comparable. RandomState, because its stream never changes.
SPLIT_SEED = 0
PERMUTATION_SEED = 0
PERMUTED = "permuted:"  # before the name of a dataset whose positions are in another order


@dataclass(frozen=True, eq=False)
class Split:
    """Examples of one split, read-only.

    inputs: (n, ...) uint8 or float32, raw (not standardised); or token ids (n, T), see
        `token_dtype`.
    labels: (n,) int32 class indices; for a language model (n, T) int32, the token that follows
        each input token, or -1 where nothing is asked; for a regression float32, (n,) or (n, T).
    groups: (n,) int32, 0 or above: which group or environment an example is of; None for no groups.
    weights: (n,) float32 above 0: what an example counts in training that asks for it, or None.
    """

    inputs: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None = None
    weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Replaces the arrays by read-only, C-contiguous views."""
        for field, array in vars(self).copy().items():
            if array is not None:
                view = np.ascontiguousarray(array).view()
                view.flags.writeable = False
                object.__setattr__(self, field, view)

    def picked(self, index: Any) -> "Split":
        """The examples at these places: indices, a mask or a slice."""
        rest = (None if a is None else a[index] for a in (self.groups, self.weights))
        return Split(self.inputs[index], self.labels[index], *rest)

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples to classify, text to continue, or numbers to predict.

    Build one with `load` or `assemble`.

    train, validation, test: disjoint splits; validation is taken off train and may be empty.
    num_classes: labels are 0 .. num_classes - 1; a language model's vocabulary size; 1 for a
        regression, the number of outputs.
    kind: images are (n, H, W) or (n, H, W, C), signals (n, T) or (n, T, C), tokens (n, T), vectors
        (n, D), features of the nodes of one graph (n, nodes, D).
    mean, std: scalars of train.inputs (validation and test excluded), in raw input units;
        a program feeds its model (inputs - mean) / std. 0 and 1 for tokens.
    licence, source: what the data may be used for and where the bytes came from.
    checksum: `sha256` of train.inputs, train.labels, validation.inputs, validation.labels,
        test.inputs, test.labels, in this order, and of groups, weights and edges that there are.
    stand_in: True if the data is not what its name says, only of the same form.
    vocabulary: the symbol of each token of a character model.
    entropy: the least possible mean loss in nats per token, where the source's is known exactly.
    generator: if given, training examples are drawn by it, a fresh one per key, and not taken from
        train, which is then a sample to measure on. Equal and hashable by value: static under jit.
    tolerance: how far off its label a prediction may be and still count as right, in the label's
        units; of a regression only.
    edges: of the graph that all examples share.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    num_classes: int
    kind: Kind
    mean: float
    std: float
    licence: str
    source: str
    checksum: str
    stand_in: bool
    vocabulary: tuple[str, ...] | None = None
    entropy: float | None = None
    generator: Generator | None = None
    tolerance: float = 0.0
    edges: Edges = ()

    @property
    def task(self) -> Literal["classification", "language_model", "regression"]:
        """Told by the labels: one class per example, one per token, or numbers."""
        if np.issubdtype(self.train.labels.dtype, np.floating):
            return "regression"
        return "language_model" if self.per_position else "classification"

    @property
    def per_position(self) -> bool:
        """Whether every position of an input has a label."""
        return self.train.labels.ndim == 2

    def asked(self, split: Split) -> np.ndarray:
        """Which labels of a split count: bool in their shape, False for -1 in a class's place."""
        everywhere = self.task == "regression"
        return np.ones(split.labels.shape, bool) if everywhere else split.labels >= 0

    def right(self, predictions: np.ndarray) -> np.ndarray:
        """Which of the test labels that count are predicted, (k, labels) bool.

        predictions: (k, *shape of the test labels), classes or numbers.
        """
        labels = self.test.labels
        if self.task == "regression":
            right = np.abs(predictions - labels) <= self.tolerance
        else:
            right = predictions == labels
        return right[:, self.asked(self.test)]

    @property
    def num_groups(self) -> int:
        """Groups of the training examples are 0 .. num_groups - 1; 0 where they have none."""
        groups = self.train.groups
        return 0 if groups is None else int(groups.max()) + 1

    def example_weights(self) -> np.ndarray | None:
        """What training examples count where that is asked for, float32 (n,), 1 in the mean.

        Their own weights; else all groups count the same; None where there are neither.
        """
        groups, weights = self.train.groups, self.train.weights
        if weights is None and groups is not None:
            weights = 1 / np.maximum(np.bincount(groups), 1)[groups]
        return None if weights is None else (weights / np.mean(weights)).astype(np.float32)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the example axis."""
        return self.train.inputs.shape[1:]

    def resized(self, size: int) -> "Dataset":
        """Averages images over equal blocks down to size × size.

        Returns a dataset of float32 inputs (n, size, size) or (n, size, size, C) in the same units,
        with mean, std and checksum taken anew. Raises UserError unless this is an image dataset
        and size divides both H and W.
        """
        _check_size(self, size)
        splits = (self.train, self.validation, self.test)
        shrunk = [replace(split, inputs=_block_means(split.inputs, size)) for split in splits]
        return self.remade(*shrunk)

    def permuted(self) -> "Dataset":
        """The same examples with their positions in one random order, the same for all of them.

        Positions are pixels, samples, tokens, features or nodes, with their channels and labels.
        Nothing is lost but which are next to each other; the edges of a graph stay where they are,
        and so are wrong. Raises UserError where training examples are drawn without end.
        """
        if self.generator is not None:
            raise UserError(
                f"--dataset={PERMUTED}{self.name}: its examples are drawn one by one and have no "
                f"other order; use --dataset={self.name}"
            )
        axes = 2 if self.kind == "image" else 1
        positions = int(np.prod(self.input_shape[:axes]))
        order = np.random.RandomState(PERMUTATION_SEED).permutation(positions)

        def moved(split: Split) -> Split:
            inputs = split.inputs.reshape(len(split), positions, -1)[:, order]
            labels = split.labels[:, order] if self.per_position else split.labels
            return replace(split, inputs=inputs.reshape(split.inputs.shape), labels=labels)

        splits = [moved(split) for split in (self.train, self.validation, self.test)]
        return self.remade(*splits, name=PERMUTED + self.name)

    def shortened(self, count: int) -> "Dataset":
        """The first `count` training examples, in the order that they have.

        Returns a dataset with mean, std and checksum taken anew. Raises UserError unless there are
        so many, or where training examples are drawn without end.
        """
        if self.generator is not None:
            raise UserError(
                f"--train_examples={count}: --dataset={self.name} draws every example anew; leave "
                "the flag out"
            )
        if not 1 <= count <= len(self.train):
            raise UserError(
                f"--train_examples={count}: --dataset={self.name} has {len(self.train)} training "
                "examples beside validation; use at most that many"
            )
        return self.remade(self.train.picked(slice(count)))

    def remade(
        self,
        train: Split,
        validation: Split | None = None,
        test: Split | None = None,
        **changes: Any,
    ) -> "Dataset":
        """The same with another training set, and other splits where given.

        `changes` are of other attributes; mean, std and checksum are taken anew. Raises UserError
        where all training inputs are one value.
        """
        validation = self.validation if validation is None else validation
        test = self.test if test is None else test
        tokens = changes.get("kind", self.kind) == "tokens"
        mean, std = (0.0, 1.0) if tokens else _mean_and_std(train.inputs, self.name)
        return replace(
            self,
            train=train,
            validation=validation,
            test=test,
            mean=mean,
            std=std,
            checksum=_checksum(train, validation, test, self.edges),
            **changes,
        )


def assemble(
    name: str,
    train: Split,
    test: Split,
    *,
    num_classes: int,
    kind: Kind,
    validation_fraction: float,
    licence: str,
    source: str,
    stand_in: bool = False,
    vocabulary: tuple[str, ...] | None = None,
    entropy: float | None = None,
    ordered: bool = False,
    edges: Edges = (),
) -> Dataset:
    """Takes the validation split off train and derives mean, std and checksum.

    ordered: training examples follow one another, as windows of a text do, so that validation is
        the end of train; otherwise it is a seeded choice.
    edges: of the graph whose nodes have the features, for kind "graph".

    Raises UserError if validation_fraction does not fit, all training inputs are one value, or an
    edge does not lie between two different nodes or occurs twice.
    """
    check_edges(edges, train.inputs.shape[1], name)
    seed = None if ordered else SPLIT_SEED
    train, validation = split_validation(train, validation_fraction, seed)
    mean, std = (0.0, 1.0) if kind == "tokens" else _mean_and_std(train.inputs, name)
    checksum = _checksum(train, validation, test, edges)
    return Dataset(
        name=name,
        train=train,
        validation=validation,
        test=test,
        num_classes=num_classes,
        kind=kind,
        mean=mean,
        std=std,
        licence=licence,
        source=source,
        checksum=checksum,
        stand_in=stand_in,
        vocabulary=vocabulary,
        entropy=entropy,
        edges=edges,
    )


def split_validation(train: Split, fraction: float, seed: int | None) -> tuple[Split, Split]:
    """Takes round(fraction · n) examples off train: by a seeded permutation, or the last for None.

    Returns (rest, validation), each in train's order. For one seed a smaller fraction's validation
    split lies inside a larger one's. Fraction 0 gives train itself and an empty split. Raises
    UserError unless 0 <= fraction < 1 and a positive fraction leaves both splits an example.
    """
    count = validation_size(len(train), fraction)
    if seed is None:
        order = np.arange(len(train))[::-1]
    else:
        order = np.random.RandomState(seed).permutation(len(train))
    chosen = np.zeros(len(train), dtype=bool)
    chosen[order[:count]] = True
    return train.picked(~chosen), train.picked(chosen)


def validation_size(n: int, fraction: float) -> int:
    """How many of n training examples validate; raises UserError as `split_validation` does."""
    if not 0 <= fraction < 1:
        raise UserError(
            f"--validation_fraction {fraction}: must be at least 0 and less than 1, e.g. 0.2"
        )
    count = round(fraction * n)
    if fraction > 0 and not 0 < count < n:
        raise UserError(
            f"--validation_fraction {fraction}: takes {count} of {n} training examples;"
            " give 0 or a fraction that leaves an example on either side"
        )
    return count


def token_dtype(count: int) -> type[np.integer]:
    """The smallest of uint8, uint16 and int32 that holds the tokens 0 .. count - 1."""
    return np.uint8 if count <= 2**8 else np.uint16 if count <= 2**16 else np.int32


def sha256(*arrays: np.ndarray) -> str:
    """Hex sha256 over the arrays' bytes one after the other, little-endian and in C order."""
    digest = hashlib.sha256()
    for array in arrays:
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(np.ascontiguousarray(little).data if little.size else b"")
    return digest.hexdigest()


def check_edges(edges: Edges, nodes: int, name: str) -> None:
    """Raises UserError unless edges lie between two different ones of the nodes, none twice."""
    for a, b in edges:
        if a == b or not (0 <= a < nodes and 0 <= b < nodes):
            raise UserError(
                f"--dataset {name!r}: has an edge from node {a} to node {b}; edges must lie between"
                f" two different nodes of 0 .. {nodes - 1}"
            )
    if len({frozenset(edge) for edge in edges}) < len(edges):
        raise UserError(f"--dataset {name!r}: has an edge twice; give every pair of nodes once")


def _checksum(train: Split, validation: Split, test: Split, edges: Edges) -> str:
    splits = (train, validation, test)
    arrays = [array for split in splits for array in (split.inputs, split.labels)]
    more = [array for split in splits for array in (split.groups, split.weights)]
    more.append(np.array(edges, np.int32) if edges else None)
    return sha256(*arrays, *(array for array in more if array is not None))


def _mean_and_std(inputs: np.ndarray, name: str) -> tuple[float, float]:
    if inputs.min() == inputs.max():
        raise UserError(
            f"--dataset {name!r}: every training input is {inputs.min()};"
            " inputs must differ to be standardised"
        )
    if inputs.dtype == np.uint8:
        return _byte_moments(inputs)
    return float(inputs.mean(dtype=np.float64)), float(inputs.std(dtype=np.float64))


def _byte_moments(inputs: np.ndarray) -> tuple[float, float]:
    # 256 counts hold all there is to know; in parts, as bincount copies what it counts to int64.
    parts = np.array_split(inputs, 1 + inputs.size // 2**22)
    counts = np.sum([np.bincount(part.ravel(), minlength=256) for part in parts], axis=0)
    values = np.arange(256)
    mean = counts @ values / inputs.size
    return float(mean), float(np.sqrt(counts @ (values - mean) ** 2 / inputs.size))


def _check_size(dataset: Dataset, size: int) -> None:
    if dataset.name.startswith(PERMUTED):
        raise UserError(
            f"--dataset {dataset.name!r}: pixels that are not next to each other have no average;"
            f" use --image_size={size} to average before they are permuted"
        )
    if dataset.kind != "image":
        raise UserError(
            f"--dataset {dataset.name!r}: holds {dataset.kind.removesuffix('s')}s;"
            " only images can be resized"
        )
    height, width = dataset.input_shape[:2]
    fitting = [s for s in range(1, min(height, width) + 1) if height % s == width % s == 0]
    if size not in fitting:
        sizes = ", ".join(map(str, fitting))
        raise UserError(
            f"--dataset {dataset.name!r}: {height}×{width} images average down to a size of"
            f" {sizes}, not {size}"
        )


def _block_means(images: np.ndarray, size: int) -> np.ndarray:
    n, height, width, *channels = images.shape
    blocks = images.reshape(n, size, height // size, size, width // size, *channels)
    return blocks.mean(axis=(2, 4), dtype=np.float64).astype(np.float32)
