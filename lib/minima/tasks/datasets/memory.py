"""The adding problem and the copying task: what comes early decides what is asked late."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.dataset import Dataset, Generator, Split, assemble, token_dtype

# (random, examples, steps) -> that many examples.
Draw = Callable[[np.random.RandomState, int, int], Split]

NUM_TRAIN, NUM_TEST = 2_500, 1_000
SEED = 0
TOLERANCE = 0.04  # Hochreiter & Schmidhuber 1997 count a sum within it as right
BASELINE = 1 / 6  # squared error of 1 for every sum: twice the variance 1/12 of U(0, 1)

NUM_SYMBOLS, COPIED = 8, 5
BLANK, RECALL = NUM_SYMBOLS, NUM_SYMBOLS + 1
CHANCE = float(np.log(NUM_SYMBOLS))  # nats: the least loss of what remembers nothing
LEAST_COPY = 2 * COPIED + 2


def load_adding(window: int, validation_fraction: float, generator: Generator) -> Dataset:
    """The adding problem over `window` steps: the sum of the two numbers that are marked.

    A step has two channels: a number from U(0, 1), and a mark, 1 at one step of the first half and
    at one of the second, else 0 (Hochreiter & Schmidhuber 1997 in the form of Arjovsky et al. 2016,
    arXiv:1511.06464). Who answers 1 to everything has a squared error of BASELINE. Inputs go into
    the model as they are, unstandardised, as published.

    Args:
      window: steps, 2 or more.
      validation_fraction: of the training sample.
      generator: draws training examples; train is a sample to measure on, and an epoch's size.

    Raises:
      UserError: window or validation_fraction does not fit.
    """
    if window < 2:
        raise UserError(f"--window {window}: the adding problem has two numbers or more; use 100")
    dataset = _assemble("adding", sums, window, validation_fraction, num_classes=1, kind="signal")
    return replace(dataset, mean=0.0, std=1.0, tolerance=TOLERANCE, generator=generator)


def load_copying(window: int, validation_fraction: float, generator: Generator) -> Dataset:
    """The copying task over `window` steps: the first COPIED symbols are asked for at the end.

    COPIED of NUM_SYMBOLS symbols, blanks, a sign to recall, and as many blanks again, under which
    the symbols are the labels, in their order; elsewhere labels are -1 (Hochreiter & Schmidhuber
    1997 in the form of Arjovsky et al. 2016, arXiv:1511.06464, who ask for blanks there). The least
    expected loss of what remembers nothing is CHANCE. Arguments and errors as in `load_adding`.
    """
    if window < LEAST_COPY:
        raise UserError(
            f"--window {window}: copying takes {LEAST_COPY} steps or more: {COPIED} symbols, a "
            f"blank, the sign to recall, {COPIED} answers; use e.g. 50"
        )
    options = {"num_classes": NUM_SYMBOLS + 2, "kind": "tokens"}
    dataset = _assemble("copying", copies, window, validation_fraction, **options)
    return replace(dataset, generator=generator)


def sums(random: np.random.RandomState, count: int, window: int) -> Split:
    """Draws `count` examples of the adding problem: (count, window, 2) and (count,), float32."""
    inputs = np.zeros((count, window, 2), np.float32)
    inputs[..., 0] = random.random_sample((count, window))
    rows, half = np.arange(count), window // 2
    marked = random.randint(0, half, count), random.randint(half, window, count)
    for column in marked:
        inputs[rows, column, 1] = 1
    return Split(inputs, sum(inputs[rows, column, 0] for column in marked))


def copies(random: np.random.RandomState, count: int, window: int) -> Split:
    """Draws `count` examples of the copying task: tokens and labels (count, window)."""
    symbols = random.randint(0, NUM_SYMBOLS, (count, COPIED))
    tokens = np.full((count, window), BLANK, token_dtype(NUM_SYMBOLS + 2))
    labels = np.full((count, window), -1, np.int32)
    tokens[:, :COPIED], tokens[:, -COPIED - 1], labels[:, -COPIED:] = symbols, RECALL, symbols
    return Split(tokens, labels)


def _assemble(
    name: str, draw: Draw, window: int, validation_fraction: float, **options: Any
) -> Dataset:
    return assemble(
        name,
        draw(np.random.RandomState(SEED), NUM_TRAIN, window),
        draw(np.random.RandomState(SEED + 1), NUM_TEST, window),
        validation_fraction=validation_fraction,
        licence="none needed: generated numbers",
        source=f"training examples drawn without end; the others generated, seed {SEED}",
        **options,
    )
