"""A recommender that is retrained every week on the orders that its own lists brought.

Users have tastes, restaurants a quality and a style; whether a user would order this week from a
restaurant that is shown to them is drawn from a probability that nobody sees. Before launch,
restaurants were shown by popularity, and that is the log that the first model learns from. From
then on it learns from what it shows. Restaurants that come with the launch have no log at all.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

_ADAM = 0.9, 0.999, 1e-8
_HELD_OUT = 0.2  # share of every log that is for testing
_CLIP = 50.0  # of weights: less variance, and a bias that the audit of the log does not have


class Shop(NamedTuple):
    """One world, or many with a leading axis.

    Attributes:
      seed: of its truth and all draws, int32.
      exploration: share of a list that is drawn among all other restaurants, float32.
      correction: power of 1 / propensity by which examples count in training, float32: 0 or 1.
    """

    seed: Any
    exploration: Any
    correction: Any


class Weeks(NamedTuple):
    """What happened; a leading axis for weeks, the first being that of the launch.

    Attributes:
      exposure: (weeks, restaurants) how often each was shown.
      repeated: (weeks,) share of a user's list that was on last week's; NaN in the first.
      logged: (weeks,) accuracy on the held-out part of the log so far, as a team measures it.
      true: (weeks,) expected accuracy over all pairs of user and restaurant.
      orders: (weeks,) orders expected per restaurant shown.
      best: () the same of lists made from the true probabilities.
      ideal: (restaurants,) exposure in those.
      first, last, wanted: (users, restaurants) lists of the first and the last week, and those.
      shown: (audits, users, restaurants) what more weeks of the last policy showed, held out.
      right: (audits, users, restaurants) whether the model was right there.
      propensity: (users, restaurants) probability of being shown in them.
    """

    exposure: jax.Array
    repeated: jax.Array
    logged: jax.Array
    true: jax.Array
    orders: jax.Array
    best: jax.Array
    ideal: jax.Array
    first: jax.Array
    last: jax.Array
    wanted: jax.Array
    shown: jax.Array
    right: jax.Array
    propensity: jax.Array


class _Log(NamedTuple):
    """Sums over weeks, (users, restaurants): weighted, and of the held-out part plain."""

    shown: jax.Array
    ordered: jax.Array
    test_shown: jax.Array
    test_ordered: jax.Array


class _Model(NamedTuple):
    """P(order) = sigmoid(bias + user + item + taste · style)."""

    bias: jax.Array
    user: jax.Array
    item: jax.Array
    taste: jax.Array
    style: jax.Array

    def logits(self) -> jax.Array:
        """(users, restaurants)."""
        return self.bias + self.user[:, None] + self.item[None, :] + self.taste @ self.style.T


@dataclass(frozen=True)
class Market:
    """A world of one city.

    Attributes:
      users, restaurants: how many.
      new: of the restaurants, how many come with the launch.
      slots: restaurants on a list.
      past, weeks: of the log before the launch, and after it.
      factors: of tastes and styles, in truth and in the model.
      first_steps, steps: of Adam at the launch, and every week after it.
      rate, ridge: Adam's rate, and the penalty on squared weights of an example's loss.
      base, taste, quality: mean of the logit of ordering, and how far tastes and quality move it.
      habit: how far quality, as the crowd sees it, and luck moved the logarithm of what was shown.
      browsed: restaurants shown to a user in a week before the launch, on average.
      audits: held-out weeks on which the last model is measured.
    """

    users: int = 48
    restaurants: int = 40
    new: int = 8
    slots: int = 5
    past: int = 16
    weeks: int = 26
    factors: int = 3
    first_steps: int = 200
    steps: int = 30
    rate: float = 0.05
    ridge: float = 3e-3
    base: float = -1.5
    taste: float = 9.5
    quality: float = 1.5
    habit: float = 1.7
    browsed: float = 6.0
    audits: int = 8

    def __call__(self, shop: Shop) -> Weeks:
        """What happens in one world."""
        made, past, fresh, weekly, audit = jax.random.split(jax.random.key(shop.seed), 5)
        truth, habit = self._truth(made)
        wanted = self._lists(truth)
        log = self._past(past, truth, habit, shop)
        model = self._train(self._fresh(fresh), log, self.first_steps)

        def week(carry: tuple, key: jax.Array) -> tuple[tuple, tuple]:
            model, log, before = carry
            logits = model.logits()
            mine = self._lists(logits)
            chance = self._propensity(mine, shop.exploration)
            shown, ordered, test = self._drawn(key, chance, truth)
            hits = jnp.where(logits > 0, log.test_ordered, log.test_shown - log.test_ordered)
            seen = (
                jnp.sum(shown, axis=0),
                jnp.sum(mine & before) / (self.users * self.slots),
                jnp.sum(hits) / jnp.sum(log.test_shown),
                jnp.mean(jnp.where(logits > 0, truth, 1 - truth)),
                jnp.sum(chance * truth) / jnp.sum(chance),
                mine,
            )
            log = self._added(log, (shown, ordered, test), chance, shop.correction)
            return (self._train(model, log, self.steps), log, mine), seen

        start = model, log, jnp.zeros_like(wanted)
        keys = jax.random.split(weekly, self.weeks)
        (model, _, _), seen = jax.lax.scan(week, start, keys)
        exposure, repeated, logged, true, orders, lists = seen
        logits = model.logits()
        chance = self._propensity(self._lists(logits), shop.exploration)
        keys = jax.random.split(audit, self.audits)
        shown, ordered, _ = jax.vmap(lambda key: self._drawn(key, chance, truth))(keys)
        return Weeks(
            exposure,
            repeated.at[0].set(jnp.nan),
            logged,
            true.at[-1].set(jnp.mean(jnp.where(logits > 0, truth, 1 - truth))),
            orders,
            jnp.sum(truth * wanted) / jnp.sum(wanted),
            jnp.sum(wanted, axis=0),
            lists[0],
            lists[-1],
            wanted,
            shown,
            (logits > 0)[None] == ordered,
            chance,
        )

    def _truth(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Probabilities of ordering, and the logits of being shown before the launch."""
        taste_key, style_key, quality_key, habit_key = jax.random.split(key, 4)
        tastes = jax.random.normal(taste_key, (self.users, self.factors))
        styles = jax.random.normal(style_key, (self.restaurants, self.factors))
        quality = jax.random.normal(quality_key, (self.restaurants,))
        agree = tastes @ styles.T / jnp.sqrt(self.factors)
        logits = self.base + self.taste * agree + self.quality * quality[None, :]
        luck = jax.random.normal(habit_key, (self.restaurants,))
        return jax.nn.sigmoid(logits), self.habit * (quality + luck)

    def _past(self, key: jax.Array, truth: jax.Array, habit: jax.Array, shop: Shop) -> _Log:
        old = jnp.arange(self.restaurants) < self.restaurants - self.new
        weight = jnp.where(old, jnp.exp(habit), 0.0)
        chance = jnp.minimum(self.browsed * weight / jnp.sum(weight), 0.95)
        chance = jnp.broadcast_to(chance[None, :], truth.shape)
        log = _Log(*[jnp.zeros_like(truth)] * 4)

        def week(log: _Log, key: jax.Array) -> tuple[_Log, None]:
            drawn = self._drawn(key, chance, truth)
            return self._added(log, drawn, chance, shop.correction), None

        return jax.lax.scan(week, log, jax.random.split(key, self.past))[0]

    def _drawn(
        self, key: jax.Array, chance: jax.Array, truth: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Who is shown what, who orders, and what is held out, (users, restaurants) bool."""
        draw, apart = jax.random.uniform(key, (2, *truth.shape))
        return draw < chance, draw < chance * truth, apart < _HELD_OUT

    def _added(
        self,
        log: _Log,
        drawn: tuple[jax.Array, jax.Array, jax.Array],
        chance: jax.Array,
        correction: Any,
    ) -> _Log:
        shown, ordered, test = drawn
        weights = jnp.minimum(1 / jnp.maximum(chance, 1e-6), _CLIP) ** correction
        weights = jnp.where(test, 0.0, weights)
        return _Log(
            log.shown + weights * shown,
            log.ordered + weights * ordered,
            log.test_shown + (shown & test),
            log.test_ordered + (ordered & test),
        )

    def _lists(self, scores: jax.Array) -> jax.Array:
        """(users, restaurants) bool: the best of each user."""
        least = jax.lax.top_k(scores, self.slots)[0][:, -1:]
        return scores >= least

    def _propensity(self, mine: jax.Array, exploration: Any) -> jax.Array:
        """Each of a list with 1 - exploration, each other so often that the size stays."""
        others = exploration * self.slots / (self.restaurants - self.slots)
        return jnp.where(mine, 1 - jnp.asarray(exploration), others)

    def _fresh(self, key: jax.Array) -> _Model:
        taste, style = jax.random.split(key)
        return _Model(
            jnp.zeros(()),
            jnp.zeros(self.users),
            jnp.zeros(self.restaurants),
            0.1 * jax.random.normal(taste, (self.users, self.factors)),
            0.1 * jax.random.normal(style, (self.restaurants, self.factors)),
        )

    def _train(self, model: _Model, log: _Log, steps: int) -> _Model:
        """Adam on the mean logistic loss of the log, from where the model stands."""
        examples = jnp.sum(log.shown)

        def loss(model: _Model) -> jax.Array:
            z = model.logits()
            fit = jnp.sum(log.shown * jax.nn.softplus(z) - log.ordered * z) / examples
            weights = sum(jnp.sum(jnp.square(leaf)) for leaf in model[1:])
            return fit + self.ridge * weights / self.users

        def step(state: tuple, t: jax.Array) -> tuple[tuple, None]:
            model, mean, square = state
            first, second, tiny = _ADAM
            slope = jax.grad(loss)(model)
            mean = jax.tree.map(lambda m, g: first * m + (1 - first) * g, mean, slope)
            square = jax.tree.map(
                lambda v, g: second * v + (1 - second) * jnp.square(g), square, slope
            )

            def moved(w: jax.Array, m: jax.Array, v: jax.Array) -> jax.Array:
                m, v = m / (1 - first**t), v / (1 - second**t)
                return w - self.rate * m / (jnp.sqrt(v) + tiny)

            return (jax.tree.map(moved, model, mean, square), mean, square), None

        zeros = jax.tree.map(jnp.zeros_like, model)
        times = jnp.arange(1.0, steps + 1.0)
        return jax.lax.scan(step, (model, zeros, zeros), times)[0][0]
