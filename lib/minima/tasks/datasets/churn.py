"""Customers' weekly purchases, and who is leaving: the user's own, or a generated stand-in.

Three forms of the same customers: the weeks as they are (a signal), and two tables of summaries, as
analysts make them.
"""

import functools
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.arrays import NAMES, check_arrays
from minima.tasks.datasets.dataset import Dataset, Kind, Split, assemble
from minima.tasks.datasets.npz import read_members

WEEKS = 78  # 18 months
YEAR = 52
RECENT = (4, 13, 26)  # weeks that summaries look at
LEAST_WEEKS = YEAR + RECENT[1]  # so that the same quarter a year ago is there

CHURN, SUMMARY, SUMMARY_YEAR = "churn", "churn_summary", "churn_summary_year"
FORMS = (CHURN, SUMMARY, SUMMARY_YEAR)


@dataclass(frozen=True)
class Settings:
    """The stand-in's customers.

    num_train, num_test: how many, half of them leaving. seed: of everything.
    rate, spread: purchases a week of the median customer, and the standard deviation of the log.
    seasonal: share of customers who buy by the season; depth: least and most of its swing, as a
        share of their rate.
    gone: how many weeks ago leaving began, at least and at most. half_life: weeks in which the rate
        of a leaving customer halves, least and most.
    drift: standard deviation of everybody's trend, in doublings a year.
    """

    num_train: int = 4_000
    num_test: int = 2_000
    seed: int = 78
    rate: float = 1.0
    spread: float = 0.5
    seasonal: float = 0.7
    depth: tuple[float, float] = (0.7, 1.0)
    gone: tuple[int, int] = (3, 14)
    half_life: tuple[float, float] = (1.0, 5.0)
    drift: float = 0.5


def load_churn(form: str, path: str, validation_fraction: float) -> Dataset:
    """Purchases (n, weeks) as a signal, or summaries (n, D) of them as vectors; labels 1: leaves.

    form: one of FORMS. path: an npz of x_train (n, weeks), y_train, x_test, y_test, with the newest
    week last; "" for the stand-in of 78 weeks. Raises UserError if the file is not of this form.
    """
    if path:
        train, test = _own(form, path)
        about: dict[str, Any] = {"licence": "not stated", "source": os.path.basename(path)}
    else:
        settings = Settings()
        train = draw(settings.num_train, settings, settings.seed)
        test = draw(settings.num_test, settings, settings.seed + 1)
        about = {
            "licence": "none needed: generated numbers",
            "source": f"generated customers, seed {settings.seed}; a stand-in for a retailer's",
        }
    kind: Kind = "signal" if form == CHURN else "vector"
    return assemble(
        f"{form}:{path}" if path else form,
        _in_form(train, form),
        _in_form(test, form),
        num_classes=2,
        kind=kind,
        validation_fraction=validation_fraction,
        stand_in=not path,
        **about,
    )


@functools.lru_cache(maxsize=8)
def draw(count: int, settings: Settings, seed: int) -> Split:
    """Customers in random order: purchases a week (count, WEEKS) float32, labels 1 for leaving.

    A customer buys a Poisson number of times a week, at a rate that swings with the year for some,
    each with a season of its own, and drifts. It falls without end where a customer is leaving,
    since some weeks ago. So a quiet quarter says little by itself: it may be the season.
    """
    random = np.random.RandomState(seed)
    labels = random.permutation(np.arange(count) % 2)
    week = np.arange(WEEKS)
    log_rate = np.log(settings.rate) + settings.spread * random.standard_normal((count, 1))
    doublings = settings.drift * random.standard_normal((count, 1))
    log_rate = log_rate + np.log(2) * doublings * (week - WEEKS / 2) / YEAR
    phase = 2 * np.pi * random.random_sample((count, 1))
    depth = random.uniform(*settings.depth, (count, 1))
    depth *= random.random_sample((count, 1)) < settings.seasonal
    season = 1 + depth * np.cos(2 * np.pi * week / YEAR + phase)
    begin = WEEKS - random.randint(settings.gone[0], settings.gone[1] + 1, (count, 1))
    half_life = random.uniform(*settings.half_life, (count, 1))
    left = 0.5 ** (np.maximum(week - begin, 0) / half_life)
    rate = np.exp(log_rate) * season * np.where(labels[:, None] == 1, left, 1)
    return Split(random.poisson(rate).astype(np.float32), labels.astype(np.int32))


def summaries(purchases: np.ndarray, year: bool) -> np.ndarray:
    """What an analyst's table holds of weekly purchases (n, weeks): float32 (n, D).

    Weeks since the last purchase; mean purchases a week over everything and over the last 4, 13 and
    26 weeks; the slope of the last 26; with `year`, also the means of the same 4 and 13 weeks a
    year ago.
    """
    weeks = purchases.shape[1]
    bought = purchases[:, ::-1] > 0
    recency = np.where(bought.any(axis=1), bought.argmax(axis=1), weeks)
    means = [purchases.mean(axis=1), *(purchases[:, -k:].mean(axis=1) for k in RECENT)]
    time = np.arange(RECENT[-1]) - (RECENT[-1] - 1) / 2
    slope = purchases[:, -RECENT[-1] :] @ time / (time @ time)
    columns = [recency, *means, slope]
    if year:
        columns += [purchases[:, -YEAR - k : -YEAR].mean(axis=1) for k in RECENT[:2]]
        columns += [purchases[:, -YEAR : k - YEAR].mean(axis=1) for k in RECENT[:2]]
    table = np.stack(columns, axis=1)
    # All on one scale, as one mean and one standard deviation standardise the whole of a dataset.
    return (table / SCALES[: table.shape[1]]).astype(np.float32)


SCALES = np.array([8.0, 1.0, 1.0, 1.0, 1.0, 0.05, 1.0, 1.0, 1.0, 1.0])  # of a stand-in's columns


def _in_form(customers: Split, form: str) -> Split:
    if form == CHURN:
        return customers
    return Split(summaries(customers.inputs, form == SUMMARY_YEAR), customers.labels)


def _own(form: str, path: str) -> tuple[Split, Split]:
    where = f"--dataset '{form}:{path}'"
    arrays = read_members(os.path.expanduser(path), NAMES, where)
    if arrays[0].ndim != 2 or arrays[0].shape[1] < LEAST_WEEKS:
        raise UserError(
            f"{where}: x_train has shape {arrays[0].shape}; it must be customers by weeks, "
            f"{LEAST_WEEKS} or more of them, the newest last"
        )
    train, test, classes = check_arrays(*arrays, where=where)
    if classes != 2:
        raise UserError(
            f"{where}: y_train holds {classes} classes; it must hold 0 (stays), 1 (leaves)"
        )
    return _narrow(train), _narrow(test)


def _narrow(split: Split) -> Split:
    return Split(split.inputs.astype(np.float32), split.labels)
