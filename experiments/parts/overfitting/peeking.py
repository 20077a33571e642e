"""What is gained by choosing on the test set: by the number reported, and in truth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minima.claims.evidence import Floats

SPLITS = 50  # random halves into what is peeked at and what nobody looks at


@dataclass(frozen=True)
class Peeking:
    """Per seed, in points of accuracy, means over SPLITS draws of the examples peeked at.

    Attributes:
      peeked: examples in the set that is peeked at.
      choices: configurations to choose from.
      optimism: (seeds,) reported less true accuracy of what was chosen on the peeked set.
      gained: (seeds,) true accuracy of that less true accuracy of what validation chose.
      honest: (seeds,) reported less true accuracy of what validation chose.
    """

    peeked: int
    choices: int
    optimism: Floats
    gained: Floats
    honest: Floats


def peek(
    hits: NDArray[np.bool_], validation: Floats, peeked: int, choices: int, seed: int = 0
) -> Peeking:
    """Chooses the best of some configurations on a part of the test set; the rest is the truth.

    The part is drawn anew for every split, so that how easy it happens to be averages out; which
    configurations there are to choose from, too.

    Args:
      hits: (configurations, seeds, examples) whether a test example was got right.
      validation: (configurations, seeds) validation accuracy in [0, 1]; higher is better.
      peeked: examples to choose on, fewer than there are.
      choices: configurations to choose from, at most all.
      seed: of the draws.
    """
    count, seeds, examples = hits.shape
    random = np.random.RandomState(seed)
    optimism, gained, honest = np.zeros((3, SPLITS, seeds))
    # Draws are each seed's own: what all shared would be luck that no interval over seeds sees.
    for split, s in np.ndindex(SPLITS, seeds):
        order = random.permutation(examples)
        some = np.sort(random.permutation(count)[:choices])
        mine = hits[some, s]
        reported = mine[:, order[:peeked]].mean(axis=1)
        true = mine[:, order[peeked:]].mean(axis=1)
        best, chosen = reported.argmax(), validation[some, s].argmax()
        optimism[split, s] = reported[best] - true[best]
        honest[split, s] = reported[chosen] - true[chosen]
        gained[split, s] = true[best] - true[chosen]
    means = [100 * each.mean(axis=0) for each in (optimism, gained, honest)]
    return Peeking(peeked, choices, *means)
