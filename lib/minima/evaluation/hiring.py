"""A firm that learns whom to hire from those whom it hired: it never sees what the others can do.

Applicants of two groups are equally able. What is known of them tells ability in part, and group
too, by way of a stand-in (a postcode). People once hired by what they saw in an interview, and set
the bar higher for one group. Each year a logistic regression is fitted to the record so far, and
decides who is hired next. A record of "successful employees" has no one who was turned away.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

_CLIP = 50.0  # of weights
_Record = tuple[jax.Array, jax.Array]  # weights and labels (years, applicants)


class Firm(NamedTuple):
    """One world, or many with a leading axis.

    Attributes:
      seed: of all draws, int32.
      silence: with which weight someone who was turned away counts as no success, float32: 1 takes
        "not among our successes" for "no success", 0 leaves them out.
      exploration: share of places that are given by lot among all applicants, float32.
      correction: power of 1 / propensity by which the hired count in the fit, float32: 0 or 1.
      bias: by how much people's bar was higher for the second group, in standard deviations.
    """

    seed: Any
    silence: Any
    exploration: Any
    correction: Any
    bias: Any


class Years(NamedTuple):
    """What happened; a leading axis (years + 1) where the first is that of people's decisions.

    Attributes:
      share: of the second group among the hired.
      able: share of the hired who succeed.
      logged: accuracy of the model on the next record as the firm reads it: successes against the
        rest; of the last year's model, the same year's record.
      true: its accuracy for all applicants of that year.
      slope: coefficient of the stand-in for the second group.
      estimate: success among all applicants, as this year's hired tell it with the correction.
      base: () share of applicants of the second group; () share that would succeed.
    """

    share: jax.Array
    able: jax.Array
    logged: jax.Array
    true: jax.Array
    slope: jax.Array
    estimate: jax.Array
    base: jax.Array


@dataclass(frozen=True)
class Labour:
    """A world of one firm.

    Attributes:
      applicants: a year.
      places: of them, how many are hired: by rank.
      years: in which the model decides.
      features: that tell ability, beside the stand-in and a constant.
      minority: share of the second group.
      proxy: how often the stand-in says the right group.
      interview: standard deviation of what only people see, in logits.
      steps: of each fit.
      ridge: penalty on squared coefficients, per applicant.
    """

    applicants: int = 400
    places: int = 100
    years: int = 12
    features: int = 3
    minority: float = 0.4
    proxy: float = 0.9
    interview: float = 1.0
    steps: int = 20
    ridge: float = 1e-3

    def __call__(self, firm: Firm) -> Years:
        """What happens in one world."""
        n, years = self.applicants, self.years + 1
        keys = jax.random.split(jax.random.key(firm.seed), 7)
        second = jax.random.bernoulli(keys[0], self.minority, (years, n))
        told = jnp.where(jax.random.bernoulli(keys[1], self.proxy, (years, n)), second, ~second)
        known = jax.random.normal(keys[2], (years, n, self.features))
        seen = self.interview * jax.random.normal(keys[3], (years, n))
        merit = jnp.sum(known, axis=-1) / jnp.sqrt(self.features / 2.0) + seen
        able = jax.random.uniform(keys[4], (years, n)) < jax.nn.sigmoid(merit)
        columns = [known, told[..., None].astype(known.dtype), jnp.ones((years, n, 1))]
        x = jnp.concatenate(columns, axis=-1)
        lots = jax.random.uniform(keys[5], (years, n))

        # The first year: people decide, by all that there is to see, and their bar.
        hired = self._best(merit - firm.bias * jnp.sqrt(3.0) * second, 0)
        weights, labels = jnp.zeros((years, n)), jnp.zeros((years, n))

        def recorded(
            record: _Record, year: jax.Array, hired: jax.Array, chance: jax.Array
        ) -> _Record:
            weights, labels = record
            counted = jnp.minimum(1 / jnp.maximum(chance, 1e-6), _CLIP) ** firm.correction
            mine = jnp.where(hired, counted, firm.silence)
            return weights.at[year].set(mine), labels.at[year].set(hired & able[year])

        record = recorded((weights, labels), jnp.int32(0), hired[0], jnp.ones(n))
        first = self._summed(hired[0], able[0], second[0], jnp.ones(n))

        def one_year(state: tuple[_Record, jax.Array], year: jax.Array) -> tuple[tuple, tuple]:
            record, w = state
            w = self._fitted(x, *record, w)
            score = x[year] @ w
            chosen, chance = self._chosen(score, lots[year], firm.exploration)
            success = chosen & able[year]
            says = score > 0
            whole = firm.silence > 0  # whose record has everybody, and whose has the hired alone
            asked = chosen | whole
            logged = jnp.sum((says == success) & asked) / jnp.sum(asked)
            seen = (
                *self._summed(chosen, able[year], second[year], chance),
                logged,
                jnp.mean(says == able[year]),
                w[-2],
            )
            return (recorded(record, year, chosen, chance), w), seen

        start = record, jnp.zeros(x.shape[-1])
        _, found = jax.lax.scan(one_year, start, jnp.arange(1, years))
        nothing = jnp.full((1,), jnp.nan)
        share, worked, estimate = (
            jnp.concatenate([one[None], rest]) for one, rest in zip(first, found[:3], strict=True)
        )
        logged, true, slope = (jnp.concatenate([nothing, rest]) for rest in found[3:])
        base = jnp.stack([jnp.mean(second), jnp.mean(able)])
        return Years(share, worked, logged, true, slope, estimate, base)

    def _best(self, score: jax.Array, fewer: Any) -> jax.Array:
        """(…, applicants) bool: the places less `fewer` that rank first."""
        rank = jnp.argsort(jnp.argsort(-score, axis=-1), axis=-1)
        return rank < self.places - jnp.asarray(fewer)

    def _chosen(
        self, score: jax.Array, lots: jax.Array, exploration: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Whom the model ranks first, and others by lot; with which probability each is hired."""
        by_lot = jnp.asarray(exploration) * self.places
        ranked = self._best(score, by_lot)
        chance = by_lot / (self.applicants - self.places + by_lot)
        return ranked | (lots < chance), jnp.where(ranked, 1.0, chance)

    def _summed(
        self, hired: jax.Array, able: jax.Array, second: jax.Array, chance: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        weight = jnp.where(hired, 1 / jnp.maximum(chance, 1e-6), 0.0)
        count = jnp.sum(hired)
        return (
            jnp.sum(hired & second) / count,
            jnp.sum(hired & able) / count,
            jnp.sum(weight * able) / jnp.sum(weight),
        )

    def _fitted(
        self, x: jax.Array, weights: jax.Array, labels: jax.Array, w: jax.Array
    ) -> jax.Array:
        """Logistic regression from the last fit, (features + 2,).

        Steps with the largest curvature that there can be, a quarter for each example (Boehning
        1992): every one lowers the loss, where Newton's may run away.
        """
        flat, y = x.reshape(-1, x.shape[-1]), labels.reshape(-1)
        shares = weights.reshape(-1) / jnp.sum(weights)
        curve = (flat * shares[:, None]).T @ flat / 4 + self.ridge * jnp.eye(x.shape[-1])
        inverse = jnp.linalg.inv(curve)

        def step(w: jax.Array, _: None) -> tuple[jax.Array, None]:
            slope = flat.T @ (shares * (jax.nn.sigmoid(flat @ w) - y)) + self.ridge * w
            return w - inverse @ slope, None

        return jax.lax.scan(step, w, None, self.steps)[0]
