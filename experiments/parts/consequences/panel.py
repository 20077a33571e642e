"""What is measured of every minimum's surroundings, by one program."""

import jax

from minima.landscape import estimators, norms, operators, sharpness
from minima.landscape.estimators import Estimate, known
from minima.landscape.objective import Chunks, Objective
from minima.landscape.panels import ADAPTIVE_RHO, AVERAGE_RHO, Panel, Subject
from minima.landscape.quantisation import bits_per_weight

LAMBDA_MAX, ADAPTIVE, AVERAGE = "lambda_max", "adaptive_sharpness", "average_sharpness"
NORM, LOSS, BITS = "weight_norm", "loss", "bits_per_weight"
SHARPNESS = (LAMBDA_MAX, ADAPTIVE, AVERAGE)  # the last two change under no rescaling
_LANCZOS, _ASCENT, _PROBES = 20, 10, 10


def _measure(
    objective: Objective, subject: Subject, data: Chunks, key: jax.Array
) -> dict[str, Estimate]:
    params, keys = subject.params, jax.random.split(key)
    hessian = operators.hessian(objective, params, data)
    top = estimators.largest_eigenvalues(hessian, keys[0], _LANCZOS)
    return {
        LOSS: known(objective.mean(params, data)),
        NORM: known(norms.weight_norm(params)),
        LAMBDA_MAX: jax.tree.map(lambda x: x[0], top),
        ADAPTIVE: sharpness.adaptive(objective, params, data, ADAPTIVE_RHO, _ASCENT),
        AVERAGE: sharpness.average_case(
            objective, params, data, keys[1], AVERAGE_RHO, probes=_PROBES
        ),
        BITS: bits_per_weight(objective, params, data),
    }


PANEL = Panel("consequences", _measure)
