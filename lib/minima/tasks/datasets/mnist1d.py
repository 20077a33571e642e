"""MNIST-1D: ten 12-point digits, stretched, shifted, sheared and buried in noise."""

from dataclasses import dataclass

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.dataset import Dataset, Split, assemble

MAX_TEST_EXAMPLES = 100_000  # about 0.5 GB while they are made

# The digits as pen strokes, one row a class.
STROKES = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)
NUM_CLASSES = len(STROKES)
# Lifts a template's own zeros off zero, so that only padding reads as background.
EPSILON = 1e-8


@dataclass(frozen=True)
class Settings:
    """The published settings; lengths in points, scales in template units, chances uniform.

    num_samples: train and test together, equally many of each class.
    train_split: the share of them that trains.
    padding: fewest and most zeros appended to a template before it is stretched.
    scale_coeff: amplitudes lie within 1 ± scale_coeff / 2.
    max_translation: cyclic shifts are 0 .. max_translation - 1.
    corr_noise_scale: of the noise in the background, before it is smoothed.
    iid_noise_scale: of the noise on every point.
    shear_scale: slopes lie within ± shear_scale / 2 per length.
    shuffle_seq: puts the points in one random order, the same for all, as a control.
    final_seq_length: points of a finished signal.
    seed: of everything.
    strokes: the shapes, one a class, all of as many points.
    """

    num_samples: int = 5000
    train_split: float = 0.8
    padding: tuple[int, int] = (36, 60)
    scale_coeff: float = 0.4
    max_translation: int = 48
    corr_noise_scale: float = 0.25
    iid_noise_scale: float = 0.02
    shear_scale: float = 0.75
    shuffle_seq: bool = False
    final_seq_length: int = 40
    seed: int = 42
    strokes: tuple[tuple[float, ...], ...] = STROKES

    @property
    def width(self) -> int:
        """Points of a signal between its stretching and its final resampling."""
        return len(self.strokes[0]) + self.padding[1]


def load_mnist1d(settings: Settings, test_examples: int, validation_fraction: float) -> Dataset:
    """Makes MNIST-1D (Greydanus & Kobak 2020, arXiv:2011.14439): float32 (n, T = 40).

    4,000 training and 1,000 test signals, equal to the published frozen file in float32.
    test_examples > 0 puts that many fresh signals in place of the test set: see `generate`.
    Raises UserError if test_examples or validation_fraction does not fit.
    """
    check_test_examples(test_examples)
    train, test = generate(settings, test_examples)
    fresh = f", {test_examples} fresh test signals" if test_examples else ""
    return assemble(
        "mnist1d_shuffled" if settings.shuffle_seq else "mnist1d",
        train,
        test,
        num_classes=NUM_CLASSES,
        kind="signal",
        validation_fraction=validation_fraction,
        licence="Apache-2.0 (settings and templates of github.com/greydanus/mnist1d)",
        source=f"generated, seed {settings.seed}{fresh}",
    )


def check_test_examples(count: int) -> None:
    """Raises UserError unless a test set of so many can be drawn; 0 is the dataset's own."""
    if not 0 <= count <= MAX_TEST_EXAMPLES:
        raise UserError(
            f"--test_examples {count}: must be 1 .. {MAX_TEST_EXAMPLES},"
            " or 0 for the dataset's own number"
        )


def generate(
    settings: Settings, test_examples: int = 0, units: tuple[float, float] | None = None
) -> tuple[Split, Split]:
    """Makes the train and the test split: float32 (n, final_seq_length), int32 labels (n,).

    As published, train and test are standardised together, and classes are balanced over both.
    `units` are the mean and the standard deviation to standardise by instead.
    With test_examples the test split is instead drawn by seed + 1, from the same templates, in the
    same point order and with the same constants; classes take turns. So training data stay as they
    are, no test signal occurs in them, and a larger test split begins with the smaller ones.
    """
    random = np.random.RandomState(settings.seed)
    signals, labels = _published(random, settings)
    points = np.arange(settings.final_seq_length)
    if settings.shuffle_seq:
        points = random.permutation(settings.final_seq_length)
    mean, std = units or (signals.mean(), signals.std())

    def split(signals: np.ndarray, labels: np.ndarray) -> Split:
        standard = (signals[:, points] - mean) / std
        return Split(standard.astype(np.float32), labels.astype(np.int32))

    cut = int(len(labels) * settings.train_split)
    train, test = split(signals[:cut], labels[:cut]), split(signals[cut:], labels[cut:])
    if test_examples:
        labels = np.arange(test_examples) % NUM_CLASSES
        random = np.random.RandomState(settings.seed + 1)
        test = split(_draw_signals(random, labels, settings), labels)
    return train, test


def standardisation(settings: Settings) -> tuple[float, float]:
    """Mean and standard deviation that `generate` subtracts and divides by, in template units."""
    signals, _ = _published(np.random.RandomState(settings.seed), settings)
    return float(signals.mean()), float(signals.std())


def _published(random: np.random.RandomState, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    # Train and test together, in their final order and still in template units.
    labels = np.repeat(np.arange(NUM_CLASSES), settings.num_samples // NUM_CLASSES)
    signals = _draw_signals(random, labels, settings)
    order = random.permutation(len(labels))
    return signals[order], labels[order]


def _draw_signals(
    random: np.random.RandomState, labels: np.ndarray, settings: Settings
) -> np.ndarray:
    # The draws keep the published order, signal by signal; the arithmetic runs over all at once.
    n, width = len(labels), settings.width
    size, amplitude, slope = np.empty((3, n))
    shift = np.empty((n, 1), dtype=int)
    noise = np.empty((n, 2, width))
    for i in range(n):
        size[i], amplitude[i] = random.random_sample(2)
        shift[i] = random.randint(settings.max_translation)
        noise[i] = random.standard_normal((2, width))
        slope[i] = random.random_sample()

    low, high = settings.padding
    signals = stretched_templates(settings)[labels, (size * (high - low + 1)).astype(int)]
    signals *= 1 + settings.scale_coeff * (amplitude[:, None] - 0.5)
    signals = np.take_along_axis(signals, (np.arange(width) - shift) % width, axis=1)
    background = _smooth(settings.corr_noise_scale * noise[:, 0])
    signals = np.where(signals == 0, background, signals)
    signals += settings.iid_noise_scale * noise[:, 1]
    signals -= settings.shear_scale * (slope[:, None] - 0.5) * np.linspace(-0.5, 0.5, width)
    return _resample(signals, settings.final_seq_length)


def stretched_templates(settings: Settings) -> np.ndarray:
    """Every shape a signal can start from: float64 (class, padding - lowest padding, width).

    In template units; exactly 0 where, and only where, there is padding.
    """
    x = np.asarray(settings.strokes, dtype=np.float64)
    x = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    x = (x - x[:, :1]) / 6 + EPSILON
    low, high = settings.padding
    paddings = range(low, high + 1)
    padded = (np.pad(x, ((0, 0), (0, zeros))) for zeros in paddings)
    return np.stack([_resample(signals, settings.width) for signals in padded], axis=1)


def _resample(signals: np.ndarray, length: int) -> np.ndarray:
    # Linear interpolation along the last axis, ends kept.
    left, distance, gap = neighbours(signals.shape[-1], length)
    slope = (signals[..., left + 1] - signals[..., left]) / gap
    return signals[..., left] + slope * distance


def neighbours(old_length: int, new_length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where new points lie between old ones when both spread evenly over [0, 1].

    Returns, for each new point, the index of the old one at its left, the distance to it, and the
    gap between that one and the next.
    """
    old, new = np.linspace(0, 1, old_length), np.linspace(0, 1, new_length)
    left = np.searchsorted(old, new, side="right").clip(max=old_length - 1) - 1
    return left, new - old[left], old[left + 1] - old[left]


def smoothing_weights(sigma: float = 2.0, radius: int = 8) -> np.ndarray:
    """A Gaussian cut at 4 sigma: weights of the point itself and of its neighbours on one side."""
    weights = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    return weights / (weights[0] + 2 * weights[1:].sum())


def _smooth(noise: np.ndarray) -> np.ndarray:
    # Edges are mirrored, edge point included.
    weights = smoothing_weights()
    radius, width = len(weights) - 1, noise.shape[-1]
    padded = np.pad(noise, ((0, 0), (radius, radius)), mode="symmetric")
    total = weights[0] * noise
    for k in range(1, radius + 1):
        left, right = radius - k, radius + k
        total += weights[k] * (padded[:, left : left + width] + padded[:, right : right + width])
    return total
