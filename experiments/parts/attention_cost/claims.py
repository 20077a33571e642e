"""What is claimed of attention's cost and reach, under rules and tolerances fixed before the data.

What is counted or planned by the compiler comes out the same every time; accuracies are one number
a seed, their intervals Student's at 95 %. Times are shown, never judged.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from minima.claims.claim import AT_MOST, NUMBER, SIGN, WITHIN
from minima.claims.evidence import Floats
from minima.claims.power_law import PowerLaw, power_law
from minima.claims.seeded import Judge, Judged
from parts.attention_cost.config import GRU, LSTM, RNN, TRANSFORMER
from parts.attention_cost.measured import ATTENTION, CHUNKED, RECURRENT, Crossover, Step

CHANCE = 100 / 8  # % of needles found by guessing
QUADRATIC, LINEAR = (2.0, 0.1), (1.0, 0.05)  # exponents and how far off they may be
NARROW_MEMORY = (1.0, 0.15)  # of chunked attention: "about 1"
CROSSING = (1.0, 0.1)  # of the crossover's length against width
CONSTANT = 0.05  # the chain's exponent, where it does not grow
SAME = 5.0  # points that accuracy may move from the nearest to the farthest needle
NEAR_CHANCE = 5.0  # points above chance that still are none
AHEAD, LEAST_AHEAD = 50.0, 5.0  # points at the farthest needle, and the least
GATED, LEAST_GATED = 20.0, 2.0  # points over all distances, and the least

Accuracies = Mapping[tuple[str, int], Floats]  # % by model and distance, (seeds,)

_VASWANI = "Vaswani et al. 2017, arXiv:1706.03762, table 1"
_RABE = "Rabe & Staats 2021, arXiv:2112.05682"
_judge = Judge(
    "attention_cost",
    _VASWANI,
    "one block or layer, loss and gradient of one sequence, lengths from 64 widths up",
)
_NEEDLE = "the same examples, rate and width for every network; test accuracy, one number a seed"


def fitted(steps: Sequence[Step], kind: str, quantity: str) -> PowerLaw:
    """A quantity of one kind against length."""
    mine = [step for step in steps if step.kind == kind]
    return power_law([s.length for s in mine], [getattr(s, quantity) for s in mine])


def judge(
    steps: Sequence[Step], crossings: Sequence[Crossover], accuracies: Accuracies
) -> list[Judged]:
    """Every claim."""
    return [*_work(steps, crossings), *_needles(accuracies)]


def _work(steps: Sequence[Step], crossings: Sequence[Crossover]) -> list[Judged]:
    def exponent(
        id: str, sentence: str, fixed: tuple[float, float], kind: str, quantity: str, source: str
    ) -> Judged:
        rule = (NUMBER if fixed[0] else WITHIN, *fixed, "of length")
        return _judge.exact(
            id, sentence, rule, fitted(steps, kind, quantity).exponent, source=source
        )

    crossing = power_law([c.width for c in crossings], [c.length for c in crossings])
    ratios = [c.length / c.width for c in crossings]
    return [
        exponent(
            "attention's work",
            "operations of a transformer grow with the square of the length: exponent",
            QUADRATIC,
            ATTENTION,
            "flops",
            _VASWANI,
        ),
        exponent(
            "an LSTM's work",
            "operations of an LSTM grow with the length: exponent",
            LINEAR,
            RECURRENT,
            "flops",
            _VASWANI,
        ),
        exponent(
            "chunks save no work",
            "chunked attention takes operations with the square of the length all the same",
            QUADRATIC,
            CHUNKED,
            "flops",
            _RABE,
        ),
        exponent(
            "attention's memory",
            "a training step's temporary memory grows with the square of the length: exponent",
            QUADRATIC,
            ATTENTION,
            "temporary",
            _RABE,
        ),
        exponent(
            "chunked attention's memory",
            "in chunks, temporary memory grows with the length: exponent",
            NARROW_MEMORY,
            CHUNKED,
            "temporary",
            _RABE,
        ),
        exponent(
            "attention is parallel",
            "products that must follow one another do not grow with the length: exponent",
            (0.0, CONSTANT),
            ATTENTION,
            "chain",
            _VASWANI,
        ),
        exponent(
            "recurrence is sequential",
            "in an LSTM, products that must follow one another grow with the length: exponent",
            LINEAR,
            RECURRENT,
            "chain",
            _VASWANI,
        ),
        _judge.exact(
            "crossover",
            "the length from which a layer of attention is dearer than one of an LSTM grows with "
            "the width: exponent",
            (NUMBER, *CROSSING, "of width"),
            crossing.exponent,
            protocol="one layer of each, forwards, attention with its projections",
            notes=[f"from {min(ratios):.2f} to {max(ratios):.2f} widths"],
        ),
    ]


def _needles(accuracies: Accuracies) -> list[Judged]:
    distances = sorted({distance for _, distance in accuracies})
    near, far = distances[0], distances[-1]
    recurrent = [accuracies[name, far] for name in (LSTM, GRU, RNN)]
    over_all = {
        name: np.mean([accuracies[name, d] for d in distances], axis=0) for name in (LSTM, RNN)
    }
    points = "points"
    return [
        _judge.over_seeds(
            "attention reaches everywhere",
            f"a transformer finds a needle {far} tokens back as well as {near} back: difference",
            (WITHIN, 0.0, SAME, points),
            accuracies[TRANSFORMER, far] - accuracies[TRANSFORMER, near],
            protocol=_NEEDLE,
        ),
        _judge.over_seeds(
            "a tanh network forgets",
            f"{far} tokens later a tanh RNN is no better than chance: accuracy less {CHANCE:g} %",
            (AT_MOST, 0.0, NEAR_CHANCE, points),
            accuracies[RNN, far] - CHANCE,
            source="Bengio et al. 1994; Hochreiter & Schmidhuber 1997",
            protocol=_NEEDLE,
        ),
        _judge.over_seeds(
            "attention beats recurrence far back",
            f"{far} tokens later a transformer is ahead of the best recurrent network",
            (SIGN, AHEAD, LEAST_AHEAD, points),
            accuracies[TRANSFORMER, far] - np.max(recurrent, axis=0),
            protocol=_NEEDLE,
        ),
        _judge.over_seeds(
            "gates carry further",
            "an LSTM finds more needles than a tanh RNN, over all distances",
            (SIGN, GATED, LEAST_GATED, points),
            over_all[LSTM] - over_all[RNN],
            source="Hochreiter & Schmidhuber 1997",
            protocol=_NEEDLE,
        ),
    ]
