"""Ambient music as tokens: loops of 1, 10 and 30 seconds. A stand-in for recordings.

Tape loops of unequal lengths, as in Brian Eno's ambient records: each of three voices plays one
note a second and repeats what it played a loop ago, except that now and then a note is replaced by
another one of the key. So what the music owes to the last second, the last ten and the last thirty
is known exactly, and so is the least possible loss.
"""

from dataclasses import dataclass

import numpy as np

from minima.tasks.datasets.dataset import Dataset, Split, assemble

LOOPS = (1, 10, 30)  # seconds, one a voice: a drone, a phrase, a theme
NOTES_PER_SECOND = len(LOOPS)  # the voices take turns
PITCHES = 12  # semitones of an octave; each voice has an octave of its own
SCALE = (0, 2, 4, 7, 9)  # major pentatonic, above the key note
SYMBOLS = NOTES_PER_SECOND * PITCHES
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
LOWEST_OCTAVE = 3


@dataclass(frozen=True)
class Settings:
    """The stand-in's settings.

    num_train, num_test: pieces. change: probability that a note of a loop is drawn anew in its
    key, which may be the old one. seed: of everything.
    """

    num_train: int = 6_000
    num_test: int = 500
    change: float = 0.1
    seed: int = 8


def load_ambient(window: int, validation_fraction: float) -> Dataset:
    """Makes pieces (n, T) of NOTES_PER_SECOND tokens a second, labelled by the notes that follow.

    Every piece starts its own loops, in one of 12 keys. Raises UserError if validation_fraction
    does not fit.
    """
    settings = Settings()
    train, test = (
        draw(count, window + 1, settings, settings.seed + k)
        for k, count in enumerate((settings.num_train, settings.num_test))
    )
    return assemble(
        "ambient",
        _split(train),
        _split(test),
        num_classes=SYMBOLS,
        kind="tokens",
        validation_fraction=validation_fraction,
        licence="none needed: generated numbers",
        source=f"generated loops, seed {settings.seed}; a stand-in for recorded music",
        stand_in=True,
        vocabulary=tuple(f"{NAMES[note % PITCHES]}{octave(note)}" for note in range(SYMBOLS)),
    )


def draw(count: int, length: int, settings: Settings, seed: int) -> np.ndarray:
    """Pieces (count, length) uint8: token t is a note of voice t modulo the number of voices."""
    random = np.random.RandomState(seed)
    scales = (random.randint(PITCHES, size=(count, 1)) + np.array(SCALE)) % PITCHES
    tokens = np.empty((count, length), np.uint8)
    for t in range(length):
        voice = t % NOTES_PER_SECOND
        fresh = scales[np.arange(count), random.randint(len(SCALE), size=count)]
        fresh = voice * PITCHES + fresh
        replaced = random.random_sample(count) < settings.change
        lag = lag_of(voice)
        tokens[:, t] = fresh if t < lag else np.where(replaced, fresh, tokens[:, t - lag])
    return tokens


def lag_of(voice: int) -> int:
    """Tokens after which a voice repeats itself."""
    return LOOPS[voice] * NOTES_PER_SECOND


def octave(token: int) -> int:
    """The octave that a token's voice plays in: the longer its loop, the lower."""
    return LOWEST_OCTAVE + NOTES_PER_SECOND - 1 - token // PITCHES


def source_losses(tokens: np.ndarray, settings: Settings, memory: int = 0) -> np.ndarray:
    """Loss in nats of whoever knows how pieces are made, for each token given those before it.

    It follows by Bayes' rule from what the twelve keys make of the tokens heard; no model that
    hears as much can do better on average. With `memory` those are so many tokens back and no more:
    a loop that began before them is news, and the key is what they tell of it.

    Args:
      tokens: (n, length) pieces.
      settings: how they were made.
      memory: tokens; 0 for all.

    Returns:
      (n, length) float64.
    """
    length = tokens.shape[1]
    in_key = np.zeros((PITCHES, PITCHES))  # (key, pitch): probability of a fresh note
    for key in range(PITCHES):
        in_key[key, (key + np.array(SCALE)) % PITCHES] = 1 / len(SCALE)
    fresh = np.moveaxis(in_key[:, tokens % PITCHES], 0, 2)  # (n, length, key)
    repeated = fresh.copy()  # where what was played a loop ago is heard
    lags = [lag_of(t % NOTES_PER_SECOND) for t in range(length)]
    for t, lag in enumerate(lags):
        if t >= lag:
            same = tokens[:, t] == tokens[:, t - lag]
            repeated[:, t] = settings.change * fresh[:, t] + (1 - settings.change) * same[:, None]
    losses = np.empty(tokens.shape)
    for t in range(length):
        begin = max(0, t - memory) if memory else 0
        heard = np.array([i - lags[i] >= begin for i in range(begin, t + 1)])[:, None]
        chances = np.where(heard, repeated[:, begin : t + 1], fresh[:, begin : t + 1])
        with np.errstate(divide="ignore"):  # a key that does not hold a note
            belief = np.log(chances[:, :-1]).sum(axis=1)
        belief = np.exp(belief - belief.max(axis=1, keepdims=True))
        losses[:, t] = -np.log((belief * chances[:, -1]).sum(axis=1) / belief.sum(axis=1))
    return losses


def _split(tokens: np.ndarray) -> Split:
    return Split(tokens[:, :-1], tokens[:, 1:].astype(np.int32))
