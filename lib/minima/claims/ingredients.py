"""Which of the three ingredients of a learning system broke: data, architecture or objective.

A pure function of what everybody's log has, losses and accuracies of training and validation, and
of two numbers that a task brings with it: how many classes there are, and which validation accuracy
it is known to allow. The rules ask three questions, in this order:

1. Does the loss that is minimised stay high where accuracy is won? Whoever is right with share a
   needs no more than h(a) nats (see `honest_loss`). A training loss far above h of the training
   accuracy says that the objective doesn't want what it is judged by: objective.
2. Is the goal met, the known accuracy on validation? Then nothing is broken.
3. Is training data met and validation not, or validation better than training? Then the one doesn't
   say what the other asks: data. Is neither met? Then the network can't: architecture.

What the curves can't tell is part of the answer (`Named.also`): an architecture that assumes what
isn't so overfits, and so does a network with a wrong target; and a penalty that holds a network
back looks like a network too small. `Named.test` is the run that would tell.
"""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from statistics import median

DATA, ARCHITECTURE, OBJECTIVE, NONE = "data", "architecture", "objective", "none"
ANSWERS = (NONE, DATA, ARCHITECTURE, OBJECTIVE)
UNTOLD = "untold"  # for want of curves

# Settled on seeds 100 to 102 of experiments/learned_features.py, before the others were run.
EXCESS = 0.3  # nats of training loss above the honest one, from which on it is the objective
SHORT = 0.1  # of accuracy below what is known to be possible, from which on the goal is missed
GAP = 0.15  # of accuracy between training and validation, from which on they differ
AHEAD = 0.08  # of accuracy that validation is ahead of training, once the beginning is over
BEGINNING = 0.2  # share of the evaluations in which validation may well be ahead
LEAST = 4  # evaluations
LATE = 0.25  # share of the evaluations, at the end, whose median counts


@dataclass(frozen=True)
class Curves:
    """One run's log: (E,) each, by evaluation; training values are means since the last one."""

    train_loss: Sequence[float]
    train_accuracy: Sequence[float]
    validation_loss: Sequence[float]
    validation_accuracy: Sequence[float]


@dataclass(frozen=True)
class Named:
    """What broke.

    Attributes:
      ingredient: one of ANSWERS, or UNTOLD.
      reason: the evidence, in words and numbers.
      also: ingredients that leave the same curves.
      test: what would tell them apart.
    """

    ingredient: str
    reason: str
    also: tuple[str, ...] = ()
    test: str = ""


def honest_loss(accuracy: float, classes: int) -> float:
    """Cross-entropy in nats of a predictor that is right with this share, and knows it.

    It gives its class the share a and every other (1 - a) / (K - 1): h(a) = -a ln a
    - (1 - a) ln((1 - a) / (K - 1)). Below chance, a = 1 / K, it is ln K, which needs no knowledge.
    """
    a = min(max(accuracy, 1 / classes), 1.0)
    if a == 1:
        return 0.0
    return -a * math.log(a) - (1 - a) * math.log((1 - a) / (classes - 1))


def name_ingredient(curves: Curves, classes: int, attainable: float) -> Named:
    """Names the ingredient that broke, or none.

    Args:
      curves: cross-entropy in nats and accuracies in [0, 1]; what is not finite is left out.
      classes: of the task, K.
      attainable: validation accuracy that the task is known to allow, of a run that is in order.

    Returns:
      The answer; UNTOLD where fewer than LEAST evaluations are finite.
    """
    rows = [row for row in zip(*astuple(curves), strict=True) if all(map(math.isfinite, row))]
    if len(rows) < LEAST:
        return Named(
            UNTOLD, f"{len(rows)} evaluations are finite: it diverged, or was not looked at"
        )
    end = rows[-max(1, round(LATE * len(rows))) :]
    train_loss, train, _, validation = (median(column) for column in zip(*end, strict=True))
    excess = train_loss - honest_loss(train, classes)
    reached = f"training {100 * train:.0f} %, validation {100 * validation:.0f} %"
    if excess >= EXCESS:
        return Named(
            OBJECTIVE,
            f"training loss {train_loss:.2f} is {excess:.2f} nats above what {100 * train:.0f} % "
            "need",
        )
    if validation >= attainable - SHORT:
        return Named(NONE, f"{reached}, of {100 * attainable:.0f} % known to be possible")
    if (ahead := _ahead(rows)) >= AHEAD:
        reason = f"validation is up to {100 * ahead:.0f} points ahead of training"
        return Named(DATA, f"{reason}: training labels are worse")
    if train - validation >= GAP:
        return Named(
            DATA,
            f"{reached}: what was learned doesn't hold",
            (ARCHITECTURE, OBJECTIVE),
            "look at labels of validation examples that are wrong; train on more examples",
        )
    return Named(
        ARCHITECTURE,
        f"{reached}: neither is fitted",
        (OBJECTIVE,),
        "train without any penalty; then a larger network",
    )


def _ahead(rows: Sequence[tuple[float, ...]]) -> float:
    """By how much validation accuracy is ahead of training, at most, after the beginning.

    A training accuracy is that of the time between two evaluations, so the mean of the two beside
    an evaluation is compared with it.
    """
    begin = int(BEGINNING * len(rows))
    later = zip(rows[begin:], rows[begin + 1 :], strict=False)
    return max(this[3] - (this[1] + following[1]) / 2 for this, following in later)
