"""Systems that train on what they caused: patrols that find crime where they look, and exposure.

Many worlds are simulated side by side, one row each, from one seed.
"""

import numpy as np
from numpy.typing import ArrayLike

from minima.evaluation import arrays
from minima.evaluation.arrays import Floats
from minima.runtime.errors import UserError


def patrol_shares(
    rates: ArrayLike,
    days: int,
    worlds: int,
    corrected: bool = False,
    start: ArrayLike | None = None,
    seed: int = 0,
) -> Floats:
    """Where patrols go after many days, if they go where crime was found (Ensign et al. 2018).

    Every day one area is drawn in proportion to what was found there so far; with its rate a crime
    is found, and counts. With equal rates that is Pólya's urn, whose share has a Beta limit,
    uniform for two areas and a start of (1, 1): it settles anywhere. Corrected, a find counts less
    the more often patrols come there (`patrols.Patrols`), so that shares follow rates.

    Args:
      rates: (areas,) in [0, 1]: how often a patrol finds crime.
      days: how long.
      worlds: how many.
      corrected: whether finds are discounted.
      start: (areas,) counts before the first day; ones for None.
      seed: of all draws.

    Returns:
      (worlds, areas) shares.

    Raises:
      UserError: rates that are none, or one area.
    """
    r = arrays.finite(rates, "rates")
    if r.ndim != 1 or len(r) < 2 or ((r < 0) | (r > 1)).any():
        raise UserError("rates: give a number from 0 to 1 for each of two areas or more")
    # They bring JAX, which a mean over shown items does without.
    from minima.evaluation.lanes import simulate
    from minima.evaluation.patrols import BLOCK, Beat, Patrols

    begin = np.ones(len(r)) if start is None else arrays.finite(start, "start")
    lanes = Beat(
        seed=np.full(worlds, seed, np.int32),
        world=np.arange(worlds, dtype=np.int32),
        rates=np.tile(r.astype(np.float32), (worlds, 1)),
        start=np.tile(begin.astype(np.float32), (worlds, 1)),
        correction=np.full(worlds, float(corrected), np.float32),
    )
    counts = simulate(Patrols(days), lanes, BLOCK)[:, -1].astype(np.float64)
    return counts / counts.sum(axis=1, keepdims=True)


def gini(exposure: ArrayLike) -> float:
    """How unequally exposure falls on items: 0 for equally, 1 - 1 / n for all on one.

    Args:
      exposure: (items,) from 0 up.

    Raises:
      UserError: a negative one, or none at all.
    """
    x = np.sort(_exposure(exposure))
    n = len(x)
    return float((2 * np.arange(1, n + 1) - n - 1) @ x / (n * x.sum()))


def coverage(exposure: ArrayLike, least: float = 0.0) -> float:
    """The share of items that are shown more than `least` times.

    Raises:
      UserError: as `gini`.
    """
    return float((_exposure(exposure) > least).mean())


def effective_items(exposure: ArrayLike) -> float:
    """How many items, equally shown, would be as diverse: the exponential of Shannon's entropy.

    Raises:
      UserError: as `gini`.
    """
    p = _exposure(exposure)
    p = p[p > 0] / p.sum()
    return float(np.exp(-(p * np.log(p)).sum()))


def homogeneity(shown: ArrayLike) -> float:
    """How alike the lists of users are: mean Jaccard index of all pairs (Chaney et al. 2018).

    Args:
      shown: (users, items) whether a user was shown an item.

    Raises:
      UserError: another shape, fewer than two users, or one who was shown nothing.
    """
    lists = arrays.finite(shown, "shown") > 0
    if lists.ndim != 2 or len(lists) < 2 or not lists.any(axis=1).all():
        raise UserError("shown: give (two users or more, items), each with an item that was shown")
    x = lists.astype(np.float64)
    both = x @ x.T
    sizes = np.diag(both)
    jaccard = both / (sizes[:, None] + sizes[None, :] - both)
    pairs = np.triu_indices(len(x), 1)
    return float(jaccard[pairs].mean())


def inverse_propensity(
    outcomes: ArrayLike, shown: ArrayLike, propensity: ArrayLike, clip: float = 0.0
) -> float:
    """The mean outcome over everybody from those who were shown, each over its own probability.

    Self-normalised (Swaminathan and Joachims 2015): bounded by the outcomes, a little biased.

    Args:
      outcomes: (n,); what is not shown may be anything, NaN too.
      shown: (n,) 0 or 1.
      propensity: (n,) probability of being shown, above 0 where shown.
      clip: propensities below this count as this: less variance, more bias.

    Raises:
      UserError: arrays that don't fit, or nothing was shown.
    """
    s = arrays.decisions(shown, "shown")
    p, y = arrays.finite(propensity, "propensity"), arrays.numbers(outcomes, "outcomes")
    arrays.same_length(len(s), {"propensity": p, "outcomes": y})
    if not s.any() or (p[s] <= 0).any():
        raise UserError("propensity: must be above 0 for what was shown, and something be shown")
    weights = 1 / np.maximum(p[s], clip)
    return float(weights @ y[s] / weights.sum())


def _exposure(exposure: ArrayLike) -> Floats:
    x = arrays.finite(exposure, "exposure")
    if x.ndim != 1 or (x < 0).any() or not x.sum() > 0:
        raise UserError("exposure: give one number from 0 up per item, one of them above 0")
    return x
