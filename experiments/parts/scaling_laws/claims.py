"""What is claimed of loss against parameters and data. Rules were fixed before any run."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from judged import Judged
from minima.claims.choosing import UndecidedError
from minima.claims.claim import SIGN
from minima.claims.seeded import Judge
from parts.scaling_laws.laws import Law, fit
from parts.scaling_laws.points import Course

FALLS = (SIGN, 1.0, 0.02, "exponent")
ABOVE = (SIGN, 1.0, 0.005, "nats above the source's own loss")
STEEPER = (SIGN, 1.0, 0.02, "exponent beyond that without a floor")

_judge = Judge(
    "scaling_laws",
    "Kaplan et al. 2020 (arXiv:2001.08361); Hoffmann et al. 2022 (arXiv:2203.15556)",
    "equal updates, lowest validation loss on the way; a law with a floor fitted to each seed",
)


def laws(course: Course, floor: float | None) -> list[Law]:
    """One a seed."""
    return [fit(course.x, row, floor) for row in course.losses.T]


def _exponents(fitted: Sequence[Law]) -> Callable[[], list[float]]:
    def exponents() -> list[float]:
        if any(law.at_bound for law in fitted):
            raise UndecidedError("a longer range of x: fits end at a bound")
        return [law.exponent for law in fitted]

    return exponents


def judge(found: Sequence[Course]) -> list[Judged]:
    """Every claim."""
    return [each for course in found for each in _of(course)]


def _of(course: Course) -> Iterator[Judged]:
    name = f"{course.text.split(':')[0]}_{course.model}_{course.axis}"
    said = f"{course.text}, {course.model}, {course.axis}"
    fitted = laws(course, course.entropy)
    bound = sum(law.at_bound for law in fitted)
    notes = (
        [f"the floor is the source's own loss on the same windows, {course.entropy:.4f}"]
        if course.entropy
        else []
    )
    if bound:
        notes.append(f"{bound} of {len(fitted)} fits end at a bound")
    yield _judge.over_seeds(
        f"{name}_exponent",
        f"{said}: the loss falls towards its floor as a power",
        FALLS,
        _exponents(fitted),
        notes=notes,
    )
    if course.entropy is not None:
        yield _judge.over_seeds(
            f"{name}_entropy",
            f"{said}: no network is better than the source itself on the same windows",
            ABOVE,
            course.losses.min(axis=0) - course.entropy,
        )
        naive = [law.exponent for law in laws(course, 0.0)]
        yield _judge.over_seeds(
            f"{name}_floor",
            f"{said}: without the floor the exponent comes out too small",
            STEEPER,
            np.array([law.exponent for law in fitted]) - naive,
        )
