"""What a pair of learning curves says: healthy, overfit, underfit, unstable or leaking.

Pure functions of arrays. The rules, in this order; the first that holds is the diagnosis. "Start"
is the training loss's first row, "end" the median of the last tenth of the rows (one at least), so
that a single row decides nothing. Thresholds were settled on runs of seeds 0 to 3 of
`experiments/overfitting.py`, which judges them on others.

    unstable   a loss that is not finite; or the training loss climbs by JUMP of the start above its
               best so far on its way and never comes back to within RECOVERED of it; or it spikes
               above chance in its first rows and then sits, without a trend, at what knowing
               nothing costs. (In a run that trains, the training loss falls but for noise: 3 % of
               the start at most from row to row, so JUMP is three times that.)
    leaking    the test loss is far above the validation loss of the same weights: by TEST_GAP of
               the start, and TEST_RATIO times; or validation costs next to nothing, TOO_GOOD of the
               start. (0.012 nats where ten classes began at 2.3: the label of an unseen example is
               given 98.9 %. The best networks on clean digits cost 0.02.)
    overfit    the validation loss turned: its end lies above its best by RISE of the best, RISE_OF_
               START of the start, and NOISES times its noise from row to row, while training went
               on falling; or it has been flat for half of the training or more while the training
               loss halved, and now costs twice as much as training.
    underfit   at the end training still costs LEARNED_LITTLE of the start, or of chance where that
               is lower. (Between 0.57, the most of what was left to the healthy runs that it was
               settled on, and 0.67, the least of the linear ones: a log does not know its noise.)
    healthy    none of these.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HEALTHY, OVERFIT, UNDERFIT = "healthy", "overfit", "underfit"
UNSTABLE, LEAKING = "unstable", "leaking"
DIAGNOSES = (UNSTABLE, LEAKING, OVERFIT, UNDERFIT, HEALTHY)

LEAST_ROWS = 5  # fewer show no course
JUMP, RECOVERED = 0.10, 1.2
SPIKE, STUCK, FLAT = 1.5, 0.98, 0.10
TEST_GAP, TEST_RATIO = 0.2, 1.5
TOO_GOOD = 0.005
RISE, RISE_OF_START, NOISES = 0.10, 0.02, 4.0
PLATEAU, HALF = 0.02, 0.5
LEARNED_LITTLE = 0.62


@dataclass(frozen=True)
class Curves:
    """One training run's log.

    Attributes:
      where: (n,) rising; epochs, steps or the like, as the log counts them.
      train: (n,) training loss.
      validation: (n,) validation loss.
      unit: of `where`, in the singular.
      test: mean loss on a test set at the end, None where the log has none.
      validated: validation loss of the weights that `test` was measured of; None: the last row's.
      classes: of a classifier trained with cross-entropy, None where that is not known.
    """

    where: Floats
    train: Floats
    validation: Floats
    unit: str = "epoch"
    test: float | None = None
    validated: float | None = None
    classes: int | None = None

    def __post_init__(self) -> None:
        """Refuses curves that show no course.

        Raises:
          ValueError: fewer than LEAST_ROWS rows, all of them finite, or columns of different
            lengths.
        """
        if not len(self.where) == len(self.train) == len(self.validation):
            raise ValueError("columns differ in length")
        finite = np.isfinite(self.train).all() and np.isfinite(self.validation).all()
        if len(self.where) < LEAST_ROWS and (finite or not len(self.where)):
            raise ValueError(f"{len(self.where)} rows; a course needs {LEAST_ROWS} or more")


@dataclass(frozen=True)
class Diagnosis:
    """What a log shows.

    Attributes:
      name: one of DIAGNOSES.
      where: in the log's unit: where to stop (overfit), where it went wrong (unstable), else the
        best validated row.
      evidence: in one sentence, with numbers.
      advice: what to do next.
    """

    name: str
    where: float
    evidence: str
    advice: str


def diagnose(curves: Curves) -> Diagnosis:
    """The first rule that holds; see the module."""
    for rule in (_unstable, _leaking, _overfit, _underfit):
        if found := rule(curves):
            return found
    return _healthy(curves)


def _unstable(curves: Curves) -> Diagnosis | None:
    train, advice = curves.train, "lower the learning rate, warm up, or clip gradients"
    broken = ~(np.isfinite(train) & np.isfinite(curves.validation))
    if broken.any():
        row = int(broken.argmax())
        return _found(UNSTABLE, curves, row, "a loss is not finite there", advice)
    if _stuck(curves):
        spike = float(train[: _tenth(train) + 1].max())
        text = f"training loss began at {_n(spike)} and has sat near {_n(_end(train))} since"
        return _found(UNSTABLE, curves, 0, text, advice)
    best = np.minimum.accumulate(train)
    climbs = train - best
    row = int(climbs.argmax())
    if climbs[row] > JUMP * train[0] and _end(train) > RECOVERED * best[-1]:
        text = (
            f"training loss climbed from {_n(best[row])} to {_n(train[row])} and ends at "
            f"{_n(_end(train))}"
        )
        return _found(UNSTABLE, curves, row, text, advice)
    return None


def _stuck(curves: Curves) -> bool:
    """A spike, then a constant: that of chance where it is known, else one without a trend."""
    train = curves.train
    spike, rest = train[: _tenth(train) + 1].max(), train[_tenth(train) + 1 :]
    middle = float(np.median(rest))
    if curves.classes is not None:
        chance = math.log(curves.classes)
        return bool(spike > SPIKE * chance and _end(train) > STUCK * chance)
    low, high = np.quantile(rest, [0.1, 0.9])
    trend = np.median(rest[: len(rest) // 2]) - np.median(rest[len(rest) // 2 :])
    still = high - low < FLAT * middle and abs(trend) < FLAT / 4 * middle
    wanders = np.mean(np.diff(rest) > 0) > 1 / 3
    return bool(spike > SPIKE * middle and still and wanders)


def _leaking(curves: Curves) -> Diagnosis | None:
    start, validation = float(curves.train[0]), _end(curves.validation)
    last = len(curves.where) - 1
    if curves.test is not None:
        same = validation if curves.validated is None else curves.validated
        if curves.test - same > TEST_GAP * start and curves.test > TEST_RATIO * same:
            text = f"test loss is {_n(curves.test)}, validation loss {_n(same)} at the same weights"
            advice = (
                "look for validation rows among the training rows, and for a feature that test "
                "data do not have"
            )
            return _found(LEAKING, curves, last, text, advice)
    if validation < TOO_GOOD * start:
        text = (
            f"validation loss fell to {_n(validation)}, {100 * validation / start:.2g} % of where "
            f"training began (training loss to {_n(_end(curves.train))})"
        )
        advice = (
            "too good to be true: look for duplicates across the split, and for a feature that "
            "gives the label away; else the task is this easy"
        )
        return _found(LEAKING, curves, last, text, advice)
    return None


def _overfit(curves: Curves) -> Diagnosis | None:
    train, validation = curves.train, curves.validation
    best = int(validation.argmin())
    low, end, fell = validation[best], _end(validation), _end(train) < 0.9 * train[best]
    least = max(RISE * low, RISE_OF_START * train[0], NOISES * noise(validation))
    if end - low > least and fell:
        text = (
            f"validation loss is best there ({_n(low)}) and ends at {_n(end)}, {end / low:.2g} "
            f"times that, while training loss fell from {_n(train[best])} to {_n(_end(train))}"
        )
        return _found(OVERFIT, curves, best, text, _REMEDIES)
    flat = validation <= low + PLATEAU * train[0]
    since, half = int(flat.argmax()), len(train) // 2
    if (
        since <= half
        and flat[half:].all()
        and _end(train) < HALF * train[half]
        and end > 2 * _end(train)
        and end - _end(train) > RISE_OF_START * train[0]
    ):
        text = (
            f"validation loss has been flat since ({_n(validation[since])}, ends at {_n(end)}), "
            f"while training loss fell from {_n(train[since])} to {_n(_end(train))}"
        )
        return _found(OVERFIT, curves, since, text, _REMEDIES)
    return None


_REMEDIES = "stop there; then more data, augmentation, dropout or weight decay, or a smaller model"


def _underfit(curves: Curves) -> Diagnosis | None:
    train = curves.train
    start, end = float(train[0]), _end(train)
    if curves.classes is not None:  # a fresh network may know less than nothing
        start = min(start, math.log(curves.classes))
    if end < LEARNED_LITTLE * start:
        return None
    quarter = train[-max(2, len(train) // 4) :]
    falling = (quarter[0] - end) > max(0.01 * start, 2 * noise(train))
    text = (
        f"training loss is {_n(end)} after {_n(train[0])} at the start, validation loss "
        f"{_n(_end(curves.validation))}; it {'still falls' if falling else 'hardly moves'}"
    )
    advice = "raise the learning rate, train for longer, or take a larger model"
    return _found(UNDERFIT, curves, len(train) - 1, text, advice)


def _healthy(curves: Curves) -> Diagnosis:
    train, validation = curves.train, curves.validation
    best = int(validation.argmin())
    text = (
        f"training loss fell from {_n(train[0])} to {_n(_end(train))}, validation loss is best "
        f"there ({_n(validation[best])}) and ends at {_n(_end(validation))}"
    )
    return _found(HEALTHY, curves, best, text, "judge it on test data that nobody has looked at")


def noise(curve: Floats) -> float:
    """Standard deviation of a curve around its course, from row to row.

    From second differences, which a straight course leaves at zero; by their median, so that a
    spike or two count for little. Of independent normal noise σ, they have √6 σ.
    """
    if len(curve) < 3:
        return 0.0
    bends = np.abs(np.diff(curve, 2))
    return float(np.median(bends) / (0.6745 * math.sqrt(6)))


def _found(name: str, curves: Curves, row: int, evidence: str, advice: str) -> Diagnosis:
    return Diagnosis(name, float(curves.where[row]), evidence, advice)


def _tenth(curve: Floats) -> int:
    return max(1, len(curve) // 10)


def _end(curve: Floats) -> float:
    return float(np.median(curve[-_tenth(curve) :]))


def _n(value: float) -> str:
    return f"{value:.3g}"
