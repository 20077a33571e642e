"""Norm × confidence × shape: what makes one minimum sharper than another.

log S(A) / S(B) is split into

* confidence: what goes when both minima's logits are scaled to one confidence. Curvature of
  cross-entropy carries p (1 - p), so that a lower loss looks flatter (Granziol 2020);
* norm: what goes when both are brought into the canonical gauge. Weights that only a rescaling
  made large make a minimum flat and change no output;
* shape: what is left, at one confidence and in one gauge, whatever rescaling the minima had.

Scaling logits means scaling the read-out's weights, so confidence and norm meet there: a larger
read-out is more confident, and the canonical gauge spreads it over the layers. Confidence comes
first: then a minimum that differs by the size of its read-out alone differs in confidence only, and
one that is rescaled in norm only, for every measure; and the parts add up exactly. In the other
order the gauge takes a share of a larger read-out; `norm_first` and the mean of both orders
(Shapley) show how much the order matters.

There are two ways to one confidence. At matched loss, the minimum with the lower mean loss gets
smaller logits until both losses are equal. That is always possible below the loss of equal logits,
and right for minima that fit their data, whose best temperature is 0. Calibrated, each minimum's
logits are divided by the temperature that minimises its loss (Guo et al. 2017), and both multiplied
by the geometric mean of the two, so that equally confident minima stay as they are: for held-out
data, or for training data that aren't fitted.

Limits. One number scales all logits: examples whose confidence differs otherwise count as shape. In
networks without normalisation, weights that make the function larger count as confidence. Families
without a known rescaling have no norm part. A λmax or trace that is not positive gives NaN.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from minima.landscape import gauges
from minima.landscape.gauges import Path, Rescaling, keys_of
from minima.landscape.objective import Chunks, Objective, Params

Sharpness = Callable[[Objective, Params, Chunks], jax.Array]

READOUT: Path = ("readout",)
_HALVINGS = 50
_REACH = 12.0  # of log-factors of logits


class Parts(NamedTuple):
    """Natural logarithms of factors; they add up to the logarithm of the whole ratio.

    Attributes:
      norm, confidence, shape: of the sharpness's shape.
    """

    norm: jax.Array
    confidence: jax.Array
    shape: jax.Array


class Split(NamedTuple):
    """The logarithm of a ratio and its parts, in both orders.

    Attributes:
      log_ratio: log S(first) / S(second), of the sharpness's shape.
      confidence_first: the split.
      norm_first: the same in the other order.
    """

    log_ratio: jax.Array
    confidence_first: Parts
    norm_first: Parts

    @property
    def mean(self) -> Parts:
        """Over both orders (Shapley)."""
        pairs = zip(self.confidence_first, self.norm_first, strict=True)
        return Parts(*((a + b) / 2 for a, b in pairs))

    @property
    def interaction(self) -> jax.Array:
        """By how much the norm part is larger where it comes second."""
        return self.confidence_first.norm - self.norm_first.norm

    def __str__(self) -> str:
        parts = zip(Parts._fields, self.confidence_first, strict=True)
        spelt = " × ".join(f"{name} {float(jnp.exp(log)):.3g}" for name, log in parts)
        return f"{float(jnp.exp(self.log_ratio)):.3g} = {spelt}"


def split(
    sharpness: Sharpness,
    objective: Objective,
    first: Params,
    second: Params,
    data: Chunks,
    rescalings: Sequence[Rescaling],
    factors: jax.Array,
    *,
    readout: Path | None = READOUT,
) -> Split:
    """Splits log S(first) / S(second); traced, eight evaluations of S.

    Args:
      sharpness: (objective, params, data) -> positive, a scalar or an array of several measures.
        Random probes must be the same each time, so that their errors cancel.
      objective, data: of both.
      first, second: the minima.
      rescalings: of their family, `families.rescalings`; () where none is known.
      factors: (2,) of their logits, from `matched_loss` or `calibrated`.
      readout: where the weights lie that logits are proportional to, kernel and bias; None scales
        outputs behind the network, whose weights then stay as they are.
    """
    raw = _stacked(first, second)
    if readout is None:
        scaled, by = raw, jnp.concatenate([jnp.ones_like(factors), factors])
    else:
        scaled = jax.vmap(lambda params, factor: scale_readout(params, factor, readout))(
            raw, factors
        )
        by = jnp.ones(4, factors.dtype)
    plain = _joined(raw, scaled)
    canonical = jax.lax.map(lambda params: gauges.canonical(params, rescalings), plain)

    def log(at: tuple[Params, jax.Array]) -> jax.Array:
        params, factor = at
        return jnp.log(sharpness(_with_outputs(objective, factor), params, data))

    # One loop over all eight, so that S is compiled once.
    logs = jax.lax.map(log, (_joined(plain, canonical), jnp.concatenate([by, by])))
    return parts(*(logs[0::2] - logs[1::2]))


def parts(whole: jax.Array, confident: jax.Array, canonical: jax.Array, both: jax.Array) -> Split:
    """The split from four logarithms of ratios: as they are, at one confidence, in one gauge, both.

    Of any shape, such as one for every seed.
    """
    return Split(
        whole,
        Parts(norm=confident - both, confidence=whole - confident, shape=both),
        Parts(norm=whole - canonical, confidence=canonical - both, shape=both),
    )


def matched_loss(objective: Objective, first: Params, second: Params, data: Chunks) -> jax.Array:
    """Factors (2,) of both minima's logits that give both the larger of their mean losses.

    For losses that fall with the logits, as training losses do; the larger one's factor is 1.
    """
    level = jnp.maximum(objective.mean(first, data), objective.mean(second, data))
    pair = (first, second)
    return jnp.stack([factor_for_loss(objective, params, data, level) for params in pair])


def factor_for_loss(
    objective: Objective, params: Params, data: Chunks, level: jax.Array | float
) -> jax.Array:
    """What to multiply logits by for a mean loss of `level`; scalar.

    The mean loss is convex in the factor: from that of equal logits it falls to the best
    temperature's and may rise again. The factor is the one on the way down; NaN where the way does
    not pass `level`.
    """
    loss = loss_of_scale(objective, params, data)
    one = jnp.ones_like(loss(1.0))
    # Down to where the minimum is, if that is low enough, or else to the lowest there is.
    end = jnp.where(loss(one) <= level, 0, _log_best(loss, one))
    log = _where_it_begins(lambda s: loss(jnp.exp(s)) <= level, -_REACH * one, end)
    passes = (loss(0 * one) >= level) & (loss(jnp.exp(end)) <= level)
    return jnp.where(passes, jnp.exp(log), jnp.nan)


def scale_to_loss(
    objective: Objective,
    params: Params,
    data: Chunks,
    level: jax.Array | float,
    readout: Path = READOUT,
) -> Params:
    """The minimum with its read-out scaled to a mean loss of `level`; see `factor_for_loss`."""
    return scale_readout(params, factor_for_loss(objective, params, data, level), readout)


def calibrated(objective: Objective, first: Params, second: Params, data: Chunks) -> jax.Array:
    """Factors (2,) of both minima's logits that give both one temperature, the geometric mean.

    NaN where a minimum has none: it fits its data, and its loss falls with its logits for ever.
    """
    both = jnp.stack([temperature(objective, params, data) for params in (first, second)])
    return jnp.sqrt(both[0] * both[1]) / both


def temperature(objective: Objective, params: Params, data: Chunks) -> jax.Array:
    """The T that minimises the mean loss of logits / T over the data (Guo et al. 2017); scalar.

    By bisection: the loss is convex in 1 / T. NaN where there is none between e⁻¹² and e¹².
    """
    loss = loss_of_scale(objective, params, data)
    log = _log_best(loss, jnp.ones_like(loss(1.0)))
    return jnp.where(jnp.abs(log) < _REACH - 1e-3, jnp.exp(-log), jnp.nan)


def _log_best(loss: Callable[[jax.Array], jax.Array], one: jax.Array) -> jax.Array:
    """The logarithm of the factor of the least loss, or the end that is nearest to it."""
    slope = jax.grad(loss)  # rounded to 0 where a loss has all but vanished: not yet rising
    return _where_it_begins(lambda s: slope(jnp.exp(s)) > 0, -_REACH * one, _REACH * one)


def loss_of_scale(
    objective: Objective, params: Params, data: Chunks
) -> Callable[[jax.Array | float], jax.Array]:
    """The mean loss as a function of what all outputs are multiplied by; they are computed once."""
    outputs = jax.lax.map(lambda chunk: objective.apply(params, chunk.inputs), data)
    outputs, labels, weights = jax.tree.map(
        lambda x: x.reshape(-1, *x.shape[2:]), (outputs, data.labels, data.weights)
    )
    return lambda scale: objective.loss(scale * outputs, labels) @ weights


def scale_readout(params: Params, factor: jax.Array, readout: Path = READOUT) -> Params:
    """All weights below a path multiplied by a scalar.

    Raises:
      KeyError: there are none; give the path of those that logits are proportional to.
    """
    found = []

    def scaled(path: tuple, leaf: jax.Array) -> jax.Array:
        if keys_of(path)[: len(readout)] != readout:
            return leaf
        found.append(path)
        return leaf * factor

    moved = jax.tree_util.tree_map_with_path(scaled, params)
    if not found:
        raise KeyError(f"no parameters below {readout}; say where the read-out is, or None")
    return moved


def _stacked(*trees: Params) -> Params:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _joined(*trees: Params) -> Params:
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *trees)


def _with_outputs(objective: Objective, factor: jax.Array) -> Objective:
    return Objective(lambda p, x: factor * objective.apply(p, x), objective.loss)


def _where_it_begins(
    holds: Callable[[jax.Array], jax.Array], low: jax.Array, high: jax.Array
) -> jax.Array:
    """Where a condition that fails at `low` and holds at `high` begins to hold."""

    def halve(_: jax.Array, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        middle = (low + high) / 2
        inside = holds(middle)
        return jnp.where(inside, low, middle), jnp.where(inside, middle, high)

    return jax.lax.fori_loop(0, _HALVINGS, halve, (low, high))[1]
