"""How coherent music is at a lag: do notes come back after so many seconds, more than by chance?

Everything is pure NumPy on tokens, so that any music can be scored: what networks write, what they
were trained on, or noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from minima.claims.evidence import Floats
from minima.runtime.errors import UserError
from minima.tasks.datasets import ambient
from minima.tasks.datasets.dataset import Dataset
from parts.long_range_coherence.config import AMBIENT, SECONDS

LEAST_ERRORS = 5.0  # standard errors above chance that the source itself must show


@dataclass(frozen=True)
class Lag:
    """Where coherence at a lag is looked for.

    Attributes:
      seconds, notes: the lag.
      voices: that take turns in the music; the lag is a whole number of turns.
      voice: whose notes count.
    """

    seconds: int
    notes: int
    voices: int = 1
    voice: int = 0


def lags(dataset: str, notes_per_second: int) -> tuple[Lag, ...]:
    """The stand-in's voices each have the loop of one lag; other music has one voice."""
    voices = ambient.NOTES_PER_SECOND if dataset == AMBIENT else 1
    return tuple(
        Lag(seconds, seconds * notes_per_second, voices, i if voices > 1 else 0)
        for i, seconds in enumerate(SECONDS)
    )


def excess(pieces: np.ndarray, lag: Lag) -> Floats:
    """By how much more often notes come back after a lag than if a piece's notes were shuffled.

    Args:
      pieces: (..., length) tokens.
      lag: at which, and of which voice.

    Returns:
      (...,) differences of shares, within [-1, 1]. Expected to be 0 for notes in random order, and
      exactly 0 where all notes are the same: monotony is not coherence.
    """
    notes = pieces[..., lag.voice :: lag.voices]
    apart = lag.notes // lag.voices
    length = notes.shape[-1]
    again = (notes[..., apart:] == notes[..., :-apart]).mean(axis=-1)
    same = (notes[..., :, None] == notes[..., None, :]).sum(axis=(-2, -1))
    shuffled = (same - length) / (length * (length - 1))
    found: Floats = again - shuffled
    return found


@dataclass(frozen=True)
class Source:
    """The music itself: what scores are relative to.

    Attributes:
      pieces: (n, length) of its test set, whole pieces with their last note.
      lags: at which it is coherent.
      excess: its own at each lag.
      shuffled: that of its notes in random order, in units of its own: noise.
    """

    pieces: np.ndarray
    lags: tuple[Lag, ...]
    excess: tuple[float, ...]
    shuffled: tuple[float, ...]

    @classmethod
    def of(cls, dataset: Dataset, name: str, notes_per_second: int) -> "Source":
        """Raises UserError where the music itself repeats nothing at a lag."""
        test = dataset.test
        pieces = np.concatenate([test.inputs, test.labels[:, -1:]], axis=1).astype(np.int32)
        where, own, noise = lags(name, notes_per_second), [], []
        for lag in where:
            each = excess(pieces, lag)
            error = each.std(ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.inf
            if not each.mean() > LEAST_ERRORS * error:
                raise UserError(
                    f"--dataset={name}: its own notes do not come back after {lag.seconds} s "
                    f"({lag.notes} notes) more than by chance, so that there is no coherence to "
                    "learn; check --notes_per_second, or use other music"
                )
            own.append(float(each.mean()))
            noise.append(float(excess(_shuffled(pieces, lag), lag).mean()) / own[-1])
        return cls(pieces, where, tuple(own), tuple(noise))

    @property
    def length(self) -> int:
        """Notes of a piece."""
        return int(self.pieces.shape[1])

    def coherence(self, written: np.ndarray) -> Floats:
        """(seeds, lags): 0 for a piece's notes in random order, 1 for the music itself.

        written: (seeds, pieces, length) tokens.
        """
        columns = [
            excess(written, lag).mean(axis=-1) / own
            for lag, own in zip(self.lags, self.excess, strict=True)
        ]
        return np.stack(columns, axis=-1)


def _shuffled(pieces: np.ndarray, lag: Lag) -> np.ndarray:
    """Every piece with the notes of the lag's voice in random order."""
    random, mixed = np.random.RandomState(0), pieces.copy()
    notes = mixed[:, lag.voice :: lag.voices]
    order = random.random_sample(notes.shape).argsort(axis=1)
    mixed[:, lag.voice :: lag.voices] = np.take_along_axis(notes, order, axis=1)
    return mixed


@dataclass(frozen=True)
class Written:
    """What one network wrote, and how well it knows the music.

    Attributes:
      pieces: (seeds, pieces, length) tokens.
      coherence: (seeds, lags).
      loss: (seeds,) on the test set, nats a note.
      rate: its learning rate.
      parameters: how many it has.
      memory: notes that it can hear back; 0 for all of the piece.
    """

    pieces: np.ndarray
    coherence: Floats
    loss: Floats
    rate: float
    parameters: int
    memory: int


def least_losses(source: Source, found: Mapping[str, Written]) -> dict[str, float]:
    """Loss on the same test notes of whoever knows how the stand-in is made, hearing as far."""
    least = {}
    for name, written in found.items():
        losses = ambient.source_losses(source.pieces, ambient.Settings(), written.memory)
        least[name] = float(losses[:, 1:].mean())
    return least
