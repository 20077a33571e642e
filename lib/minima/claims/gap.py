"""The flagship's question: what is the test gap between small and large batch made of?

Small is the smallest batch size at its chosen rate for the same epochs; large is the largest. Large
gets two interventions: its own tuned rate instead of the small batch's, and as many updates as the
small batch made instead of as many epochs. What neither closes is left for the batch itself.

    treatment          plane      rate
    {}                 epochs     the small batch's
    {rate}             epochs     chosen for the large batch there
    {updates}          updates    the small batch's
    {rate, updates}    updates    chosen for the large batch there

Each plane is trained under its own budget, schedule included; none is cut out of a longer run.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from minima.claims.choosing import (
    Chosen,
    UndecidedError,
    at_rate,
    choose,
    nearest_rate,
    plane_of,
    reported_accuracy,
    reported_hits,
)
from minima.claims.decomposition import Split, Treatment, split_gap
from minima.claims.evidence import Evidence
from minima.claims.two_level import crossed_interval
from minima.statistics.intervals import Interval, t_interval

FACTORS = ("rate", "updates")
UNTREATED: Treatment = frozenset()
RATE: Treatment = frozenset({"rate"})
UPDATES: Treatment = frozenset({"updates"})
BOTH: Treatment = frozenset(FACTORS)


@dataclass(frozen=True)
class Gap:
    """The test gap of small over large batch and its parts, in percentage points.

    Attributes:
      split: raw gap, parts, both orders, interaction and remainder, over seeds and test examples.
      small: the reference.
      large: by treatment, the cell that stands for it.
      accuracy: test accuracy of the small batch and of each treated large one, in points, over the
        reporting seeds (a t interval; it speaks of the test examples at hand).
      num_test: test examples.
      notes: optima at the grid's edge and failures, in words.
    """

    split: Split
    small: Chosen
    large: Mapping[Treatment, Chosen]
    accuracy: Mapping[str, Interval]
    num_test: int
    notes: tuple[str, ...]

    def bars(self) -> list[tuple[str, Interval]]:
        """Bars of the figure, top to bottom: raw gap, its parts, what is left."""
        parts = [(name, self.split.parts[name]) for name in FACTORS]
        return [("raw gap", self.split.raw_gap), *parts, ("left", self.split.remainder)]


def batch_gap(evidence: Evidence, infinite: bool = False, confidence: float = 0.95) -> Gap:
    """Splits the gap between the smallest and the largest batch size.

    Args:
      evidence: needs "epochs" and "updates", and 2 or more reporting seeds.
      infinite: use "infinite_epochs" and "infinite_updates" instead: data that never repeat.
      confidence: of every interval, each by itself.

    Raises:
      UndecidedError: a plane is missing, fewer than 2 reporting seeds, one batch size, or no rate
        to choose.
    """
    epochs, updates = ("infinite_epochs", "infinite_updates") if infinite else ("epochs", "updates")
    plane, longer = plane_of(evidence, epochs), plane_of(evidence, updates)
    if len(evidence.reporting) < 2:
        raise UndecidedError("2 or more seeds to report on")
    if len(plane.batch_sizes) < 2 or plane.batch_sizes[-1] != longer.batch_sizes[-1]:
        raise UndecidedError(f'a small and a large batch size, the large one also in "{updates}"')
    small = choose(evidence, epochs, 0)
    same = nearest_rate(longer, small.rate, within=1 + 1e-6)
    cells: dict[Treatment, tuple[str, Chosen]] = {
        UNTREATED: (epochs, at_rate(evidence, epochs, -1, small.column)),
        RATE: (epochs, choose(evidence, epochs, -1)),
        UPDATES: (updates, at_rate(evidence, updates, -1, same)),
        BOTH: (updates, choose(evidence, updates, -1)),
    }
    named = {"small": (epochs, small)}
    named |= {_words(treatment): cell for treatment, cell in cells.items()}
    split = split_gap(
        reported_hits(evidence, epochs, small.row, small.column),
        {t: reported_hits(evidence, p, c.row, c.column) for t, (p, c) in cells.items()},
        FACTORS,
        confidence,
    )
    accuracy = {
        name: t_interval(reported_accuracy(evidence, p, c.row, c.column), confidence)
        for name, (p, c) in named.items()
    }
    # The rate of an untuned treatment was not chosen for it: its place in the grid says nothing.
    tuned = [(epochs, small), cells[RATE], cells[BOTH]]
    notes = [note for p, c in tuned for note in c.notes(p)]
    for treatment in (UNTREATED, UPDATES):
        p, c = cells[treatment]
        notes += [note for note in c.notes(p) if "failed" in note]
    return Gap(
        split,
        small,
        {t: cell for t, (_, cell) in cells.items()},
        accuracy,
        plane.num_test,
        tuple(dict.fromkeys(notes)),
    )


def _words(treatment: Treatment) -> str:
    names = {"rate": "tuned rate", "updates": "same updates"}
    given = " and ".join(names[factor] for factor in FACTORS if factor in treatment)
    return f"large, {given or 'as small'}"


@dataclass(frozen=True)
class SameLoss:
    """Small and large batch where both have the same training loss, as nearly as states were kept.

    Attributes:
      difference: test accuracy of small less large, in points, over seeds and test examples.
      ratio: of their training losses, large over small, geometric mean over seeds; 1 where matched.
      large: the large batch's cell, its rate chosen there.
    """

    difference: Interval
    ratio: float
    large: Chosen


def at_same_loss(evidence: Evidence) -> SameLoss:
    """Compares the batch sizes at the same training loss.

    Raises:
      UndecidedError: the plane "loss" is missing, or fewer than 2 seeds report.
    """
    plane = plane_of(evidence, "loss")
    if len(evidence.reporting) < 2:
        raise UndecidedError("2 or more seeds to report on")
    small = choose(evidence, "epochs", 0)
    same, large = nearest_rate(plane, small.rate, 1 + 1e-6), choose(evidence, "loss", 1)
    hits = [reported_hits(evidence, "loss", row, at) for row, at in ((0, same), (1, large.column))]
    losses = plane.train_loss[1, large.column] / plane.train_loss[0, same]
    ratio = float(np.exp(np.mean(np.log(losses[list(evidence.reporting)]))))
    return SameLoss(crossed_interval(hits[0] - hits[1]), ratio, large)
