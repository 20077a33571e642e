"""A Markov source: sequences whose least possible loss is known exactly."""

from dataclasses import dataclass

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.dataset import Dataset, Split, assemble, token_dtype

TICKETS = 64  # a power of two, so that probabilities and their sums are exact


@dataclass(frozen=True)
class Settings:
    """The benchmark's settings.

    num_symbols: at most 64. num_train, num_test: windows. seed: of everything; 2 was picked for a
        typical test set, whose loss under the source itself is 0.2 standard errors off the entropy.
    """

    num_symbols: int = 16
    num_train: int = 20_000
    num_test: int = 4_000
    seed: int = 2


def load_markov(settings: Settings, window: int, validation_fraction: float) -> Dataset:
    """Makes windows (n, T) of a stationary order-1 Markov chain, labelled by the next symbols.

    What a symbol is followed by depends on that symbol alone, and the first prediction of a window
    is made from its first symbol. So at each of the T positions the least possible expected loss is
    the same: the chain's conditional entropy, the dataset's `entropy`.
    Raises UserError if window or validation_fraction does not fit.
    """
    if window < 1:
        raise UserError(f"--window {window}: must be 1 or more symbols, e.g. 64")
    matrix = transition_matrix(settings)
    return assemble(
        "markov",
        _draw(matrix, settings.num_train, window, settings.seed + 1),
        _draw(matrix, settings.num_test, window, settings.seed + 2),
        num_classes=settings.num_symbols,
        kind="tokens",
        validation_fraction=validation_fraction,
        licence="none needed: generated numbers",
        source=f"generated, seed {settings.seed}",
        entropy=conditional_entropy(matrix),
    )


def transition_matrix(settings: Settings) -> np.ndarray:
    """Probabilities (from, to): each row deals 64 tickets, one to every symbol at least.

    The later the row, the fewer symbols get the rest: the first says little about what follows it,
    the last says much.
    """
    random = np.random.RandomState(settings.seed)
    n = settings.num_symbols
    tickets = np.ones((n, n))
    for i, row in enumerate(tickets):
        favourites = random.permutation(n)
        dealt = (n * random.random_sample(TICKETS - n) ** (1 + i)).astype(int)
        row += np.bincount(favourites[dealt], minlength=n)
    return tickets / TICKETS


def stationary(matrix: np.ndarray) -> np.ndarray:
    """The distribution that one step of the chain leaves as it is; unique, as no entry is 0."""
    n = len(matrix)
    equations = np.vstack([matrix.T - np.eye(n), np.ones(n)])
    return np.linalg.lstsq(equations, np.append(np.zeros(n), 1), rcond=None)[0]


def conditional_entropy(matrix: np.ndarray) -> float:
    """Nats per symbol, given the symbol before it."""
    return float(-stationary(matrix) @ (matrix * np.log(matrix)).sum(axis=1))


def _draw(matrix: np.ndarray, count: int, window: int, seed: int) -> Split:
    # All sequences take a step at once, so longer windows begin with the shorter ones.
    random = np.random.RandomState(seed)
    bounds = matrix.cumsum(axis=1)
    tokens = np.empty((count, window + 1), token_dtype(len(matrix)))
    tokens[:, 0] = np.searchsorted(
        stationary(matrix).cumsum()[:-1], random.random_sample(count), side="right"
    )
    for t in range(window):
        draws = random.random_sample((count, 1))
        tokens[:, t + 1] = (bounds[tokens[:, t]] <= draws).sum(axis=1)
    return Split(tokens[:, :-1], tokens[:, 1:].astype(np.int32))
