"""What is claimed of backpropagation, under rules and tolerances fixed before the data.

Operations are counted and come out the same every time; gradient checks too, on one machine. The
error signal is one number a seed, its interval Student's at 95 %. Times are shown, never judged.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from minima.claims.claim import AT_MOST, NUMBER, SIGN, WITHIN
from minima.claims.power_law import power_law
from minima.claims.seeded import Judge, Judged
from parts.backpropagation.checks import SHOWN, Check
from parts.backpropagation.price import Differences, Price
from parts.backpropagation.signal import RELU, RELU_NORM, RESIDUAL, TANH, TANH_NORM, Signal, of_kind

MOST_PASSES = 3.15  # loss and gradient, in forward passes: "about 3 at most", and 5 % for "about"
ONE_MORE = (1.0, 0.5)  # forward passes that the gradient adds, by the lesson's words
ONE_BY_ONE = (1.0, 0.05)  # exponent of finite differences' price against the number of weights
TOGETHER = 0.05  # and of backpropagation's, which stays
LOST, LEAST_LOST = 2.0, 0.25  # halvings of the signal in the deepest tanh network, and the least
KEPT = 1.0  # halvings at most, where nothing is lost
_MILLION = 1e6

_BAUR = "Baur & Strassen 1983; Griewank & Walther 2008, section 4.6"
_RUMELHART = "Rumelhart, Hinton & Williams 1986"
_GLOROT = "Glorot & Bengio 2010"
_judge = Judge("backpropagation", _BAUR, "one batch, operations counted in the jaxpr")
_AT_START = "the deepest network before training, one number a seed"


def judge(
    prices: Sequence[Price],
    checks: Sequence[Check],
    differences: Sequence[Differences],
    signals: Sequence[Signal],
) -> list[Judged]:
    """Every claim."""
    return [*_price(prices, differences), *map(_right, checks), *_reach(signals)]


def _price(prices: Sequence[Price], differences: Sequence[Differences]) -> Iterator[Judged]:
    dearest = max(prices, key=lambda price: price.ratio)
    weights = [each.weights for each in differences]
    passes = {
        name: [getattr(each, name) / each.forward for each in differences]
        for name in ("differences", "both")
    }
    yield _judge.exact(
        "three passes at most",
        "loss and all gradients take about 3 forward passes' operations at most: dearest family",
        (AT_MOST, 0.0, MOST_PASSES, "forward passes"),
        dearest.ratio,
        notes=[f"{dearest.family}, of {len(prices)}"],
    )
    yield _judge.exact(
        "one more pass",
        "all gradients cost about one more forward pass: what they add, median over families",
        (NUMBER, *ONE_MORE, "forward passes"),
        float(np.median([price.ratio - 1 for price in prices])),
        source="the course's lesson on backpropagation",
        notes=[
            "two are expected: each product with weights becomes one for the weights' gradient and "
            "one that hands the error on; one only where nothing is handed on, as in the first "
            "layer"
        ],
    )
    yield _judge.exact(
        "one by one",
        "by finite differences all gradients cost forward passes in proportion to the weights",
        (NUMBER, *ONE_BY_ONE, "of weights"),
        power_law(weights, passes["differences"]).exponent,
        source=_RUMELHART,
    )
    yield _judge.exact(
        "all at once",
        "by backpropagation the price in forward passes does not grow with the weights: exponent",
        (WITHIN, 0.0, TOGETHER, "of weights"),
        power_law(weights, passes["both"]).exponent,
        source=_RUMELHART,
    )


def _right(check: Check) -> Judged:
    left_out = f"{check.kinks} weights left out, where finite differences meet a kink at every step"
    silent = f"{check.silent} tensors without a gradient, by either way"
    notes = [f"relative error {check.error:.1e}"]
    notes += [left_out] * (check.kinks > 0) + [silent] * (check.silent > 0)
    return _judge.exact(
        f"{check.family}: right",
        "gradients equal finite differences in float64 to 1e-6: worst tensor's relative error",
        (AT_MOST, 0.0, SHOWN * _MILLION, "millionths"),
        check.error * _MILLION,
        source=_RUMELHART,
        protocol=f"{check.weights} weights of {check.tensors} tensors, extrapolated",
        notes=notes,
    )


def _reach(signals: Sequence[Signal]) -> Iterator[Judged]:
    tanh = of_kind(signals, TANH)
    yield _judge.over_seeds(
        "tanh loses the signal",
        f"through {tanh[-1].depth} tanh layers the error signal shrinks from the last to the first",
        (SIGN, LOST, LEAST_LOST, "halvings"),
        tanh[-1].lost,
        source=_GLOROT,
        protocol=_AT_START,
    )
    yield _judge.over_seeds(
        "the deeper the less",
        f"through {tanh[-1].depth} tanh layers more of it is lost than through {tanh[0].depth}",
        (SIGN, LOST, LEAST_LOST, "halvings"),
        tanh[-1].lost - tanh[0].lost,
        source=_GLOROT,
        protocol=_AT_START,
    )
    for kind, source in (
        (RELU, "He et al. 2015, arXiv:1502.01852"),
        (TANH_NORM, "Ba et al. 2016, arXiv:1607.06450"),
        (RELU_NORM, "Ba et al. 2016, arXiv:1607.06450"),
        (RESIDUAL, "He et al. 2016, arXiv:1512.03385"),
    ):
        deepest = of_kind(signals, kind)[-1]
        grown = -float(deepest.lost.mean())
        note = (
            f"it grows on the way, by {grown:.1f} doublings: too much is no better than too little"
        )
        yield _judge.over_seeds(
            f"{kind} keeps the signal",
            f"through {deepest.depth} layers ({kind}) at most half of the error signal is lost",
            (AT_MOST, 0.0, KEPT, "halvings"),
            deepest.lost,
            source=source,
            protocol=_AT_START,
            notes=[note] * (grown > KEPT),
        )
