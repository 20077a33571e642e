"""Rescalings of weights that leave the function as it is, and what they do to a measure.

A rectifier network computes the same with a neuron's inputs doubled and its outputs halved, while
Hessians and ε-boxes see another minimum (Dinh et al. 2017). Here a rescaling is a factor per neuron
(head feature, channel) and the weights it multiplies and divides; `families.rescalings` knows those
of minima's own networks. The canonical gauge picks one representative of all that are equal: the
least norm where factors multiply and divide, columns of mean norm 1 where a normalisation forgets
the scale.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minima.landscape.objective import Params

Path = tuple[str | int, ...]
_SWEEPS = 50


class Part(NamedTuple):
    """One leaf's share in a rescaling.

    Attributes:
      path: keys to the leaf.
      factor: which factor scales each weight, -1 for none; integers that broadcast to the leaf's
        shape.
      power: 1 where the factor multiplies, -1 where it divides.
    """

    path: Path
    factor: np.ndarray
    power: int


@dataclass(frozen=True)
class Rescaling:
    """Factors of one kind, such as one per neuron of a layer.

    Attributes:
      name: for people.
      size: number of factors.
      parts: the weights they scale. Without any that divide, the function forgets their scale.
      exact: whether the function stays exactly as it is; not where a normalisation adds ε.
    """

    name: str
    size: int
    parts: tuple[Part, ...]
    exact: bool = True

    @property
    def is_paired(self) -> bool:
        """Whether what is multiplied here is divided there."""
        return any(part.power < 0 for part in self.parts)


def rescale(params: Params, rescaling: Rescaling, log_factors: jax.Array) -> Params:
    """The same function at other weights; log_factors (size,)."""
    by_path: dict[Path, list[Part]] = {}
    for part in rescaling.parts:
        by_path.setdefault(part.path, []).append(part)

    def scaled(path: tuple, leaf: jax.Array) -> jax.Array:
        for part in by_path.get(keys_of(path), []):
            factor = np.broadcast_to(part.factor, leaf.shape)
            logs = jnp.where(factor < 0, 0, log_factors.astype(leaf.dtype)[factor])
            leaf = leaf * jnp.exp(part.power * logs)
        return leaf

    return jax.tree_util.tree_map_with_path(scaled, params)


def canonical(params: Params, rescalings: Sequence[Rescaling]) -> Params:
    """The one representative of all rescaled parameters.

    Paired factors are chosen for the least sum of squares, which is convex in their logarithms and
    is found one kind after the other; the others bring the columns of their kernels to norm 1, or
    to a mean square of 1 where one factor has several.
    """
    targets = [_columns(params, rescaling) for rescaling in rescalings]

    def sweep(_: jax.Array, params: Params) -> Params:
        for rescaling, columns in zip(rescalings, targets, strict=True):
            up, down = _squares(params, rescaling)
            if rescaling.is_paired:
                usable = (up > 0) & (down > 0)
                ratio = jnp.where(usable, down, 1) / jnp.where(usable, up, 1)
                logs = jnp.log(ratio) / 4
            else:
                logs = jnp.log(columns / jnp.where(up > 0, up, columns)) / 2
            params = rescale(params, rescaling, logs)
        return params

    return jax.lax.fori_loop(0, _SWEEPS, sweep, params)


def randomised(
    params: Params, rescalings: Sequence[Rescaling], key: jax.Array, spread: float = 1.0
) -> Params:
    """The same function with log-factors from N(0, spread²) for every factor."""
    keys = jax.random.split(key, len(rescalings))
    for rescaling, k in zip(rescalings, keys, strict=True):
        params = rescale(params, rescaling, spread * jax.random.normal(k, (rescaling.size,)))
    return params


class Attack(NamedTuple):
    """Whether rescaling alone can turn an ordering of two minima around.

    Attributes:
      before: the measure of the first over that of the second, as they are.
      canonical: the same in the canonical gauge.
      lowest, highest: the least and the largest ratio found.
      flipped: bool, some ratio lies on the other side of 1.

    All of the measure's shape.
    """

    before: jax.Array
    canonical: jax.Array
    lowest: jax.Array
    highest: jax.Array
    flipped: jax.Array


def attack(
    measure: Callable[[Params], jax.Array],
    first: Params,
    second: Params,
    rescalings: Sequence[Rescaling],
    *,
    reach: float = 4.0,
    steps: int = 9,
) -> Attack:
    """Looks for rescalings of either minimum that change which has the larger measure.

    Goes along every kind of rescaling with one log-factor for all its neurons, from -reach to
    reach: enough to move a measure that is not invariant by orders of magnitude. Where the function
    stays as it is only up to a normalisation's ε, weights just grow: then ε matters ever less.

    Args:
      measure: of parameters, positive, an array of any shape; traced. What isn't positive is no
        measurement (a maximiser that failed) and turns nothing.
      first, second: the minima.
      rescalings: of their family.
      reach: largest log-factor.
      steps: log-factors tried per kind.
    """
    tries = _tries(rescalings, reach, steps)
    count = len(tries)
    places = [first, second, *(canonical(params, rescalings) for params in (first, second))]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *places)
    which = np.repeat([0, 1, 2, 3], [count, count, 1, 1])
    logs = np.concatenate([tries, tries, 0 * tries[:1], 0 * tries[:1]])

    def at(point: tuple[jax.Array, jax.Array]) -> jax.Array:
        params = jax.tree.map(lambda leaf: leaf[point[0]], stacked)
        for i, rescaling in enumerate(rescalings):
            params = rescale(params, rescaling, jnp.full((rescaling.size,), point[1][i]))
        value = measure(params)
        return jnp.where(value > 0, value, jnp.nan)

    # One loop, so that the measure is compiled once.
    values = jax.lax.map(at, (which, logs))
    of_first, of_second = values[:count], values[count:-2]
    before, canonical_ratio = of_first[0] / of_second[0], values[-2] / values[-1]
    lowest = jnp.nanmin(of_first, axis=0) / jnp.nanmax(of_second, axis=0)
    highest = jnp.nanmax(of_first, axis=0) / jnp.nanmin(of_second, axis=0)
    other_side = jnp.where(before < 1, highest > 1, lowest < 1)
    return Attack(before, canonical_ratio, lowest, highest, other_side & jnp.isfinite(before))


def _tries(rescalings: Sequence[Rescaling], reach: float, steps: int) -> np.ndarray:
    """Log-factors to try, (tries, kinds): none, and then each kind alone."""
    kinds = len(rescalings)
    tries = [np.zeros(kinds)]
    for i, rescaling in enumerate(rescalings):
        for log in np.linspace(-reach if rescaling.exact else 0, reach, steps):
            tries.append(log * np.eye(kinds)[i])
    return np.stack(tries)


def _squares(params: Params, rescaling: Rescaling) -> tuple[jax.Array, jax.Array]:
    """Sums of squares of the weights that each factor multiplies, and of those it divides."""
    leaves = {keys_of(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    sums = {1: jnp.zeros(rescaling.size), -1: jnp.zeros(rescaling.size)}
    for part in rescaling.parts:
        leaf = _leaf(leaves, part.path)
        factor = np.broadcast_to(part.factor, leaf.shape).reshape(-1)
        squares = jnp.where(factor < 0, 0, jnp.square(leaf).reshape(-1))
        factor = np.maximum(factor, 0)
        sums[part.power] += jax.ops.segment_sum(squares, factor, rescaling.size)
    return sums[1], sums[-1]


def _columns(params: Params, rescaling: Rescaling) -> np.ndarray:
    """How many columns of kernels each factor multiplies, (size,); 1 where there are none."""
    leaves = {keys_of(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    count = np.zeros(rescaling.size)
    for part in rescaling.parts:
        shape = _leaf(leaves, part.path).shape
        if len(shape) > 1 and part.power > 0:
            factor = np.broadcast_to(part.factor, shape).reshape(-1, shape[-1])[0]
            count += np.bincount(factor[factor >= 0], minlength=rescaling.size)
    return np.maximum(count, 1)


def _leaf(leaves: Mapping[Path, jax.Array], path: Path) -> jax.Array:
    if path not in leaves:
        raise KeyError(f"no parameter at {path}; there are {sorted(map(str, leaves))}")
    return leaves[path]


def keys_of(path: tuple[Any, ...]) -> Path:
    """The plain keys, indices and names of a path through a pytree."""
    plain = (getattr(key, "key", getattr(key, "idx", None)) for key in path)
    return tuple(key.name if p is None else p for key, p in zip(path, plain, strict=True))
