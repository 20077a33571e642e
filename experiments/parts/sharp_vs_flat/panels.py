"""Every sharpness in every form: as it is, in the canonical gauge, and such as no gauge changes."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from minima.landscape import estimators, families, gauges, norms, operators, sharpness
from minima.landscape.estimators import Estimate, known
from minima.landscape.gauges import Rescaling
from minima.landscape.objective import Chunks, Objective, Params
from minima.landscape.operators import Operator
from minima.landscape.panels import Panel, Subject
from minima.tasks.models import Model

# What rescalings change, and the counterpart of each that none does (`landscape.forms`).
COUNTERPARTS = {
    "lambda_max": "relative_lambda_max",
    "trace": "relative_trace",
    "sam_sharpness": "adaptive_sharpness",
    "gaussian_sharpness": "average_sharpness",
    "keskar_sharpness": "relative_box",
}
CANONICAL = "_canonical"
RAW, INVARIANT = tuple(COUNTERPARTS), tuple(COUNTERPARTS.values())
SHARPNESS = (*RAW, *(name + CANONICAL for name in RAW), *INVARIANT)
_WORDS = {
    "lambda_max": "λmax",
    "trace": "trace",
    "sam_sharpness": "SAM's ascent",
    "gaussian_sharpness": "Gaussian noise",
    "keskar_sharpness": "Keskar's box",
    "relative_lambda_max": "λmax relative to weights",
    "relative_trace": "trace relative to weights",
    "adaptive_sharpness": "adaptive worst case",
    "average_sharpness": "adaptive average case",
    "relative_box": "relative box",
    "loss": "training loss, to compare with",
}
_STEPS, _PROBES, _ASCENT = 20, 20, 20
_SAM_RHO, _ADAPTIVE_RHO, _AVERAGE_RHO, _GAUSSIAN_RHO = 0.05, 0.5, 0.1, 0.02


def spelled(name: str) -> str:
    """A measure and its form in words."""
    plain = name.removesuffix(CANONICAL)
    return _WORDS[plain] + (" (canonical)" if plain != name else "")


def rescalings_of(model: Model, params: Params) -> tuple[Rescaling, ...]:
    """The exact rescalings of a model's family."""
    settings, residual = model.settings, model.name in ("mlp_residual", "resnet")
    known = families.rescalings(params, settings.norm, settings.activation, residual)
    return tuple(rescaling for rescaling in known if rescaling.exact)


@functools.lru_cache
def forms(model: Model) -> Panel:
    """Loss, norms, and sharpness as it is, in the canonical gauge, and invariant."""

    def measure(
        objective: Objective, subject: Subject, data: Chunks, key: jax.Array
    ) -> dict[str, Estimate]:
        params = subject.params
        canonical = gauges.canonical(params, rescalings_of(model, params))
        weights = ravel_pytree(params)[0]
        relative = operators.relative(operators.hessian(objective, params, data), weights)
        found = {
            "loss": known(objective.mean(params, data)),
            "weight_norm": known(norms.weight_norm(params)),
            "distance": known(norms.distance(params, subject.initial)),
            "fisher_rao": known(norms.fisher_rao(objective, params, data)),
            "adaptive_sharpness": sharpness.adaptive(
                objective, params, data, _ADAPTIVE_RHO, _ASCENT
            ),
            "average_sharpness": sharpness.average_case(
                objective, params, data, key, _AVERAGE_RHO, probes=_PROBES
            ),
            "relative_box": sharpness.relative_box(objective, params, data, steps=_ASCENT),
        }
        found |= _curvature(relative, key, "relative_")

        def plain(at: Params) -> dict[str, Estimate]:
            return _curvature(operators.hessian(objective, at, data), key) | {
                "sam_sharpness": sharpness.ascent(objective, at, data, _SAM_RHO),
                "gaussian_sharpness": sharpness.average_case(
                    objective, at, data, key, _GAUSSIAN_RHO, adaptive=False, probes=_PROBES
                ),
                "keskar_sharpness": sharpness.keskar_box(objective, at, data, steps=_ASCENT),
            }

        return found | _of_both(plain, params, canonical, ("", CANONICAL))

    return Panel("forms", measure)


def _of_both(
    measure: Callable[[Params], dict[str, Estimate]],
    params: Params,
    canonical: Params,
    forms: tuple[str, str],
) -> dict[str, Estimate]:
    """The same measures of both, compiled once; names end in their form."""
    stacked = jax.tree.map(lambda a, b: jnp.stack([a, b]), params, canonical)
    found = jax.lax.map(measure, stacked)
    return {
        name + form: jax.tree.map(lambda x, i=i: x[i], estimate)
        for i, form in enumerate(forms)
        for name, estimate in found.items()
    }


def _curvature(operator: Operator, key: jax.Array, kind: str = "") -> dict[str, Estimate]:
    top_key, trace_key = jax.random.split(key)
    top = estimators.largest_eigenvalues(operator, top_key, _STEPS)
    return {
        f"{kind}lambda_max": jax.tree.map(lambda x: x[0], top),
        f"{kind}trace": estimators.trace(operator, trace_key, _PROBES),
    }
