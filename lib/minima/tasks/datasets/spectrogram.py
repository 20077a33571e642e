"""From sound to images: spectrograms in decibels, and recordings read from folders of WAV files."""

import wave
from pathlib import Path

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.dataset import Split

RATE = 16_000  # samples per second
SAMPLES = RATE  # of a clip: one second
SIZE = 64  # frequency bands, and frames
_WINDOW, _HOP = 512, 245  # samples; 64 windows fill a clip
_RANGE_DB = 60.0  # below a clip's loudest point; what is fainter is 0
_TEST_SHARE = 4  # one recording of so many is for the test set
_LEAST_RECORDINGS = 5  # of a species: three to train, one to test, and one to validate


def spectrogram(clip: np.ndarray) -> np.ndarray:
    """One second of sound as an image: uint8 (bands, frames), the lowest band first.

    Power in 64 bands of 125 Hz and 64 Hann windows of 32 ms, in decibels: 255 is the clip's loudest
    point, 0 what lies 60 dB or more below it. Rounding to bytes also makes the image the same on
    every machine, where the last bit of a Fourier transform is not. Silence is all 0.

    Args:
      clip: (16000,) real samples, in any unit.
    """
    frames = np.lib.stride_tricks.sliding_window_view(clip, _WINDOW)[::_HOP][:SIZE]
    power = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW), axis=1)[:, 1:]) ** 2
    bands = power.reshape(SIZE, SIZE, -1).mean(axis=2).T
    loudest = bands.max()
    if loudest <= 0:
        return np.zeros((SIZE, SIZE), np.uint8)
    floor = 10 ** (-_RANGE_DB / 10)
    decibels = 10 * np.log10(np.maximum(bands / loudest, floor))
    return np.rint(255 * (1 + decibels / _RANGE_DB)).astype(np.uint8)


def read_recordings(folder: str, where: str) -> tuple[Split, Split, tuple[str, ...]]:
    """Spectrograms of DIR/SPECIES/*.wav, one of the loudest second of each file.

    Files are PCM of 16 bits, of any rate and number of channels. Species are numbered in
    alphabetical order; a quarter of each one's files, a seeded choice, is the test set.

    Returns (train, test, names of species). Raises UserError that opens with `where`: the folder
    holds fewer than two species or too few files of one, or a file can't be read.
    """
    root = Path(folder).expanduser()
    species = sorted(path for path in root.glob("*/") if any(path.glob("*.wav")))
    if len(species) < 2:
        raise UserError(
            f"{where}: holds {len(species)} folders with .wav files; it must hold one folder of "
            "recordings for each of two or more species"
        )
    parts: tuple[list[tuple[np.ndarray, int]], ...] = ([], [])
    for label, path in enumerate(species):
        files = sorted(path.glob("*.wav"))
        if len(files) < _LEAST_RECORDINGS:
            raise UserError(
                f"{where}: {path.name} has {len(files)} recordings; every species needs "
                f"{_LEAST_RECORDINGS} or more"
            )
        order = np.random.RandomState(label).permutation(len(files))
        for place, number in enumerate(order):
            image = spectrogram(loudest_second(_samples(files[number], where)))
            parts[place % _TEST_SHARE == 0].append((image, label))
    train, test = (_split(part) for part in parts)
    return train, test, tuple(path.name for path in species)


def loudest_second(samples: np.ndarray) -> np.ndarray:
    """The second with the most energy, on a grid of a tenth; a shorter clip is padded by zeros."""
    if len(samples) <= SAMPLES:
        return np.pad(samples, (0, SAMPLES - len(samples)))
    energy = np.concatenate([[0.0], np.cumsum(samples**2)])
    starts = np.arange(0, len(samples) - SAMPLES + 1, RATE // 10)
    start = starts[np.argmax(energy[starts + SAMPLES] - energy[starts])]
    return samples[start : start + SAMPLES]


def _split(examples: list[tuple[np.ndarray, int]]) -> Split:
    images, labels = zip(*examples, strict=True)
    return Split(np.stack(images), np.array(labels, np.int32))


def _samples(path: Path, where: str) -> np.ndarray:
    """A file's channels averaged, at 16 kHz."""
    what = f"{where}: {path.parent.name}/{path.name}"
    try:
        with wave.open(str(path), "rb") as file:
            bits, channels, rate = 8 * file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise UserError(f"{what} can't be read ({error}); it must be a PCM WAV file") from error
    if bits != 16:
        raise UserError(f"{what} has {bits} bits a sample; save it as PCM of 16 bits")
    whole = len(data) // (2 * channels) * 2 * channels
    if not whole:
        raise UserError(f"{what} holds no sound; leave it out")
    sound = np.frombuffer(data[:whole], "<i2").reshape(-1, channels).mean(axis=1)
    if rate == RATE:
        return sound
    from scipy.signal import resample_poly  # slow to import, and seldom needed

    divisor = np.gcd(RATE, rate)
    return np.asarray(resample_poly(sound, RATE // divisor, rate // divisor))
