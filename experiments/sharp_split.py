"""Ratios of curvature in parts: norm, confidence and shape, seed by seed."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from minima.claims.evidence import Floats
from minima.claims.intervals import Interval, t_interval
from minima.landscape import estimators, operators
from minima.landscape.objective import Chunks, Objective, Params
from minima.landscape.split import Split, matched_loss, split
from sharp_arms import Minima
from sharp_landscapes import objective_of, params_of
from sharp_panels import rescalings_of

MEASURES = ("lambda_max", "trace")
PARTS = ("norm", "confidence", "shape")
_STEPS, _PROBES = 20, 20

Spread = Mapping[str, Interval]  # by part, in doublings


def splits(first: Minima, second: Minima, examples: int) -> dict[str, Spread] | None:
    """Both measures' ratios, first over second, split at the larger of both training losses.

    None where a seed failed, or where running statistics make every minimum a network of its own.
    """
    pairs = [pair for pair in zip(first.arm.points(), second.arm.points(), strict=True)]
    model = first.arm.reading.plan.recipe.task.model
    if any(None in pair for pair in pairs) or len(pairs) < 2 or model.settings.norm == "batch":
        return None
    objective, data = objective_of(first.arm, 0, examples)
    weights = [
        _stacked([params_of(minima.arm, place) for place in range(len(pairs))])
        for minima in (first, second)
    ]

    @jax.jit
    def of_seeds(first: Params, second: Params) -> Split:
        def one(pair: tuple[Params, Params]) -> Split:
            factors = matched_loss(objective, *pair, data)
            known = rescalings_of(model, pair[0])
            return split(_curvature, objective, *pair, data, known, factors)

        return jax.lax.map(one, (first, second))

    with jax.default_matmul_precision("highest"):
        found = jax.device_get(of_seeds(*weights))
    return spread(found)


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


def _stacked(trees: list[Params]) -> Params:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
