"""What is claimed of feedback loops; rules, predictions and tolerances were fixed before any run.

The generators were set on worlds from 1000 on, which don't report: that accuracy is 91 % is their
doing, and what follows from it is not.
"""

import math
from collections.abc import Iterator

import numpy as np
from scipy import stats

from minima.claims.claim import AT_MOST, NUMBER, SIGN, WITHIN
from minima.claims.seeded import Judge, Judged
from minima.statistics.intervals import Interval
from parts.feedback_loops.worlds import (
    BOTH,
    CORRECTED,
    EXPLORES,
    GREEDY,
    LOTS,
    RATES,
    SILENT,
    SILENT_LOTS,
    Floats,
    Worlds,
)

# Rule, prediction and tolerance; for SIGN the claimed size and the smallest effect of interest.
UNIFORM_SD = (NUMBER, 0.289, 0.01, "of the share")
RUNS_AWAY = (SIGN, 5.0, 1.0, "points")
THREE_ERRORS = (WITHIN, 0.0, 3.0, "standard errors")
ACCURATE = (NUMBER, 91.0, 1.0, "%")
BLIND = (SIGN, 10.0, 2.0, "points")
REPEATS = (NUMBER, 100.0, 15.0, "% of a list")
UNSEEN = (AT_MOST, 0.0, 0.25, "of their part of the catalogue")
UNEQUAL = (SIGN, 0.05, 0.01, "Gini")
SEEN = (SIGN, 0.25, 0.05, "of their part of the catalogue")
PAYS = (SIGN, 1.0, 0.5, "points")
HONEST = (WITHIN, 0.0, 1.0, "points")
ALIKE = (SIGN, 0.02, 0.005, "Jaccard")
CONFIRMS = (SIGN, -0.2, 0.05, "logits")
SHORT = (SIGN, -5.0, 1.0, "points")
EVEN = (WITHIN, 0.0, 2.0, "points")
FEWER = (WITHIN, 0.0, 3.0, "points")

_ENSIGN = "Ensign et al. 2018 (arXiv:1706.09847)"
_COURSE = "the course, lesson 1: the food-delivery recommender"
_CHANEY = "Chaney et al. 2018 (arXiv:1710.11214)"
_LAKKARAJU = "the course, lesson 4; Lakkaraju et al. 2017, selective labels"
_LAST = 4  # years at the end that are averaged


def judge(found: Worlds) -> list[Judged]:
    """Every claim."""
    protocol = "simulated worlds, paired by world where two conditions are compared"
    judge = Judge("feedback_loops", _ENSIGN, protocol)
    return [*_patrols(judge, found), *_recommender(judge, found), *_hiring(judge, found)]


def critical_distance(count: int) -> float:
    """The 99.9 % point of the Kolmogorov-Smirnov distance of so many values."""
    return float(stats.kstwo.ppf(0.999, count))


def distance_to_uniform(shares: Floats) -> float:
    """Kolmogorov and Smirnov's."""
    return float(stats.kstest(shares, "uniform").statistic)


def errors_off(shares: Floats, truth: float) -> float:
    """How many standard errors the mean lies off the truth."""
    return float((shares.mean() - truth) / (shares.std(ddof=1) / math.sqrt(len(shares))))


def spread(shares: Floats) -> Interval:
    """The standard deviation, with limits by its own standard error, from the fourth moment."""
    apart, n = shares - shares.mean(), len(shares)
    variance = float(np.mean(apart**2))
    error = math.sqrt(max(0.0, float(np.mean(apart**4)) - variance**2) / (4 * variance * n))
    sd = math.sqrt(variance)
    half = 1.96 * error
    return Interval(sd, sd - half, sd + half, 0.95, n, "fourth moment")


def _patrols(judge: Judge, found: Worlds) -> Iterator[Judged]:
    equal = found.patrols["equal", 0.0]["last"]
    n = len(equal)
    yield judge.exact(
        "urn-uniform",
        f"With equal rates, patrols that follow finds settle anywhere: {n:,} urns against the "
        "uniform law, below the 99.9 % point of the distance",
        (AT_MOST, 0.0, critical_distance(n), "Kolmogorov-Smirnov distance"),
        distance_to_uniform(equal),
    )
    yield judge.interval(
        "urn-spread",
        "The share of patrols has the uniform law's standard deviation, 1/√12",
        UNIFORM_SD,
        spread(equal),
    )
    runs = found.patrols["unequal", 0.0]
    yield judge.over_seeds(
        "urn-runs-away",
        "With rates of 55 and 45 % the share of the first area goes on rising",
        RUNS_AWAY,
        100 * (runs["last"] - runs["early"]),
    )
    for name, rates in RATES.items():
        truth = rates[0] / sum(rates)
        yield judge.exact(
            f"urn-{name}-corrected",
            f"Corrected, shares follow rates of {rates[0]:g} and {rates[1]:g}: their mean is "
            f"{truth:.4f}",
            THREE_ERRORS,
            errors_off(found.patrols[name, 1.0]["last"], truth),
        )


def _recommender(judge: Judge, found: Worlds) -> Iterator[Judged]:
    greedy, explores, both = (found.shops[name] for name in (GREEDY, EXPLORES, BOTH))
    yield judge.over_seeds(
        "shop-91",
        "At launch the recommender is 91 % accurate on the held-out part of its log",
        ACCURATE,
        100 * greedy["logged"][:, 0],
        source=_COURSE,
        notes=("the generator was set so on other worlds",),
    )
    yield judge.over_seeds(
        "shop-blind",
        "That accuracy is above the one for all users and restaurants",
        BLIND,
        100 * (greedy["logged"][:, 0] - greedy["true"][:, 0]),
        source=_COURSE,
    )
    yield judge.over_seeds(
        "shop-repeats",
        "Three weeks in, users are shown the same five restaurants again",
        REPEATS,
        100 * greedy["repeated"][:, 3],
        source=_COURSE,
    )
    yield judge.over_seeds(
        "shop-new",
        "Three weeks in, new restaurants get next to no recommendations",
        UNSEEN,
        greedy["new"][:, 3],
        source=_COURSE,
        notes=(f"in lists made from the truth: {greedy['ideal_new'].mean():.2f}",),
    )
    yield judge.over_seeds(
        "shop-unequal",
        "After the last week exposure is more unequal than in lists made from the truth",
        UNEQUAL,
        greedy["gini"][:, -1] - greedy["ideal_gini"],
        source=_CHANEY,
    )
    yield judge.over_seeds(
        "shop-alike",
        "After the last week users' lists are more alike than those made from the truth",
        ALIKE,
        greedy["alike"] - greedy["ideal_alike"],
        source=_CHANEY,
    )
    yield judge.over_seeds(
        "shop-alike-rises",
        "Users' lists become more alike from the first week to the last",
        ALIKE,
        greedy["alike"] - greedy["alike_first"],
        source=_CHANEY,
        notes=("popularity made the log: lists are as alike from the first week on",),
    )
    yield judge.over_seeds(
        "shop-explores-new",
        "Exploration brings new restaurants onto lists by the last week",
        SEEN,
        explores["new"][:, -1] - greedy["new"][:, -1],
        source=_COURSE,
    )
    yield judge.over_seeds(
        "shop-explores-true",
        "After the last week a recommender that explores is right about more pairs",
        BLIND,
        100 * (explores["true"][:, -1] - greedy["true"][:, -1]),
        source=_COURSE,
    )
    yield judge.over_seeds(
        "shop-explores-pays",
        "Exploration brings more orders per restaurant shown, over all weeks",
        PAYS,
        100 * (explores["orders"].mean(axis=1) - greedy["orders"].mean(axis=1)),
        source=_COURSE,
        notes=("tastes don't change here and users never tire: the least favourable case",),
    )
    for id, name, policy in (("ips-plain", "plain", explores), ("ips-corrected", "weighted", both)):
        how = "corrected by propensities, is" if name == "weighted" else "as it is, is above"
        yield judge.over_seeds(
            f"shop-{id}",
            f"Accuracy on an exploring recommender's log, {how} that for all pairs",
            HONEST if name == "weighted" else BLIND,
            100 * (policy[name] - policy["true"][:, -1]),
            source="Swaminathan and Joachims 2015; Schnabel et al. 2016 (arXiv:1602.05352)",
        )
    yield judge.over_seeds(
        "shop-no-exploration",
        "Without exploration, weighting the log does not bring new restaurants onto lists",
        UNSEEN,
        found.shops[CORRECTED]["new"][:, -1],
        source="Schnabel et al. 2016 (arXiv:1602.05352)",
    )


def _hiring(judge: Judge, found: Worlds) -> Iterator[Judged]:
    silent, lots = found.firms[SILENT], found.firms[LOTS]
    minority, able = silent["base"].T
    yield judge.over_seeds(
        "hiring-confirms",
        "Where silence counts as failure, a model's weight against the second group's stand-in "
        "grows, though people's bias ended when it took over",
        CONFIRMS,
        silent["slope"][:, -1] - silent["slope"][:, 1],
        source=_LAKKARAJU,
    )
    yield judge.over_seeds(
        "hiring-short",
        "In its last years it hires fewer of the second group than apply, who are as able",
        SHORT,
        100 * (_late(silent["share"]) - minority),
        source=_LAKKARAJU,
    )
    yield judge.over_seeds(
        "hiring-accurate",
        "On its own record it is more accurate than about applicants",
        BLIND,
        100 * (_late(silent["logged"]) - _late(silent["true"])),
        source=_LAKKARAJU,
        notes=(
            f"{100 * _late(silent['logged']).mean():.1f} % on the record, "
            f"{100 * _late(silent['true']).mean():.1f} % in truth",
        ),
    )
    yield judge.over_seeds(
        "hiring-lots-alone",
        "Hiring some by lot does not mend it while silence counts as failure",
        SHORT,
        100 * (_late(found.firms[SILENT_LOTS]["share"]) - minority),
        source=_LAKKARAJU,
    )
    yield judge.over_seeds(
        "hiring-even",
        "Learning from the hired alone, some of them by lot, with propensities, it hires as many "
        "of the second group as apply",
        EVEN,
        100 * (_late(lots["share"]) - minority),
        source=_LAKKARAJU,
    )
    yield judge.over_seeds(
        "hiring-estimate",
        "The hired, weighted by propensity, tell how many of all applicants would succeed",
        FEWER,
        100 * (lots["estimate"][:, 1:].mean(axis=1) - able),
        source=_LAKKARAJU,
        notes=(
            "the hired as they are say "
            f"{100 * (lots['able'][:, 1:].mean(axis=1) - able).mean():+.1f} points",
        ),
    )


def _late(values: Floats) -> Floats:
    """(worlds,) means of the last years."""
    return values[:, -min(_LAST, values.shape[1] - 1) :].mean(axis=1)
