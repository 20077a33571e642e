"""Planted worlds: evidence whose causes are known, to try claims on before believing them.

The true accuracy of a cell, in points, is a sum of causes:

    ceiling
    - curvature  (log2 rate - log2 best)^2,   best = best_rate (B / B_0)^exponent
    - slowness   max(0, log2(enough / steps))
    - benefit    log2(B / B_0)                (`infinite_benefit` where data never repeat)

with B_0 the smallest batch size; never below `floor`. A run gets test example i right with
probability sigmoid(theta + seed's luck + cell's luck - difficulty_i - oddity_bi), where theta is
such that the mean over luck and examples is exactly the true accuracy. Difficulty is shared by all
runs, oddity by all runs of one batch size: it makes some examples harder for small batches, some
for large ones. Steps to a target accuracy follow S_min (1 + B_crit/B) at the best rate.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from minima.claims.evidence import Bools, Curves, Evidence, Floats, Plane

PLANES = (
    "epochs",
    "updates",
    "decayed",
    "grown",
    "infinite_epochs",
    "infinite_updates",
)


@dataclass(frozen=True)
class World:
    """What is true, and how much of it is seen.

    Attributes:
      batch_sizes, learning_rates: the grid, rising.
      choosing, reporting: how many seeds choose rates and how many report.
      num_test, num_validation: examples.
      steps: updates of the smallest batch size in "epochs"; the others make fewer in proportion.
      enough: updates from which on more of them gain nothing.
      ceiling, floor: accuracy in points at best and when guessing.
      best_rate, exponent: of the smallest batch size; how it grows with the batch size.
      curvature: points lost per squared octave off the best rate.
      slowness: points lost per halving of the updates below `enough`.
      benefit, infinite_benefit: points lost per doubling of the batch, on finite data or not.
      grown: points by which a growing batch beats a decaying rate.
      cliff: runs at this multiple of the best rate or above fail.
      failure: chance that any run fails.
      shared_luck, luck: standard deviations in logits, of a seed and of each of its runs.
      difficulty, oddity: standard deviations in logits, see above.
      critical, fewest_steps, step_noise: B_crit, S_min, and the log standard deviation over seeds.
      zigzag: log steps added and taken away at every other batch size, which no hyperbola follows.
      evaluations: points of the curves; 0 for no curves.
      optimizer, beta2_half_life: as in `Evidence`.
      planes: those that were run.
    """

    batch_sizes: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 512)
    learning_rates: tuple[float, ...] = tuple(2.0**k for k in range(-9, 3))
    choosing: int = 5
    reporting: int = 10
    num_test: int = 2000
    num_validation: int = 1000
    steps: int = 12_800
    enough: float = 0.0
    ceiling: float = 90.0
    floor: float = 10.0
    best_rate: float = 2.0**-6
    exponent: float = 1.0
    curvature: float = 1.0
    slowness: float = 0.0
    benefit: float = 0.0
    infinite_benefit: float = 0.0
    grown: float = 0.0
    cliff: float = float("inf")
    failure: float = 0.0
    shared_luck: float = 0.05
    luck: float = 0.05
    difficulty: float = 2.0
    oddity: float = 0.2
    critical: float = 64.0
    fewest_steps: float = 300.0
    step_noise: float = 0.03
    zigzag: float = 0.0
    evaluations: int = 50
    optimizer: str = "momentum"
    beta2_half_life: float = 0.0
    planes: tuple[str, ...] = PLANES

    def rows(self, name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Batch sizes of a plane and the updates each makes."""
        small, large = self.batch_sizes[0], self.batch_sizes[-1]
        if name.endswith("updates"):
            return (small, large), (self.steps, self.steps)
        if name in ("decayed", "grown"):
            return (small,), (self.steps,)
        return self.batch_sizes, tuple(max(1, self.steps * small // b) for b in self.batch_sizes)

    def truth(self, name: str) -> Floats:
        """True accuracy (B, R) in points of the cells of a plane."""
        sizes, steps = (np.asarray(row, np.float64)[:, None] for row in self.rows(name))
        octaves = np.log2(sizes / self.batch_sizes[0])
        short = np.maximum(0, np.log2(max(self.enough, 1e-300) / steps))
        benefit = self.infinite_benefit if name.startswith("infinite") else self.benefit
        lost = self.curvature * self._off(sizes) ** 2 + self.slowness * short + benefit * octaves
        extra = self.grown if name == "grown" else 0.0
        accuracy: Floats = np.clip(self.ceiling + extra - lost, self.floor, 99.9)
        return accuracy

    def draw(self, seed: int) -> Evidence:
        """What somebody sees who runs the experiment in this world; the same for the same seed."""
        rng = np.random.default_rng([seed, 0])
        count = self.choosing + self.reporting
        seeds = rng.normal(0, self.shared_luck, count)
        examples = rng.normal(0, self.difficulty, self.num_test)
        odd = rng.normal(0, self.oddity, (len(self.batch_sizes), self.num_test))
        oddities = dict(zip(self.batch_sizes, odd, strict=True))
        planes = {
            name: self._plane(name, [seed, 1 + PLANES.index(name)], seeds, examples, oddities)
            for name in self.planes
        }
        curves = self._curves([seed, 99], count) if self.evaluations else None
        return Evidence(
            planes,
            curves,
            tuple(range(self.choosing)),
            tuple(range(self.choosing, count)),
            self.optimizer,
            self.floor / 100,
            self.beta2_half_life,
        )

    def _off(self, sizes: Floats) -> Floats:
        """Octaves (B, R) from each batch size's best rate."""
        best = self.best_rate * (sizes / self.batch_sizes[0]) ** self.exponent
        off: Floats = np.log2(np.asarray(self.learning_rates) / best)
        return off

    def _plane(
        self,
        name: str,
        key: list[int],
        seeds: Floats,
        examples: Floats,
        oddities: Mapping[int, Floats],
    ) -> Plane:
        sizes, steps = self.rows(name)
        truth = self.truth(name) / 100
        shape = (*truth.shape, len(seeds))
        rng = np.random.default_rng(key)
        spread = np.sqrt(self.shared_luck**2 + self.luck**2 + self.difficulty**2 + self.oddity**2)
        theta = _logit_of_mean(truth, float(spread))
        level = theta[:, :, None] + seeds + rng.normal(0, self.luck, shape)
        off = self._off(np.asarray(sizes, np.float64)[:, None])
        failed = (off >= np.log2(self.cliff) - 1e-9)[:, :, None] | (
            rng.random(shape) < self.failure
        )
        expected = truth[:, :, None] + np.zeros(len(seeds))

        @functools.cache
        def hits(b: int, r: int) -> Bools:
            logits = level[b, r][:, None] - examples - oddities[sizes[b]]
            right = np.random.default_rng([*key, b, r]).random(logits.shape) < special.expit(logits)
            found: Bools = right & ~failed[b, r][:, None]
            return found

        test = np.array([[hits(b, r).mean(1) for r in range(shape[1])] for b in range(shape[0])])
        # Validation examples are others, of the same kind: the run's luck shifts both alike.
        slope = expected * (1 - expected) / np.sqrt(1 + spread**2 * np.pi / 8)
        chance = np.clip(expected + slope * (level - theta[:, :, None]), 0, 1)
        validation = rng.binomial(self.num_validation, chance) / self.num_validation
        loss = -np.log(np.clip(expected, 0.01, 1)) / 10
        return Plane(
            sizes,
            self.learning_rates,
            tuple(range(len(seeds))),
            np.where(failed, np.nan, validation),
            np.where(failed, np.nan, test),
            np.where(failed, np.nan, loss),
            steps,
            self.num_test,
            hits,
        )

    def _curves(self, key: list[int], count: int) -> Curves:
        rng = np.random.default_rng(key)
        sizes, budget = (np.asarray(row, np.float64) for row in self.rows("epochs"))
        if "updates" in self.planes:
            budget[-1] = self.steps
        zigzag = self.zigzag * (-1.0) ** np.arange(len(sizes))
        scale = self.fewest_steps * (1 + self.critical / sizes) * np.exp(zigzag)
        off = self._off(sizes[:, None])
        noise = rng.normal(0, self.step_noise, (*off.shape, count))
        scale = scale[:, None, None] * np.exp2(0.25 * off**2)[:, :, None] * np.exp(noise)
        share = np.arange(1, self.evaluations + 1) / self.evaluations
        steps = np.broadcast_to(
            budget[:, None, None, None] * share, (*scale.shape, self.evaluations)
        )
        done = 1 - np.exp(-steps / scale[..., None])
        low, high = self.floor / 100, self.ceiling / 100
        accuracy = low + (high - low) * done
        return Curves(steps.copy(), -np.log(0.1 + 0.9 * done), accuracy, 2 - accuracy)


def _logit_of_mean(accuracy: Floats, spread: float) -> Floats:
    """theta such that the mean of sigmoid(theta + spread Z), Z standard normal, is `accuracy`."""
    grid, logits = _logits_of_means(spread)
    # Inverted on the logit's scale, which is smooth at both ends.
    theta: Floats = np.interp(special.logit(accuracy), logits, grid)
    return theta


@functools.cache
def _logits_of_means(spread: float) -> tuple[Floats, Floats]:
    grid = np.linspace(-40, 40, 4001)
    nodes, weights = np.polynomial.hermite_e.hermegauss(101)
    means = special.expit(grid[:, None] + spread * nodes) @ (weights / weights.sum())
    return grid, special.logit(means)
