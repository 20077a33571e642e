"""What is claimed of the edge of stability, under rules and tolerances fixed before the data.

Every statistic is one number a seed, and its interval Student's over seeds, at 95 %.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise

import numpy as np

from judged import Judged
from minima.claims.claim import AT_MOST, NUMBER, SIGN
from minima.claims.evidence import Floats
from minima.claims.seeded import Judge
from parts.edge_of_stability.config import ADAM, GD, MOMENTUM
from parts.edge_of_stability.courses import Course, full_batch, small_batch

LOW, HIGH = 1.9, 2.2  # where step size · sharpness of gradient descent hovers
SHARE = 0.1  # how far from their thresholds momentum and Adam may hover
DOUBLINGS, LEAST_DOUBLINGS = 1.0, 0.1  # how much sharper it becomes on the way, and the least
RISES, LEAST_RISES = 20.0, 5.0  # % of looks at which the loss is higher than before, and the least
HALVINGS, LEAST_HALVINGS = 0.5, 0.05  # how much lower the loss is in the end all the same
FLATTER, LEAST_FLATTER = 0.5, 0.05  # by how much a smaller batch stays lower, in 1 / step size

NAMES = {GD: "gradient descent", MOMENTUM: "momentum", ADAM: "Adam"}
_SOURCES = {
    GD: "Cohen 2021, arXiv:2103.00065",
    MOMENTUM: "Cohen 2021, arXiv:2103.00065, appendix B",
    ADAM: "Cohen 2022, arXiv:2207.14484",
}
_JUDGE = Judge("edge_of_stability", _SOURCES[GD], "the same number of updates, one number a seed")


def judge(found: Sequence[Course]) -> list[Judged]:
    """Every claim that these runs can speak to."""
    claims = [_hovers(course) for optimizer in NAMES for course in full_batch(found, optimizer)]
    descent = full_batch(found)
    claims += [_sharpens(descent[0]), _is_not_monotone(descent), _falls(descent)]
    return [*claims, *_stays_below(found)]


def band(course: Course) -> tuple[float, float]:
    """Where its step size · sharpness is claimed to be, late in training."""
    if course.optimizer == GD:
        return LOW, HIGH
    return (1 - SHARE) * course.factor, (1 + SHARE) * course.factor


def _hovers(course: Course) -> Judged:
    low, high = band(course)
    what = "the sharpness" if course.optimizer != ADAM else "the preconditioned sharpness"
    return _JUDGE.over_seeds(
        f"{NAMES[course.optimizer]}, step size {course.rate:.3g}",
        f"{what} hovers at {course.factor:.3g} / step size: median over the last half",
        (NUMBER, (low + high) / 2, (high - low) / 2, "/ step size"),
        lambda: course.late,
        source=_SOURCES[course.optimizer],
    )


def _sharpens(course: Course) -> Judged:
    return _JUDGE.over_seeds(
        "progressive sharpening",
        f"from its first kept state on (step size {course.rate:.3g}), sharpness rises to the edge",
        (SIGN, DOUBLINGS, LEAST_DOUBLINGS, "doublings"),
        lambda: np.log2(course.late / course.scaled[:, 0]),
    )


def _is_not_monotone(descent: Sequence[Course]) -> Judged:
    return _JUDGE.over_seeds(
        "the loss is not monotone",
        "at the edge the training loss keeps rising for a while: share of looks, last half",
        (SIGN, RISES, LEAST_RISES, "%"),
        lambda: np.mean([course.rises for course in descent], axis=0),
    )


def _falls(descent: Sequence[Course]) -> Judged:
    return _JUDGE.over_seeds(
        "the loss falls all the same",
        "over the last half the training loss falls at every step size: the least",
        (SIGN, HALVINGS, LEAST_HALVINGS, "halvings"),
        lambda: np.min([course.fall for course in descent], axis=0),
    )


def _stays_below(found: Sequence[Course]) -> Iterator[Judged]:
    """Small batches: below the edge, and the lower the smaller."""
    by_size: list[tuple[object, list[Course]]] = [*small_batch(found).items()]
    for size, courses in by_size:
        yield _JUDGE.over_seeds(
            f"batch size {size} stays below",
            "with a smaller batch, sharpness stays below the edge: mean over step sizes",
            (AT_MOST, 0.0, LOW, "/ step size"),
            partial(_mean_late, courses),
        )
    for (small, lower), (large, upper) in pairwise([*by_size, ("full", full_batch(found))]):
        yield _JUDGE.over_seeds(
            f"batch size {small} is flatter than {large}",
            "the smaller the batch, the flatter the minimum: larger less smaller batch",
            (SIGN, FLATTER, LEAST_FLATTER, "/ step size"),
            partial(_apart, upper, lower),
        )


def _mean_late(courses: Sequence[Course]) -> Floats:
    return np.mean([course.late for course in courses], axis=0)


def _apart(upper: Sequence[Course], lower: Sequence[Course]) -> Floats:
    return _mean_late(upper) - _mean_late(lower)
