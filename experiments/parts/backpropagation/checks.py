"""Gradients against finite differences in float64, weight by weight, for every family.

For each weight a ladder of central differences, each with a step a quarter of the one before, is
extrapolated (Richardson), which leaves an error of the fourth order in the step. Of the ladder
those two neighbours are taken that differ least, which looks at no gradient: steps too large
cross a kink of ReLU or of a maximum, or see the fourth order; steps too small see rounding.
Where even those differ by more than a tenth of what is to be shown, finite differences can't tell,
and the weight is left out and counted.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from minima.landscape.precision import arithmetic
from minima.record.kept import Kept
from minima.tasks.training_loss import training_loss
from parts.backpropagation.config import PriceConfig
from parts.backpropagation.families import Family

LARGEST, RUNGS = 2.0**-6, 9  # of the ladder; powers of two, so that steps are exact
SHOWN = 1e-6  # relative error, at most
_SILENT = 1e-9  # of the whole gradient's root mean square: a tensor that no error reaches


@dataclass(frozen=True)
class Check:
    """How far a family's gradients are from finite differences.

    Attributes:
      family: its name.
      error: of the worst tensor: root mean square of the difference, relative to the gradient's.
      tensors: that were checked.
      weights: that were checked.
      kinks: weights left out, since no two steps agree.
      silent: tensors whose drawn weights have no gradient, by either way.
    """

    family: str
    error: float
    tensors: int
    weights: int
    kinks: int
    silent: int


def checks(config: PriceConfig, found: list[Family], kept: Kept) -> list[Check]:
    """Of every family."""
    return [
        Check(each.name, *kept.get(partial(_check, each, config), check=each.name))
        for each in found
    ]


def compare(slopes: np.ndarray, ladder: np.ndarray, scale: float) -> tuple[float, int, int] | None:
    """One tensor's weights by both ways.

    Args:
      slopes: (n,) by backpropagation.
      ladder: (n, rungs) of central differences, steps falling by a factor of four.
      scale: what counts as no gradient at all.

    Returns:
      Relative error, weights that it is of, weights left out; None where there is no gradient.
    """
    better = (16 * ladder[:, 1:] - ladder[:, :-1]) / 15
    apart = np.abs(np.diff(better, axis=1))
    rows, best = np.arange(len(slopes)), np.argmin(apart, axis=1)
    near, doubt = better[rows, best + 1], apart[rows, best]
    size = np.sqrt(np.mean(np.square(near)))
    if max(size, np.abs(slopes).max()) <= scale:
        return None
    sure = doubt <= 0.1 * SHOWN * size
    if not sure.any():
        return np.nan, 0, len(slopes)
    error = float(np.sqrt(np.mean(np.square((slopes - near)[sure]))) / size)
    return error, int(sure.sum()), int((~sure).sum())


def _check(family: Family, config: PriceConfig) -> list[Any]:
    with arithmetic("float64"):
        loss = training_loss(family.model("float64"))
        params, state = family.start("float64")
        inputs, labels = family.batch(config.check_examples, "float64")
        weights, unravel = ravel_pytree(params)

        def forward(weights: jax.Array) -> jax.Array:
            return loss(unravel(weights), state, inputs, labels)

        def difference(where: tuple[jax.Array, jax.Array]) -> jax.Array:
            place, step = where
            up, down = (forward(weights.at[place].add(sign * step)) for sign in (1, -1))
            return (up - down) / (2 * step)

        drawn = _drawn(params, config.weights_checked)
        places, steps = np.concatenate(drawn), LARGEST * 0.25 ** np.arange(RUNGS)
        pairs = (np.repeat(places, RUNGS), np.tile(steps, len(places)))
        ladder = np.asarray(jax.jit(lambda pairs: jax.lax.map(difference, pairs))(pairs))
        slopes = np.asarray(jax.jit(jax.grad(forward))(weights))
    scale = _SILENT * float(np.sqrt(np.mean(np.square(slopes))))
    rows = np.split(ladder.reshape(-1, RUNGS), np.cumsum([len(d) for d in drawn])[:-1])
    found = [compare(slopes[d], row, scale) for d, row in zip(drawn, rows, strict=True)]
    known = [each for each in found if each is not None]
    return [
        float(np.nanmax([error for error, _, _ in known])),
        sum(sure > 0 for _, sure, _ in known),
        sum(sure for _, sure, _ in known),
        sum(unsure for _, _, unsure in known),
        len(found) - len(known),
    ]


def _drawn(params: Any, count: int) -> list[np.ndarray]:
    """Of each tensor, places in the vector of all weights; without repetition, seeded."""
    random, start, drawn = np.random.RandomState(0), 0, []
    for leaf in jax.tree.leaves(params):
        chosen = random.permutation(leaf.size)[:count]
        drawn.append(start + np.sort(chosen))
        start += leaf.size
    return drawn
