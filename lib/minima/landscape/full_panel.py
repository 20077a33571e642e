"""More measures than the default panel's, for who has the time: `measure(…, panel=full_panel)`."""

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from minima.landscape import estimators, norms, operators, sharpness
from minima.landscape.estimators import Estimate, known
from minima.landscape.measure import LANCZOS_STEPS, PROBES, default_panel
from minima.landscape.objective import Chunks, Objective, Params, regrouped
from minima.landscape.panels import SAM_RHO
from minima.landscape.quantisation import bits_per_weight

M = 32  # examples of m-sharpness
ERROR_PROBES = 10


def full_panel(
    objective: Objective, params: Params, data: Chunks, key: jax.Array
) -> dict[str, Estimate]:
    """Traced: the default panel, and

    relative_lambda_max, relative_trace: of |w| H |w|, which no rescaling changes;
    gauss_newton_trace: of the part of the Hessian that is never negative;
    m_sharpness: SAM's, of 32 examples at a time;
    pac_bayes, magnitude_aware_pac_bayes: 1/σ², σ the noise that raises the loss by 0.1;
    bits_per_weight: the fewest that keep the loss of rounded weights within 1 %;
    margin: the mean of right logits less the largest others, where labels are classes.
    """
    first, *rest = jax.random.split(key, 6)
    keys = iter(rest)
    hessian = operators.hessian(objective, params, data)
    relative = operators.relative(hessian, ravel_pytree(params)[0])
    top = estimators.largest_eigenvalues(relative, next(keys), LANCZOS_STEPS)
    gauss_newton = operators.gauss_newton(objective, params, data)
    found = default_panel(objective, params, data, first) | {
        "relative_lambda_max": jax.tree.map(lambda x: x[0], top),
        "relative_trace": estimators.trace(relative, next(keys), PROBES),
        "gauss_newton_trace": estimators.trace(gauss_newton, next(keys), PROBES),
        "m_sharpness": sharpness.chunkwise_ascent(objective, params, regrouped(data, M), SAM_RHO),
        "pac_bayes": norms.pac_bayes(objective, params, data, next(keys), probes=ERROR_PROBES),
        "magnitude_aware_pac_bayes": norms.pac_bayes(
            objective, params, data, next(keys), magnitude_aware=True, probes=ERROR_PROBES
        ),
        "bits_per_weight": bits_per_weight(objective, params, data),
    }
    if jnp.issubdtype(data.labels.dtype, jnp.integer):
        found["margin"] = known(norms.mean_margin(objective, params, data))
    return found
