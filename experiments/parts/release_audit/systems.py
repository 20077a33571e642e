"""Systems whose faults are known: a model that is honest and equal for all, and ways to break it.

A system is arrays: what its model says of a test set, and what its deployment is like. The logit of
a clean one is that of the probability from which labels are drawn; cities, groups and income have
nothing to do with it, and a ruler goes with the label four times in five, which the model ignores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from minima.evaluation.audit import (
    CONFIDENCE,
    COVERAGE,
    GROUPS,
    SHORTCUTS,
    Evidence,
    make_evidence,
)
from minima.evaluation.limits import Limits

CITIES = tuple(f"city {number}" for number in range(8))
_DEPLOYED = 3000
_SPREAD = 2.2  # of the logit


class System:
    """One system, to be broken before it is shown.

    Attributes:
      logit: (n,) what the model says.
      labels: (n,) drawn from it.
      race, sex, ruler, city, income: (n,) columns of the test set.
      deployed: columns of the deployment.
    """

    def __init__(self, seed: int, n: int) -> None:
        """A clean one of n test examples."""
        self.rng = rng = np.random.default_rng(seed)
        self.n = n
        self.logit = rng.normal(0, _SPREAD, n)
        self.labels = (rng.random(n) < sigmoid(self.logit)).astype(int)
        self.race, self.sex = rng.choice(["a", "b", "c"], n), rng.choice(["f", "m"], n)
        self.ruler = np.where(rng.random(n) < 0.8, self.labels, 1 - self.labels)
        self.city, self.income = rng.choice(CITIES, n), rng.normal(size=n)
        self.deployed: dict[str, NDArray] = {
            "city": rng.choice(CITIES, _DEPLOYED),
            "income": rng.normal(size=_DEPLOYED),
        }

    def redrawn(self, probability: NDArray) -> None:
        """Labels anew, from other probabilities than those that the model says."""
        self.labels = (self.rng.random(self.n) < probability).astype(int)

    def some(self, chance: float) -> NDArray[np.bool_]:
        """(n,) a random choice of examples."""
        chosen: NDArray[np.bool_] = self.rng.random(self.n) < chance
        return chosen

    def evidence(self, **changes: Any) -> Evidence:
        """What an auditor gets."""
        columns: dict[str, Any] = {
            "groups": {"race": self.race, "sex": self.sex},
            "cues": {"ruler": self.ruler},
            "covered": {"city": self.city, "income": self.income},
            "deployed": self.deployed,
        }
        p = sigmoid(self.logit)
        return make_evidence(self.labels, p, threshold=0.5, **(columns | changes))


@dataclass(frozen=True)
class Fault:
    """A way to break a system.

    Attributes:
      name: in words.
      question: which of the four must find it.
      plant: changes a clean system.
    """

    name: str
    question: str
    plant: Callable[[System], None]


def sigmoid(t: Any) -> NDArray[np.float64]:
    """The logistic function, float64."""
    return 1 / (1 + np.exp(-np.asarray(t, np.float64)))


def _more_cities(s: System) -> None:
    more = [f"city {number}" for number in range(8, 15)]
    s.deployed["city"] = s.rng.choice([*CITIES, *more], _DEPLOYED)


def _one_more_city(s: System) -> None:
    s.deployed["city"] = np.where(s.rng.random(_DEPLOYED) < 0.05, "city 8", s.deployed["city"])


def _weak_city(s: System) -> None:
    flipped = (s.city == "city 3") & s.some(0.3)
    s.labels = np.where(flipped, 1 - s.labels, s.labels)


def _richer(s: System) -> None:
    s.deployed["income"] = s.rng.normal(0.6, 1, _DEPLOYED)


def _wider(s: System) -> None:
    s.deployed["income"] = s.rng.normal(0, 2, _DEPLOYED)


def _leans_on_ruler(s: System) -> None:
    s.logit = s.logit + 2.0 * (2 * s.ruler - 1)


def _is_ruler(s: System) -> None:
    s.logit = np.where(s.ruler == 1, 2.0, -2.0) + 0.01 * s.logit


def _ruler_where_unsure(s: System) -> None:
    unsure = np.abs(s.logit) < 1.5
    s.logit = np.where(unsure, np.where(s.ruler == 1, 1.5, -1.5), s.logit)


def _rejects_race(s: System) -> None:
    s.logit = s.logit - 1.5 * (s.race == "a")


def _favours_men(s: System) -> None:
    s.logit = s.logit + 1.2 * (s.sex == "m")


def _misses_race(s: System) -> None:
    missed = (s.race == "b") & (s.labels == 1) & s.some(0.3)
    s.logit = np.where(missed, -np.abs(s.logit), s.logit)


def _accuses_race(s: System) -> None:
    accused = (s.race == "c") & (s.labels == 0) & s.some(0.3)
    s.logit = np.where(accused, np.abs(s.logit), s.logit)


def _rejects_intersection(s: System) -> None:
    s.logit = s.logit - 2.0 * ((s.race == "a") & (s.sex == "f"))


def _overconfident(s: System) -> None:
    s.logit = 3 * s.logit


def _underconfident(s: System) -> None:
    s.logit = s.logit / 4


def _wrong_about_one_group(s: System) -> None:
    s.redrawn(np.where(s.sex == "f", sigmoid(s.logit / 4), sigmoid(s.logit)))


def _base_rate_moved(s: System) -> None:
    s.redrawn(sigmoid(s.logit - 1.0))


FAULTS = (
    Fault("seven cities that were never tested", COVERAGE, _more_cities),
    Fault("one city that was never tested", COVERAGE, _one_more_city),
    Fault("a city in which it is often wrong", COVERAGE, _weak_city),
    Fault("richer people in use", COVERAGE, _richer),
    Fault("more unequal people in use", COVERAGE, _wider),
    Fault("leans on the ruler", SHORTCUTS, _leans_on_ruler),
    Fault("is nothing but the ruler", SHORTCUTS, _is_ruler),
    Fault("asks the ruler where it is unsure", SHORTCUTS, _ruler_where_unsure),
    Fault("turns one race down", GROUPS, _rejects_race),
    Fault("favours men", GROUPS, _favours_men),
    Fault("misses one race's good cases", GROUPS, _misses_race),
    Fault("accuses one race", GROUPS, _accuses_race),
    Fault("turns women of one race down", GROUPS, _rejects_intersection),
    Fault("overconfident", CONFIDENCE, _overconfident),
    Fault("underconfident", CONFIDENCE, _underconfident),
    Fault("wrong about one group's chances", CONFIDENCE, _wrong_about_one_group),
    Fault("chances of another year", CONFIDENCE, _base_rate_moved),
)


@dataclass(frozen=True)
class Graded:
    """A fault of any size.

    Attributes:
      name: in words, with its unit.
      question: which must find it.
      limit: the size that matters.
      plant: changes a clean system, so that the true size is the second argument.
    """

    name: str
    question: str
    limit: float
    plant: Callable[[System, float], None]


def _shift(s: System, size: float) -> None:
    moved = 2 * float(stats.norm.ppf((1 + size) / 2))
    s.deployed["income"] = s.rng.normal(moved, 1, _DEPLOYED)


def _dependent(s: System, size: float) -> None:
    """So many points less where the ruler goes against the label."""
    wrong = (s.ruler != s.labels) & s.some(size / _BASE_ACCURACY)
    s.logit = np.where(wrong, np.abs(s.logit) * (1 - 2 * s.labels), s.logit)


def _accused(s: System, size: float) -> None:
    """False positive rates so far apart; the other two rates lie closer."""
    chosen = (s.race == "a") & (s.logit < 0) & s.some(size / _BASE_ACCURACY)
    s.logit = np.where(chosen, -s.logit, s.logit)


def _miscalibrated(s: System, size: float) -> None:
    """Labels further from the model's probabilities, all by the same distance to the middle."""
    p = sigmoid(s.logit)
    s.redrawn(np.clip(p - size * np.sign(p - 0.5), 0, 1))


# Of a clean system: the mean of the likelier class's probability.
_BASE_ACCURACY = float(
    np.mean(sigmoid(np.abs(_SPREAD * stats.norm.ppf((np.arange(10_000) + 0.5) / 10_000))))
)
GRADED = (
    Graded("shift of a feature (Kolmogorov-Smirnov)", COVERAGE, Limits().shift, _shift),
    Graded("dependence of accuracy on a cue", SHORTCUTS, Limits().dependence, _dependent),
    Graded("gap in false positive rates", GROUPS, Limits().gap, _accused),
    Graded("calibration error", CONFIDENCE, Limits().calibration, _miscalibrated),
)
SIZES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)  # in limits
