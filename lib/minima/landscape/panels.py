"""Panels: what is measured together at one minimum, traced, so that one compile serves many.

Each is a handful of estimates by name. The numbers of steps and probes are set so that hessian,
sharpness and noise together cost no more than training the cell (figures are in WORKSPACE.md).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from minima.landscape import estimators, norms, operators, sharpness
from minima.landscape.estimators import Estimate, known
from minima.landscape.noise import exact
from minima.landscape.objective import Chunks, Objective, Params
from minima.landscape.quantisation import bits_per_weight
from minima.sweep.optimizers import Hyper

SAM_RHO, ADAPTIVE_RHO, AVERAGE_RHO, KESKAR_EPSILON = 0.05, 0.5, 0.1, 1e-3
_ADAM_EPSILON = 1e-8  # optax's, and ours


class Effort(NamedTuple):
    """How much work a panel does.

    Attributes:
      lanczos: steps of Lanczos.
      products: with the Hessian, for trace and Frobenius norm together.
      ascent: steps of the maximiser in the adaptive ball.
      box: steps of the maximiser in Keskar's box.
      probes: of the average-case sharpness.
    """

    lanczos: int = 20
    products: int = 24
    ascent: int = 10
    box: int = 5
    probes: int = 10


_LIGHT = Effort()


class Subject(NamedTuple):
    """One minimum of a run, traced.

    Attributes:
      params: its weights.
      initial: those its seed started from.
      opt_state: its optimiser's state; None unless the panel names optimisers.
      hyper: of the last update that led here: learning_rate, momentum, beta2, …
      step: int32, updates made.
    """

    params: Params
    initial: Params
    opt_state: Any
    hyper: Hyper
    step: jax.Array


Function = Callable[[Objective, Subject, Chunks, jax.Array], dict[str, Estimate]]


@dataclass(frozen=True)
class Panel:
    """What is measured together; hashable, static under jit.

    Attributes:
      name: goes to the record: another function or effort needs another name.
      function: (objective, subject, data, key) -> estimates by name, scalars.
      optimizers: names of those whose state it reads; empty if it reads none.
    """

    name: str
    function: Function
    optimizers: tuple[str, ...] = ()


def curvature(
    objective: Objective, params: Params, data: Chunks, key: jax.Array, effort: Effort = _LIGHT
) -> dict[str, Estimate]:
    """Largest eigenvalue, trace and squared Frobenius norm of the Hessian."""
    lanczos_key, probe_key = jax.random.split(key)
    hessian = operators.hessian(objective, params, data)
    trace, frobenius = estimators.trace_and_frobenius(hessian, probe_key, effort.products)
    return {
        "lambda_max": _largest(hessian, lanczos_key, effort.lanczos),
        "trace": trace,
        "squared_frobenius": frobenius,
    }


def rises(
    objective: Objective, params: Params, data: Chunks, key: jax.Array, effort: Effort = _LIGHT
) -> dict[str, Estimate]:
    """How far the loss rises: SAM's step, adaptive worst and average case, Keskar's box."""
    return {
        "sam_sharpness": sharpness.ascent(objective, params, data, SAM_RHO),
        "adaptive_sharpness": sharpness.adaptive(
            objective, params, data, ADAPTIVE_RHO, effort.ascent
        ),
        "average_sharpness": sharpness.average_case(
            objective, params, data, key, AVERAGE_RHO, probes=effort.probes
        ),
        "keskar_sharpness": sharpness.keskar_box(
            objective, params, data, KESKAR_EPSILON, effort.box
        ),
    }


def gradient_noise(objective: Objective, params: Params, data: Chunks) -> dict[str, Estimate]:
    """The gradient noise scale and its two parts, exact; see `noise.exact`."""
    found = exact(objective, params, data)
    return {
        "noise_scale": known(found.scale),
        "gradient_variance": known(found.variance),
        "squared_gradient": known(found.squared_gradient),
    }


def _hessian(
    objective: Objective, subject: Subject, data: Chunks, key: jax.Array
) -> dict[str, Estimate]:
    return curvature(objective, subject.params, data, key)


def _sharpness(
    objective: Objective, subject: Subject, data: Chunks, key: jax.Array
) -> dict[str, Estimate]:
    return rises(objective, subject.params, data, key)


def _noise(
    objective: Objective, subject: Subject, data: Chunks, key: jax.Array
) -> dict[str, Estimate]:
    return gradient_noise(objective, subject.params, data)


def _norms(
    objective: Objective, subject: Subject, data: Chunks, key: jax.Array
) -> dict[str, Estimate]:
    params, keys = subject.params, jax.random.split(key)
    gradient = objective.gradient(params, data)
    return {
        "loss": known(objective.mean(params, data)),
        "margin": known(norms.mean_margin(objective, params, data)),
        "gradient_norm": known(norms.weight_norm(gradient)),
        "weight_norm": known(norms.weight_norm(params)),
        "distance": known(norms.distance(params, subject.initial)),
        "fisher_rao": known(norms.fisher_rao(objective, params, data)),
        "pac_bayes": norms.pac_bayes(objective, params, data, keys[0]),
        "magnitude_aware_pac_bayes": norms.pac_bayes(
            objective, params, data, keys[1], magnitude_aware=True
        ),
    }


def _quantisation(
    objective: Objective, subject: Subject, data: Chunks, key: jax.Array
) -> dict[str, Estimate]:
    return {"bits_per_weight": bits_per_weight(objective, subject.params, data)}


def _preconditioned(
    objective: Objective, subject: Subject, data: Chunks, key: jax.Array
) -> dict[str, Estimate]:
    """Of P^-1/2 H P^-1/2, P what the optimiser divides gradients by; of H for SGD and momentum."""
    operator = operators.hessian(objective, subject.params, data)
    divisor = adam_divisor(subject)
    if divisor is not None:
        operator = operators.preconditioned(operator, divisor)
    return {"preconditioned_lambda_max": _largest(operator, key, _LIGHT.lanczos)}


def adam_divisor(subject: Subject) -> jax.Array | None:
    """(parameters,) what Adam divides its moving mean gradient by; None for another optimiser.

    P = (1 - β1^t) (√(v / (1 - β2^t)) + ε) after t updates (Cohen et al. 2022, arXiv:2207.14484,
    section 2): both corrections for the zeros that Adam starts from.
    """
    kind = optax.ScaleByAdamState
    parts = jax.tree.leaves(subject.opt_state, is_leaf=lambda part: isinstance(part, kind))
    adam = next((part for part in parts if isinstance(part, kind)), None)
    if adam is None:
        return None
    flat = ravel_pytree(adam.nu)[0]
    count = adam.count.astype(flat.dtype)
    first_share = 1 - subject.hyper.momentum.astype(flat.dtype) ** count
    second_share = 1 - subject.hyper.beta2.astype(flat.dtype) ** count
    return first_share * (jnp.sqrt(flat / second_share) + _ADAM_EPSILON)


def _largest(operator: operators.Operator, key: jax.Array, steps: int) -> Estimate:
    top = estimators.largest_eigenvalues(operator, key, steps)
    return jax.tree.map(lambda x: x[0], top)


PANELS = {
    panel.name: panel
    for panel in (
        Panel("hessian", _hessian),
        Panel("sharpness", _sharpness),
        Panel("noise", _noise),
        Panel("norms", _norms),
        Panel("quantisation", _quantisation),
        Panel("preconditioned", _preconditioned, ("sgd", "momentum", "nesterov", "adam", "adamw")),
    )
}
