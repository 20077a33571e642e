"""A needle in noise: what one symbol was, told at the end of a sequence, any distance later."""

from dataclasses import dataclass

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.dataset import Dataset, Split, assemble, token_dtype

PREFIX = "needle:"


@dataclass(frozen=True)
class Settings:
    """The benchmark's settings.

    num_symbols: of noise and needles alike; the class is one of them, so chance is 1 in so many.
    num_train, num_test: sequences. seed: of everything.
    """

    num_symbols: int = 8
    num_train: int = 20_000
    num_test: int = 4_000
    seed: int = 5


def load_needle(
    distance: str, window: int, validation_fraction: float, settings: Settings | None = None
) -> Dataset:
    """Makes sequences (n, T) of noise in which a marker says which symbol to remember.

    The symbol after the marker is the class; `distance` more symbols follow it, and the sequence
    ends there. So a network that reads in order must keep it for `distance` steps. Noise is of the
    same symbols, so counting them tells next to nothing. Sequences of two distances differ in
    where the needle lies, and in nothing else: noise and classes are the same.

    Args:
      distance: a number from 1 to window - 2, as text.
      window: tokens of a sequence.
      validation_fraction: share of the training sequences.
      settings: the published ones if None.

    Raises:
      UserError: a distance or fraction that does not fit.
    """
    settings = settings or Settings()
    steps = _distance(distance, window)
    random = np.random.RandomState(settings.seed)
    train, test = (
        _draw(random, count, window, steps, settings.num_symbols)
        for count in (settings.num_train, settings.num_test)
    )
    return assemble(
        f"{PREFIX}{steps}",
        train,
        test,
        num_classes=settings.num_symbols,
        kind="tokens",
        validation_fraction=validation_fraction,
        licence="none needed: generated numbers",
        source=f"generated, seed {settings.seed}",
        vocabulary=(*map(str, range(settings.num_symbols)), "marker"),
    )


def _distance(text: str, window: int) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= window - 2):
        raise UserError(
            f"--dataset '{PREFIX}{text}': the distance must be a number from 1 to {window - 2}, "
            f"since a marker, the needle and what follows fill a --window of {window}"
        )
    return int(text)


def _draw(
    random: np.random.RandomState, count: int, window: int, steps: int, symbols: int
) -> Split:
    tokens = random.randint(symbols, size=(count, window)).astype(token_dtype(symbols + 1))
    needles = random.randint(symbols, size=count)
    tokens[:, window - 2 - steps] = symbols
    tokens[:, window - 1 - steps] = needles
    return Split(tokens, needles.astype(np.int32))
