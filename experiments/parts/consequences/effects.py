"""What kinds of minima do differently from the small batch's, paired by seed; and an A/A control.

Differences are judged by Student's paired test, those of one state together by Holm's correction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from minima.claims.evidence import Floats
from minima.statistics.intervals import Interval, t_interval
from minima.statistics.significance import holm
from parts.consequences.config import AGAIN, OTHERS, SMALL
from parts.consequences.outcomes import CONSEQUENCES

LEVEL = 0.05
Values = Mapping[str, Floats]  # by consequence, one number a seed; NaN where a run failed


@dataclass(frozen=True)
class Effect:
    """One consequence of one kind of minimum.

    Attributes:
      kind, consequence: which.
      difference: from the small batch's, mean over pairs with its 95 % interval.
      p: of the paired t test, on its own.
      adjusted: for all of its family together; that of the A/A control is its p.
      scale: standard deviation over seeds of the small batch at its end, to draw all on one axis.
    """

    kind: str
    consequence: str
    difference: Interval
    p: float
    adjusted: float
    scale: float

    @property
    def flagged(self) -> bool:
        """Whether it differs, at LEVEL for the whole family."""
        return self.adjusted <= LEVEL


def effects(values: Mapping[str, Values], scales: Mapping[str, float]) -> list[Effect]:
    """Every kind against the small batch in every consequence, in their order.

    Args:
      values: of all kinds.
      scales: by consequence.

    Consequences that fewer than two pairs of runs have are left out.
    """
    found = []
    for consequence in (name for name in CONSEQUENCES if name in values[SMALL]):
        for kind in (*OTHERS, AGAIN):
            differences = paired(values, kind, consequence)
            if len(differences) < 2:
                continue
            p = float(p_values(differences[None])[0])
            one = t_interval(differences)
            found.append(Effect(kind, consequence, one, p, p, scales.get(consequence, np.nan)))
    family = [i for i, each in enumerate(found) if each.kind != AGAIN]
    for i, adjusted in zip(family, holm([found[i].p for i in family]), strict=True):
        found[i] = replace(found[i], adjusted=float(adjusted))
    return found


def paired(values: Mapping[str, Values], kind: str, consequence: str) -> Floats:
    """Differences from the small batch of the same seed, of pairs in which no run failed."""
    difference = values[kind][consequence] - values[SMALL][consequence]
    return difference[np.isfinite(difference)]


def p_values(differences: Floats) -> Floats:
    """(tests,) two-sided, of Student's test on each row of (tests, pairs)."""
    n = differences.shape[1]
    mean, error = differences.mean(axis=1), differences.std(axis=1, ddof=1) / np.sqrt(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(mean) / error
    p = 2 * stats.t.sf(t, n - 1)
    # Differences that are all one number: none where that is 0, beyond doubt otherwise.
    return np.where(error > 0, p, np.where(mean == 0, 1.0, 0.0))


@dataclass(frozen=True)
class Control:
    """A/A: how often two halves of one configuration's seeds were told apart.

    Attributes:
      flagged, tests: counts, over all consequences and ways to split.
      by_consequence: share flagged.
    """

    flagged: int
    tests: int
    by_consequence: Mapping[str, float]


def same_kind(pools: Sequence[Values], splits: int, seed: int = 0) -> Control:
    """Splits one configuration's seeds at random into two arms and tests every consequence.

    Each way to split is drawn anew, into arms as large as those of the comparison; so, given the
    seeds, tests of one consequence are independent draws, and limits of their share are exact.

    Args:
      pools: values of all seeds of one configuration, of each state that is judged.
      splits: for each consequence.
      seed: of those.
    """
    rng = np.random.default_rng(seed)
    hits: dict[str, list[bool]] = {}
    for name in CONSEQUENCES:
        for pool in (each for each in pools if name in each):
            values = pool[name][np.isfinite(pool[name])]
            n = len(values) // 2
            if n < 2:
                continue
            order = rng.permuted(np.tile(np.arange(len(values)), (splits, 1)), axis=1)
            drawn = values[order[:, : 2 * n]]
            p = p_values(drawn[:, :n] - drawn[:, n:])
            hits.setdefault(name, []).extend((p <= LEVEL).tolist())
    flat = [hit for each in hits.values() for hit in each]
    shares = {name: float(np.mean(each)) for name, each in hits.items()}
    return Control(int(np.sum(flat)), len(flat), shares)


def finite_mean(values: Floats) -> float:
    """The mean of the runs that have a value; NaN where none has."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")
