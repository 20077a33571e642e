"""What claims about test accuracy measure: differences between cells, in percentage points.

Every difference is taken per reporting seed and test example, so that its interval counts both.
Where a claim speaks of several differences at once, each gets a share of the error (Bonferroni) and
the one that reaches farthest from agreement decides: all must agree for a PASS.
"""

import math
from collections.abc import Sequence

from minima.claims.choosing import (
    Chosen,
    UndecidedError,
    at_rate,
    choose,
    nearest_rate,
    plane_of,
    reported_hits,
)
from minima.claims.claim import Measurement
from minima.claims.evidence import Evidence
from minima.claims.two_level import crossed_interval

CONFIDENCE = 0.95
MARGIN = 1.0  # points: what "no gap" means wherever a claim says so
DIAGONAL_OCTAVES = 3  # Goyal's flat region, as science.md 1.4 asks
PAIR_OCTAVES = 2  # how far apart in batch size cells of one rate/batch are compared
SMALL = 32  # Masters and Luschi's largest small batch
_SAME_RATIO = 1.05
TRAINED = 0.05  # accuracy below the best at which a cell still counts as trained

Cell = tuple[str, Chosen]


def same_rate_same_epochs(evidence: Evidence) -> Measurement:
    """Small at its chosen rate less large at that rate, same epochs (Keskar 2017)."""
    _two_sizes(evidence, "epochs")
    small = choose(evidence, "epochs", 0)
    large = at_rate(evidence, "epochs", -1, small.column)
    return _difference(evidence, ("epochs", small), ("epochs", large), tuned=(True, False))


def scaled_rate_same_updates(evidence: Evidence) -> Measurement:
    """Small less large at sqrt(batch ratio) times its rate, same updates (Hoffer 2017).

    Where the grid has no such rate, large has its own tuned one, and a note says so.
    """
    _two_sizes(evidence, "updates")
    small = choose(evidence, "epochs", 0)
    plane = plane_of(evidence, "updates")
    wanted = small.rate * math.sqrt(plane.batch_sizes[-1] / small.batch_size)
    try:
        large = at_rate(evidence, "updates", -1, nearest_rate(plane, wanted))
        tuned, notes = False, []
    except UndecidedError:
        large = choose(evidence, "updates", -1)
        tuned, notes = True, [f"no rate near {wanted:.3g} in the grid: the tuned one instead"]
    cells = (("epochs", small), ("updates", large))
    return _difference(evidence, *cells, tuned=(True, tuned), notes=notes)


def tuned_same_updates(evidence: Evidence) -> Measurement:
    """Small less large, both tuned, same updates (Shallue 2019; Smith, Elsen and De 2020)."""
    _two_sizes(evidence, "updates")
    small, large = choose(evidence, "epochs", 0), choose(evidence, "updates", -1)
    return _difference(evidence, ("epochs", small), ("updates", large))


def tuned_same_updates_infinite(evidence: Evidence) -> Measurement:
    """Small less large, both tuned, same updates, data that never repeat (Vyas 2023)."""
    name = "infinite_updates"
    _two_sizes(evidence, name)
    small, large = choose(evidence, name, 0), choose(evidence, name, -1)
    times = large.batch_size / small.batch_size
    note = f"at as many updates the large batch sees {times:g} times the examples, all of them new"
    return _difference(evidence, (name, small), (name, large), notes=(note,))


def large_over_small_half_life(evidence: Evidence) -> Measurement:
    """Large less small, both tuned, same examples, beta2's half-life fixed (Marek 2025)."""
    if not evidence.optimizer.startswith("adam") or not evidence.beta2_half_life:
        raise UndecidedError(
            "Adam with beta2's half-life fixed in examples: python experiments/"
            "batch_size_vs_learning_rate.py --optimizer=adamw --beta2_half_life=20000"
        )
    _two_sizes(evidence, "epochs")
    small, large = choose(evidence, "epochs", 0), choose(evidence, "epochs", -1)
    return _difference(evidence, ("epochs", large), ("epochs", small))


def decayed_over_grown(evidence: Evidence) -> Measurement:
    """Decaying the rate less growing the batch, the same rate to start with (Smith 2018)."""
    decayed = choose(evidence, "decayed", 0)
    column = nearest_rate(plane_of(evidence, "grown"), decayed.rate, within=1 + 1e-6)
    grown = at_rate(evidence, "grown", 0, column)
    return _difference(evidence, ("decayed", decayed), ("grown", grown), tuned=(True, False))


def small_batches_best(evidence: Evidence) -> Measurement:
    """Best batch size up to 32 less the best above, tuned, same epochs (Masters, Luschi 2018).

    Batch sizes are chosen as rates are: by validation accuracy of the choosing seeds.
    """
    sizes = plane_of(evidence, "epochs").batch_sizes
    groups = [[b for b, size in enumerate(sizes) if (size <= SMALL) == small] for small in (1, 0)]
    if not all(groups):
        raise UndecidedError(f"batch sizes up to {SMALL} and above, not only {sizes}")
    small, large = (_best(evidence, "epochs", rows) for rows in groups)
    note = f"best up to {SMALL}: {small.batch_size}; best above: {large.batch_size}"
    return _difference(evidence, ("epochs", small), ("epochs", large), notes=(note,))


def linear_diagonal(evidence: Evidence) -> Measurement:
    """Small less each larger batch at a rate scaled with it, over 3 octaves (Goyal 2017)."""
    plane = plane_of(evidence, "epochs")
    small = choose(evidence, "epochs", 0)
    reach = small.batch_size * 2**DIAGONAL_OCTAVES
    far = [b for b, size in enumerate(plane.batch_sizes) if size >= reach]
    if not far:
        raise UndecidedError(f"a batch size of {reach} or more, {DIAGONAL_OCTAVES} octaves up")
    pairs: list[tuple[Cell, Cell]] = []
    for b in range(1, far[0] + 1):
        scaled = small.rate * plane.batch_sizes[b] / small.batch_size
        cell = at_rate(evidence, "epochs", b, nearest_rate(plane, scaled))
        pairs.append((("epochs", small), ("epochs", cell)))
    found = [_difference(evidence, *pair, tuned=(True, False), share=len(pairs)) for pair in pairs]
    worst = _farthest(found, -math.inf, MARGIN)
    return _with_note(found[worst], pairs[worst], len(pairs))


def equal_ratio(evidence: Evidence) -> Measurement:
    """Differences between cells of equal rate/batch within 2 octaves (Jastrzebski 2017).

    Only cells that train: by validation accuracy of the choosing seeds within 5 points of the
    smallest batch size's best. What is hardly trained finds no minimum to compare.
    """
    plane = plane_of(evidence, "epochs")
    base = plane.batch_sizes[0]
    best = choose(evidence, "epochs", 0)
    scores = plane.validation[:, :, list(evidence.choosing)].mean(2)  # NaN where one failed
    trained = scores >= scores[0, best.column] - TRAINED
    pairs: list[tuple[Cell, Cell]] = []
    for b in range(1, len(plane.batch_sizes)):
        if plane.batch_sizes[b] > base * 2**PAIR_OCTAVES:
            break
        for r, rate in enumerate(plane.learning_rates):
            try:
                other = nearest_rate(plane, rate * plane.batch_sizes[b] / base, _SAME_RATIO)
            except UndecidedError:
                continue
            if trained[0, r] and trained[b, other]:
                cells = at_rate(evidence, "epochs", 0, r), at_rate(evidence, "epochs", b, other)
                pairs.append((("epochs", cells[0]), ("epochs", cells[1])))
    if not pairs:
        raise UndecidedError(
            f"two batch sizes within {PAIR_OCTAVES} octaves and rates in the same ratio, at which "
            "all choosing seeds train"
        )
    untuned = (False, False)
    found = [_difference(evidence, *pair, tuned=untuned, share=len(pairs)) for pair in pairs]
    worst = _farthest(found, -MARGIN, MARGIN)
    return _with_note(found[worst], pairs[worst], len(pairs))


def _difference(
    evidence: Evidence,
    first: Cell,
    second: Cell,
    tuned: tuple[bool, bool] = (True, True),
    notes: Sequence[str] = (),
    share: int = 1,
) -> Measurement:
    """First less second; whose place in the grid matters, since it was tuned; one of `share`."""
    if len(evidence.reporting) < 2:
        raise UndecidedError("2 or more seeds to report on")
    a, b = (reported_hits(evidence, name, c.row, c.column) for name, c in (first, second))
    said = list(notes)
    for (name, cell), chosen in zip((first, second), tuned, strict=True):
        said += [note for note in cell.notes(name) if chosen or "failed" in note]
    interval = crossed_interval(a - b, 1 - (1 - CONFIDENCE) / share)
    return Measurement(interval, a - b, a, tuple(dict.fromkeys(said)))


def _with_note(found: Measurement, pair: tuple[Cell, Cell], count: int) -> Measurement:
    (_, a), (_, b) = pair
    note = (
        f"of {count} differences this one reaches farthest: batch size {a.batch_size} at rate "
        f"{a.rate:.3g} less {b.batch_size} at {b.rate:.3g}"
    )
    return Measurement(found.interval, found.contrast, found.arm, (note, *found.notes))


def _best(evidence: Evidence, name: str, rows: Sequence[int]) -> Chosen:
    chosen = [choose(evidence, name, row) for row in rows]
    scores = plane_of(evidence, name).validation[:, :, list(evidence.choosing)].mean(2)
    return max(chosen, key=lambda c: scores[c.row, c.column])


def _farthest(found: Sequence[Measurement], bottom: float, top: float) -> int:
    """The difference least in agreement with lying between two lines."""

    def disagreement(k: int) -> tuple[bool, float]:
        interval = found[k].interval
        outside = interval.high < bottom or top < interval.low
        return outside, max(interval.high - top, bottom - interval.low)

    return max(range(len(found)), key=disagreement)


def _two_sizes(evidence: Evidence, name: str) -> None:
    sizes = plane_of(evidence, name).batch_sizes
    reference = plane_of(evidence, "epochs" if name == "updates" else name).batch_sizes
    if len(reference) < 2 or reference[-1] != sizes[-1]:
        raise UndecidedError(f'a small and a large batch size, the large one also in "{name}"')
