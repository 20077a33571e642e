"""Pieces as sound: WAV files that any player takes, from the standard library alone."""

import io
import wave

import numpy as np

from minima.tasks.datasets import ambient

RATE = 8_000  # samples a second
_RING = 2.0  # seconds that a note rings
_DECAY = 0.6  # seconds until it is a third as loud
_A4, _A4_PITCH = 440.0, 9 + 12 * 4  # Hz; semitones above C0
_LOUD = 0.8  # of full scale, the loudest sample


def pitch(token: int) -> int:
    """Of a note of the stand-in, in semitones above C0."""
    return token % ambient.PITCHES + ambient.PITCHES * ambient.octave(token)


def frequency(token: int) -> float:
    """Of a note, in Hz, in equal temperament."""
    return float(_A4 * 2 ** ((pitch(token) - _A4_PITCH) / 12))


def to_wav(tokens: np.ndarray, notes_per_second: int) -> bytes:
    """One piece (length,) of the stand-in as a mono WAV file of 16 bits."""
    start = np.arange(len(tokens)) * RATE // notes_per_second
    time = np.arange(int(_RING * RATE)) / RATE
    sound = np.zeros(start[-1] + len(time))
    envelope = np.exp(-time / _DECAY) * np.minimum(1, time / 0.02)
    for token in np.unique(tokens):
        tone = envelope * np.sin(2 * np.pi * frequency(int(token)) * time)
        for begin in start[tokens == token]:
            sound[begin : begin + len(time)] += tone
    samples = np.round(sound / np.abs(sound).max() * _LOUD * (2**15 - 1)).astype("<i2")
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return content.getvalue()
