"""Applicants for credit, and a past that turned down good ones where they lived: generated.

What is known of the past is why one cannot learn from it alone. Whether somebody repays follows
from money and habits; the past judged the same people, but in zip codes that were once drawn red it
turned down good ones, too. Members of group B mostly live there. No model ever sees the group.
"""

import functools
import re
from dataclasses import dataclass

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.tabular import Rows, Table

CREDIT, TRUTH, WITHOUT_ZIP = "credit", "credit_truth", "credit_without_zip"
FORMS = (CREDIT, TRUTH, WITHOUT_ZIP)
ZIP = "zip_code"
NUMBERS = (
    "income",
    "debt",
    "late_payments",
    "years_employed",
    "savings",
    "property_value",
    "years_as_customer",
)
AGES = ("under 30", "30 to 60", "60 to 75", "over 75")


@dataclass(frozen=True)
class Settings:
    """The world.

    num_train, num_test: applicants. seed: of everything.
    share: of group B. zips, red: zip codes, and how many of them were drawn red. inside: share of
        group A and of group B who live in those.
    income_gap: by how much B earns less, in standard deviations: so that base rates differ in
        truth, too.
    turned_down: probability that the past turned down somebody in a red zip code who would repay.
    ages: shares of AGES.
    """

    num_train: int = 10_000
    num_test: int = 10_000
    seed: int = 1_934
    share: float = 0.35
    zips: int = 20
    red: int = 7
    inside: tuple[float, float] = (0.12, 0.8)
    income_gap: float = 0.5
    turned_down: float = 0.45
    ages: tuple[float, ...] = (0.25, 0.55, 0.17, 0.03)


def credit_table(form: str, draw: str, settings: Settings = Settings()) -> Table:
    """Applicants of one of FORMS: 7 numbers, and the zip code as a column for each.

    form: labels are what the past decided ("credit"), or who repaid ("credit_truth");
        "credit_without_zip" has zeros in place of the zip code.
    draw: number of a sample from the same world; "" for 0.

    Raises UserError if the draw is no number.
    """
    if draw and not re.fullmatch(r"\d{1,6}", draw):
        raise UserError(
            f"--dataset '{form}:{draw}': {draw!r} is no number of a draw; use e.g. {form}:3"
        )
    number = int(draw or 0)
    name = f"{form}:{draw}" if draw else form
    train = applicants(settings.num_train, settings, settings.seed + 2 * number)
    test = applicants(settings.num_test, settings, settings.seed + 2 * number + 1)
    return Table(
        name,
        _in_form(train, form),
        _in_form(test, form),
        columns=NUMBERS + (ZIP,) * settings.zips,
        knows_truth=True,
        licence="none needed: generated numbers",
        source=f"generated applicants, seed {settings.seed}, draw {number}",
        stand_in=True,
    )


@functools.lru_cache(maxsize=8)
def applicants(count: int, settings: Settings, seed: int) -> Rows:
    """Applicants in random order; labels are the past's."""
    random = np.random.RandomState(seed)
    of_b = random.random_sample(count) < settings.share
    age = np.searchsorted(np.cumsum(settings.ages)[:-1], random.random_sample(count), "right")
    red = random.random_sample(count) < np.where(of_b, settings.inside[1], settings.inside[0])
    outside = random.randint(settings.red, settings.zips, count)
    zips = np.where(red, random.randint(0, settings.red, count), outside)

    def normal() -> np.ndarray:
        return random.standard_normal(count)

    income = normal() - settings.income_gap * of_b
    debt = 0.9 * normal() - 0.3 * income
    late = 0.9 * normal() - 0.2 * income
    employed = 0.8 * normal() + 0.4 * np.minimum(age, 2) - 0.4
    savings = 0.8 * normal() + 0.5 * income
    value = 0.7 * normal() + 0.3 * income - 0.9 * red
    customer = 0.7 * normal() + 0.5 * np.minimum(age, 2) - 0.2 * of_b
    logit = 1.5 + 3.0 * income - 2.1 * debt - 2.4 * late + 1.1 * employed + 0.8 * savings
    chance = 1 / (1 + np.exp(-logit))
    repaid = random.random_sample(count) < chance
    turned_down = red & (random.random_sample(count) < settings.turned_down)
    numbers = np.stack([income, debt, late, employed, savings, value, customer], axis=1)
    inputs = np.concatenate([numbers, zips[:, None] == np.arange(settings.zips)], axis=1)
    return Rows(
        inputs.astype(np.float32),
        (repaid & ~turned_down).astype(np.int32),
        repaid.astype(np.int32),
        {"group": np.where(of_b, "B", "A"), "age": np.array(AGES)[age]},
        chance,
    )


def _in_form(rows: Rows, form: str) -> Rows:
    labels = rows.truth if form == TRUTH else rows.labels
    inputs = rows.inputs
    if form == WITHOUT_ZIP:
        inputs = inputs.copy()
        inputs[:, len(NUMBERS) :] = 0
    return Rows(inputs, labels, rows.truth, rows.attributes, rows.chance)
