"""Signals of MNIST-1D's kind to transfer to: near to it, far from it, or with their order lost.

Each has 12,000 training and 4,000 test signals of ten classes, 40 points, none of them one of
MNIST-1D's. Training signals lie so that classes take turns: the first 10·k hold k of each class,
which is how --train_examples asks for k labels per class.

    mnist1d_near           the same ten digits, sheared twice as far, in more noise
    mnist1d_far            ten other strokes, drawn by a seed, in MNIST-1D's own settings
    mnist1d_near_shuffled  mnist1d_near with the points of every signal in one random order
"""

import functools
from dataclasses import replace

import numpy as np

from minima.tasks.datasets import mnist1d
from minima.tasks.datasets.dataset import Dataset, Split, assemble

_KNOTS = 6  # of a stroke; between them it is straight
_PER_CLASS = 1600
_SETTINGS = mnist1d.Settings(num_samples=10 * _PER_CLASS, train_split=0.75)


def strokes(seed: int) -> tuple[tuple[float, ...], ...]:
    """Ten strokes that begin and end where MNIST-1D's do: 12 points each, drawn by a seed."""
    random = np.random.RandomState(seed)
    knots = random.randint(5, 16, (10, _KNOTS)) / 2
    knots[:, 0] = knots[:, -1] = 5
    left, distance, gap = mnist1d.neighbours(_KNOTS, len(mnist1d.STROKES[0]))
    points = knots[:, left] + (knots[:, left + 1] - knots[:, left]) / gap * distance
    return tuple(map(tuple, points.tolist()))


_NEAR = replace(_SETTINGS, seed=43, shear_scale=1.5, iid_noise_scale=0.04, corr_noise_scale=0.35)
TARGETS = {
    "mnist1d_near": _NEAR,
    "mnist1d_far": replace(_SETTINGS, seed=44, strokes=strokes(44)),
    "mnist1d_near_shuffled": replace(_NEAR, shuffle_seq=True),
}


def load_target(name: str, validation_fraction: float) -> Dataset:
    """Makes one of TARGETS: float32 (n, T = 40).

    Raises UserError if validation_fraction does not fit.
    """
    train, test = _made(name)
    return assemble(
        name,
        train,
        test,
        num_classes=mnist1d.NUM_CLASSES,
        kind="signal",
        validation_fraction=validation_fraction,
        licence="Apache-2.0 (generator of github.com/greydanus/mnist1d, other settings)",
        source=f"generated, seed {TARGETS[name].seed}",
    )


@functools.lru_cache(maxsize=len(TARGETS))
def _made(name: str) -> tuple[Split, Split]:
    train, test = mnist1d.generate(TARGETS[name])
    train = _in_turns(train)
    for split in (train, test):  # shared by all who ask
        split.inputs.flags.writeable = split.labels.flags.writeable = False
    return train, test


def _in_turns(split: Split) -> Split:
    """The same examples, the first of every class, then the second of every class, …."""
    turn = np.empty(len(split), int)
    for label in range(mnist1d.NUM_CLASSES):
        mine = split.labels == label
        turn[mine] = np.arange(np.count_nonzero(mine))
    order = np.lexsort([split.labels, turn])
    return Split(split.inputs[order], split.labels[order])
