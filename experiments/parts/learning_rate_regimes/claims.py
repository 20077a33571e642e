"""What is claimed of learning rates, under rules and tolerances fixed before the data."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from minima.claims.choosing import UndecidedError
from minima.claims.claim import AT_MOST, NUMBER, SIGN, WITHIN
from minima.claims.evidence import Floats
from minima.claims.regimes import REGIMES
from minima.claims.seeded import Judge
from parts.learning_rate_regimes.birds import Story
from parts.learning_rate_regimes.config import ENTROPY, RELU, TANH
from parts.learning_rate_regimes.dips import DEEP, Descents
from parts.learning_rate_regimes.pictures_of_rates import Seen
from parts.learning_rate_regimes.planes import FullBatch

if TYPE_CHECKING:
    from minima.claims.seeded import Judged

ONSET, LIMITS = 2.0, {TANH: 4.0, RELU: 12.0}  # in 1 / sharpness at the start
OCTAVE = 0.5  # how far measured boundaries may be from predicted ones
ROUGH, ROUGHNESS = 1.6, 0.3  # dimension of the edge: 1.3 to 1.9
_LEWKOWYCZ = "Lewkowycz 2020, arXiv:2003.02218"
_COHEN = "Cohen 2021, arXiv:2103.00065"
_COURSE = "course, lesson 2: the bird calls"
# What a verdict's reader must know of how its claim came about.
_PILOTED = {
    TANH: (),
    RELU: (
        "two hidden layers were chosen after pilots (2 other seeds): with one of 128 or 512 ReLU "
        "units the largest rate that trained was near 4 / sharpness, not 12",
    ),
}
_SEEN = (
    "settled after the landscape was seen: that the dip is left within half an octave of its edge "
    "was claimed first, and is wrong",
)
_BIRD_PILOTS = (
    "optimiser, network, rates and the rule for the tutorial's rate were chosen after pilots on 2 "
    "other seeds: 2 optimisers, 2 networks",
)
_JUDGE = Judge("learning_rate_regimes", _LEWKOWYCZ, "the same number of updates, one number a seed")


def judge(
    full: dict[str, FullBatch], story: Story, dips: Sequence[Descents], seen: Sequence[Seen]
) -> "list[Judged]":
    """Every claim."""
    return [*_boundaries(full), *_inside(full), *_birds(story), *_dips(dips), *_picture(seen)]


def _boundaries(full: dict[str, FullBatch]) -> "Iterator[Judged]":
    for name in (TANH, RELU):
        yield _JUDGE.over_seeds(
            f"{name}: the loss rises above {ONSET:g} / sharpness",
            "with squared error, the loss begins to rise at 2 / the sharpness at the start",
            (WITHIN, 0.0, OCTAVE, "octaves"),
            np.log2(full[name].onsets() / ONSET),
        )
        yield _JUDGE.over_seeds(
            f"{name}: trains up to {LIMITS[name]:g} / sharpness",
            f"with squared error, the largest rate that trains is {LIMITS[name]:g} / the sharpness "
            "at the start",
            (WITHIN, 0.0, OCTAVE, "octaves"),
            np.log2(full[name].limits() / LIMITS[name]),
            notes=_PILOTED[name],
        )
    for what, of in (("onset", FullBatch.onsets), ("limit", FullBatch.limits)):
        yield _JUDGE.over_seeds(
            f"cross-entropy shifts the {what}",
            f"with cross-entropy the {what} is at a larger rate × sharpness than with squared "
            "error: its gradients are bounded, and its sharpness falls as it fits",
            (SIGN, 1.0, 0.25, "octaves"),
            np.log2(of(full[ENTROPY]) / of(full[RELU])),
            source=f"{_LEWKOWYCZ}; {_COHEN}",
        )


def _inside(full: dict[str, FullBatch]) -> "Iterator[Judged]":
    relu = full[RELU]
    places = [np.array([REGIMES.index(name) for name in row]) for row in relu.regimes]
    yield _JUDGE.over_seeds(
        "five regimes",
        "frozen, lazy, unstable, collapsed and diverged all occur (ReLU, squared error): how many",
        (NUMBER, 5.0, 0.5, "regimes"),
        np.array([float(len(set(row))) for row in relu.regimes]),
    )
    yield _JUDGE.over_seeds(
        "regimes in order",
        "as the rate rises, runs pass through the regimes in this order: neighbours that do not",
        (AT_MOST, 0.0, 5.0, "%"),
        np.array([100 * np.mean(np.diff(row) < 0) for row in places]),
    )
    doublings, scaled = relu.measured()
    yield _JUDGE.over_seeds(
        "unstable runs end flatter",
        "rates above 2 / sharpness end where the sharpness is lower than at the start",
        (SIGN, -1.0, 0.25, "doublings"),
        lambda: _each_seed(doublings, np.nanmean),
    )
    yield _JUDGE.over_seeds(
        "unstable runs end below the edge",
        "and low enough to be stable: rate × sharpness at the end, the largest of a seed",
        (AT_MOST, 0.0, 2.2, "/ rate"),
        lambda: _each_seed(scaled, np.nanmax),
        source=_COHEN,
    )


def _birds(story: Story) -> "Iterator[Judged]":
    tutorial, birds = story.tutorial, story.birds
    rate, changed = tutorial.rates[story.unchanged], birds.rates[story.changed]
    made_up = ("bird calls are made up: a stand-in",) if story.stand_in else ()
    notes = (*made_up, *_BIRD_PILOTS)
    best = tutorial.accuracy.mean(axis=1).argmax()
    last = birds.losses[story.unchanged][:, -3:].mean(axis=1)

    def stands() -> Floats:
        if not np.isfinite(last).all():
            raise UndecidedError("runs that do not diverge")
        return np.asarray(last / birds.constant)

    yield _JUDGE.over_seeds(
        "the tutorial trains",
        f"at rate {rate:g} the tutorial's data are learned well: test accuracy below the best rate",
        (AT_MOST, 0.0, 10.0, "points"),
        tutorial.accuracy[best] - tutorial.accuracy[story.unchanged],
        source=_COURSE,
        notes=_BIRD_PILOTS,
    )
    yield _JUDGE.over_seeds(
        "taken to bird calls, it does not",
        "the same network, training and rate learn nothing of bird calls: accuracy above chance",
        (AT_MOST, 0.0, 10.0, "points"),
        birds.accuracy[story.unchanged] - birds.chance,
        source=_COURSE,
        notes=notes,
    )
    yield _JUDGE.over_seeds(
        "the loss sits at a constant",
        "its loss ends at that of a constant output: last loss over it",
        (NUMBER, 1.0, 0.1, "of it"),
        stands,
        source=_COURSE,
        notes=notes,
    )
    yield _JUDGE.over_seeds(
        "one number changed",
        f"at rate {changed:g} instead it trains: test accuracy gained",
        (SIGN, 20.0, 5.0, "points"),
        birds.accuracy[story.changed] - birds.accuracy[story.unchanged],
        source=_COURSE,
        notes=notes,
    )
    yield _JUDGE.over_seeds(
        "why: bird calls are sharper",
        "at the initial weights the loss on bird calls is sharper than on the tutorial's data",
        (SIGN, 1.0, 0.25, "doublings"),
        np.log2(birds.start / tutorial.start),
        source=_LEWKOWYCZ,
        notes=notes,
    )


def _dips(dips: Sequence[Descents]) -> "Iterator[Judged]":
    for found in dips:
        kind = "better" if found.depth == DEEP else "poor"
        starts = found.left.shape[1]
        for factor, share in ((0.5, 0.0), (4.0, 100.0)):
            place = found.nearest(factor)
            does = "stays in" if not share else "leaves"
            yield _JUDGE.share(
                f"{kind} narrow dip at {factor:g} × its edge",
                f"gradient descent {does} a narrow dip that is {kind} at {factor:g} times "
                "2 / its curvature: starts that end in the wide one",
                (NUMBER, share, 10.0, "%"),
                int(found.left[place].sum()),
                starts,
                source="course, lesson 2; stability of gradient descent",
                protocol="random starts in the narrow dip, 500 updates",
                notes=_SEEN if share else (),
            )
        yield _JUDGE.exact(
            f"{kind} narrow dip: left above its edge only",
            "the largest rate at which most starts stay is above 2 / the dip's curvature: past the "
            "edge they go round in it first, as it curves less further out",
            (SIGN, 1.0, 0.1, "octaves"),
            float(np.log2(found.boundary / found.edge)),
            source="stability of gradient descent",
            protocol=f"{starts} random starts at 64 rates",
            notes=_SEEN,
        )


def _picture(seen: Sequence[Seen]) -> "Iterator[Judged]":
    for level in sorted({each.level for each in seen} - {0}):
        values = np.array([each.dimension for each in seen if each.level == level])
        yield _JUDGE.over_seeds(
            f"the edge of trainability is rough: zoom {level}",
            "rates that train and rates that do not meet at a fractal: its box-count dimension",
            (NUMBER, ROUGH, ROUGHNESS, "dimensions"),
            values,
            source="Sohl-Dickstein 2024, arXiv:2402.06184",
            protocol="boxes of 1 to an eighth of the picture; one network a seed",
        )


def _each_seed(table: Floats, statistic: Callable[..., Floats]) -> Floats:
    if np.isnan(table).all(axis=1).any():
        raise UndecidedError("an unstable run of every seed among those measured")
    return np.asarray(statistic(table, axis=1))
