"""What is claimed of overfitting, under rules and tolerances fixed before the data."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from minima.claims import diagnosis
from minima.claims.claim import AT_MOST, NUMBER, SIGN, WITHIN
from minima.claims.diagnosis import Curves
from minima.claims.seeded import Judge, Judged
from parts.overfitting.config import OverfittingConfig
from parts.overfitting.factorial import REMEDIES, alone, together
from parts.overfitting.measured import Course, Diagnosed, Measured
from parts.overfitting.peeking import Peeking

# The course's log: best at BEST_EPOCH of LOG_EPOCHS, and the losses that it tells.
LOG_EPOCHS, BEST_EPOCH, BEST_LOSS, LAST_LOSS = 50, 12, 0.45, 1.2
FIRST_TRAIN, LAST_TRAIN = 2.1, 0.08

TICKET_BEST = (NUMBER, BEST_EPOCH, 6.0, "epochs")
TICKET_LOW = (NUMBER, BEST_LOSS, 0.15, "nats")
TICKET_END = (NUMBER, LAST_LOSS, 0.4, "nats")
TICKET_TRAIN = (AT_MOST, 0.0, 2 * LAST_TRAIN, "nats")
LOG_TURNS = (NUMBER, BEST_EPOCH, 0.5, "epoch")
WRONG = (AT_MOST, 0.0, 5.0, "% wrong")
HELPS = (SIGN, -0.2, 0.02, "nats")
SHRINKS = (SIGN, 0.2, 0.02, "nats")
OVERLAP = (SIGN, 0.2, 0.02, "nats")
TURNS = (SIGN, 0.2, 0.05, "nats")
NO_TURN = (AT_MOST, 0.0, 0.05, "nats")
UNFITTED = (AT_MOST, 0.0, 1.0, "% not fitted")
OPTIMISM = (SIGN, 1.0, 0.1, "points")
GAINED = (WITHIN, 0.0, 0.5, "points")

_ZHANG = "Zhang 2017, arXiv:1611.03530"
_SOURCES = {
    "augmentation": _ZHANG,
    "early stopping": "Prechelt 1998, Neural Networks: Tricks of the Trade",
    "dropout": "Srivastava 2014, JMLR 15",
    "L2": "Krogh & Hertz 1991, NIPS 4",
}


def judge(found: Measured, peeking: Peeking, config: OverfittingConfig) -> list[Judged]:
    """Every claim that these runs can speak to."""
    judge = Judge("overfitting", "the course, lesson 2", "paired by seed")
    judged = [*_tickets(judge, found.tickets), *_diagnoses(judge, found)]
    judged += _remedies(judge, found, config)
    judged += _controls(judge, found, config.remedies.judged_size)
    return judged + list(_peeking(judge, peeking))


def course_log() -> Curves:
    """The log of the course's ticket classifier from the numbers told of it, without noise.

    Training loss falls exponentially; validation loss on a parabola to its best, then on a line.
    """
    epoch = np.arange(1.0, LOG_EPOCHS + 1)
    train = FIRST_TRAIN * (LAST_TRAIN / FIRST_TRAIN) ** ((epoch - 1) / (LOG_EPOCHS - 1))
    before = ((BEST_EPOCH - epoch) / (BEST_EPOCH - 1)).clip(0) ** 2
    after = ((epoch - BEST_EPOCH) / (LOG_EPOCHS - BEST_EPOCH)).clip(0)
    start = FIRST_TRAIN - BEST_LOSS  # nobody has learned anything yet
    validation = BEST_LOSS + start * before + (LAST_LOSS - BEST_LOSS) * after
    return Curves(epoch, train, validation)


def _tickets(judge: Judge, course: Course) -> Iterator[Judged]:
    about = "four classes of generated support tickets"
    yield judge.over_seeds(
        "ticket-best-epoch",
        f"validation loss of {about} is best near epoch {BEST_EPOCH} of {LOG_EPOCHS}",
        TICKET_BEST,
        course.validation.argmin(axis=1) + 1.0,
    )
    yield judge.over_seeds(
        "ticket-best-loss",
        f"its best is near {BEST_LOSS:g}",
        TICKET_LOW,
        course.validation.min(axis=1),
    )
    yield judge.over_seeds(
        "ticket-last-loss",
        f"from there it rises to about {LAST_LOSS:g}",
        TICKET_END,
        course.validation[:, -1],
    )
    yield judge.over_seeds(
        "ticket-train-loss",
        f"while training loss falls as low as the log's {LAST_TRAIN:g}, or twice that",
        TICKET_TRAIN,
        course.train[:, -1],
    )


def _diagnoses(judge: Judge, found: Measured) -> Iterator[Judged]:
    log = diagnosis.diagnose(course_log())
    yield judge.exact(
        "course-log",
        "the course's own log is named as overfitting, with its best epoch",
        LOG_TURNS,
        log.where if log.name == diagnosis.OVERFIT else float("nan"),
        notes=(f"{log.name}: {log.evidence}",),
    )
    runs = found.diagnosed
    one = "runs of one kind differ by their seed alone, so limits take them for more than they are"
    yield judge.share(
        "diagnosis",
        "runs with a known fault are diagnosed wrongly at most once in 20",
        WRONG,
        sum(each.found != each.truth for each in runs),
        len(runs),
        notes=(one,),
    )
    yield judge.share(
        "diagnosis-by-curves-alone",
        "also without the test loss and the number of classes: from two columns of a CSV",
        WRONG,
        sum(each.alone != each.truth for each in runs),
        len(runs),
        notes=(_missed(runs), one),
    )


def _missed(runs: Sequence[Diagnosed]) -> str:
    """What the curves alone did not tell."""
    missed = Counter((d.fault, d.truth, d.alone) for d in runs if d.alone != d.truth)
    told = [
        f"{count} {truth} ({fault}) taken for {name}"
        for (fault, truth, name), count in missed.items()
    ]
    return f"wrong by curves alone: {', '.join(told) or 'none'}"


def _remedies(judge: Judge, found: Measured, config: OverfittingConfig) -> Iterator[Judged]:
    sizes, size = config.remedies.train_sizes, config.remedies.judged_size
    small, large = found.losses[sizes[0]], found.losses[sizes[-1]]
    for i, name in enumerate(REMEDIES):
        yield judge.over_seeds(
            f"{name} helps",
            f"on {size:,} examples {name} alone lowers test loss",
            HELPS,
            alone(found.losses[size], i),
            source=_SOURCES[name],
        )
    for i, name in enumerate(REMEDIES):
        yield judge.over_seeds(
            f"{name} helps less with more data",
            f"what {name} alone gains on {sizes[0]:,} examples less what it gains on {sizes[-1]:,}",
            SHRINKS,
            alone(large, i) - alone(small, i),
            source=_SOURCES[name],
        )
    apart = sum(alone(found.losses[size], i) for i in range(len(REMEDIES)))
    yield judge.over_seeds(
        "remedies overlap",
        f"on {size:,} examples all four together gain less than the sum of each alone",
        OVERLAP,
        together(found.losses[size]) - apart,
    )


def _controls(judge: Judge, found: Measured, size: int) -> Iterator[Judged]:
    yield judge.over_seeds(
        "few examples turn",
        f"on {size:,} examples validation loss ends above its best",
        TURNS,
        found.plain[size].rise,
    )
    if found.infinite is not None:
        yield judge.over_seeds(
            "fresh examples do not",
            "where no example comes twice, the same network trained alike does not turn",
            NO_TURN,
            found.infinite.rise,
        )
    yield judge.over_seeds(
        "random labels are fitted",
        "of training labels drawn at random, 1 % at most are not fitted",
        UNFITTED,
        100 - found.memorised,
        source=_ZHANG,
    )
    chance = 100 / found.classes
    yield judge.over_seeds(
        "random labels teach nothing",
        "and the test set is got right as by chance",
        (NUMBER, chance, 1.0, "%"),
        found.chance_test,
        source=_ZHANG,
    )


def _peeking(judge: Judge, peeking: Peeking) -> Iterator[Judged]:
    among = f"the best of {peeking.choices} configurations, by {peeking.peeked:,} test examples"
    yield judge.over_seeds(
        "peeking flatters",
        f"accuracy of {among}, on these less on examples nobody looked at",
        OPTIMISM,
        peeking.optimism,
    )
    yield judge.over_seeds(
        "peeking gains nothing",
        f"true accuracy of {among}, less that of the one that validation chose",
        GAINED,
        peeking.gained,
    )
