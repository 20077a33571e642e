"""What is claimed of memory and gradients, under rules and tolerances fixed before the data."""

from collections.abc import Iterator, Sequence

import numpy as np

from minima.claims.claim import AT_MOST, NUMBER, SIGN, WITHIN
from minima.claims.evidence import Floats
from minima.claims.seeded import Judge, Judged
from minima.statistics.intervals import t_interval
from minima.tasks.datasets.memory import BASELINE, COPIED, sums
from parts.vanishing_gradients.carrying import Reach
from parts.vanishing_gradients.config import COPYING, JUDGED_LENGTH
from parts.vanishing_gradients.memories import Explosion, Memory, on

SOLVED = 0.01  # squared error below which the adding problem is solved
AT_BASELINE = 0.01  # how near 1/6 a network is that has learned nothing but the mean
OFF = 5.0  # % by which a gradient's decay may be off the Jacobians' gain
KEPT = 0.01  # nats a step that a network may lose which keeps its gradients
SLIP = 0.1767  # what the IRNN paper prints for the baseline
_DRAWS, _BLOCKS = 20_000, 20  # of the adding problem, to measure its baseline on
_VANISHING = ("rnn", "gru", "lstm_bias0", "lstm")

NAMES = {
    "rnn": "tanh RNN",
    "irnn": "IRNN",
    "gru": "GRU",
    "lstm_bias0": "LSTM, forget bias 0",
    "lstm": "LSTM, forget bias 1",
    "transformer": "transformer",
}
_PASCANU, _HOCHREITER = "Pascanu 2013, arXiv:1211.5063", "Hochreiter & Schmidhuber 1997"
_LE, _JOZEFOWICZ = "Le 2015, arXiv:1504.00941", "Jozefowicz 2015"
JUDGE = Judge("vanishing_gradients", _HOCHREITER, "fresh examples at every update, equally many")


def judge(found: Sequence[Memory], reached: Sequence[Reach], exploded: Explosion) -> list[Judged]:
    """Every claim that these runs can speak to."""
    return [
        _baseline(),
        *_solved(found),
        *_copied(found),
        *_carried(reached),
        *_clipped(exploded),
    ]


def _baseline() -> Judged:
    random = np.random.RandomState(7)
    off = [np.mean((sums(random, _DRAWS, 2).labels - 1) ** 2) for _ in range(_BLOCKS)]
    return JUDGE.interval(
        "baseline of the adding problem",
        "who answers 1 to everything has a squared error of 1/6, twice the variance of U(0, 1)",
        (NUMBER, BASELINE, 0.002, "squared error"),
        t_interval(np.array(off, np.float64)),
        protocol=f"{_BLOCKS} samples of {_DRAWS:,} sums",
        notes=(f"{_LE} prints {SLIP}, which this excludes",),
    )


def judged_length(found: Sequence[Memory]) -> int:
    """JUDGED_LENGTH, or the longest there is."""
    lengths = sorted({each.length for each in on(found)})
    return JUDGED_LENGTH if JUDGED_LENGTH in lengths else lengths[-1]


def _solved(found: Sequence[Memory]) -> Iterator[Judged]:
    length = judged_length(found)
    by_model = {each.model: each for each in on(found, length=length)}
    if "lstm" in by_model:
        yield JUDGE.over_seeds(
            f"LSTM solves length {length}",
            f"an LSTM whose forget bias begins at 1 solves the adding problem of length {length}",
            (AT_MOST, 0.0, SOLVED, "squared error"),
            by_model["lstm"].losses,
            notes=_about(by_model["lstm"]),
        )
    if "rnn" in by_model:
        yield JUDGE.over_seeds(
            f"tanh RNN stays at the baseline at length {length}",
            "a tanh RNN learns no more than the mean: its squared error is 1/6",
            (NUMBER, BASELINE, AT_BASELINE, "squared error"),
            by_model["rnn"].losses,
            source=_LE,
            notes=_about(by_model["rnn"]),
        )
    if {"rnn", "irnn"} <= set(by_model):
        yield _lower(by_model["rnn"], by_model["irnn"], _LE)
    if {"lstm", "lstm_bias0"} <= set(by_model):
        yield _lower(by_model["lstm_bias0"], by_model["lstm"], _JOZEFOWICZ)


def _lower(upper: Memory, lower: Memory, source: str) -> Judged:
    """Both on the same test set and of the same seeds, but each with its own fresh weights."""
    return JUDGE.over_seeds(
        f"{NAMES[lower.model]} below {NAMES[upper.model]} at length {lower.length}",
        f"the {NAMES[lower.model]} remembers better than the {NAMES[upper.model]}: difference",
        (SIGN, 0.1, SOLVED, "squared error"),
        upper.losses - lower.losses,
        source=source,
    )


def _copied(found: Sequence[Memory]) -> Iterator[Judged]:
    copying = on(found, COPYING)
    if not copying:
        return
    length = max(each.length for each in copying)
    by_model = {each.model: each for each in on(found, COPYING, length)}
    if {"rnn", "transformer"} <= set(by_model):
        yield JUDGE.over_seeds(
            f"transformer copies better than a tanh RNN at length {length}",
            f"attention reaches {COPIED} symbols at any distance in one step: difference of losses",
            (SIGN, 1.0, 0.1, "nats a symbol"),
            by_model["rnn"].losses - by_model["transformer"].losses,
            source="Vaswani 2017, arXiv:1706.03762, table 1",
        )


def _carried(reached: Sequence[Reach]) -> Iterator[Judged]:
    for reach in reached:
        name, state = NAMES[reach.model], "trained" if reach.trained else "fresh"
        protocol = f"{len(reach.slopes)} {state} networks, the middle three fifths of the steps"
        if reach.model == "transformer":
            continue
        if not reach.trained and reach.model in _VANISHING:
            yield JUDGE.over_seeds(
                f"decay of gradients, {name}, {state}",
                "the log gradient falls with the time lag by the mean log gain of the Jacobians",
                (WITHIN, 0.0, OFF, "% off"),
                reach.off,
                source=_PASCANU,
                protocol=protocol,
                notes=(f"slope {_mean(reach.slopes)}, gain {_mean(reach.gains)} nats a step",),
            )
        elif not reach.trained:
            yield JUDGE.over_seeds(
                f"gradients kept, {name}, {state}",
                "it begins as a sum that forgets nothing: gradients are as large at any lag",
                (WITHIN, 0.0, KEPT, "nats a step"),
                reach.slopes,
                source=_LE,
                protocol=protocol,
            )
        else:
            yield JUDGE.over_seeds(
                f"decay of gradients, {name}, {state}",
                "a step changes the gradient by the factor that the Jacobians stretch by",
                (WITHIN, 0.0, OFF, "% off"),
                reach.factor_off,
                source=_PASCANU,
                protocol=protocol,
                notes=(
                    f"slope {_mean(reach.slopes)}, gain {_mean(reach.gains)} nats a step; of the "
                    "factor, since a solved network's slope is near 0",
                ),
            )


def _clipped(exploded: Explosion) -> Iterator[Judged]:
    diverged = np.isnan(exploded.free)
    yield JUDGE.share(
        "exploding gradients",
        "without clipping gradient descent diverges at these rates",
        (NUMBER, 100.0, 50.0, "% of runs"),
        int(diverged.sum()),
        diverged.size,
        source=_PASCANU,
    )
    lost = np.isnan(exploded.clipped)
    yield JUDGE.share(
        "clipping saves them",
        "with gradients clipped it does not diverge at any of them",
        (AT_MOST, 0.0, 50.0, "% of runs"),
        int(lost.sum()),
        lost.size,
        source=_PASCANU,
    )
    best = np.nanmin(exploded.clipped, axis=0) if not lost.all(axis=0).any() else np.array([])
    yield JUDGE.over_seeds(
        "clipped descent trains",
        "at its best rate clipped gradient descent ends below what remembers nothing: difference",
        (SIGN, 0.1, SOLVED, "squared error"),
        BASELINE - best,
        source=_PASCANU,
        caveat="the best of several rates on the seeds that report"
        if len(exploded.rates) > 1
        else "",
    )


def _about(memory: Memory) -> tuple[str, ...]:
    losses = ", ".join(f"{loss:.4f}" for loss in memory.losses)
    return (f"rate {memory.rate:g}; by seed {losses}",)


def _mean(values: Floats) -> str:
    return f"{values.mean():.3f}"
