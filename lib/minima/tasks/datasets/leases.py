"""Renters, and who defaults on a lease within a year: generated, with faults that can be mended.

As a team built it: records of 8 cities of the 15 in which it will be used, a column that is filled
in after the fact, and files that tell little about one group. Each fault has a mend, by name.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minima.runtime.errors import UserError
from minima.tasks.datasets.dataset import Dataset, Split, assemble

LEASES = "leases"
CITIES, PORTAL, FILES = "cities", "portal", "files"
MENDS = (CITIES, PORTAL, FILES)
FEATURES = ("burden", "late", "savings", "tenure", "credit", "filings", "sealed", "portal")

SOUTHWEST = (
    *("Albuquerque", "El Paso", "Henderson", "Las Vegas"),
    *("Mesa", "Phoenix", "Santa Fe", "Tucson"),
)
ELSEWHERE = (
    *("Atlanta", "Boston", "Chicago", "Denver"),
    *("Oakland", "Portland", "Seattle"),
)


@dataclass(frozen=True)
class Settings:
    """The renters.

    train, test: leases of each city. deployed: applications in all 15. seed: of everything.
    base: logit of a default where everything is average.
    second: share of the second origin; young: of renters under 30.
    burden: by how much rents weigh more elsewhere, in standard deviations.
    noise: standard deviation of what stands in thin files beside the truth, and thin: how much of
      the truth is left in them.
    filled: how often the portal's column agrees with the outcome in records.
    """

    train: int = 120
    test: int = 1000
    deployed: int = 6000
    seed: int = 15
    base: float = -1.8
    second: float = 0.35
    young: float = 0.4
    burden: float = 1.0
    noise: float = 0.9
    thin: float = 0.2
    filled: float = 0.85


@dataclass(frozen=True)
class Renters:
    """Rows of a table, the same order everywhere.

    Attributes:
      inputs: (n, features) float32, what the model reads, in the order of FEATURES.
      labels: (n,) int32, 1 for a default.
      columns: (n,) text or float64 by name: city, burden, origin, age, portal.
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.int32]
    columns: Mapping[str, NDArray]


_WEIGHTS = {"burden": 1.2, "late": 2.0, "savings": -1.3, "tenure": -0.8, "credit": -2.1}
_FILINGS = 1.0


def load_leases(rest: str, validation_fraction: float) -> Dataset:
    """Vectors (n, 8), labels 1 for a default.

    rest: mends, such as "cities,portal"; "" for the data as they were. Raises UserError for another
    word, or if validation_fraction does not fit.
    """
    mends = parse_mends(rest)
    train, test = (Split(part.inputs, part.labels) for part in (records(mends), held_out(mends)))
    return assemble(
        f"{LEASES}:{rest}" if rest else LEASES,
        train,
        test,
        num_classes=2,
        kind="vector",
        validation_fraction=validation_fraction,
        licence="none needed: generated numbers",
        source=f"generated renters, seed {Settings().seed}; a stand-in for lease records",
        stand_in=True,
    )


def parse_mends(text: str) -> frozenset[str]:
    """Which faults are mended.

    Raises:
      UserError: another word.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in MENDS:
            raise UserError(
                f"--dataset '{LEASES}:{text}': {word} is none of its mends; use {', '.join(MENDS)}"
            )
    return frozenset(words)


def records(mends: frozenset[str], settings: Settings | None = None) -> Renters:
    """What is trained on."""
    chosen = settings or Settings()
    return _drawn(_cities(mends), chosen.train, mends, chosen, chosen.seed)


def held_out(mends: frozenset[str], settings: Settings | None = None) -> Renters:
    """The test set: other leases of the same cities."""
    chosen = settings or Settings()
    return _drawn(_cities(mends), chosen.test, mends, chosen, chosen.seed + 1)


def applications(mends: frozenset[str], settings: Settings | None = None) -> Renters:
    """What comes once the model is in use: 15 cities, and a portal that knows no outcome."""
    chosen = settings or Settings()
    cities = (*SOUTHWEST, *ELSEWHERE)
    each = chosen.deployed // len(cities)
    return _drawn(cities, each, mends, chosen, chosen.seed + 2, outcome_known=False)


def _cities(mends: frozenset[str]) -> tuple[str, ...]:
    return (*SOUTHWEST, *ELSEWHERE) if CITIES in mends else SOUTHWEST


@functools.lru_cache(maxsize=16)
def _drawn(
    cities: tuple[str, ...],
    each: int,
    mends: frozenset[str],
    settings: Settings,
    seed: int,
    outcome_known: bool = True,
) -> Renters:
    random = np.random.RandomState(seed)
    n = each * len(cities)
    city = np.repeat(cities, each)[random.permutation(n)]
    away = np.isin(city, ELSEWHERE)
    second = random.random_sample(n) < settings.second
    young = random.random_sample(n) < settings.young
    true = {name: random.standard_normal(n) for name in _WEIGHTS}
    true["burden"] = true["burden"] + settings.burden * away
    filings = (random.random_sample(n) < 0.3).astype(np.float64)
    logit = settings.base + _FILINGS * filings
    logit = logit + sum(weight * true[name] for name, weight in _WEIGHTS.items())
    labels = random.random_sample(n) < 1 / (1 + np.exp(-logit))

    told = dict(true)
    noise = settings.noise * random.standard_normal((3, n))
    if FILES not in mends:
        for name, extra in zip(("late", "credit", "savings"), noise, strict=True):
            told[name] = np.where(second, settings.thin * true[name] + extra, true[name])
    agrees = random.random_sample(n) < settings.filled
    portal = np.where(agrees, labels, ~labels)
    if not outcome_known:
        portal = random.random_sample(n) < labels.mean()
    told["filings"] = np.where(away, 0.0, filings)  # sealed by law elsewhere
    told["sealed"] = away.astype(np.float64)
    told["portal"] = np.zeros(n) if PORTAL in mends else portal.astype(np.float64)
    return Renters(
        np.stack([told[name] for name in FEATURES], axis=1).astype(np.float32),
        labels.astype(np.int32),
        {
            "city": city,
            "burden": true["burden"],
            "origin": np.where(second, "second", "first"),
            "age": np.where(young, "under 30", "30 and over"),
            "portal": np.where(portal, "collections", "office"),
        },
    )
