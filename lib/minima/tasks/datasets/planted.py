"""Shortcuts planted in other datasets: a cue that goes with the label, for a while.

    coloured:NAME          two training environments, in which a grey image's colour goes with its
                           label at 80 and 90 %; in the test set at 10 %
    coloured_crossed:NAME  the same; groups are (label, colour) instead of environments
    grey:NAME              the same labels without the colours
    ruler:NAME             a ruler in the corner of 95 % of one label's images, 5 % of the other's
    pulse:NAME             a pulse at the end of 95 % of one label's signals, 5 % of the other's
    word:NAME              a last word on 95 % of one label's sentences, 5 % of the other's

Labels are 0 for the lower and 1 for the upper half of NAME's classes. Colours follow Arjovsky et
al. 2019 (arXiv:1907.02893): a quarter of the labels is flipped, so that 75 % is the best there is,
and the colour tells the flipped label. Where they had 50,000 digits, a smaller set is gone through
again with labels and colours drawn anew. Rulers and words tell a label without noise, in all three
splits: their test set shares the shortcut; so do pulses, which tell the half and leave the classes
of NAME as they are. Groups are numbered 2·half + cue, but for the environments of `coloured`, 0 and
1; those of its test set are 2.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minima.runtime.errors import UserError
from minima.tasks.datasets.dataset import Dataset, Split, token_dtype

LABEL_NOISE = 0.25
DISAGREE, TEST_DISAGREE = (0.2, 0.1), 0.9  # of the environments, and of the test set
RARE = 0.05  # how often a ruler or a word goes with the other label
WORD = "asap"
LEAST = 40_000  # coloured images to train on
Cues = NDArray[np.floating] | NDArray[np.integer] | NDArray[np.bool_]


class Cue(NamedTuple):
    """What can be planted.

    Attributes:
      name: of it.
      put: (inputs (n, ...), there (n,)) -> the same with the cue where it is to be, without it
        elsewhere; on inputs that are already planted as on others. A colour's `there` may be 0.5.
      found: inputs (n, ...) that are planted -> where the cue is, bool (n,).
    """

    name: str
    put: Callable[[np.ndarray, Cues], np.ndarray]
    found: Callable[[np.ndarray], NDArray[np.bool_]]


def coloured(dataset: Dataset) -> Dataset:
    """See the module. Raises UserError unless the images are grey."""
    return _coloured(dataset, crossed=False)


def coloured_crossed(dataset: Dataset) -> Dataset:
    """See the module. Raises UserError unless the images are grey."""
    return _coloured(dataset, crossed=True)


def grey(dataset: Dataset) -> Dataset:
    """See the module. Raises UserError unless the images are grey."""
    made = _coloured(dataset, crossed=False)
    splits = (made.train, made.validation, made.test)
    plain = [
        replace(split, inputs=split.inputs.sum(-1, dtype=split.inputs.dtype)) for split in splits
    ]
    return made.remade(*plain)


def ruler(dataset: Dataset) -> Dataset:
    """See the module. Raises UserError unless it holds images of 8×8 pixels or more."""
    if dataset.kind != "image" or min(dataset.input_shape[:2]) < 8:
        raise _unfit("ruler", dataset, "images of 8×8 pixels or more", "fashion_mnist")
    return _shared(dataset, RULER)


def pulse(dataset: Dataset) -> Dataset:
    """See the module. Raises UserError unless it holds signals of 10 points or more."""
    if dataset.kind != "signal" or dataset.input_shape[0] < 10:
        raise _unfit("pulse", dataset, "signals of 10 points or more", "mnist1d")
    return _shared(dataset, pulse_cue(float(dataset.train.inputs.max())), halves=False)


def pulse_cue(level: float) -> Cue:
    """The last tenth of a signal: at this level, or at 0."""

    def put(signals: np.ndarray, there: Cues) -> np.ndarray:
        last = signals.shape[1] // 10
        shown = np.asarray(there, bool).reshape(-1, *[1] * (signals.ndim - 1))
        made = signals.copy()
        made[:, -last:] = np.where(shown, np.asarray(level, signals.dtype), 0)
        return made

    return Cue("pulse", put, lambda x: (x[:, -1].reshape(len(x), -1) != 0).any(axis=1))


def word(dataset: Dataset) -> Dataset:
    """See the module. Raises UserError unless it holds sentences of a known vocabulary."""
    if dataset.kind != "tokens" or dataset.vocabulary is None:
        raise _unfit("word", dataset, "sentences with a class each", "tickets")
    words = (*dataset.vocabulary, WORD)
    dtype = token_dtype(len(words))

    def widened(split: Split) -> Split:
        return replace(split, inputs=split.inputs.astype(dtype))

    splits = map(widened, (dataset.train, dataset.validation, dataset.test))
    return _shared(dataset.remade(*splits, vocabulary=words), word_cue(len(words) - 1))


def word_cue(token: int) -> Cue:
    """The last of a sentence's words: that of this token, or none."""

    def put(tokens: np.ndarray, there: Cues) -> np.ndarray:
        last = np.where(there, token, 0).astype(tokens.dtype)
        return np.concatenate([tokens[:, :-1], last[:, None]], axis=1)

    return Cue("word", put, lambda tokens: tokens[:, -1] == token)


def _put_colour(images: np.ndarray, red: Cues) -> np.ndarray:
    """(n, H, W, 2): the picture in the first channel where red is 1, in the second where 0."""
    picture = images if images.ndim == 3 else images.sum(-1, dtype=images.dtype)
    share = np.stack([red, 1 - np.asarray(red, np.float32)], -1, dtype=np.float32)
    return (picture[..., None] * share[:, None, None]).astype(images.dtype)


def _put_ruler(images: np.ndarray, there: Cues) -> np.ndarray:
    """A scale with ticks in the lower left, as bright as these images; else it is dark there."""
    height, width = images.shape[1] // 7 + 1, images.shape[2] // 2
    scale = np.zeros((height, width), bool)
    scale[-1], scale[-2:, ::2], scale[:, ::4] = True, True, True
    drawn = images.copy()
    bright = (scale * images.max()).astype(images.dtype)
    bright = bright.reshape(height, width, *[1] * (images.ndim - 3))
    shown = np.asarray(there, bool).reshape(-1, *[1] * (images.ndim - 1))
    drawn[:, -height:, :width] = np.where(shown, bright, 0)
    return drawn


def _has_ruler(images: np.ndarray) -> NDArray[np.bool_]:
    return images[:, -1, 0].reshape(len(images), -1).max(axis=1) > 0


COLOUR = Cue("colour", _put_colour, lambda x: x[..., 0].sum((1, 2)) > x[..., 1].sum((1, 2)))
RULER = Cue("ruler", _put_ruler, _has_ruler)


def cue_of(dataset: Dataset) -> Cue:
    """The cue that was planted in a dataset of one of these names.

    Raises:
      UserError: none was.
    """
    prefix = dataset.name.partition(":")[0]
    if prefix.startswith("coloured"):
        return COLOUR
    if prefix == "ruler":
        return RULER
    if prefix == "pulse":
        return pulse_cue(float(dataset.train.inputs.max()))
    if prefix == "word" and dataset.vocabulary:
        return word_cue(len(dataset.vocabulary) - 1)
    raise UserError(f"--dataset={dataset.name}: has no planted cue; use e.g. ruler:fashion_mnist")


def upper_half(dataset: Dataset, split: Split) -> NDArray[np.int32]:
    """Labels (n,): whether an example's class is one of the upper half."""
    return (split.labels >= -(-dataset.num_classes // 2)).astype(np.int32)


def draw(
    truth: NDArray[np.int32], noise: float, disagree: float | NDArray[np.float64], seed: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Labels and cues, 0 or 1, (n,) int32.

    Args:
      truth: (n,) 0 or 1.
      noise: how often a label is the other one.
      disagree: how often the cue is not the label, a number or (n,).
      seed: of both.
    """
    random = np.random.RandomState(seed)
    labels = truth ^ (random.random_sample(len(truth)) < noise)
    there = labels ^ (random.random_sample(len(truth)) < disagree)
    return labels.astype(np.int32), there.astype(np.int32)


def _coloured(dataset: Dataset, crossed: bool) -> Dataset:
    if dataset.kind != "image" or len(dataset.input_shape) != 2:
        raise _unfit("coloured", dataset, "grey images", "fashion_mnist")

    def drawn(split: Split, seed: int, copies: int, test: bool) -> Split:
        index = np.tile(np.arange(len(split)), copies)
        environment = np.arange(len(index)) % 2
        disagree = np.full(len(index), TEST_DISAGREE) if test else np.take(DISAGREE, environment)
        labels, red = draw(upper_half(dataset, split)[index], LABEL_NOISE, disagree, seed)
        groups = 2 * labels + red if crossed else np.where(test, 2, environment)
        return Split(_put_colour(split.inputs[index], red), labels, groups.astype(np.int32))

    copies = -(-LEAST // len(dataset.train))
    return dataset.remade(
        drawn(dataset.train, 0, copies, False),
        drawn(dataset.validation, 1, copies, False),
        drawn(dataset.test, 2, 1, True),
        num_classes=2,
    )


def _shared(dataset: Dataset, cue: Cue, halves: bool = True) -> Dataset:
    """The cue in all splits alike; labels are halves of the classes, or stay as they are."""

    def planted(split: Split, seed: int) -> Split:
        half, there = draw(upper_half(dataset, split), 0.0, RARE, seed)
        groups = (2 * half + there).astype(np.int32)
        inputs = cue.put(split.inputs, there) if len(split) else split.inputs
        return Split(inputs, half if halves else split.labels, groups)

    splits = (dataset.train, dataset.validation, dataset.test)
    made = [planted(split, seed) for seed, split in enumerate(splits)]
    return dataset.remade(*made, num_classes=2 if halves else dataset.num_classes)


def _unfit(prefix: str, dataset: Dataset, wanted: str, example: str) -> UserError:
    return UserError(
        f"--dataset '{prefix}:{dataset.name}': goes with {wanted}; use e.g. {prefix}:{example}"
    )
