"""Chirps: spectrograms of made-up bird calls, a stand-in for recordings of real ones."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minima.tasks.datasets.dataset import Dataset, Split, assemble
from minima.tasks.datasets.spectrogram import RATE, SAMPLES, read_recordings, spectrogram

NAME = "chirps"
TRAIN, TEST, SEED = 1200, 600, 20
Curve = Callable[[np.ndarray], np.ndarray]  # of time within a call, 0 to 1


def _steady(u: np.ndarray) -> np.ndarray:
    return np.ones_like(u)


@dataclass(frozen=True)
class Species:
    """What tells a species: how its pitch moves, 0 to 1, and when it sounds, 0 to 1."""

    name: str
    pitch: Curve
    loudness: Curve = _steady


# All share one range of pitches, lengths and loudness: only the shape of the call tells them apart.
SPECIES = (
    Species("rise", lambda u: u),
    Species("fall", lambda u: 1 - u),
    Species("arch", lambda u: 1 - np.abs(2 * u - 1)),
    Species("valley", lambda u: np.abs(2 * u - 1)),
    Species("warble", lambda u: 0.5 + 0.5 * np.sin(2 * np.pi * 5 * u)),
    Species("two notes", lambda u: (u > 0.5).astype(np.float64)),
    Species("trill", lambda u: 0.5 * _steady(u), lambda u: (u * 8 % 1 < 0.5).astype(np.float64)),
    Species("stutter", lambda u: u * 4 % 1),
)


def load_chirps(data_dir: str, validation_fraction: float) -> Dataset:
    """Spectrograms of bird calls: uint8 images (n, 64 bands, 64 frames); see `spectrogram`.

    Without data_dir: 1,200 training and 600 test calls of eight made-up species, generated and
    marked as a stand-in. With data_dir: your own recordings, DIR/SPECIES/*.wav (PCM of 16 bits),
    of which a quarter is the test set. Raises UserError if those can't be read.
    """
    if data_dir:
        where = f"--data_dir {data_dir!r}"
        train, test, names = read_recordings(data_dir, where)
        classes, licence, source = len(names), "not stated", f"recordings of {', '.join(names)}"
    else:
        (train, test), classes = generate(), len(SPECIES)
        licence, source = "none needed: generated", f"generated, seed {SEED}"
    return assemble(
        NAME,
        train,
        test,
        num_classes=classes,
        kind="image",
        validation_fraction=validation_fraction,
        licence=licence,
        source=source,
        stand_in=not data_dir,
    )


@functools.cache
def generate(train: int = TRAIN, test: int = TEST, seed: int = SEED) -> tuple[Split, Split]:
    """The train and the test split; species take turns, and each split has a stream of its own."""
    return _draw(train, seed), _draw(test, seed + 1)


def call(species: Species, random: np.random.RandomState) -> np.ndarray:
    """One second with one call in it: (16000,) float64.

    The call is 0.35 to 0.75 s long, between 1 and 6 kHz, with some of its octave, over noise
    and a faint steady whistle from somewhere else.
    """
    low, span = random.uniform(1000, 3500), random.uniform(800, 2500)  # Hz
    length = int(RATE * random.uniform(0.35, 0.75))
    start = random.randint(SAMPLES - length + 1)
    overtone, hiss, whistle = random.uniform((0.0, 0.02, 0.0), (0.3, 0.3, 0.3))
    u = np.arange(length) / length
    hertz = low + span * species.pitch(u)
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    overtone = overtone * (2 * hertz < RATE / 2)  # what is above can't be sampled
    swell = np.sqrt(np.sin(np.pi * u)) * species.loudness(u)  # no click at either end
    sound = hiss * random.standard_normal(SAMPLES)
    time = np.arange(SAMPLES) / RATE
    sound += whistle * np.sin(2 * np.pi * random.uniform(500, 7500) * time)
    sound[start : start + length] += swell * (np.sin(phase) + overtone * np.sin(2 * phase))
    return sound


def _draw(count: int, seed: int) -> Split:
    random = np.random.RandomState(seed)
    labels = np.arange(count) % len(SPECIES)
    images = [spectrogram(call(SPECIES[label], random)) for label in labels]
    return Split(np.stack(images), labels.astype(np.int32))
