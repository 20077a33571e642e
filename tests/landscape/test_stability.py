"""The edge of stability against what optimisers do on quadratics, one or many dimensions."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from minima.landscape.stability import critical_sharpness

RATE, BETA = 0.1, 0.9
RULES = {
    "sgd": optax.sgd(RATE),
    "momentum": optax.sgd(RATE, momentum=BETA),
    "nesterov": optax.sgd(RATE, momentum=BETA, nesterov=True),
    # Adam with its preconditioner held at 1, long after its start.
    "adam": optax.chain(optax.ema(BETA, debias=False), optax.scale(-RATE)),
}


@pytest.mark.parametrize("optimizer", list(RULES))
@pytest.mark.parametrize(("share", "shrinks"), [(0.95, True), (1.05, False)])
def test_a_quadratic_is_left_beyond_the_edge_alone(optimizer, share, shrinks):
    curvature = share * critical_sharpness(optimizer, RATE, BETA)
    rule = RULES[optimizer]

    def step(carry, _):
        x, state = carry
        change, state = rule.update(curvature * x, state)
        return (x + change, state), None

    start = jnp.ones(())
    (end, _), _ = jax.jit(lambda x: jax.lax.scan(step, (x, rule.init(x)), None, length=400))(start)
    assert (abs(float(end)) < 1e-2) == shrinks
    assert not abs(float(end)) <= 1e2 or shrinks  # beyond, it may overflow to NaN


def test_known_numbers():
    edges = [critical_sharpness(name, 0.01, 0.9) for name in ("sgd", "momentum", "adam")]
    np.testing.assert_allclose(edges, [200, 380, 3800], rtol=1e-12)  # Cohen et al.: 38 / η for Adam
    with pytest.raises(ValueError, match="lion"):
        critical_sharpness("lion", 0.1)
