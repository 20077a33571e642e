"""Networks of about a thousand parameters, trained a little, and their Hessians in full."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from minima.landscape import operators
from minima.landscape.objective import Objective, chunks, cross_entropy
from minima.tasks.models.cnn import CNN
from minima.tasks.models.layers import Training
from minima.tasks.models.mlp import MLP
from minima.tasks.models.recurrent import Recurrent
from minima.tasks.models.settings import Settings
from minima.tasks.models.transformer import Transformer

EXAMPLES, CLASSES = 48, 5
FAMILIES = ("mlp", "cnn", "lstm", "transformer")


@functools.cache
def minimum(family):
    """(objective, params, chunks) of a small network after some steps of gradient descent."""
    apply, params = network(family)
    rng = np.random.default_rng(0)
    if family in ("lstm", "transformer"):
        inputs = rng.integers(0, CLASSES, (EXAMPLES, 9)).astype(np.int32)
    else:
        inputs = rng.normal(size=(EXAMPLES, 8, 8)).astype(np.float32)
    labels = rng.integers(0, CLASSES, EXAMPLES).astype(np.int32)
    objective, data = Objective(apply, cross_entropy), chunks(inputs, labels, EXAMPLES)

    @jax.jit
    def step(params):
        gradient = objective.gradient(params, data)
        return jax.tree.map(lambda p, g: p - 0.2 * g, params, gradient)

    for _ in range(60):
        params = step(params)
    return objective, params, data


def network(family, dtype="float32"):
    """(apply, initial params)."""
    graphdef, params, rest = nnx.split(build(family, dtype), nnx.Param, ...)

    def apply(params, x):
        # As in training: batch normalisation looks at the batch.
        module = nnx.merge(graphdef, nnx.State(params), rest, copy=True)
        return module(x, Training(jnp.ones(len(x), dtype)))

    return apply, nnx.to_pure_dict(params)


def build(family, dtype):
    tokens = family in ("lstm", "transformer")
    settings = Settings(
        input_shape=(9,) if tokens else (8, 8),
        kind="tokens" if tokens else "image",
        num_classes=CLASSES,
        vocabulary=CLASSES if tokens else 0,
        per_position=False,
        width=16 if family == "transformer" else 8,
        depth=1,
        norm={"cnn": "batch", "transformer": "layer"}.get(family, "none"),
        positions=True,
        parameter_dtype=dtype,
    )
    rngs = nnx.Rngs(0)
    if family == "mlp":
        return MLP(settings, rngs=rngs)
    if family == "cnn":
        return CNN(settings, channels=(4, 8), rngs=rngs)
    if family == "lstm":
        return Recurrent(settings, cell="lstm", embedding=8, rngs=rngs)
    return Transformer(settings, rngs=rngs)


@functools.cache
def full_hessian(family):
    objective, params, data = minimum(family)
    matrix = jax.jit(lambda p: operators.dense(operators.hessian(objective, p, data)))(params)
    matrix = np.asarray(matrix, np.float64)
    return (matrix + matrix.T) / 2
