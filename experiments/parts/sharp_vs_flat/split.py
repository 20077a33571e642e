"""Ratios of curvature in parts: norm, confidence and shape, seed by seed."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from minima.claims.evidence import Floats
from minima.landscape import estimators, operators
from minima.landscape.objective import Chunks, Objective, Params
from minima.landscape.split import Split, matched_loss, split
from minima.statistics.intervals import Interval, t_interval
from parts.sharp_vs_flat.arms import Minima
from parts.sharp_vs_flat.landscapes import objective_of, params_of
from parts.sharp_vs_flat.panels import rescalings_of

MEASURES = ("lambda_max", "trace")
PARTS = ("norm", "confidence", "shape")
_STEPS, _PROBES = 20, 20

Spread = Mapping[str, Interval]  # by part, in doublings


def splits(
    small: Minima, others: Mapping[str, Minima], examples: int
) -> dict[str, dict[str, Spread] | None]:
    """Ratios of others over `small`, by name, split at the larger of both training losses.

    None where a seed failed, or where running statistics make every minimum a network of its own.
    """
    model, points = small.arm.reading.plan.recipe.task.model, small.arm.points()
    found: dict[str, dict[str, Spread] | None] = dict.fromkeys(others)
    if None in points or len(points) < 2 or model.settings.norm == "batch":
        return found
    objective, data = objective_of(small.arm, 0, examples)

    @jax.jit
    def of_seeds(first: Params, second: Params) -> Split:
        def one(pair: tuple[Params, Params]) -> Split:
            factors = matched_loss(objective, *pair, data)
            known = rescalings_of(model, pair[0])
            return split(_curvature, objective, *pair, data, known, factors)

        return jax.lax.map(one, (first, second))

    below = _weights(small)
    for name, minima in others.items():
        if None not in minima.arm.points():
            with jax.default_matmul_precision("highest"):
                found[name] = spread(jax.device_get(of_seeds(_weights(minima), below)))
    return found


def spread(found: Split) -> dict[str, Spread] | None:
    """Intervals over seeds from splits (seeds, measures); None where a number is missing.

    The parts are those with confidence taken first, which add up to "total"; "norm first" and
    "confidence second" are the other order's.
    """
    columns = {
        "total": found.log_ratio,
        **found.confidence_first._asdict(),
        "norm first": found.norm_first.norm,
        "confidence second": found.norm_first.confidence,
    }
    doublings: dict[str, Floats] = {
        name: np.asarray(column, np.float64) / np.log(2) for name, column in columns.items()
    }
    if not all(np.isfinite(column).all() for column in doublings.values()):
        return None
    return {
        measure: {name: t_interval(column[:, i]) for name, column in doublings.items()}
        for i, measure in enumerate(MEASURES)
    }


def _curvature(objective: Objective, params: Params, data: Chunks) -> jax.Array:
    """λmax and trace, with the same probes at every minimum."""
    hessian, key = operators.hessian(objective, params, data), jax.random.key(0)
    top = estimators.largest_eigenvalues(hessian, key, _STEPS)
    return jnp.stack([top.value[0], estimators.trace(hessian, key, _PROBES).value])


def _weights(minima: Minima) -> Params:
    """Of all seeds, stacked."""
    trees = [params_of(minima.arm, place) for place in range(len(minima.arm.points()))]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
