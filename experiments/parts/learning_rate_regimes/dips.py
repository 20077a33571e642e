"""Two dips of a landscape in the plane, a poor and a better one: which rate ends where?

The height is that of a gentle bowl less two Gaussian dips. Gradient descent starts in the narrow
one. Up to 2 / (its largest curvature) it stays; above it can't settle: first it goes round in the
dip, which curves less further out, and at two to three times the edge it rolls on. What decides is
the dip's width and not its depth: where the narrow dip is the better one, it is left as well.
"""

from dataclasses import dataclass
from functools import cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np

from minima.claims.evidence import Floats
from minima.claims.regimes import limit

NARROW, WIDE = np.array([-1.5, 0.0]), np.array([0.0, 0.0])  # where the dips are
_NARROW_SIZE, _WIDE_SIZE, _WIDE_DEPTH, _BOWL = 0.2, 1.0, 1.5, 0.05
POOR, DEEP = 0.5, 3.0  # depth of the narrow dip: less than the wide one's, or more
_UPDATES, _AWAY = 500, 0.15  # how far starts are from the narrow dip's middle at most
RATES = tuple(np.geomspace(0.01, 1.0, 64).tolist())


@dataclass(frozen=True)
class Descents:
    """Where gradient descent ends.

    Attributes:
      depth: of the narrow dip.
      bottom: (2,) the narrow dip's lowest point. curvature: its Hessian's largest eigenvalue.
      left: (64, starts) whether it ends in the wide dip, for each of RATES.
      height: (64, starts) where it ends.
    """

    depth: float
    bottom: Floats
    curvature: float
    left: np.ndarray
    height: Floats

    @property
    def edge(self) -> float:
        """The rate above which the narrow dip's bottom is unstable."""
        return 2 / self.curvature

    def nearest(self, factor: float) -> int:
        """The place of the rate that is nearest to `factor` times the edge."""
        return int(np.argmin(np.abs(np.log(np.array(RATES) / (factor * self.edge)))))

    @cached_property
    def boundary(self) -> float:
        """The largest rate at which most starts stay; NaN where they never or always do."""
        stays = self.left.mean(axis=1) < 0.5
        return limit(RATES, ["lazy" if stay else "diverged" for stay in stays])


def height(place: jax.Array, depth: float) -> jax.Array:
    """Of the landscape at (2,) a place."""

    def dip(middle: np.ndarray, size: float) -> jax.Array:
        return jnp.exp(-jnp.sum(jnp.square(place - middle)) / (2 * size**2))

    bowl = _BOWL * jnp.sum(jnp.square(place - WIDE))
    return bowl - depth * dip(NARROW, _NARROW_SIZE) - _WIDE_DEPTH * dip(WIDE, _WIDE_SIZE)


def descend(depth: float, starts: int, seed: int = 1) -> Descents:
    """All starts at all rates, by one program."""
    random = np.random.RandomState(seed)
    angle, radius = 2 * np.pi * random.random_sample(starts), np.sqrt(random.random_sample(starts))
    around = _AWAY * radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    places = NARROW + around
    ends, heights = map(np.asarray, _ends(jnp.array(places), jnp.array(RATES), depth))
    bottom = _bottom(depth)
    curvature = float(jnp.linalg.eigvalsh(jax.hessian(height)(jnp.array(bottom), depth))[-1])
    near = np.linalg.norm(ends - WIDE, axis=-1) < np.linalg.norm(ends - NARROW, axis=-1)
    return Descents(depth, bottom, curvature, near, heights)


def _bottom(depth: float) -> Floats:
    """By slow descent from the narrow dip's middle."""
    end = _ends(jnp.array(NARROW[None]), jnp.array([0.01]), depth)[0]
    return np.asarray(end[0, 0])


@partial(jax.jit, static_argnames="depth")
def _ends(starts: jax.Array, rates: jax.Array, depth: float) -> tuple[jax.Array, jax.Array]:
    """(rates, starts, 2) places and (rates, starts) heights after all updates."""
    slope = jax.grad(height)

    def one(rate: jax.Array, start: jax.Array) -> tuple[jax.Array, jax.Array]:
        end = jax.lax.fori_loop(0, _UPDATES, lambda _, x: x - rate * slope(x, depth), start)
        return end, height(end, depth)

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(rates, starts)
