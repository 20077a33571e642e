"""The three loops simulated, and what is kept of every world.

Each is one program: worlds, strengths of the cure and true rates are lanes of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minima.evaluation import feedback
from minima.evaluation.hiring import Firm, Labour
from minima.evaluation.lanes import simulate
from minima.evaluation.patrols import BLOCK, Beat, Patrols
from minima.evaluation.recommender import Market, Shop
from minima.record.kept import Kept
from parts.feedback_loops.config import FeedbackConfig

Floats = NDArray[np.float64]
Numbers = dict[str, Floats]  # by name: (worlds,) or (worlds, times)

RATES = {"equal": (0.5, 0.5), "unequal": (0.55, 0.45), "rare": (0.11, 0.10)}
CORRECTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
_DRAWN = 40  # urns whose course is in the figure
_HEAVY = 8  # large worlds under one vmap
_LOT = 256  # markets at a time, each with all that was shown in it

GREEDY, CORRECTED, EXPLORES, BOTH = "greedy", "corrected", "explores", "explores, corrected"
POLICIES = (GREEDY, CORRECTED, EXPLORES, BOTH)
SILENT, HIRED, SILENT_LOTS, LOTS = (
    "all, silence as failure",
    "the hired alone",
    "all, silence as failure, and lots",
    "the hired, lots, corrected",
)
LEARNERS = (SILENT, HIRED, SILENT_LOTS, LOTS)


class Worlds(NamedTuple):
    """What all worlds came to.

    Attributes:
      patrols: by rates and correction: `share` (worlds, looks) of the first area, `drawn` of those.
      shops: by policy.
      firms: by way to learn.
    """

    patrols: Mapping[tuple[str, float], Numbers]
    shops: Mapping[str, Numbers]
    firms: Mapping[str, Numbers]


def simulate_all(config: FeedbackConfig, kept: Kept) -> Worlds:
    """All three; what is on disk already is read."""
    patrols = _kept(kept, "patrols", lambda: _patrols(config))
    names = {f"{name} {c:g}": (name, c) for name in RATES for c in CORRECTIONS}
    return Worlds(
        {key: patrols[name] for name, key in names.items()},
        _kept(kept, "recommender", lambda: _shops(config)),
        _kept(kept, "hiring", lambda: _firms(config)),
    )


def _kept(kept: Kept, loop: str, measure: Any) -> dict[str, Numbers]:
    def plain() -> dict[str, dict[str, Any]]:
        return {
            arm: {name: np.asarray(values, np.float64).tolist() for name, values in found.items()}
            for arm, found in measure().items()
        }

    found = kept.get(plain, loop=loop)
    return {
        arm: {name: np.array(values, np.float64) for name, values in numbers.items()}
        for arm, numbers in found.items()
    }


def _patrols(config: FeedbackConfig) -> dict[str, Mapping[str, NDArray]]:
    asked = config.patrols
    arms = [(name, c) for name in RATES for c in CORRECTIONS]
    sizes = [asked.urns if arm == ("equal", 0.0) else asked.other_urns for arm in arms]
    rates = np.repeat(np.array([RATES[name] for name, _ in arms], np.float32), sizes, axis=0)
    world = np.concatenate([np.arange(size) for size in sizes])
    lanes = Beat(
        seed=np.repeat(np.arange(len(arms), dtype=np.int32), sizes),
        world=(config.first_seed + world).astype(np.int32),
        rates=rates,
        start=np.ones_like(rates),
        correction=np.repeat(np.array([c for _, c in arms], np.float32), sizes),
    )
    counts = simulate(Patrols(asked.days, asked.looks), lanes, BLOCK).astype(np.float64)
    shares = counts[..., 0] / counts.sum(axis=-1)
    parts = np.split(shares, np.cumsum(sizes)[:-1])
    return {
        f"{name} {c:g}": {
            "last": part[:, -1],
            "early": part[:, max(0, asked.looks // 4 - 1)],
            "mean": part.mean(axis=0),
            "drawn": part[:_DRAWN],
        }
        for (name, c), part in zip(arms, parts, strict=True)
    }


def _shops(config: FeedbackConfig) -> dict[str, Mapping[str, NDArray]]:
    asked = config.recommender
    market = Market(
        users=asked.users,
        restaurants=asked.restaurants,
        new=asked.restaurants // 5,
        weeks=asked.weeks,
    )
    lots = -(-asked.markets // _LOT)  # of one size, so that they share a program

    def policy(name: str) -> Mapping[str, NDArray]:
        explored = asked.exploration * (name in (EXPLORES, BOTH))
        corrected = float(name in (CORRECTED, BOTH))
        parts = []
        for worlds in np.array_split(_worlds(config, asked.markets, 1), lots):
            ones = np.ones(len(worlds), np.float32)
            lanes = Shop(worlds, ones * np.float32(explored), ones * np.float32(corrected))
            parts.append(_of_shop(market, simulate(market, lanes, _HEAVY), explored))
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    return {name: policy(name) for name in POLICIES}


def _of_shop(market: Market, found: Any, explored: float) -> Mapping[str, NDArray]:
    shown = found.exposure.sum(axis=2)
    new = found.exposure[..., -market.new :].sum(axis=2) / shown
    numbers: dict[str, NDArray] = {
        "logged": found.logged,
        "true": found.true,
        "repeated": found.repeated,
        "orders": found.orders,
        "best": found.best,
        "new": new * market.restaurants / market.new,
        "gini": _each(feedback.gini, found.exposure),
        "ideal_gini": _each(feedback.gini, found.ideal),
        "ideal_new": found.ideal[:, -market.new :].mean(axis=1) / found.ideal.mean(axis=1),
        "coverage": _each(feedback.coverage, found.last.sum(axis=1)),
        "ideal_coverage": _each(feedback.coverage, found.ideal),
        "effective": _each(feedback.effective_items, found.exposure[:, -1]),
        "alike_first": np.array([feedback.homogeneity(lists) for lists in found.first]),
        "alike": np.array([feedback.homogeneity(lists) for lists in found.last]),
        "ideal_alike": np.array([feedback.homogeneity(lists) for lists in found.wanted]),
        "plain": np.array([r[s].mean() for r, s in zip(found.right, found.shown, strict=True)]),
    }
    if explored:  # without it most pairs have no propensity, and there is no estimate
        worlds = zip(found.right, found.shown, found.propensity, strict=True)
        numbers["weighted"] = np.array(
            [
                feedback.inverse_propensity(r.ravel(), s.ravel(), np.tile(p.ravel(), len(r)))
                for r, s, p in worlds
            ]
        )
    return numbers


def _firms(config: FeedbackConfig) -> dict[str, Mapping[str, NDArray]]:
    asked, n = config.hiring, config.hiring.firms
    labour = Labour(applicants=asked.applicants, places=asked.applicants // 4, years=asked.years)

    def lanes_of(chosen: Sequence[str], value: float) -> NDArray:
        return np.repeat(np.array([value * (name in chosen) for name in LEARNERS], np.float32), n)

    lanes = Firm(
        seed=_worlds(config, n, len(LEARNERS)),
        silence=lanes_of((SILENT, SILENT_LOTS), 1),
        exploration=lanes_of((SILENT_LOTS, LOTS), asked.lots),
        correction=lanes_of((LOTS,), 1),
        bias=lanes_of(LEARNERS, asked.bias),
    )
    found = simulate(labour, lanes, _HEAVY)
    return {name: _rows(found, i * n, n)._asdict() for i, name in enumerate(LEARNERS)}


def _worlds(config: FeedbackConfig, count: int, arms: int) -> NDArray:
    """The same worlds for every arm: they are compared pair by pair."""
    return np.tile(config.first_seed + np.arange(count, dtype=np.int32), arms)


def _rows(found: Any, begin: int, count: int) -> Any:
    return type(found)(*(values[begin : begin + count] for values in found))


def _each(measure: Any, exposures: NDArray) -> NDArray:
    """A measure of the last axis, for all leading ones."""
    flat = exposures.reshape(-1, exposures.shape[-1])
    return np.array([measure(row) for row in flat]).reshape(exposures.shape[:-1])


def described(config: FeedbackConfig) -> str:
    """What will be simulated, in a line."""
    patrols, shop, firm = config.patrols, config.recommender, config.hiring
    urns = patrols.urns + (len(RATES) * len(CORRECTIONS) - 1) * patrols.other_urns
    return (
        f"worlds: {urns:,} urns of {patrols.days:,} days; "
        f"{len(POLICIES) * shop.markets:,} markets of {shop.weeks} weeks, {shop.users} users and "
        f"{shop.restaurants} restaurants; {len(LEARNERS) * firm.firms:,} firms of {firm.years} "
        f"years and {firm.applicants} applicants; one program for each loop"
    )
